#include "data/catalogue.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

static bool check_categories(const json_t *list, struct err *err)
{
    if (json_array_size(list) > CATEGORIES_MAX)
        return err_set(err, ERR_INPUT, "categories: expected at most %d, found %zu", CATEGORIES_MAX,
                       json_array_size(list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *name = json_array_get(list, i);
        if (!json_is_string(name) || json_string_length(name) > ID_SIZE_MAX ||
            !json_string_length(name))
            return err_set(err, ERR_INPUT,
                           "categories[%zu]: expected a string of 1 to %d bytes, found %s", i,
                           ID_SIZE_MAX, json_kind(name));
    }
    return true;
}

bool item_check(json_t *record, struct err *err)
{
    static const char *const fields[] = {"id",         "title",      "text",
                                         "categories", "attributes", "available"};
    const char *title = "";
    const char *text = "";
    json_t *categories = NULL;
    bool available;
    if (!json_fields(record, fields, COUNT(fields), err) ||
        !json_text(&title, record, "title", err) || !json_text(&text, record, "text", err) ||
        !json_list(&categories, record, "categories", err) ||
        !json_flag(&available, record, "available", err))
        return false;
    for (size_t i = 0; i < COUNT(fields); i++)
        if (json_is_null(json_object_get(record, fields[i])))
            json_object_del(record, fields[i]);
    if (strlen(title) > TITLE_MAX)
        return err_set(err, ERR_INPUT, "title: expected at most %d bytes, found %zu", TITLE_MAX,
                       strlen(title));
    if (strlen(text) > TEXT_MAX)
        return err_set(err, ERR_INPUT, "text: expected at most %d bytes, found %zu", TEXT_MAX,
                       strlen(text));
    if (categories && !check_categories(categories, err))
        return false;
    const json_t *attributes = json_object_get(record, "attributes");
    if (attributes && !json_is_object(attributes))
        return err_set(err, ERR_INPUT, "attributes: expected an object, found %s",
                       json_kind(attributes));
    return true;
}

/* Categories may be names or paths of names, as in Amazon's data; a path gives each of its names.
 */
static json_t *flat_categories(const json_t *value)
{
    json_t *flat = json_array();
    for (size_t i = 0; i < json_array_size(value); i++) {
        json_t *entry = json_array_get(value, i);
        size_t names = json_is_array(entry) ? json_array_size(entry) : 1;
        for (size_t j = 0; j < names; j++) {
            json_t *name = json_is_array(entry) ? json_array_get(entry, j) : entry;
            bool known = false;
            for (size_t k = 0; k < json_array_size(flat); k++)
                known |= json_equal(json_array_get(flat, k), name);
            if (!known)
                json_array_append(flat, name);
        }
    }
    return flat;
}

json_t *item_from_neutral(const json_t *row, struct err *err)
{
    if (!json_is_object(row)) {
        err_set(err, ERR_INPUT, "expected an object, found %s", json_kind(row));
        return NULL;
    }
    json_t *record = json_object();
    json_t *attributes = json_object();
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)row, name, value) {
        if (strcmp(name, "categories") == 0 && json_is_array(value))
            json_object_set_new(record, name, flat_categories(value));
        else if (strcmp(name, "title") == 0 || strcmp(name, "text") == 0 ||
                 strcmp(name, "available") == 0 || strcmp(name, "categories") == 0)
            json_object_set(record, name, value);
        else if (strcmp(name, "attributes") == 0)
            json_object_update(attributes, value);
        else if (strcmp(name, "id") != 0)
            json_object_set(attributes, name, value);
    }
    if (json_object_size(attributes))
        json_object_set(record, "attributes", attributes);
    json_decref(attributes);
    if (item_check(record, err))
        return record;
    json_decref(record);
    return NULL;
}

static bool number_of(uint32_t *number, const struct store_txn *txn, enum store_table numbers,
                      const char *id, struct err *err)
{
    MDB_val found;
    if (!store_get(&found, txn, numbers, id, strlen(id), err))
        return false;
    *number = get_be32(found.mv_data);
    return true;
}

static bool number_make(uint32_t *number, const struct store_txn *txn, enum store_table numbers,
                        enum store_table ids, const char *id, struct err *err)
{
    if (number_of(number, txn, numbers, id, err))
        return true;
    if (err->code != ERR_NONE)
        return false;
    size_t count = store_entries(txn, ids); /* numbers are never taken back, so this one is free */
    if (count >= UINT32_MAX)
        return err_set(err, ERR_LIMIT, "store: more than %u ids in one table", UINT32_MAX);
    unsigned char key[4];
    *number = (uint32_t)count;
    put_be32(key, *number);
    return store_put(txn, numbers, id, strlen(id), key, 4, err) &&
           store_put(txn, ids, key, 4, id, strlen(id), err);
}

