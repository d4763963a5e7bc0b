#include "recommend/snapshot.h"

#include "base/log.h"
#include "data/catalogue.h"
#include "data/records.h"
#include "recommend/item_document.h"

#include <stdlib.h>
#include <string.h>

/* What the catalogue says of one row, while the next snapshot is being put together. */
struct row_facts {
    bool there, available;
    json_t *categories;   /* owned or NULL */
    uint32_t *attributes; /* owned [attribute_count] or NULL */
    size_t attribute_count;
};

struct builder {
    struct snapshot *out;
    const struct version *version;
    struct store_txn txn;
    struct row_facts *facts; /* [facts_room] by row */
    size_t facts_room;
    size_t late_room;
    bool wrote;
};

static void *grown(void *old, size_t count, size_t size)
{
    return realloc(old, (count ? count : 1) * size);
}

static bool late_reserve(struct builder *b, size_t count, struct err *err)
{
    struct snapshot *s = b->out;
    const struct shape *shape = &b->version->policy.shape;
    if (count <= b->late_room)
        return true;
    size_t room = count * 2;
    struct {
        void **slot;
        size_t size;
    } arrays[] = {
        {(void **)&s->late_number, sizeof *s->late_number},
        {(void **)&s->late_codes, b->version->trie.levels * sizeof *s->late_codes},
        {(void **)&s->late_content, shape->content * sizeof(float)},
        {(void **)&s->late_find, shape->dim * sizeof(float)},
    };
    for (size_t i = 0; i < COUNT(arrays); i++) {
        void *bytes = grown(*arrays[i].slot, room, arrays[i].size);
        if (!bytes)
            return err_set(err, ERR_SYSTEM, "no memory for %zu late items", room);
        *arrays[i].slot = bytes;
    }
    b->late_room = room;
    return true;
}

static size_t after_ordinal(size_t next, const uint16_t *late, const uint16_t *codes, size_t levels)
{
    bool same = memcmp(late, codes, (levels - 1) * sizeof *codes) == 0;
    return same && late[levels - 1] >= next ? late[levels - 1] + 1u : next;
}

/*
 * The store may know late items that this snapshot does not hold: deleted ones, ones that are rows
 * of the version again, ones that another process added.  Their ordinals are taken too.
 */
static bool after_stored(size_t *next, const struct builder *b, const uint16_t *codes,
                         struct err *err)
{
    const char *name = b->version->name;
    size_t size = strlen(name) + 1;
    size_t levels = b->version->trie.levels;
    MDB_val key = {size, (void *)(uintptr_t)name};
    MDB_val value;
    MDB_cursor *cursor = store_cursor(&b->txn, TABLE_LATE_ITEMS, err);
    if (!cursor)
        return false;
    for (int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
         code == 0 && key.mv_size == size + 4 && memcmp(key.mv_data, name, size) == 0;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        uint16_t stored[LEVELS_MAX];
        if (value.mv_size != levels * sizeof *stored)
            continue;
        memcpy(stored, value.mv_data, value.mv_size);
        *next = after_ordinal(*next, stored, codes, levels);
    }
    mdb_cursor_close(cursor);
    return true;
}

/* One more than the largest ordinal among all items, old and late, with these quantised tiles. */
static bool next_ordinal(uint16_t *ordinal, const struct builder *b, const uint16_t *codes,
                         struct err *err)
{
    const struct trie *trie = &b->version->trie;
    size_t levels = trie->levels;
    size_t next = 0;
    size_t size = (levels - 1) * sizeof *codes;
    size_t low = 0;
    size_t high = trie->items;
    while (low < high) { /* the first row after the group */
        size_t middle = low + (high - low) / 2;
        bool after = false;
        for (size_t l = 0; l + 1 < levels; l++)
            if (trie->codes[middle * levels + l] != codes[l]) {
                after = trie->codes[middle * levels + l] > codes[l];
                break;
            }
        if (after)
            high = middle;
        else
            low = middle + 1;
    }
    if (low > 0 && memcmp(trie->codes + (low - 1) * levels, codes, size) == 0)
        next = trie->codes[(low - 1) * levels + levels - 1] + 1u;
    for (size_t i = 0; i < b->out->late; i++)
        next = after_ordinal(next, b->out->late_codes + i * levels, codes, levels);
    if (!after_stored(&next, b, codes, err))
        return false;
    if (next > UINT16_MAX)
        return err_set(err, ERR_LIMIT, "more than %d items share one name; run `tessera index`",
                       UINT16_MAX + 1);
    *ordinal = (uint16_t)next;
    return true;
}

