/*
 * store.h: one LMDB environment that holds what exists and what happened.
 *
 * HOME/store/data.mdb.  The map is reserved large and sparse, so the file grows as it fills.  A
 * commit returns when the data are on disk (unless `sync` was set to false, for measuring only).
 * Another process may enlarge the map: MDB_MAP_RESIZED is met inside store_begin(), which waits
 * until no transaction of ours is open, adopts the new size and tries again.
 *
 * Databases: README.md of this folder.
 *
 * Threads   any number of readers, one writer at a time (LMDB makes a second one wait).  A
 *           transaction stays with the thread that began it.
 * Memory    what a read returns points into the map and is valid until the transaction ends.
 * Errors    a full map or disk is ERR_FULL and names the setting; a truncated or foreign file is
 *           ERR_FORMAT and names the file.
 */
#ifndef DATA_STORE_H
#define DATA_STORE_H

#include "base/settings.h"

#include <lmdb.h>

enum { STORE_SCHEMA = 1 };

struct store_settings {
    size_t map_mib;
    bool sync;
};

extern const struct setting STORE_SETTINGS[];
extern const size_t STORE_SETTINGS_COUNT;

enum store_table {
    TABLE_META,         /* text -> text: schema, sequence */
    TABLE_ITEM_NUMBERS, /* item id -> u32 */
    TABLE_ITEM_IDS,     /* u32 -> item id */
    TABLE_ITEMS,        /* u32 -> JSON record; absent for an id that only events have named */
    TABLE_USER_NUMBERS, /* user id -> u32 */
    TABLE_USER_IDS,     /* u32 -> user id */
    TABLE_EVENTS,       /* user, time, sequence (all big-endian) -> event record */
    TABLE_EVENT_KEYS,   /* 16 bytes -> sequence */
    TABLE_LOG,          /* sequence -> user, time: the order of arrival */
    TABLE_DIALOGUES,    /* dialogue id -> JSON */
    TABLE_SLATES,       /* request id (rises with time) -> JSON */
    TABLE_LATE_ITEMS,   /* version id, 0, u32 item -> u16 tiles[] */
    TABLE_KEYS,         /* SHA-256 of an API key -> JSON {name, scopes} */
    TABLE_TEXTS,        /* owner, u32 number -> JSON: what a large model said of it */
    TABLE_COUNT
};

struct store;

struct store_txn {
    struct store *store;
    MDB_txn *txn;
    bool writes;
};

struct store *store_open(const char *home, const struct store_settings *settings, bool create,
                         struct err *err) MUST_CHECK;
void store_close(struct store *store); /* NULL is fine */

bool store_begin(struct store_txn *txn, struct store *store, bool writes,
                 struct err *err) MUST_CHECK;
bool store_commit(struct store_txn *txn, struct err *err) MUST_CHECK;
void store_abort(struct store_txn *txn); /* one that has ended is fine */

bool store_get(MDB_val *value, const struct store_txn *txn, enum store_table table, const void *key,
               size_t key_size, struct err *err); /* false and no error: not there */
bool store_put(const struct store_txn *txn, enum store_table table, const void *key,
               size_t key_size, const void *value, size_t value_size, struct err *err) MUST_CHECK;
bool store_delete(const struct store_txn *txn, enum store_table table, const void *key,
                  size_t key_size, struct err *err); /* false and no error: was not there */
size_t store_entries(const struct store_txn *txn, enum store_table table);

/* Calls fn for every row in key order until it returns false. */
typedef bool store_row_fn(void *self, const MDB_val *key, const MDB_val *value, struct err *err);
bool store_each(const struct store_txn *txn, enum store_table table, store_row_fn *fn, void *self,
                struct err *err) MUST_CHECK;
MDB_cursor *store_cursor(const struct store_txn *txn, enum store_table table, struct err *err);

/* The counter behind events: the last number given out.  A job says "up to here" with it. */
uint64_t store_sequence(const struct store_txn *txn);
bool store_sequence_set(const struct store_txn *txn, uint64_t sequence, struct err *err) MUST_CHECK;

/* Walks every table and counts rows; finds what LMDB itself calls corrupt. */
bool store_verify(struct store *store, size_t rows[TABLE_COUNT], struct err *err) MUST_CHECK;
const char *store_table_name(enum store_table table);

bool store_error(struct err *err, int code, const char *doing);

void put_be32(unsigned char *bytes, uint32_t value);
void put_be64(unsigned char *bytes, uint64_t value);
uint32_t get_be32(const unsigned char *bytes);
uint64_t get_be64(const unsigned char *bytes);

#endif
