#include "service/gather.h"

#include "data/catalogue.h"
#include "service/routes.h"

#include <stdlib.h>
#include <string.h>

void gather_hide(struct gathering *g, uint32_t row, size_t *reason)
{
    if (!bit_get(g->skip, row))
        ++*reason;
    bit_set(g->skip, row);
}

void gather_remember(struct gathering *g, uint32_t row)
{
    if (g->count == HISTORY_MAX)
        memmove(g->history, g->history + 1, --g->count * sizeof *g->history);
    g->history[g->count++] = row;
}

uint32_t gather_row(const struct gathering *g, const char *id, struct err *err)
{
    uint32_t number;
    char name[ID_SIZE_MAX + 1];
    if (!id_normalise(name, id, strlen(id), "item_id", err) ||
        !catalogue_find(&number, g->txn, name, err))
        return NO_ITEM;
    return snapshot_row(g->snapshot, number);
}

bool gather_user(struct gathering *g, const char *user_id, enum seen_rule rule,
                 const struct service *service, struct err *err)
{
    uint32_t user;
    char id[ID_SIZE_MAX + 1];
    if (!id_normalise(id, user_id, strlen(user_id), "user_id", err))
        return false;
    if (!user_find(&user, g->txn, id, err))
        return err->code == ERR_NONE; /* nobody we know: a cold user */
    size_t max = service->settings->history_events;
    struct stored_event *events = calloc(max, sizeof *events);
    if (!events)
        return err_set(err, ERR_SYSTEM, "no memory for %zu events", max);
    size_t count = events_of_user(events, max, g->txn, user, UINT64_MAX, err);
    for (size_t i = 0; i < count; i++) {
        uint32_t row = snapshot_row(g->snapshot, events[i].item);
        enum event_kind kind = event_kind(service->events, events[i].type, events[i].value);
        if (row == NO_ITEM || kind == EVENT_IGNORED)
            continue;
        if (kind == EVENT_POSITIVE)
            gather_remember(g, row);
        if (kind == EVENT_EXCLUDES || rule == SEEN_ANY ||
            (rule == SEEN_POSITIVE && kind == EVENT_POSITIVE))
            gather_hide(g, row, &g->filtered.seen);
    }
    free(events);
    return err->code == ERR_NONE;
}

json_t *item_json(const char *id, json_t *record)
{
    json_t *item = record ? json_copy(record) : json_object();
    json_object_set_new(item, "item_id", json_string(id));
    return item;
}

json_t *semantic_id_json(const struct snapshot *s, uint32_t row)
{
    json_t *codes = json_array();
    for (size_t l = 0; l < s->version->trie.levels; l++)
        json_array_append_new(codes, json_integer(snapshot_codes(s, row)[l]));
    return codes;
}

/* {"code", "item_ids", "text"}: why this item, from what was really used. */
static json_t *reason_json(const struct gathering *g, const struct slate_item *item,
                           struct err *err)
{
    if (item->source == SOURCE_POPULAR)
        return json_pack("[{s:s, s:[], s:s}]", "code", "fallback_popular", "item_ids", "text",
                         "Liked by many");
    if (g->words && (item->because == NO_ITEM || item->source == SOURCE_TEXT))
        return json_pack("[{s:s, s:[], s:s}]", "code", "matches_query", "item_ids", "text",
                         "Fits what you asked for");
    if (item->because == NO_ITEM && g->in_dialogue)
        return json_pack("[{s:s, s:[], s:s}]", "code", "fits_dialogue", "item_ids", "text",
                         "Fits what was said");
    if (item->because == NO_ITEM)
        return json_pack("[{s:s, s:[], s:s}]", "code", "next_in_sequence", "item_ids", "text",
                         "Fits what you liked last");
    char id[ID_SIZE_MAX + 1] = "";
    uint32_t number = snapshot_number(g->snapshot, item->because);
    json_t *record = catalogue_get(g->txn, number, err);
    const char *title = json_string_value(json_object_get(record, "title"));
    if (!catalogue_id(id, g->txn, number, err))
        return json_array();
    struct text text;
    text_init(&text, 4096);
    text_addf(&text, "Because %s %s", g->in_dialogue ? "of" : "you liked",
              title && *title ? title : id);
    json_t *reasons = json_pack("[{s:s, s:[s], s:s}]", "code",
                                item->source == SOURCE_COUNT ? "co_interacted" : "similar_to_liked",
                                "item_ids", id, "text", text.bytes);
    text_release(&text);
    json_decref(record);
    return reasons;
}

json_t *gather_item(const struct gathering *g, const struct slate_item *item, size_t rank,
                    struct err *err)
{
    char id[ID_SIZE_MAX + 1] = "";
    char name[128];
    uint32_t number = snapshot_number(g->snapshot, item->row);
    if (number == NO_ITEM || !catalogue_id(id, g->txn, number, err))
        return NULL;
    json_t *record = catalogue_get(g->txn, number, err);
    semantic_id_text(name, sizeof name, snapshot_codes(g->snapshot, item->row),
                     g->snapshot->version->trie.levels);
    json_t *features = json_object();
    for (size_t f = 0; f < FEATURES; f++)
        json_object_set_new(features, FEATURE_NAMES[f], json_real(item->features[f]));
    json_t *out =
        json_pack("{s:s, s:I, s:f, s:f, s:s, s:o, s:s, s:o, s:o, s:o}", "item_id", id, "rank",
                  (json_int_t)rank, "score", item->score, "propensity", item->propensity, "source",
                  SLATE_SOURCES[item->source], "semantic_id",
                  semantic_id_json(g->snapshot, item->row), "semantic_id_text", name, "reasons",
                  reason_json(g, item, err), "features", features, "item", item_json(id, record));
    json_decref(record);
    return out;
}
