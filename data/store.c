#include "data/store.h"

#include "base/files.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const struct setting STORE_SETTINGS[] = {
    SETTING(SIZE, store_settings, map_mib, "65536", 1, 16777216,
            "MiB of address space reserved for the store; the file grows as it fills"),
    SETTING(BOOL, store_settings, sync, "true", 0, 0,
            "wait for the disk at every commit; false loses events in a power cut"),
};
const size_t STORE_SETTINGS_COUNT = COUNT(STORE_SETTINGS);

static const char *const TABLE_NAMES[TABLE_COUNT] = {
    "meta",       "item_numbers", "item_ids",  "items",  "user_numbers", "user_ids", "events",
    "event_keys", "log",          "dialogues", "slates", "late_items",   "keys",     "texts",
};

struct store {
    MDB_env *env;
    MDB_dbi tables[TABLE_COUNT];
    pthread_rwlock_t resizing; /* read-held by every transaction, write-held to adopt a new size */
    char path[PATH_SIZE];
};

void put_be32(unsigned char *bytes, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(bytes, &value, 4);
}

void put_be64(unsigned char *bytes, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(bytes, &value, 8);
}

uint32_t get_be32(const unsigned char *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, 4);
    return __builtin_bswap32(value);
}

uint64_t get_be64(const unsigned char *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, 8);
    return __builtin_bswap64(value);
}

const char *store_table_name(enum store_table table)
{
    return TABLE_NAMES[table];
}

bool store_error(struct err *err, int code, const char *doing)
{
    if (code == MDB_MAP_FULL)
        return err_set(err, ERR_FULL, "store: %s: the map is full (raise map_mib)", doing);
    if (code == ENOSPC || code == EDQUOT || code == EFBIG || code == EIO)
        return err_set(err, ERR_FULL, "store: %s: the disk does not take it: %s", doing,
                       mdb_strerror(code));
    if (code == MDB_CORRUPTED || code == MDB_PAGE_NOTFOUND || code == MDB_INVALID ||
        code == MDB_VERSION_MISMATCH || code == MDB_PANIC)
        return err_set(err, ERR_FORMAT, "store: %s: data.mdb is damaged: %s", doing,
                       mdb_strerror(code));
    return err_set(err, ERR_SYSTEM, "store: %s: %s", doing, mdb_strerror(code));
}

/* LMDB maps the file, so a file shorter than its own meta page says would end in SIGBUS. */
static bool check_length(const struct store *store, struct err *err)
{
    char file[PATH_SIZE];
    struct stat info;
    MDB_envinfo env;
    MDB_stat pages;
    mdb_env_info(store->env, &env);
    mdb_env_stat(store->env, &pages);
    if (!path_make(file, err, "%s/data.mdb", store->path))
        return false;
    if (stat(file, &info) != 0)
        return err_set(err, ERR_SYSTEM, "%s: %s", file, strerror(errno));
    size_t need = (env.me_last_pgno + 1) * pages.ms_psize;
    if ((size_t)info.st_size < need)
        return err_set(err, ERR_FORMAT, "%s: expected at least %zu bytes, found %lld (truncated)",
                       file, need, (long long)info.st_size);
    return true;
}

/* mdb_env_open() reads the meta pages by read(), so only it may touch a file of unknown length. */
static bool open_env(struct store *store, const struct store_settings *settings, struct err *err)
{
    unsigned flags = MDB_NOTLS | (settings->sync ? 0 : MDB_NOSYNC);
    int code = mdb_env_create(&store->env);
    if (!code)
        code = mdb_env_set_mapsize(store->env, settings->map_mib << 20);
    if (!code)
        code = mdb_env_set_maxdbs(store->env, TABLE_COUNT);
    if (!code)
        code = mdb_env_set_maxreaders(store->env, 512);
    if (!code)
        code = mdb_env_open(store->env, store->path, flags, 0666);
    if (!code)
        return true;
    store_error(err, code, "open");
    return err_prefix(err, "%s/data.mdb", store->path);
}