static bool id_of(char id[ID_SIZE_MAX + 1], const struct store_txn *txn, enum store_table ids,
                  uint32_t number, struct err *err)
{
    unsigned char key[4];
    MDB_val found;
    put_be32(key, number);
    if (!store_get(&found, txn, ids, key, 4, err))
        return false;
    if (found.mv_size > ID_SIZE_MAX)
        return err_set(err, ERR_FORMAT, "store: an id of %zu bytes", found.mv_size);
    memcpy(id, found.mv_data, found.mv_size);
    id[found.mv_size] = 0;
    return true;
}

bool item_number(uint32_t *number, const struct store_txn *txn, const char *id, struct err *err)
{
    return number_make(number, txn, TABLE_ITEM_NUMBERS, TABLE_ITEM_IDS, id, err);
}

bool user_number(uint32_t *number, const struct store_txn *txn, const char *id, struct err *err)
{
    return number_make(number, txn, TABLE_USER_NUMBERS, TABLE_USER_IDS, id, err);
}

bool user_find(uint32_t *number, const struct store_txn *txn, const char *id, struct err *err)
{
    return number_of(number, txn, TABLE_USER_NUMBERS, id, err);
}

bool user_id(char id[ID_SIZE_MAX + 1], const struct store_txn *txn, uint32_t number,
             struct err *err)
{
    return id_of(id, txn, TABLE_USER_IDS, number, err);
}

bool catalogue_id(char id[ID_SIZE_MAX + 1], const struct store_txn *txn, uint32_t number,
                  struct err *err)
{
    return id_of(id, txn, TABLE_ITEM_IDS, number, err);
}

bool catalogue_find(uint32_t *number, const struct store_txn *txn, const char *id, struct err *err)
{
    unsigned char key[4];
    MDB_val found;
    if (!number_of(number, txn, TABLE_ITEM_NUMBERS, id, err))
        return false;
    put_be32(key, *number);
    return store_get(&found, txn, TABLE_ITEMS, key, 4, err);
}

bool catalogue_put(enum put_result *result, uint32_t *number, const struct store_txn *txn,
                   const char *id, const json_t *record, struct err *err)
{
    unsigned char key[4];
    MDB_val found;
    if (!item_number(number, txn, id, err))
        return false;
    put_be32(key, *number);
    char *text = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text)
        return err_set(err, ERR_SYSTEM, "no memory for the record of item %s", id);
    size_t size = strlen(text);
    bool there = store_get(&found, txn, TABLE_ITEMS, key, 4, err);
    *result = !there                                                            ? PUT_NEW
              : found.mv_size == size && memcmp(found.mv_data, text, size) == 0 ? PUT_SAME
                                                                                : PUT_REPLACED;
    bool fine = err->code == ERR_NONE;
    if (fine && *result != PUT_SAME)
        fine = store_put(txn, TABLE_ITEMS, key, 4, text, size, err);
    free(text);
    return fine;
}

bool catalogue_delete(const struct store_txn *txn, const char *id, struct err *err)
{
    unsigned char key[4];
    uint32_t number;
    if (!number_of(&number, txn, TABLE_ITEM_NUMBERS, id, err))
        return false;
    put_be32(key, number);
    return store_delete(txn, TABLE_ITEMS, key, 4, err);
}

static json_t *record_of(const MDB_val *value, struct err *err)
{
    return json_parse(value->mv_data, value->mv_size, "store: item record", err);
}

json_t *catalogue_get(const struct store_txn *txn, uint32_t number, struct err *err)
{
    unsigned char key[4];
    MDB_val found;
    put_be32(key, number);
    if (!store_get(&found, txn, TABLE_ITEMS, key, 4, err))
        return NULL;
    return record_of(&found, err);
}

size_t catalogue_count(const struct store_txn *txn)
{
    return store_entries(txn, TABLE_ITEMS);
}

struct each_item {
    const struct store_txn *txn;
    item_fn *fn;
    void *self;
};

static bool each_row(void *self, const MDB_val *key, const MDB_val *value, struct err *err)
{
    struct each_item *each = self;
    char id[ID_SIZE_MAX + 1];
    uint32_t number = get_be32(key->mv_data);
    if (!catalogue_id(id, each->txn, number, err))
        return err_set(err, ERR_FORMAT, "store: item %u has a record but no id", number);
    json_t *record = record_of(value, err);
    bool go_on = record && each->fn(each->self, number, id, record, err);
    json_decref(record);
    return go_on;
}

bool catalogue_each(const struct store_txn *txn, item_fn *fn, void *self, struct err *err)
{
    struct each_item each = {txn, fn, self};
    return store_each(txn, TABLE_ITEMS, each_row, &each, err);
}
