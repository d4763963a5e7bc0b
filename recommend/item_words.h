/*
 * item_words.h: what each item of a version is called and belongs to, as tokens.
 *
 * An item has two runs of words: those of its title, then those of its tags (categories, and
 * attributes that are short texts, such as a brand).  Each word is encoded with a space before it,
 * as it would stand in a sentence, so any choice of words in any order is a text.
 *
 * Memory    owned flat arrays; item_words_free().
 * Threads   never changes once made.
 */
#ifndef RECOMMEND_ITEM_WORDS_H
#define RECOMMEND_ITEM_WORDS_H

#include "model/tokenizer.h"
#include "recommend/version.h"

struct item_words {
    size_t items;
    size_t *first;   /* [2 items + 1] words: title of row r from 2r, tags from 2r + 1 */
    size_t *word_at; /* [words + 1] into token */
    uint32_t *token; /* of the tokenizer, without TOKEN */
    size_t words, tokens;
};

/* Calls fn with every text of a record that becomes words: the title, then each tag. */
typedef bool item_text_fn(void *self, const char *text, bool title, struct err *err);
bool item_texts(const json_t *record, item_text_fn *fn, void *self, struct err *err) MUST_CHECK;

struct item_words *item_words_load(const struct version *version, struct store *store,
                                   const struct tokenizer *tokenizer, struct err *err) MUST_CHECK;
void item_words_free(struct item_words *words); /* NULL is fine */

/* A text as symbols of the policy; at most `most`. */
size_t text_symbols(uint32_t *symbols, size_t most, const struct tokenizer *tokenizer,
                    const char *text, struct err *err);

#endif
