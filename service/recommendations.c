/*
 * recommendations.c: POST /v1/recommendations, GET .../{request_id}, GET /v1/items/{id}/similar.
 *
 *   body ─► query ─► rows of the history, bits that may not be shown ─► slate ─► reply
 *                                                                        └─► slate log, behind
 */
#include "base/json.h"
#include "data/catalogue.h"
#include "data/records.h"
#include "service/gather.h"
#include "service/routes.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { EXCLUDE_MAX = 10000, WORDS_MAX = 1000 };

struct query {
    const char *user, *seen, *words; /* words: what is asked for */
    json_t *history, *exclude, *categories;
    size_t n, seed;
    double temperature, mmr;
    size_t category_max;
    enum seen_rule seen_rule;
    bool seeded, reasons; /* mode: reason */
};

static bool parse_exclude(struct query *q, const json_t *body, struct err *err)
{
    static const char *const fields[] = {"item_ids", "seen"};
    const json_t *exclude = json_object_get(body, "exclude");
    q->seen = "any";
    if (exclude && !json_is_null(exclude) &&
        !(json_fields(exclude, fields, COUNT(fields), err) &&
          json_list(&q->exclude, exclude, "item_ids", err) &&
          json_text(&q->seen, exclude, "seen", err)))
        return err_prefix(err, "exclude");
    if (strcmp(q->seen, "any") == 0)
        q->seen_rule = SEEN_ANY;
    else if (strcmp(q->seen, "positive") == 0)
        q->seen_rule = SEEN_POSITIVE;
    else if (strcmp(q->seen, "none") == 0)
        q->seen_rule = SEEN_NONE;
    else
        return err_set(err, ERR_INPUT,
                       "exclude.seen: expected any, positive or none, found '%.40s'", q->seen);
    return json_array_size(q->exclude) <= EXCLUDE_MAX ||
           err_set(err, ERR_LIMIT, "exclude.item_ids: expected at most %d, found %zu", EXCLUDE_MAX,
                   json_array_size(q->exclude));
}

static bool parse_diversity(struct query *q, const json_t *body, struct err *err)
{
    static const char *const fields[] = {"mmr", "category_max"};
    const json_t *diversity = json_object_get(body, "diversity");
    if (!diversity || json_is_null(diversity))
        return true;
    return (json_fields(diversity, fields, COUNT(fields), err) &&
            json_real64(&q->mmr, diversity, "mmr", 0, 100, err) &&
            json_size(&q->category_max, diversity, "category_max", 1, SLATE_MAX, err)) ||
           err_prefix(err, "diversity");
}

static bool parse_mode(struct query *q, const json_t *body, struct err *err)
{
    const char *mode = "direct";
    if (!json_text(&mode, body, "mode", err))
        return false;
    q->reasons = strcmp(mode, "reason") == 0;
    if (!q->reasons && strcmp(mode, "direct") != 0)
        return err_set(err, ERR_INPUT, "mode: expected direct or reason, found '%.40s'", mode);
    if (q->reasons && q->words)
        return err_set(err, ERR_INPUT,
                       "mode: reasons are found in a history; expected no query with them");
    return true;
}

static bool parse_query(struct query *q, const json_t *body, struct err *err)
{
    static const char *const fields[] = {"user_id",    "history", "query",     "n",    "exclude",
                                         "categories", "explore", "diversity", "seed", "mode"};
    static const char *const explore_fields[] = {"temperature"};
    *q = (struct query){.n = 10};
    if (!json_fields(body, fields, COUNT(fields), err) ||
        !json_text(&q->user, body, "user_id", err) ||
        !json_list(&q->history, body, "history", err) ||
        !json_text(&q->words, body, "query", err) || !parse_diversity(q, body, err) ||
        !json_size(&q->n, body, "n", 1, SLATE_MAX, err) ||
        !json_list(&q->categories, body, "categories", err) ||
        !json_size(&q->seed, body, "seed", 0, UINT32_MAX, err) || !parse_exclude(q, body, err) ||
        !parse_mode(q, body, err))
        return false;
    q->seeded = json_is_integer(json_object_get(body, "seed"));
    const json_t *explore = json_object_get(body, "explore");
    if (explore && !json_is_null(explore) &&
        !(json_fields(explore, explore_fields, COUNT(explore_fields), err) &&
          json_real64(&q->temperature, explore, "temperature", 0, 100, err)))
        return err_prefix(err, "explore");
    if (q->temperature > 0 && q->temperature < 1e-3)
        return err_set(err, ERR_INPUT, "explore.temperature: expected 0 or 0.001 to 100, found %g",
                       q->temperature);
    if (json_array_size(q->history) > HISTORY_MAX)
        return err_set(err, ERR_LIMIT, "history: expected at most %d, found %zu", HISTORY_MAX,
                       json_array_size(q->history));
    if (q->words && strlen(q->words) > WORDS_MAX)
        return err_set(err, ERR_LIMIT, "query: expected at most %d bytes, found %zu", WORDS_MAX,
                       strlen(q->words));
    if (q->words && !q->words[strspn(q->words, " \t\r\n")])
        return err_set(err, ERR_INPUT, "query: expected words, found none");
    if (!q->user && !q->history && !q->words)
        return err_set(err, ERR_INPUT, "user_id: expected user_id, history, query, or several");
    return true;
}

