/*
 * tokenizer_pattern.h: regular expressions of foreign tokenizers, by PCRE2 (UTF, UCP); for
 * tokenizer*.c alone.
 *
 * The reference runs them with Oniguruma in Ruby's syntax.  What means something else there is
 * rewritten (\s is Unicode's White_Space; ^ and $ hold at lines; \w takes marks) or refused (\h,
 * && and classes within classes).
 *
 * Threads   a pattern never changes; matching needs a `struct matching` of the thread's own.
 * Errors    ERR_FORMAT: what PCRE2 says about the pattern; ERR_LIMIT: a match that takes too many
 *           steps, so that no pattern and no text can hold a thread for long.
 */
#ifndef MODEL_TOKENIZER_PATTERN_H
#define MODEL_TOKENIZER_PATTERN_H

#include "base/err.h"

enum { PATTERN_BYTES_MAX = 1 << 14 };

struct pattern;
struct pattern *pattern_new(const char *regex, struct err *err) MUST_CHECK;
void pattern_free(struct pattern *pattern); /* NULL is fine */

struct matching;
struct matching *matching_new(struct err *err) MUST_CHECK;
void matching_free(struct matching *matching); /* NULL is fine */

enum found { FOUND, FOUND_NOTHING, FOUND_ERROR };

/* The first match in text[from, size) that is not empty; the text before `from` is seen. */
enum found pattern_find(size_t *start, size_t *end, const struct pattern *pattern,
                        struct matching *matching, const char *text, size_t size, size_t from,
                        struct err *err);

#endif
