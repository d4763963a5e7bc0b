/*
 * items.c: PUT, GET, DELETE /v1/items/{id} and the search by title.
 */
#include "base/json.h"
#include "data/catalogue.h"
#include "service/routes.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct item_write {
    char id[ID_SIZE_MAX + 1];
    uint32_t number;
    enum put_result result;
    bool changed;
};

static struct item_write *write_new(struct call *call)
{
    struct err err = {0};
    struct item_write *write = calloc(1, sizeof *write);
    call->write = write;
    if (!write)
        err_set(&err, ERR_SYSTEM, "no memory");
    else if (id_normalise(write->id, call->segment[2], strlen(call->segment[2]), "item_id", &err))
        return write;
    call_fail(call, &err);
    return NULL;
}

bool call_changed_item(const struct call *call, uint32_t *number)
{
    const struct item_write *write = call->write;
    if (call->route->apply != apply_item_put && call->route->apply != apply_item_delete)
        return false;
    *number = write->number;
    return write->changed;
}

bool prepare_item_put(struct call *call)
{
    struct err err = {0};
    if (!write_new(call))
        return false;
    if (item_check(call->json, &err))
        return true;
    call_fail(call, &err);
    return false;
}

bool apply_item_put(struct call *call, const struct store_txn *txn, struct err *err)
{
    struct item_write *write = call->write;
    json_object_del(call->json, "id");
    if (!catalogue_put(&write->result, &write->number, txn, write->id, call->json, err))
        return false;
    write->changed = write->result != PUT_SAME;
    return true;
}

void committed_item_put(struct call *call)
{
    struct item_write *write = call->write;
    call_reply_json(call, write->result == PUT_NEW ? 201 : 200, item_json(write->id, call->json));
}

bool prepare_item_delete(struct call *call)
{
    return write_new(call) != NULL;
}

bool apply_item_delete(struct call *call, const struct store_txn *txn, struct err *err)
{
    struct item_write *write = call->write;
    write->changed = catalogue_find(&write->number, txn, write->id, err) &&
                     catalogue_delete(txn, write->id, err);
    return err->code == ERR_NONE;
}

void committed_item_delete(struct call *call)
{
    struct item_write *write = call->write;
    if (write->changed)
        call->status = 204;
    else
        call_problem(call, 404, "not_found", "item_id", "there is no such item");
}

void answer_item(struct call *call, struct scratch *work, struct snapshot *snapshot)
{
    struct err err = {0};
    struct store_txn txn = {0};
    char id[ID_SIZE_MAX + 1];
    uint32_t number;
    (void)work;
    bool fine = id_normalise(id, call->segment[2], strlen(call->segment[2]), "item_id", &err) &&
                store_begin(&txn, call->service->store, false, &err);
    if (fine && !catalogue_find(&number, &txn, id, &err))
        fine = err_set(&err, ERR_MISSING, "item_id: no item '%.80s'", id);
    json_t *record = fine ? catalogue_get(&txn, number, &err) : NULL;
    if (record) {
        json_t *item = item_json(id, record);
        uint32_t row = snapshot_row(snapshot, number);
        if (row != NO_ITEM) {
            char name[128];
            semantic_id_text(name, sizeof name, snapshot_codes(snapshot, row),
                             snapshot->version->trie.levels);
            json_object_set_new(item, "semantic_id_text", json_string(name));
        }
        call_reply_json(call, 200, item);
    }
    store_abort(&txn);
    if (!record)
        call_fail(call, &err);
    json_decref(record);
}

/* ---- search by title ---- */

struct search {
    char words[8][64]; /* lower case */
    size_t count;
    const struct snapshot *snapshot;
    struct topk best; /* row here: the item's number */
};

static void lower(char *text)
{
    for (; *text; text++)
        *text = (char)tolower((unsigned char)*text);
}

/*
 * The title as it stands in a record's JSON.  Records are written with sorted keys and `title` is
 * the last of them, so it is what follows the last `"title":"`; inside a string those quotes are
 * escaped.
 */
static bool title_of(char *title, size_t room, const MDB_val *record)
{
    static const char mark[] = "\"title\":\"";
    const char *bytes = record->mv_data;
    size_t size = record->mv_size;
    for (size_t at = size; at-- > 0;) {
        if (size - at < sizeof mark - 1 + 2 || memcmp(bytes + at, mark, sizeof mark - 1) != 0)
            continue;
        size_t length = size - 2 - (at + sizeof mark - 1); /* without the closing quote and brace */
        length = length < room ? length : room - 1;
        memcpy(title, bytes + at + sizeof mark - 1, length);
        title[length] = 0;
        return true;
    }
    return false;
}

/* Every word must stand in the title; a title that begins with the first one comes first. */
static bool match(void *self, const MDB_val *key, const MDB_val *value, struct err *err)
{
    struct search *s = self;
    char title[TITLE_MAX + 64];
    (void)err;
    if (!title_of(title, sizeof title, value))
        return true;
    lower(title);
    for (size_t i = 0; i < s->count; i++)
        if (!strstr(title, s->words[i]))
            return true;
    uint32_t number = get_be32(key->mv_data);
    uint32_t row = snapshot_row(s->snapshot, number);
    float events = row < s->snapshot->version->index->items
                       ? (float)s->snapshot->version->index->events[row]
                       : 0;
    bool starts = strncmp(title, s->words[0], strlen(s->words[0])) == 0;
    topk_push(&s->best,
              (struct hit){number, events + (starts ? 1e6F : 0) - (float)strlen(title) / 1000});
    return true;
}

static void split_words(struct search *s, char *text)
{
    char *rest;
    lower(text);
    for (char *word = strtok_r(text, " ", &rest); word && s->count < COUNT(s->words);
         word = strtok_r(NULL, " ", &rest))
        snprintf(s->words[s->count++], sizeof s->words[0], "%s", word);
}

void answer_search(struct call *call, struct scratch *work, struct snapshot *snapshot)
{
    struct err err = {0};
    struct store_txn txn = {0};
    struct hit hits[ITEMS_FOUND_MAX];
    char q[256] = "";
    char text[16];
    uint64_t limit = 10;
    (void)work;
    struct search search = {.snapshot = snapshot, .best = {.hits = hits}};
    if (call_argument(text, sizeof text, call, "limit", &err) &&
        !parse_u64(&limit, text, 1, ITEMS_FOUND_MAX))
        err_set(&err, ERR_INPUT, "limit: expected 1 to %d, found '%s'", ITEMS_FOUND_MAX, text);
    if (!call_argument(q, sizeof q, call, "q", &err) && err.code == ERR_NONE)
        err_set(&err, ERR_INPUT, "q: expected words of a title");
    split_words(&search, q);
    if (search.count == 0 && err.code == ERR_NONE)
        err_set(&err, ERR_INPUT, "q: expected words of a title");
    search.best.max = limit;
    bool fine = err.code == ERR_NONE && store_begin(&txn, call->service->store, false, &err) &&
                store_each(&txn, TABLE_ITEMS, match, &search, &err);
    if (fine) {
        topk_sort(&search.best);
        json_t *list = json_array();
        for (size_t i = 0; i < search.best.count; i++) {
            char id[ID_SIZE_MAX + 1];
            json_t *record = catalogue_get(&txn, hits[i].row, &err);
            if (record && catalogue_id(id, &txn, hits[i].row, &err))
                json_array_append_new(list, item_json(id, record));
            json_decref(record);
        }
        call_reply_json(call, 200, json_pack("{s:o}", "data", list));
    } else {
        call_fail(call, &err);
    }
    store_abort(&txn);
}
