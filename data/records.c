#include "data/records.h"

#include "base/files.h"
#include "base/json.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TURNS_MAX = 1000, TURN_TEXT_MAX = 16384 };

enum dialogue_role dialogue_role(const json_t *turn)
{
    static const struct {
        const char *name;
        enum dialogue_role role;
    } roles[] = {{"user", ROLE_USER},
                 {"seeker", ROLE_USER},
                 {"assistant", ROLE_ASSISTANT},
                 {"recommender", ROLE_ASSISTANT},
                 {"system", ROLE_SYSTEM}};
    const char *name = json_string_value(json_object_get(turn, "role"));
    for (size_t i = 0; name && i < COUNT(roles); i++)
        if (strcmp(name, roles[i].name) == 0)
            return roles[i].role;
    return ROLE_UNKNOWN;
}

/* An array of item ids, if it is there at all. */
static bool ids_check(const json_t *object, const char *name, struct err *err)
{
    json_t *ids = NULL;
    if (!json_list(&ids, object, name, err))
        return false;
    for (size_t i = 0; i < json_array_size(ids); i++)
        if (!json_is_string(json_array_get(ids, i)))
            return err_set(err, ERR_INPUT, "%s[%zu]: expected a string, found %s", name, i,
                           json_kind(json_array_get(ids, i)));
    return true;
}

static bool turn_check(const json_t *turn, struct err *err)
{
    const char *role = NULL;
    const char *text = NULL;
    if (!json_is_object(turn))
        return err_set(err, ERR_INPUT, "expected an object, found %s", json_kind(turn));
    if (!json_text(&role, turn, "role", err) || !json_text(&text, turn, "text", err) ||
        !ids_check(turn, "items_mentioned", err))
        return false;
    if (!role || !text)
        return err_set(err, ERR_INPUT, "%s: missing", role ? "text" : "role");
    if (dialogue_role(turn) == ROLE_UNKNOWN)
        return err_set(
            err, ERR_INPUT,
            "role: expected user, assistant, seeker, recommender or system, found '%.40s'", role);
    if (strlen(text) > TURN_TEXT_MAX)
        return err_set(err, ERR_INPUT, "text: expected at most %d bytes, found %zu", TURN_TEXT_MAX,
                       strlen(text));
    return true;
}

bool dialogue_check(const json_t *dialogue, struct err *err)
{
    static const char *const said[] = {"liked", "disliked", "seen"};
    const char *split = NULL;
    json_t *turns = NULL;
    if (!json_is_object(dialogue))
        return err_set(err, ERR_INPUT, "expected an object, found %s", json_kind(dialogue));
    if (!json_list(&turns, dialogue, "turns", err) || !json_text(&split, dialogue, "split", err))
        return false;
    if (split && strcmp(split, "train") != 0 && strcmp(split, "test") != 0)
        return err_set(err, ERR_INPUT, "split: expected train or test, found '%.40s'", split);
    for (size_t i = 0; i < COUNT(said); i++)
        if (!ids_check(dialogue, said[i], err))
            return false;
    if (!turns || json_array_size(turns) > TURNS_MAX)
        return err_set(err, ERR_INPUT, "turns: expected an array of at most %d", TURNS_MAX);
    for (size_t i = 0; i < json_array_size(turns); i++)
        if (!turn_check(json_array_get(turns, i), err))
            return err_prefix(err, "turns[%zu]", i);
    return true;
}

bool dialogue_put(bool *is_new, const struct store_txn *txn, const char *id, const json_t *dialogue,
                  struct err *err)
{
    MDB_val found;
    char *text = json_dumps(dialogue, JSON_COMPACT);
    if (!text)
        return err_set(err, ERR_SYSTEM, "no memory for dialogue %s", id);
    size_t size = strlen(text);
    bool same = store_get(&found, txn, TABLE_DIALOGUES, id, strlen(id), err) &&
                found.mv_size == size && memcmp(found.mv_data, text, size) == 0;
    *is_new = !same;
    bool fine = err->code == ERR_NONE &&
                (same || store_put(txn, TABLE_DIALOGUES, id, strlen(id), text, size, err));
    free(text);
    return fine;
}

bool slate_put(const struct store_txn *txn, const char *request_id, const char *json, size_t size,
               struct err *err)
{
    return store_put(txn, TABLE_SLATES, request_id, strlen(request_id), json, size, err);
}

