/*
 * running_text.h: words that everybody says: whether a title without capitals is one at all.
 * "Thanks for the help" names no film.
 *
 * Threads   any.
 * Cost      a binary search among some 400 words for each word.
 */
#ifndef RECOMMEND_RUNNING_TEXT_H
#define RECOMMEND_RUNNING_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* [from, to) holds common words only, none of them with a capital but the first, which may begin a
 * sentence, and "I". */
bool is_running_text(const char *from, const char *to);

/* What titles write small between their other words: "of", "the". */
bool word_is_joining(const char *word, size_t size);

/* A letter, a digit, an apostrophe or a part of a letter beyond ASCII. */
bool word_has(char byte);

/* The next word of [*at, end), which *at then stands behind; false: there is none. */
bool word_next(const char **word, size_t *size, const char **at, const char *end);

#endif
