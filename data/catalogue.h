/*
 * catalogue.h: the items, and the numbers by which the rest of the store knows items and users.
 *
 * An item's record is JSON: {"title", "text", "categories": [..], "attributes": {..}, "available"}.
 * A number is given to an id once and never to another id; deleting an item keeps its number, so
 * events that name it stay unjoined until it comes back.  Numbers mean nothing: no model and no
 * tie-break may look at them.
 *
 * Cost      one B-tree look-up each.
 */
#ifndef DATA_CATALOGUE_H
#define DATA_CATALOGUE_H

#include "data/ids.h"
#include "data/store.h"

#include <jansson.h>

enum { TITLE_MAX = 1024, TEXT_MAX = 65536, CATEGORIES_MAX = 64 };

/* Refuses wrong types, sizes over the limits and unknown fields, takes off what is null; "id" is
 * allowed and ignored. */
bool item_check(json_t *record, struct err *err) MUST_CHECK;

/* Makes a record of the neutral form: fields that are not ours go into attributes.  New reference.
 */
json_t *item_from_neutral(const json_t *row, struct err *err) MUST_CHECK;

enum put_result { PUT_NEW, PUT_REPLACED, PUT_SAME };

bool catalogue_put(enum put_result *result, uint32_t *number, const struct store_txn *txn,
                   const char *id, const json_t *record, struct err *err) MUST_CHECK;
bool catalogue_delete(const struct store_txn *txn, const char *id,
                      struct err *err); /* false: not there */
bool catalogue_find(uint32_t *number, const struct store_txn *txn, const char *id, struct err *err);
bool catalogue_id(char id[ID_SIZE_MAX + 1], const struct store_txn *txn, uint32_t number,
                  struct err *err);
json_t *catalogue_get(const struct store_txn *txn, uint32_t number,
                      struct err *err);              /* new ref or NULL */
size_t catalogue_count(const struct store_txn *txn); /* items with a record */

typedef bool item_fn(void *self, uint32_t number, const char *id, json_t *record, struct err *err);
bool catalogue_each(const struct store_txn *txn, item_fn *fn, void *self,
                    struct err *err) MUST_CHECK;

/* The number of an id, made if it is new. */
bool item_number(uint32_t *number, const struct store_txn *txn, const char *id,
                 struct err *err) MUST_CHECK;
bool user_number(uint32_t *number, const struct store_txn *txn, const char *id,
                 struct err *err) MUST_CHECK;
bool user_find(uint32_t *number, const struct store_txn *txn, const char *id, struct err *err);
bool user_id(char id[ID_SIZE_MAX + 1], const struct store_txn *txn, uint32_t number,
             struct err *err);

#endif