/* What follows from the text of a late item: its vectors, and the tiles a new one would get. */
static bool late_content(struct builder *b, size_t late, uint16_t *codes, const json_t *record,
                         struct err *err)
{
    const struct version *v = b->version;
    const struct shape *shape = &v->policy.shape;
    struct item_document document;
    float *content = b->out->late_content + late * shape->content;
    struct nearest nearest;
    item_document_make(&document, record);
    if (!index_code(content, codes, &nearest, v->index, &document.document, err))
        return false;
    version_newcomer(b->out->late_find + late * shape->dim, v, nearest.row, nearest.likeness,
                     nearest.count);
    return true;
}

/* Adds a late item: with the tiles the store has for it, or with new ones, which are stored. */
static bool late_add(struct builder *b, uint32_t number, const json_t *record, struct err *err)
{
    struct snapshot *s = b->out;
    const struct version *v = b->version;
    size_t levels = v->trie.levels;
    uint16_t kept[LEVELS_MAX];
    if (!late_reserve(b, s->late + 1, err))
        return false;
    uint16_t *codes = s->late_codes + s->late * levels;
    if (!late_content(b, s->late, codes, record, err))
        return false;
    if (late_item_get(kept, levels, &b->txn, v->name, number, err)) {
        memcpy(codes, kept, levels * sizeof *codes);
    } else {
        if (err->code != ERR_NONE || !next_ordinal(&codes[levels - 1], b, codes, err) ||
            (v->name[0] && !late_item_put(&b->txn, v->name, number, codes, levels, err)))
            return false;
        b->wrote = v->name[0] != 0; /* a version without a name is still being trained */
    }
    s->late_number[s->late++] = number;
    return true;
}

static bool facts_reserve(struct builder *b, size_t rows, struct err *err)
{
    if (rows <= b->facts_room)
        return true;
    size_t room = rows * 2;
    struct row_facts *facts = realloc(b->facts, room * sizeof *facts);
    if (!facts)
        return err_set(err, ERR_SYSTEM, "no memory for the facts of %zu items", room);
    memset(facts + b->facts_room, 0, (room - b->facts_room) * sizeof *facts);
    b->facts = facts;
    b->facts_room = room;
    return true;
}

static uint32_t row_in(const struct builder *b, uint32_t number)
{
    const struct version *v = b->version;
    if (number < v->numbers && v->row_of_number[number] != NO_ITEM)
        return v->row_of_number[number];
    for (size_t i = b->out->late; i-- > 0;)
        if (b->out->late_number[i] == number)
            return (uint32_t)(v->index->items + i);
    return NO_ITEM;
}

static void facts_release(struct row_facts *facts)
{
    json_decref(facts->categories);
    free(facts->attributes);
}

static bool take_attributes(struct row_facts *facts, const uint32_t *ids, size_t count,
                            struct err *err)
{
    facts->attributes = malloc((count + 1) * sizeof *ids);
    if (!facts->attributes)
        return err_set(err, ERR_SYSTEM, "no memory for the attributes of an item");
    memcpy(facts->attributes, ids, count * sizeof *ids);
    facts->attribute_count = count;
    return true;
}

static bool note_attributes(struct row_facts *facts, const struct builder *b, const json_t *record,
                            struct err *err)
{
    uint32_t ids[ATTRIBUTES_AN_ITEM];
    size_t count;
    return attributes_of(ids, &count, b->version->attributes, record, err) &&
           take_attributes(facts, ids, count, err);
}