json_t *slate_get(const struct store_txn *txn, const char *request_id, struct err *err)
{
    MDB_val found;
    if (!store_get(&found, txn, TABLE_SLATES, request_id, strlen(request_id), err))
        return NULL;
    return json_parse(found.mv_data, found.mv_size, "store: slate", err);
}

/* The time in a key made by id_make("rec_"): 12 hex digits of milliseconds; 0 if it is not one. */
static int64_t slate_time(const MDB_val *key)
{
    char digits[13];
    if (key->mv_size != 4 + 32)
        return 0;
    memcpy(digits, (const char *)key->mv_data + 4, 12);
    digits[12] = 0;
    return (int64_t)strtoll(digits, NULL, 16);
}

size_t slates_prune(const struct store_txn *txn, size_t max, int64_t oldest_ms, size_t at_most,
                    struct err *err)
{
    MDB_cursor *cursor = store_cursor(txn, TABLE_SLATES, err);
    if (!cursor)
        return 0;
    size_t count = store_entries(txn, TABLE_SLATES);
    size_t gone = 0;
    MDB_val key;
    MDB_val value;
    while (gone < at_most && mdb_cursor_get(cursor, &key, &value, MDB_FIRST) == 0) {
        if (count - gone <= max && slate_time(&key) >= oldest_ms)
            break;
        int code = mdb_cursor_del(cursor, 0);
        if (code) {
            store_error(err, code, "drop a slate");
            break;
        }
        gone++;
    }
    mdb_cursor_close(cursor);
    return gone;
}

enum { LATE_KEY_MAX = 200 };

static size_t late_key(unsigned char key[LATE_KEY_MAX], const char *version, uint32_t item)
{
    size_t size = strlen(version);
    if (size > LATE_KEY_MAX - 5)
        size = LATE_KEY_MAX - 5;
    memcpy(key, version, size);
    key[size] = 0;
    put_be32(key + size + 1, item);
    return size + 5;
}

bool late_item_put(const struct store_txn *txn, const char *version, uint32_t item,
                   const uint16_t *tiles, size_t levels, struct err *err)
{
    unsigned char key[LATE_KEY_MAX];
    return store_put(txn, TABLE_LATE_ITEMS, key, late_key(key, version, item), tiles,
                     levels * sizeof *tiles, err);
}

bool late_item_get(uint16_t *tiles, size_t levels, const struct store_txn *txn, const char *version,
                   uint32_t item, struct err *err)
{
    unsigned char key[LATE_KEY_MAX];
    MDB_val found;
    if (!store_get(&found, txn, TABLE_LATE_ITEMS, key, late_key(key, version, item), err))
        return false;
    if (found.mv_size != levels * sizeof *tiles)
        return err_set(err, ERR_FORMAT,
                       "store: late item %u of version %s: expected %zu tiles, found %zu bytes",
                       item, version, levels, found.mv_size);
    memcpy(tiles, found.mv_data, found.mv_size);
    return true;
}

bool api_key_put(const struct store_txn *txn, const char *key, const char *name, const char *scopes,
                 struct err *err)
{
    char digest[SHA256_TEXT];
    text_sha256(digest, key, strlen(key));
    json_t *record = json_pack("{s:s, s:s}", "name", name, "scopes", scopes);
    char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
    bool fine = text ? store_put(txn, TABLE_KEYS, digest, strlen(digest), text, strlen(text), err)
                     : err_set(err, ERR_INPUT, "key name or scopes are not valid UTF-8");
    free(text);
    json_decref(record);
    return fine;
}

bool api_key_scopes(char *scopes, size_t room, const struct store_txn *txn, const char *key,
                    struct err *err)
{
    char digest[SHA256_TEXT];
    MDB_val found;
    text_sha256(digest, key, strlen(key));
    if (!store_get(&found, txn, TABLE_KEYS, digest, strlen(digest), err))
        return false;
    json_t *record = json_parse(found.mv_data, found.mv_size, "store: API key", err);
    const char *text = json_string_value(json_object_get(record, "scopes"));
    if (text)
        snprintf(scopes, room, "%s", text);
    json_decref(record);
    return text != NULL;
}

size_t api_keys_count(const struct store_txn *txn)
{
    return store_entries(txn, TABLE_KEYS);
}