/* history: ids, or objects with item_id; oldest first. */
static bool add_history(struct gathering *g, const struct query *q, struct err *err)
{
    for (size_t i = 0; i < json_array_size(q->history); i++) {
        const json_t *entry = json_array_get(q->history, i);
        const char *id =
            json_string_value(json_is_object(entry) ? json_object_get(entry, "item_id") : entry);
        if (!id)
            return err_set(err, ERR_INPUT,
                           "history[%zu]: expected an item id or {\"item_id\": ..}, found %s", i,
                           json_kind(entry));
        uint32_t row = gather_row(g, id, err);
        if (err->code != ERR_NONE)
            return err_prefix(err, "history[%zu]", i);
        if (row == NO_ITEM) {
            json_array_append_new(g->ignored, json_string(id));
            continue;
        }
        gather_remember(g, row);
        if (q->seen_rule != SEEN_NONE)
            gather_hide(g, row, &g->filtered.seen);
    }
    return true;
}

static bool add_exclude(struct gathering *g, const struct query *q, struct err *err)
{
    for (size_t i = 0; i < json_array_size(q->exclude); i++) {
        const char *id = json_string_value(json_array_get(q->exclude, i));
        if (!id)
            return err_set(err, ERR_INPUT, "exclude.item_ids[%zu]: expected a string, found %s", i,
                           json_kind(json_array_get(q->exclude, i)));
        uint32_t row = gather_row(g, id, err);
        if (err->code != ERR_NONE)
            return err_prefix(err, "exclude.item_ids[%zu]", i);
        if (row == NO_ITEM)
            json_array_append_new(g->ignored, json_string(id));
        else
            gather_hide(g, row, &g->filtered.excluded);
    }
    return true;
}

static bool add_categories(struct gathering *g, const struct query *q, struct err *err)
{
    size_t wanted[16];
    size_t count = json_array_size(q->categories);
    if (count > COUNT(wanted))
        return err_set(err, ERR_LIMIT, "categories: expected at most %zu, found %zu", COUNT(wanted),
                       count);
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(q->categories, i));
        if (!name)
            return err_set(err, ERR_INPUT, "categories[%zu]: expected a string, found %s", i,
                           json_kind(json_array_get(q->categories, i)));
        wanted[i] = snapshot_category(g->snapshot, name);
    }
    for (size_t row = 0; count && row < g->snapshot->rows; row++) {
        bool in = false;
        for (size_t i = 0; i < count && !in; i++)
            in = wanted[i] != SIZE_MAX &&
                 snapshot_in_category(g->snapshot, (uint32_t)row, wanted[i]);
        if (!in)
            gather_hide(g, (uint32_t)row, &g->filtered.category);
    }
    return true;
}

