/* words.h: the words of a text as the tokenizer sees them; used by tokenizer*.c alone. */
#ifndef MODEL_WORDS_H
#define MODEL_WORDS_H

#include "base/err.h"

#include <stddef.h>

/* Calls fn with each word (its bytes, the space before it included) of the normalised text. */
typedef bool word_fn(void *self, const char *word, size_t size, struct err *err);
bool words_each(const char *text, word_fn *fn, void *self, struct err *err) MUST_CHECK;

#endif
