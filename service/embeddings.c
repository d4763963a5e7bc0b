/*
 * embeddings.c: POST /v1/embeddings: items and texts as unit vectors of one space.
 *
 *     "item:ID"      the item's find vector
 *     anything else  what the policy looks for with these words alone (their first
 *                    QUERY_TOKENS_MAX tokens)
 *
 * So the inner product of a text and an item says how well the item answers the text.
 */
#include "base/json.h"
#include "service/gather.h"
#include "service/routes.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS_MAX = 2048, INPUT_BYTES = 1 << 16, SIDES_MAX = 4096 };

static const char ITEM_PREFIX[] = "item:";

struct embedding {
    struct gathering *gathering;
    struct scratch *work;
    const struct snapshot *snapshot;
    bool base64;
    size_t tokens;
};

static json_t *vector_json(const float *vector, size_t dim, bool base64)
{
    if (!base64) {
        json_t *list = json_array();
        for (size_t i = 0; i < dim; i++)
            json_array_append_new(list, json_real((double)vector[i]));
        return list;
    }
    size_t room = sodium_base64_encoded_len(dim * sizeof *vector, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(room);
    if (!text)
        return NULL;
    sodium_bin2base64(text, room, (const unsigned char *)vector, dim * sizeof *vector,
                      sodium_base64_VARIANT_ORIGINAL); /* little-endian floats, as clients expect */
    json_t *out = json_string(text);
    free(text);
    return out;
}

static bool embed(float *vector, struct embedding *e, const char *input, size_t at, struct err *err)
{
    size_t dim = e->snapshot->version->policy.shape.dim;
    if (strncmp(input, ITEM_PREFIX, sizeof ITEM_PREFIX - 1) == 0) {
        const char *id = input + sizeof ITEM_PREFIX - 1;
        uint32_t row = gather_row(e->gathering, id, err);
        if (row == NO_ITEM)
            return err_set(err, ERR_MISSING, "input[%zu]: no item '%.80s'", at, id);
        memcpy(vector, snapshot_find_vector(e->snapshot, row), dim * sizeof *vector);
        e->tokens++;
    } else {
        size_t tokens = slate_query(vector, &e->work->slate, e->snapshot, input, err);
        if (tokens == 0)
            return err_set(err, ERR_INPUT, "input[%zu]: expected item:ID or words, found none", at);
        e->tokens += tokens;
    }
    double norm = 0;
    for (size_t i = 0; i < dim; i++)
        norm += (double)vector[i] * (double)vector[i];
    for (size_t i = 0; i < dim && norm > 0; i++)
        vector[i] = (float)((double)vector[i] / sqrt(norm));
    return true;
}

static json_t *embed_all(struct embedding *e, const json_t *input, struct err *err)
{
    float vector[SIDES_MAX];
    size_t dim = e->snapshot->version->policy.shape.dim;
    size_t count = json_is_array(input) ? json_array_size(input) : 1;
    json_t *list = json_array();
    for (size_t i = 0; i < count && err->code == ERR_NONE; i++) {
        const json_t *value = json_is_array(input) ? json_array_get(input, i) : input;
        if (!json_is_string(value))
            err_set(err, ERR_INPUT, "input[%zu]: expected a text, found %s", i, json_kind(value));
        else if (json_string_length(value) > INPUT_BYTES)
            err_set(err, ERR_LIMIT, "input[%zu]: expected at most %d bytes, found %zu", i,
                    INPUT_BYTES, json_string_length(value));
        else if (embed(vector, e, json_string_value(value), i, err))
            json_array_append_new(list, json_pack("{s:s, s:I, s:o}", "object", "embedding", "index",
                                                  (json_int_t)i, "embedding",
                                                  vector_json(vector, dim, e->base64)));
    }
    return list;
}

static bool parse(bool *base64, const json_t *body, size_t dim, struct err *err)
{
    const char *format = "float";
    const json_t *input = json_object_get(body, "input");
    const json_t *sides = json_object_get(body, "dimensions");
    size_t count = json_array_size(input);
    if (dim > SIDES_MAX)
        return err_set(err, ERR_LIMIT,
                       "model: its vectors have %zu dimensions, expected at most %d", dim,
                       SIDES_MAX);
    if (!json_is_string(input) && (!json_is_array(input) || count == 0 || count > INPUTS_MAX))
        return err_set(err, ERR_INPUT, "input: expected a text or 1 to %d of them, found %s",
                       INPUTS_MAX,
                       json_is_array(input) ? (count ? "more" : "none") : json_kind(input));
    if (!json_text(&format, body, "encoding_format", err))
        return false;
    *base64 = strcmp(format, "base64") == 0;
    if (!*base64 && strcmp(format, "float") != 0)
        return err_set(err, ERR_INPUT, "encoding_format: expected float or base64, found '%.40s'",
                       format);
    if (sides && !json_is_null(sides) &&
        !(json_is_number(sides) && json_number_value(sides) == (double)dim))
        return err_set(err, ERR_INPUT, "dimensions: expected %zu, which these vectors have", dim);
    return true;
}

static void reply(struct call *call, struct scratch *work, struct snapshot *snapshot,
                  const char *model)
{
    struct err err = {0};
    struct store_txn txn = {0};
    struct gathering *g = calloc(1, sizeof *g);
    struct embedding e = {.gathering = g, .work = work, .snapshot = snapshot};
    json_t *list = NULL;
    if (!g)
        err_set(&err, ERR_SYSTEM, "no memory for embeddings");
    bool fine = g && parse(&e.base64, call->json, snapshot->version->policy.shape.dim, &err) &&
                scratch_ready(work, call->service, snapshot, &err) &&
                store_begin(&txn, call->service->store, false, &err);
    if (fine) {
        *g = (struct gathering){.snapshot = snapshot, .txn = &txn};
        slate_begin(&work->slate, snapshot);
        list = embed_all(&e, json_object_get(call->json, "input"), &err);
    }
    store_abort(&txn);
    if (err.code == ERR_NONE)
        call_reply_json(call, 200,
                        json_pack("{s:s, s:O, s:s, s:{s:I, s:I}}", "object", "list", "data", list,
                                  "model", model, "usage", "prompt_tokens", (json_int_t)e.tokens,
                                  "total_tokens", (json_int_t)e.tokens));
    else
        call_fail(call, &err);
    json_decref(list);
    free(g);
}

void answer_embeddings(struct call *call, struct scratch *work, struct snapshot *snapshot)
{
    struct err err = {0};
    bool chats;
    const char *model = "recommend";
    (void)snapshot;
    if (!json_text(&model, call->json, "model", &err)) {
        call_fail(call, &err);
        return;
    }
    struct snapshot *own = model_snapshot(call->service, model, &chats);
    if (own) {
        reply(call, work, own, model);
        snapshot_drop(own);
        return;
    }
    model_refuse(call, model);
}