/* record NULL: the item was deleted. */
static bool note_item(struct builder *b, uint32_t number, const json_t *record, struct err *err)
{
    uint32_t row = row_in(b, number);
    size_t items = b->version->index->items;
    uint16_t ignored[LEVELS_MAX]; /* an item keeps the tiles it has */
    if (row != NO_ITEM && row >= items && record &&
        !late_content(b, row - items, ignored, record, err))
        return false;
    if (row == NO_ITEM) {
        if (!record || !b->version->name[0])
            return true; /* a version in training judges the items it learns */
        if (!late_add(b, number, record, err)) {
            if (err->code != ERR_LIMIT)
                return false;
            log_error("item.not_named number=%u why=\"%s\"", number, err->text);
            *err = (struct err){
                0}; /* one item too many of a name must not keep the rest from serving */
            return true;
        }
        row = (uint32_t)(items + b->out->late - 1);
    }
    if (!facts_reserve(b, row + 1, err))
        return false;
    const json_t *available = json_object_get(record, "available");
    struct row_facts *facts = &b->facts[row];
    facts_release(facts);
    *facts = (struct row_facts){.there = record != NULL,
                                .available = record && !json_is_false(available),
                                .categories = json_incref(json_object_get(record, "categories"))};
    return !record || !b->version->attributes || note_attributes(facts, b, record, err);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_category(struct snapshot *s, const char *name)
{
    char *copy = strdup(name);
    if (copy)
        s->category_names[s->categories++] = copy;
    return copy != NULL;
}

static bool gather_categories(struct builder *b, struct err *err)
{
    struct snapshot *s = b->out;
    size_t total = 0;
    for (size_t r = 0; r < s->rows; r++)
        total += json_array_size(b->facts[r].categories);
    char **all = calloc(total + 1, sizeof *all);
    s->category_first = calloc(s->rows + 1, sizeof *s->category_first);
    s->category = calloc(total + 1, sizeof *s->category);
    s->category_names = calloc(total + 1, sizeof *s->category_names);
    bool fine = all && s->category_first && s->category && s->category_names;
    size_t count = 0;
    for (size_t r = 0; fine && r < s->rows; r++)
        for (size_t c = 0; c < json_array_size(b->facts[r].categories); c++) {
            const char *name = json_string_value(json_array_get(b->facts[r].categories, c));
            all[count++] = (char *)(uintptr_t)(name ? name : "");
        }
    if (fine && count)
        qsort(all, count, sizeof *all, compare_names);
    for (size_t i = 0; fine && i < count; i++)
        if (i == 0 || strcmp(all[i], all[i - 1]) != 0)
            fine = add_category(s, all[i]);
    size_t at = 0;
    for (size_t r = 0; fine && r < s->rows; r++) {
        for (size_t c = 0; c < json_array_size(b->facts[r].categories); c++) {
            const char *name = json_string_value(json_array_get(b->facts[r].categories, c));
            s->category[at++] = (uint32_t)snapshot_category(s, name ? name : "");
        }
        s->category_first[r + 1] = (uint32_t)at;
    }
    free(all);
    return fine || err_set(err, ERR_SYSTEM, "no memory for %zu categories", total);
}

static bool gather_attributes(struct builder *b, struct err *err)
{
    struct snapshot *s = b->out;
    size_t total = 0;
    if (!b->version->attributes)
        return true;
    for (size_t r = 0; r < s->rows; r++)
        total += b->facts[r].attribute_count;
    s->attribute_first = calloc(s->rows + 1, sizeof *s->attribute_first);
    s->attribute = calloc(total + 1, sizeof *s->attribute);
    if (!s->attribute_first || !s->attribute)
        return err_set(err, ERR_SYSTEM, "no memory for the attributes of %zu items", s->rows);
    for (size_t r = 0; r < s->rows; r++) {
        const struct row_facts *facts = &b->facts[r];
        if (facts->attribute_count)
            memcpy(s->attribute + s->attribute_first[r], facts->attributes,
                   facts->attribute_count * sizeof *s->attribute);
        s->attribute_first[r + 1] = s->attribute_first[r] + (uint32_t)facts->attribute_count;
    }
    return true;
}

static int compare_late(const void *a, const void *b, void *levels)
{
    const uint16_t *x = *(const uint16_t *const *)a;
    const uint16_t *y = *(const uint16_t *const *)b;
    for (size_t l = 0; l < *(size_t *)levels; l++)
        if (x[l] != y[l])
            return x[l] < y[l] ? -1 : 1;
    return 0;
}

static bool sort_late(struct snapshot *s, size_t levels, struct err *err)
{
    const uint16_t **order = calloc(s->late + 1, sizeof *order);
    s->sorted_codes = calloc(s->late * levels + 1, sizeof *s->sorted_codes);
    s->sorted_row = calloc(s->late + 1, sizeof *s->sorted_row);
    bool fine = order && s->sorted_codes && s->sorted_row;
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for %zu late items", s->late);
    for (size_t i = 0; fine && i < s->late; i++)
        order[i] = s->late_codes + i * levels;
    if (fine && s->late)
        qsort_r(order, s->late, sizeof *order, compare_late, &levels);
    for (size_t i = 0; fine && i < s->late; i++) {
        memcpy(s->sorted_codes + i * levels, order[i], levels * sizeof *s->sorted_codes);
        s->sorted_row[i] =
            (uint32_t)(s->version->index->items + (size_t)(order[i] - s->late_codes) / levels);
    }
    free(order);
    return fine && trie_open(&s->late_trie, s->sorted_codes, s->sorted_row, s->late, levels, err);
}

static bool finish(struct builder *b, struct err *err)
{
    struct snapshot *s = b->out;
    s->rows = b->version->index->items + s->late;
    s->hidden = calloc(s->rows / 64 + 1, sizeof *s->hidden);
    if (!s->hidden || !facts_reserve(b, s->rows, err))
        return err_set(err, ERR_SYSTEM, "no memory for %zu rows", s->rows);
    for (size_t r = 0; r < s->rows; r++)
        if (!b->facts[r].there || !b->facts[r].available) {
            bit_set(s->hidden, r);
            s->hidden_count++;
        }
    return gather_categories(b, err) && gather_attributes(b, err) &&
           sort_late(s, b->version->trie.levels, err);
}

static bool builder_open(struct builder *b, struct version *version, struct store *store,
                         struct err *err)
{
    *b = (struct builder){.version = version};
    b->out = calloc(1, sizeof *b->out);
    if (!b->out) {
        version_drop(version);
        return err_set(err, ERR_SYSTEM, "no memory for a snapshot");
    }
    atomic_init(&b->out->uses, 1);
    b->out->version = version;
    return facts_reserve(b, version->index->items + 1, err) &&
           store_begin(&b->txn, store, true, err);
}

static struct snapshot *builder_close(struct builder *b, bool fine, struct err *err)
{
    fine = fine && b->out && finish(b, err);
    if (b->txn.txn && fine && b->wrote)
        fine = store_commit(&b->txn, err);
    store_abort(&b->txn);
    for (size_t r = 0; r < b->facts_room; r++)
        facts_release(&b->facts[r]);
    free(b->facts);
    if (fine)
        return b->out;
    snapshot_drop(b->out); /* NULL if it never opened; the version went with it */
    return NULL;
}

/* Tiles that the store keeps for this version, deleted items included, so that no ordinal returns.
 */
static bool replay_kept(void *self, const MDB_val *key, const MDB_val *value, struct err *err)
{
    struct builder *b = self;
    size_t size = strlen(b->version->name);
    (void)value;
    if (key->mv_size != size + 5 || memcmp(key->mv_data, b->version->name, size + 1) != 0)
        return true;
    uint32_t number = get_be32((const unsigned char *)key->mv_data + size + 1);
    json_t *record = catalogue_get(&b->txn, number, err);
    json_t *empty = json_object();
    bool fine = err->code == ERR_NONE && row_in(b, number) == NO_ITEM &&
                late_add(b, number, record ? record : empty, err);
    json_decref(empty);
    json_decref(record);
    return fine || err->code == ERR_NONE;
}

static bool note_each(void *self, uint32_t number, const char *id, json_t *record, struct err *err)
{
    (void)id;
    return note_item(self, number, record, err);
}

struct snapshot *snapshot_open(struct version *version, struct store *store, struct err *err)
{
    struct builder b;
    bool fine = builder_open(&b, version, store, err) &&
                store_each(&b.txn, TABLE_LATE_ITEMS, replay_kept, &b, err) &&
                catalogue_each(&b.txn, note_each, &b, err);
    return builder_close(&b, fine, err);
}

static json_t *categories_of(const struct snapshot *s, size_t row)
{
    json_t *list = json_array();
    for (size_t c = s->category_first[row]; c < s->category_first[row + 1]; c++)
        json_array_append_new(list, json_string(s->category_names[s->category[c]]));
    return list;
}

static bool copy_late(struct builder *b, const struct snapshot *old, struct err *err)
{
    const struct shape *shape = &b->version->policy.shape;
    struct snapshot *s = b->out;
    if (!late_reserve(b, old->late + 1, err))
        return false;
    s->late = old->late;
    memcpy(s->late_number, old->late_number, old->late * sizeof *s->late_number);
    memcpy(s->late_codes, old->late_codes,
           old->late * b->version->trie.levels * sizeof *s->late_codes);
    memcpy(s->late_content, old->late_content, old->late * shape->content * sizeof(float));
    memcpy(s->late_find, old->late_find, old->late * shape->dim * sizeof(float));
    return true;
}

struct snapshot *snapshot_update(const struct snapshot *old, struct store *store,
                                 const uint32_t *numbers, size_t count, struct err *err)
{
    struct builder b;
    bool fine = builder_open(&b, version_hold(old->version), store, err) &&
                facts_reserve(&b, old->rows + 1, err) &&
                (old->late == 0 || copy_late(&b, old, err));
    for (size_t r = 0; fine && r < old->rows; r++) {
        b.facts[r] = (struct row_facts){.there = true,
                                        .available = !bit_get(old->hidden, r),
                                        .categories = categories_of(old, r)};
        if (old->attribute_first)
            fine = take_attributes(&b.facts[r], old->attribute + old->attribute_first[r],
                                   old->attribute_first[r + 1] - old->attribute_first[r], err);
    }
    for (size_t i = 0; fine && i < count; i++) {
        json_t *record = catalogue_get(&b.txn, numbers[i], err);
        fine = err->code == ERR_NONE && note_item(&b, numbers[i], record, err);
        json_decref(record);
    }
    return builder_close(&b, fine, err);
}

struct snapshot *snapshot_hold(struct snapshot *snapshot)
{
    atomic_fetch_add(&snapshot->uses, 1);
    return snapshot;
}

void snapshot_drop(struct snapshot *s)
{
    if (!s || atomic_fetch_sub(&s->uses, 1) != 1)
        return;
    version_drop(s->version);
    trie_close(&s->late_trie);
    free(s->late_number);
    free(s->late_codes);
    free(s->late_content);
    free(s->late_find);
    free(s->sorted_codes);
    free(s->sorted_row);
    free(s->hidden);
    free(s->category_first);
    free(s->category);
    for (size_t c = 0; c < s->categories; c++)
        free(s->category_names[c]);
    free(s->category_names);
    free(s->attribute_first);
    free(s->attribute);
    free(s);
}

uint32_t snapshot_row(const struct snapshot *s, uint32_t number)
{
    const struct version *v = s->version;
    if (number < v->numbers && v->row_of_number[number] != NO_ITEM)
        return v->row_of_number[number];
    for (size_t i = s->late; i-- > 0;)
        if (s->late_number[i] == number)
            return (uint32_t)(v->index->items + i);
    return NO_ITEM;
}

uint32_t snapshot_number(const struct snapshot *s, uint32_t row)
{
    size_t items = s->version->index->items;
    return row < items ? s->version->number_of_row[row] : s->late_number[row - items];
}

const uint16_t *snapshot_codes(const struct snapshot *s, uint32_t row)
{
    size_t items = s->version->index->items;
    size_t levels = s->version->trie.levels;
    return row < items ? s->version->index->codes + row * levels
                       : s->late_codes + (row - items) * levels;
}

const float *snapshot_content(const struct snapshot *s, uint32_t row)
{
    size_t items = s->version->index->items;
    size_t dims = s->version->policy.shape.content;
    return row < items ? s->version->index->content + row * dims
                       : s->late_content + (row - items) * dims;
}

const float *snapshot_find_vector(const struct snapshot *s, uint32_t row)
{
    size_t items = s->version->index->items;
    size_t dim = s->version->policy.shape.dim;
    return row < items ? s->version->policy.find_vectors + row * dim
                       : s->late_find + (row - items) * dim;
}

struct policy snapshot_policy(const struct snapshot *s)
{
    struct policy policy = s->version->policy;
    policy.items.late_content = s->late_content;
    policy.items.late_codes = s->late_codes;
    policy.items.late_find = s->late_find;
    return policy;
}

size_t snapshot_category(const struct snapshot *s, const char *name)
{
    return names_find(s->category_names, s->categories, name);
}

bool snapshot_in_category(const struct snapshot *s, uint32_t row, size_t category)
{
    for (size_t c = s->category_first[row]; c < s->category_first[row + 1]; c++)
        if (s->category[c] == category)
            return true;
    return false;
}

bool snapshot_has_attribute(const struct snapshot *s, uint32_t row, size_t attribute)
{
    if (!s->attribute_first)
        return false;
    for (size_t a = s->attribute_first[row]; a < s->attribute_first[row + 1]; a++)
        if (s->attribute[a] == attribute)
            return true;
    return false;
}

void snapshot_mask_newcomers(uint64_t *skip, const struct snapshot *s)
{
    const struct version *v = s->version;
    for (size_t i = 0; i < v->unseen_count; i++)
        bit_set(skip, v->unseen_row[i]);
    for (size_t r = v->index->items; r < s->rows; r++)
        bit_set(skip, r);
}