static json_t *slate_json(const struct gathering *g, const struct query *q,
                          const struct slate *slate, uint64_t seed, const char *request_id,
                          struct err *err)
{
    json_t *items = json_array();
    for (size_t i = 0; i < slate->count; i++) {
        json_t *item = gather_item(g, &slate->items[i], i + 1, err);
        if (item)
            json_array_append_new(items, item);
    }
    bool explores = q->temperature > 0;
    json_t *policy =
        json_pack("{s:s, s:b, s:f, s:I, s:f, s:I}", "id", explores ? "plackett_luce" : "greedy",
                  "deterministic", !explores, "temperature", q->temperature, "candidates",
                  (json_int_t)slate->candidates, "log_normaliser", slate->log_normaliser, "seed",
                  (json_int_t)seed);
    json_t *modes = json_pack("[s]", "direct");
    if (g->snapshot->version->attributes)
        json_array_append_new(modes, json_string("reason"));
    json_t *out = json_pack(
        "{s:s, s:{s:s, s:s, s:o}, s:s, s:o, s:o, s:{s:b, s:s?}, s:{s:I, s:I, s:I, s:I}, s:{s:O}}",
        "request_id", request_id, "model", "id", "recommend", "version", g->snapshot->version->name,
        "modes", modes, "mode", q->reasons ? "reason" : "direct", "policy", policy, "items", items,
        "fallback", "used", slate->fallback != NULL, "reason", slate->fallback, "filtered", "seen",
        (json_int_t)g->filtered.seen, "excluded", (json_int_t)g->filtered.excluded, "category",
        (json_int_t)g->filtered.category, "unavailable", (json_int_t)g->snapshot->hidden_count,
        "ignored", "item_ids", g->ignored);
    return out;
}

