/*
 * texts.h: what a large model said of items and users, kept so that it is asked once.
 *
 * A row is {"of": what it was asked about, "model": who said it, "lines": [...]}.  `of` is a hash
 * of the facts that went into the question: another `of` means that the answer is of yesterday.
 *
 * Cost      one B-tree look-up each.
 */
#ifndef DATA_TEXTS_H
#define DATA_TEXTS_H

#include "data/store.h"

#include <jansson.h>

enum text_owner {
    TEXT_OF_ITEM = 'i',
    TEXT_OF_USER = 'u',
    TEXT_OF_CHAIN = 'c', /* of a user */
    TEXT_OF_LIST = 'l',  /* of a user */
    TEXT_OF_TALK = 't',  /* of a place in a dialogue */
};

bool texts_put(const struct store_txn *txn, enum text_owner owner, uint32_t number, uint64_t of,
               const char *model, json_t *lines, struct err *err) MUST_CHECK; /* takes lines */

/* Whether this model has answered this very question. */
bool texts_has(const struct store_txn *txn, enum text_owner owner, uint32_t number, uint64_t of,
               const char *model, struct err *err);

/* lines are strings; fn is called in order of owner and number. */
typedef bool texts_fn(void *self, enum text_owner owner, uint32_t number, uint64_t of,
                      const json_t *lines, struct err *err);
bool texts_each(const struct store_txn *txn, texts_fn *fn, void *self, struct err *err) MUST_CHECK;

/* Rises with every row that is written; 0: there never was one. */
uint64_t texts_revision(const struct store_txn *txn);

#endif