static bool open_tables(struct store *store, bool create, struct err *err)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(store->env, NULL, create ? 0 : MDB_RDONLY, &txn);
    if (code)
        return store_error(err, code, "begin");
    for (size_t i = 0; !code && i < TABLE_COUNT; i++)
        code = mdb_dbi_open(txn, TABLE_NAMES[i], create ? MDB_CREATE : 0, &store->tables[i]);
    if (code == MDB_NOTFOUND && store->tables[TABLE_KEYS]) { /* made before there were texts */
        mdb_txn_abort(txn);
        return open_tables(store, true, err);
    }
    if (code == MDB_NOTFOUND) {
        mdb_txn_abort(txn);
        return err_set(err, ERR_FORMAT, "%s: not a Tessera store (a table is missing)",
                       store->path);
    }
    if (!code)
        code = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    return code ? store_error(err, code, "open tables") : true;
}

static bool check_schema(struct store *store, bool create, struct err *err)
{
    struct store_txn txn;
    MDB_val found;
    if (!store_begin(&txn, store, create, err))
        return false;
    bool there = store_get(&found, &txn, TABLE_META, "schema", 6, err);
    bool fine = err->code == ERR_NONE;
    if (there && (found.mv_size != 1 || *(const char *)found.mv_data != '0' + STORE_SCHEMA))
        fine = err_set(err, ERR_FORMAT, "%s: store schema %.*s, this program reads %d", store->path,
                       (int)found.mv_size, (const char *)found.mv_data, STORE_SCHEMA);
    const char schema = '0' + STORE_SCHEMA;
    if (fine && !there && create)
        return store_put(&txn, TABLE_META, "schema", 6, &schema, 1, err) && store_commit(&txn, err);
    store_abort(&txn);
    return fine;
}

struct store *store_open(const char *home, const struct store_settings *settings, bool create,
                         struct err *err)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store) {
        err_set(err, ERR_SYSTEM, "no memory for a store");
        return NULL;
    }
    pthread_rwlock_init(&store->resizing, NULL);
    bool fine = path_make(store->path, err, "%s/store", home);
    if (fine && create)
        fine = folder_make(home, err) && folder_make(store->path, err);
    if (fine && !create) {
        char file[PATH_SIZE];
        fine = path_make(file, err, "%s/data.mdb", store->path);
        if (fine && !path_exists(file))
            fine =
                err_set(err, ERR_MISSING,
                        "%s: there is no store; run `tessera --home %s import` first", file, home);
    }
    if (fine && open_env(store, settings, err) && check_length(store, err) &&
        open_tables(store, create, err) && check_schema(store, create, err))
        return store;
    store_close(store);
    return NULL;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    if (store->env)
        mdb_env_close(store->env);
    pthread_rwlock_destroy(&store->resizing);
    free(store);
}

static int adopt_size(struct store *store)
{
    pthread_rwlock_wrlock(&store->resizing);
    int code = mdb_env_set_mapsize(store->env, 0);
    pthread_rwlock_unlock(&store->resizing);
    log_info("store.resized path=\"%s\"", store->path);
    return code;
}

bool store_begin(struct store_txn *txn, struct store *store, bool writes, struct err *err)
{
    *txn = (struct store_txn){.store = store, .writes = writes};
    for (int tries = 0;; tries++) {
        pthread_rwlock_rdlock(&store->resizing);
        int code = mdb_txn_begin(store->env, NULL, writes ? 0 : MDB_RDONLY, &txn->txn);
        if (!code)
            return true;
        pthread_rwlock_unlock(&store->resizing);
        txn->txn = NULL;
        if (code == MDB_MAP_RESIZED && tries < 8)
            code = adopt_size(store);
        else if (code == MDB_READERS_FULL && tries < 8) {
            int dead;
            code = mdb_reader_check(store->env, &dead);
        }
        if (code)
            return store_error(err, code, "begin");
    }
}

bool store_commit(struct store_txn *txn, struct err *err)
{
    int code = mdb_txn_commit(txn->txn);
    txn->txn = NULL;
    pthread_rwlock_unlock(&txn->store->resizing);
    return code ? store_error(err, code, "commit") : true;
}

void store_abort(struct store_txn *txn)
{
    if (!txn->txn)
        return;
    mdb_txn_abort(txn->txn);
    txn->txn = NULL;
    pthread_rwlock_unlock(&txn->store->resizing);
}