/* What is kept of a slate: enough to learn from it and to judge it off-policy. */
static void log_slate(struct call *call, const struct query *q, const char *request_id,
                      json_t *reply)
{
    json_t *note = json_copy(reply);
    json_t *items = json_array();
    for (size_t i = 0; i < json_array_size(json_object_get(reply, "items")); i++) {
        json_t *item = json_copy(json_array_get(json_object_get(reply, "items"), i));
        json_object_del(item, "item");
        json_array_append_new(items, item);
    }
    json_object_set_new(note, "items", items);
    if (q->user)
        json_object_set_new(note, "user_id", json_string(q->user));
    if (q->words)
        json_object_set_new(note, "query", json_string(q->words));
    if (q->history) {
        json_t *ids = json_array(); /* the ids alone: entries may hold anything */
        for (size_t i = 0; i < json_array_size(q->history); i++) {
            json_t *entry = json_array_get(q->history, i);
            json_array_append(ids,
                              json_is_object(entry) ? json_object_get(entry, "item_id") : entry);
        }
        json_object_set_new(note, "history", ids);
    }
    char *text = json_dumps(note, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(note);
    if (text)
        service_log_slate(call->service, request_id, text);
}

static bool make_slate(struct call *call, struct gathering *g, const struct query *q,
                       struct slate *slate, struct err *err)
{
    const struct serve_settings *settings = call->service->settings;
    struct reasoned *reasoned = &g->scratch->reasoned;
    double reason_ms = 0;
    if (q->reasons && !reasons_given(g->snapshot->version, err))
        return false;
    slate_begin(&g->scratch->slate, g->snapshot);
    if (!(!q->user || gather_user(g, q->user, q->seen_rule, call->service, err)) ||
        !add_history(g, q, err) || !add_exclude(g, q, err) || !add_categories(g, q, err))
        return false;
    uint32_t random;
    randombytes_buf(&random, sizeof random);
    struct slate_request request = {
        .history = g->history,
        .history_count = g->count,
        .query = q->words,
        .n = q->n,
        .beam = settings->beam,
        .explore = q->temperature,
        .mmr = q->mmr,
        .category_max = q->category_max,
        .seed = q->seeded ? q->seed : random,
    };
    bool reasons = q->reasons && g->count > 0; /* nothing follows from nothing */
    if (reasons) {
        double start = clock_s();
        const struct reason_options options = {.facts = true};
        reason_write(reasoned, &g->scratch->reason, g->snapshot, g->history, g->count, &options,
                     NULL);
        request.history_count = reason_clean(g->history, reasoned, g->history, g->count);
        request.prompt = reasoned->symbols;
        request.prompt_count = reasoned->count;
        reason_ms = (clock_s() - start) * 1000;
    }
    if (!slate_make(slate, &g->scratch->slate, g->snapshot, NULL, &request, err))
        return false;
    char request_id[64];
    id_make(request_id, sizeof request_id, "rec_");
    json_t *reply = slate_json(g, q, slate, request.seed, request_id, err);
    bool fine = err->code == ERR_NONE &&
                (!reasons || reasons_reply(reply, &call->service->metrics, reasoned, g->snapshot,
                                           g->txn, slate, err));
    if (!fine) {
        json_decref(reply);
        return false;
    }
    if (slate->fallback)
        atomic_fetch_add(&call->service->metrics.fallbacks, 1);
    log_slate(call, q, request_id, reply);
    json_object_set_new(reply, "timing_ms",
                        json_pack("{s:f, s:f, s:f, s:f}", "total",
                                  (clock_s() - call->begin_s) * 1000, "name", slate->name_ms,
                                  "find", slate->find_ms, "reason", reason_ms));
    call_reply_json(call, 200, reply);
    return true;
}

void answer_recommendations(struct call *call, struct scratch *work, struct snapshot *snapshot)
{
    struct err err = {0};
    struct query query;
    struct store_txn txn = {0};
    struct gathering *g = calloc(1, sizeof *g);
    struct slate *slate = calloc(1, sizeof *slate);
    bool fine = g && slate;
    if (!fine)
        err_set(&err, ERR_SYSTEM, "no memory for a slate");
    fine = fine && parse_query(&query, call->json, &err) &&
           store_begin(&txn, call->service->store, false, &err);
    if (fine) {
        *g = (struct gathering){.skip = work->slate.skip,
                                .scratch = work,
                                .snapshot = snapshot,
                                .txn = &txn,
                                .ignored = json_array(),
                                .words = query.words};
        fine = make_slate(call, g, &query, slate, &err);
        json_decref(g->ignored);
    }
    store_abort(&txn);
    if (!fine)
        call_fail(call, &err);
    free(slate);
    free(g);
}

void answer_slate(struct call *call, struct scratch *work, struct snapshot *snapshot)
{
    struct err err = {0};
    struct store_txn txn;
    (void)work;
    (void)snapshot;
    if (!store_begin(&txn, call->service->store, false, &err)) {
        call_fail(call, &err);
        return;
    }
    const char *id = call->segment[2];
    json_t *slate = strlen(id) <= REQUEST_ID_MAX && *id ? slate_get(&txn, id, &err) : NULL;
    store_abort(&txn);
    if (slate)
        call_reply_json(call, 200, slate);
    else
        call_problem(call, 404, "not_found", "request_id", "no slate of that request_id is kept");
}

void answer_similar(struct call *call, struct scratch *work, struct snapshot *snapshot)
{
    struct err err = {0};
    struct store_txn txn = {0};
    struct hit hits[SLATE_MAX];
    char text[16];
    uint64_t n = 10;
    if (call_argument(text, sizeof text, call, "n", &err) && !parse_u64(&n, text, 1, SLATE_MAX))
        err_set(&err, ERR_INPUT, "n: expected 1 to %d, found '%s'", SLATE_MAX, text);
    struct gathering *g = calloc(1, sizeof *g);
    if (!g)
        err_set(&err, ERR_SYSTEM, "no memory");
    bool fine = g && err.code == ERR_NONE && store_begin(&txn, call->service->store, false, &err);
    uint32_t row = NO_ITEM;
    if (fine) {
        *g = (struct gathering){.skip = work->slate.skip, .snapshot = snapshot, .txn = &txn};
        row = gather_row(g, call->segment[2], &err);
        if (row == NO_ITEM)
            fine = err_set(&err, ERR_MISSING, "item_id: no item '%.80s'", call->segment[2]);
    }
    if (fine) {
        slate_begin(&work->slate, snapshot);
        size_t count = slate_similar(hits, n, &work->slate, snapshot, row);
        json_t *items = json_array();
        for (size_t i = 0; i < count; i++) {
            char id[ID_SIZE_MAX + 1];
            uint32_t number = snapshot_number(snapshot, hits[i].row);
            if (!catalogue_id(id, &txn, number, &err))
                break;
            json_t *record = catalogue_get(&txn, number, &err);
            json_array_append_new(items,
                                  json_pack("{s:s, s:I, s:f, s:o, s:o}", "item_id", id, "rank",
                                            (json_int_t)i + 1, "score", (double)hits[i].score,
                                            "semantic_id", semantic_id_json(snapshot, hits[i].row),
                                            "item", item_json(id, record)));
            json_decref(record);
        }
        call_reply_json(call, 200,
                        json_pack("{s:{s:s, s:s}, s:o}", "model", "id", "recommend", "version",
                                  snapshot->version->name, "items", items));
    }
    store_abort(&txn);
    free(g);
    if (!fine)
        call_fail(call, &err);
}
