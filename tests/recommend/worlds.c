#include "tests/recommend/worlds.h"

#include "base/files.h"
#include "data/catalogue.h"

struct world films = {.name = "films"};
struct world shop = {.name = "shop"};
struct wish_work *work;
json_t *lines;

static json_t *items_of(const json_t *line, const char *world)
{
    const char *catalogue = json_string_value(json_object_get(line, "catalogue"));
    const char *more = json_string_value(json_object_get(line, "more"));
    if ((!catalogue || strcmp(catalogue, world) != 0) && (!more || strcmp(more, world) != 0))
        return NULL;
    return json_object_get(line, more ? "items" : "shown");
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_categories(struct world *w, const json_t *item)
{
    const json_t *list = json_object_get(item, "categories");
    for (size_t c = 0; c < json_array_size(list); c++) {
        const char *name = json_string_value(json_array_get(list, c));
        bool there = false;
        for (size_t i = 0; i < w->snapshot.categories; i++)
            there = there || strcmp(w->names[i], name) == 0;
        assert_true(w->snapshot.categories < CATEGORIES_MOST);
        if (!there)
            w->names[w->snapshot.categories++] = (char *)(uintptr_t)name;
    }
}

static void put_item(struct world *w, const struct store_txn *txn, const json_t *item, uint32_t row)
{
    struct err err = {0};
    enum put_result result;
    uint32_t number = 0;
    char id[16];
    json_t *year = json_object_get(item, "year");
    json_t *record = json_pack("{s:O, s:O, s:o}", "title", json_object_get(item, "title"),
                               "categories", json_object_get(item, "categories"), "attributes",
                               year ? json_pack("{s:O}", "year", year) : json_object());
    snprintf(id, sizeof id, "i%u", row);
    assert_fine(catalogue_put(&result, &number, txn, id, record, &err), err);
    json_decref(record);
    w->row_of_number[number] = row;
    w->popular[row] = row;
    w->codes[2 * row] = (uint16_t)(row / 2); /* rows 0 and 1 share a name but for its last tile */
    w->codes[2 * row + 1] = (uint16_t)(row % 2);
}

static void rows_categories(struct world *w, const json_t *item, uint32_t row)
{
    const json_t *list = json_object_get(item, "categories");
    w->category_first[row + 1] = w->category_first[row];
    for (size_t c = 0; c < json_array_size(list); c++)
        w->category[w->category_first[row + 1]++] =
            (uint32_t)snapshot_category(&w->snapshot, json_string_value(json_array_get(list, c)));
}

static uint32_t put_catalogue(struct world *w)
{
    struct err err = {0};
    struct store_txn txn;
    size_t at;
    size_t i;
    json_t *line;
    json_t *item;
    uint32_t row = 0;
    assert_fine(store_begin(&txn, w->store, true, &err), err);
    json_array_foreach (lines, at, line)
        json_array_foreach (items_of(line, w->name), i, item) {
            assert_true(row < ROWS_MAX);
            put_item(w, &txn, item, row++);
            add_categories(w, item);
        }
    assert_fine(store_commit(&txn, &err), err);
    qsort(w->names, w->snapshot.categories, sizeof *w->names, compare_names);
    w->snapshot.category_names = w->names;
    w->snapshot.category_first = w->category_first;
    w->snapshot.category = w->category;
    row = 0;
    json_array_foreach (lines, at, line)
        json_array_foreach (items_of(line, w->name), i, item)
            rows_categories(w, item, row++);
    return row;
}

static void world_open(struct world *w)
{
    static const struct store_settings SMALL = {.map_mib = 16};
    struct err err = {0};
    snprintf(w->home, sizeof w->home, "%s", scratch_folder(w->name));
    w->store = store_open(w->home, &SMALL, true, &err);
    assert_fine(w->store, err);
    uint32_t row = put_catalogue(w);
    w->version.row_of_number = w->row_of_number;
    w->version.numbers = row;
    w->version.popular = w->popular;
    w->item_index.items = row;
    w->item_index.codes = w->codes;
    w->version.index = &w->item_index;
    w->version.trie.levels = 2;
    w->snapshot.version = &w->version;
    w->snapshot.rows = row;
    w->titles = titles_open(&w->snapshot, w->store, &err);
    assert_fine(w->titles, err);
    w->book = wish_book_open(&w->snapshot, w->titles, &err);
    assert_fine(w->book, err);
}

static void world_close(struct world *w)
{
    wish_book_free(w->book);
    titles_free(w->titles);
    store_close(w->store);
    scratch_drop(w->home);
}

int worlds_open(void **state)
{
    struct err err = {0};
    FILE *file = fopen(SAMPLE "/../../tests/recommend/wishes.jsonl", "rb");
    char *line = NULL;
    size_t room = 0;
    (void)state;
    assert_non_null(file);
    lines = json_array();
    while (getline(&line, &room, file) > 0) {
        json_t *value = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(value);
        json_array_append_new(lines, value);
    }
    free(line);
    fclose(file);
    world_open(&films);
    world_open(&shop);
    work = wish_work_new(&err);
    assert_fine(work, err);
    return 0;
}

int worlds_close(void **state)
{
    (void)state;
    wish_work_free(work);
    world_close(&films);
    world_close(&shop);
    json_decref(lines);
    return 0;
}

uint32_t row_named(const struct world *w, const char *name)
{
    for (uint32_t r = 0; r < w->snapshot.rows; r++)
        if (strcmp(titles_name(w->titles, r), name) == 0)
            return r;
    fail_msg("no item is called %s", name);
    return 0;
}

struct list list_named(const char *name)
{
    struct list list = {.world = strcmp(name, "shop") == 0 ? &shop : &films};
    size_t at;
    json_t *line;
    json_array_foreach (lines, at, line) {
        const char *own = json_string_value(json_object_get(line, "list"));
        const json_t *shown = json_object_get(line, "shown");
        if (!own || strcmp(own, name) != 0)
            continue;
        for (size_t i = 0; i < json_array_size(shown); i++) {
            char title[256];
            const json_t *item = json_array_get(shown, i);
            const json_t *year = json_object_get(item, "year");
            snprintf(title, sizeof title, year ? "%s (%d)" : "%s",
                     json_string_value(json_object_get(item, "title")),
                     (int)json_integer_value(year));
            list.row[list.count++] = row_named(list.world, title);
        }
    }
    return list;
}

void read_messages(struct wishes *wishes, const struct list *list, const json_t *messages)
{
    struct wish_turn turns[8];
    size_t count = json_array_size(messages);
    assert_true(count <= COUNT(turns));
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(messages, i));
        turns[i] = (struct wish_turn){text, strlen(text), list->row, list->count};
    }
    wishes_read(wishes, work, list->world->book, turns, count, NULL, 0);
}

void read_text(struct wishes *wishes, const struct list *list, const char *text)
{
    struct wish_turn turn = {text, strlen(text), list->row, list->count};
    wishes_read(wishes, work, list->world->book, &turn, 1, NULL, 0);
}