static MDB_val as_val(const void *bytes, size_t size)
{
    return (MDB_val){.mv_size = size, .mv_data = (void *)(uintptr_t)bytes};
}

bool store_get(MDB_val *value, const struct store_txn *txn, enum store_table table, const void *key,
               size_t key_size, struct err *err)
{
    MDB_val name = as_val(key, key_size);
    int code = mdb_get(txn->txn, txn->store->tables[table], &name, value);
    if (code && code != MDB_NOTFOUND)
        store_error(err, code, "read");
    return code == 0;
}

bool store_put(const struct store_txn *txn, enum store_table table, const void *key,
               size_t key_size, const void *value, size_t value_size, struct err *err)
{
    MDB_val name = as_val(key, key_size);
    MDB_val data = as_val(value, value_size);
    int code = mdb_put(txn->txn, txn->store->tables[table], &name, &data, 0);
    return code ? store_error(err, code, "write") : true;
}

bool store_delete(const struct store_txn *txn, enum store_table table, const void *key,
                  size_t key_size, struct err *err)
{
    MDB_val name = as_val(key, key_size);
    int code = mdb_del(txn->txn, txn->store->tables[table], &name, NULL);
    if (code && code != MDB_NOTFOUND)
        store_error(err, code, "delete");
    return code == 0;
}

size_t store_entries(const struct store_txn *txn, enum store_table table)
{
    MDB_stat found;
    return mdb_stat(txn->txn, txn->store->tables[table], &found) ? 0 : found.ms_entries;
}

MDB_cursor *store_cursor(const struct store_txn *txn, enum store_table table, struct err *err)
{
    MDB_cursor *cursor = NULL;
    int code = mdb_cursor_open(txn->txn, txn->store->tables[table], &cursor);
    if (code)
        store_error(err, code, "open a cursor");
    return cursor;
}

bool store_each(const struct store_txn *txn, enum store_table table, store_row_fn *fn, void *self,
                struct err *err)
{
    MDB_cursor *cursor = store_cursor(txn, table, err);
    if (!cursor)
        return false;
    MDB_val key;
    MDB_val value;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (!code && fn(self, &key, &value, err))
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    mdb_cursor_close(cursor);
    if (code && code != MDB_NOTFOUND)
        return store_error(err, code, "read");
    return err->code == ERR_NONE;
}

uint64_t store_sequence(const struct store_txn *txn)
{
    struct err err = {0};
    MDB_val found;
    if (!store_get(&found, txn, TABLE_META, "sequence", 8, &err) || found.mv_size != 8)
        return 0;
    return get_be64(found.mv_data);
}

bool store_sequence_set(const struct store_txn *txn, uint64_t sequence, struct err *err)
{
    unsigned char bytes[8];
    put_be64(bytes, sequence);
    return store_put(txn, TABLE_META, "sequence", 8, bytes, 8, err);
}

static bool count_row(void *self, const MDB_val *key, const MDB_val *value, struct err *err)
{
    (void)err;
    size_t *rows = self;
    const volatile unsigned char *bytes = value->mv_data; /* touch it: a bad page faults here */
    if (value->mv_size)
        (void)bytes[value->mv_size - 1];
    (void)key;
    ++*rows;
    return true;
}

bool store_verify(struct store *store, size_t rows[TABLE_COUNT], struct err *err)
{
    struct store_txn txn;
    if (!store_begin(&txn, store, false, err))
        return false;
    bool fine = true;
    for (size_t i = 0; fine && i < TABLE_COUNT; i++) {
        rows[i] = 0;
        fine = store_each(&txn, (enum store_table)i, count_row, &rows[i], err);
        if (fine && rows[i] != store_entries(&txn, (enum store_table)i))
            fine =
                err_set(err, ERR_FORMAT, "%s: table %s: expected %zu rows, found %zu", store->path,
                        TABLE_NAMES[i], store_entries(&txn, (enum store_table)i), rows[i]);
    }
    if (fine && rows[TABLE_EVENTS] != rows[TABLE_LOG])
        fine = err_set(err, ERR_FORMAT, "%s: %zu events but %zu log rows", store->path,
                       rows[TABLE_EVENTS], rows[TABLE_LOG]);
    store_abort(&txn);
    return fine;
}
