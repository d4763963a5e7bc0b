/*
 * records.h: the store's smaller tables: dialogues, served slates, late items, API keys.
 *
 * Dialogues and slates are JSON texts kept as they came, checked when they are written.
 */
#ifndef DATA_RECORDS_H
#define DATA_RECORDS_H

#include "data/ids.h"
#include "data/store.h"

#include <jansson.h>

/* Who says a turn: user or seeker, assistant or recommender, system; else ROLE_UNKNOWN. */
enum dialogue_role { ROLE_UNKNOWN, ROLE_USER, ROLE_ASSISTANT, ROLE_SYSTEM };
enum dialogue_role dialogue_role(const json_t *turn);
/* {"id", "turns": [{"role", "text", "items_mentioned": []}], ...}: the neutral form's own fields.
 */
bool dialogue_check(const json_t *dialogue, struct err *err) MUST_CHECK;
bool dialogue_put(bool *is_new, const struct store_txn *txn, const char *id, const json_t *dialogue,
                  struct err *err) MUST_CHECK;

/* Slates: `request_id` rises with time, so the oldest are the first keys. */
bool slate_put(const struct store_txn *txn, const char *request_id, const char *json, size_t size,
               struct err *err) MUST_CHECK;
json_t *slate_get(const struct store_txn *txn, const char *request_id, struct err *err);
/* Drops the oldest slates beyond `max` and those made before `oldest_ms`; returns how many went. */
size_t slates_prune(const struct store_txn *txn, size_t max, int64_t oldest_ms, size_t at_most,
                    struct err *err);

/* Tiles that a version gave to an item it was not trained on: the version's delta. */
bool late_item_put(const struct store_txn *txn, const char *version, uint32_t item,
                   const uint16_t *tiles, size_t levels, struct err *err) MUST_CHECK;
bool late_item_get(uint16_t *tiles, size_t levels, const struct store_txn *txn, const char *version,
                   uint32_t item, struct err *err); /* false and no error: not there */

/* API keys: only a SHA-256 is stored, the key itself is shown once by whoever makes it. */
bool api_key_put(const struct store_txn *txn, const char *key, const char *name, const char *scopes,
                 struct err *err) MUST_CHECK;
bool api_key_scopes(char *scopes, size_t room, const struct store_txn *txn, const char *key,
                    struct err *err); /* false and no error: unknown key */
size_t api_keys_count(const struct store_txn *txn);

#endif
