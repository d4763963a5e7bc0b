#include "data/texts.h"

#include "base/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SIZE = 5 };

static void make_key(unsigned char key[KEY_SIZE], enum text_owner owner, uint32_t number)
{
    key[0] = (unsigned char)owner;
    put_be32(key + 1, number);
}

uint64_t texts_revision(const struct store_txn *txn)
{
    struct err none = {0};
    MDB_val found;
    bool there = store_get(&found, txn, TABLE_META, "texts", 5, &none) && found.mv_size == 8;
    return there ? get_be64(found.mv_data) : 0;
}

bool texts_put(const struct store_txn *txn, enum text_owner owner, uint32_t number, uint64_t of,
               const char *model, json_t *lines, struct err *err)
{
    unsigned char key[KEY_SIZE];
    unsigned char revision[8];
    char digits[17];
    snprintf(digits, sizeof digits, "%016" PRIx64, of);
    json_t *row = json_pack("{s:s, s:s, s:o}", "of", digits, "model", model, "lines", lines);
    char *bytes = row ? json_dumps(row, JSON_COMPACT) : NULL;
    make_key(key, owner, number);
    put_be64(revision, texts_revision(txn) + 1);
    bool fine = bytes ? store_put(txn, TABLE_TEXTS, key, KEY_SIZE, bytes, strlen(bytes), err) &&
                            store_put(txn, TABLE_META, "texts", 5, revision, 8, err)
                      : err_set(err, ERR_INPUT, "a model's name or text is not valid UTF-8");
    free(bytes);
    json_decref(row);
    return fine;
}

/* A row as JSON and its `of`; NULL and an error if it is not one of ours. */
static json_t *read_row(uint64_t *of, const MDB_val *value, struct err *err)
{
    json_t *row = json_parse(value->mv_data, value->mv_size, "store: texts", err);
    const char *digits = json_string_value(json_object_get(row, "of"));
    if (row && (!digits || !json_is_array(json_object_get(row, "lines")))) {
        json_decref(row);
        err_set(err, ERR_FORMAT, "store: texts: expected of and lines in a row");
        return NULL;
    }
    *of = digits ? strtoull(digits, NULL, 16) : 0;
    return row;
}

bool texts_has(const struct store_txn *txn, enum text_owner owner, uint32_t number, uint64_t of,
               const char *model, struct err *err)
{
    unsigned char key[KEY_SIZE];
    MDB_val value;
    uint64_t was = 0;
    make_key(key, owner, number);
    if (!store_get(&value, txn, TABLE_TEXTS, key, KEY_SIZE, err))
        return false;
    json_t *row = read_row(&was, &value, err);
    const char *by = json_string_value(json_object_get(row, "model"));
    bool same = row && was == of && by && strcmp(by, model) == 0;
    json_decref(row);
    return same;
}

struct reading_texts {
    texts_fn *fn;
    void *self;
};

static bool take_row(void *self, const MDB_val *key, const MDB_val *value, struct err *err)
{
    const struct reading_texts *r = self;
    const unsigned char *bytes = key->mv_data;
    uint64_t of = 0;
    if (key->mv_size != KEY_SIZE)
        return err_set(err, ERR_FORMAT, "store: texts: expected keys of %d bytes, found %zu",
                       KEY_SIZE, key->mv_size);
    json_t *row = read_row(&of, value, err);
    bool fine = row && r->fn(r->self, (enum text_owner)bytes[0], get_be32(bytes + 1), of,
                             json_object_get(row, "lines"), err);
    json_decref(row);
    return fine;
}

bool texts_each(const struct store_txn *txn, texts_fn *fn, void *self, struct err *err)
{
    struct reading_texts reading = {fn, self};
    return store_each(txn, TABLE_TEXTS, take_row, &reading, err);
}
