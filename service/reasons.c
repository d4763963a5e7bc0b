/*
 * reasons.c: a chain of reasons in a reply: only claims that hold, structured and as text; what was
 * said and did not hold is counted.
 */
#include "data/catalogue.h"
#include "service/routes.h"

#include <string.h>

bool reasons_given(const struct version *version, struct err *err)
{
    return version->attributes ||
           err_set(err, ERR_INPUT,
                   "mode: version %s gives no reasons: train one with --stage reason, or ask for "
                   "direct",
                   version->name);
}

/* {"item_id", "title"} of a row. */
static json_t *cited(const struct snapshot *s, const struct store_txn *txn, uint32_t row,
                     struct err *err)
{
    char id[ID_SIZE_MAX + 1] = "";
    uint32_t number = snapshot_number(s, row);
    if (number == NO_ITEM || !catalogue_id(id, txn, number, err))
        return NULL;
    json_t *record = catalogue_get(txn, number, err);
    const char *title = json_string_value(json_object_get(record, "title"));
    json_t *out = json_pack("{s:s, s:s}", "item_id", id, "title", title && *title ? title : id);
    json_decref(record);
    return out;
}

/* The items of the answer that a claim speaks for. */
static json_t *supported(const struct claim *claim, const struct snapshot *s,
                         const struct store_txn *txn, const struct slate *slate, struct err *err)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < slate->count && claim->attribute != NO_ATTRIBUTE; i++) {
        char id[ID_SIZE_MAX + 1] = "";
        uint32_t row = slate->items[i].row;
        if (snapshot_has_attribute(s, row, claim->attribute) &&
            catalogue_id(id, txn, snapshot_number(s, row), err))
            json_array_append_new(ids, json_string(id));
    }
    return ids;
}

static json_t *claim_json(const struct claim *claim, const struct snapshot *s,
                          const struct store_txn *txn, const struct slate *slate, struct text *text,
                          struct err *err)
{
    const struct attributes *a = s->version->attributes;
    json_t *items[2] = {NULL, NULL};
    const char *titles[2] = {"", ""};
    json_t *ids = json_array();
    for (size_t i = 0; i < claim->items; i++) {
        items[i] = cited(s, txn, claim->item[i], err);
        const char *title = json_string_value(json_object_get(items[i], "title"));
        titles[i] = title ? title : "";
        json_array_append(ids, json_object_get(items[i], "item_id"));
    }
    struct text own;
    text_init(&own, 8192);
    claim_text(&own, claim, a, titles);
    text_addf(text, "%s%s", text->size ? " " : "", own.bytes ? own.bytes : "");
    json_t *out = json_pack("{s:s, s:o, s:s, s:f, s:o}", "kind", CLAIM_NAMES[claim->kind],
                            "item_ids", ids, "text", own.bytes ? own.bytes : "", "measured",
                            claim->found, "supports", supported(claim, s, txn, slate, err));
    if (out && claim->attribute != NO_ATTRIBUTE)
        json_object_set_new(out, "attribute", json_string(a->tag[claim->attribute]));
    text_release(&own);
    json_decref(items[0]);
    json_decref(items[1]);
    return out;
}

bool reasons_reply(json_t *reply, struct metrics *metrics, const struct reasoned *reasoned,
                   const struct snapshot *s, const struct store_txn *txn, const struct slate *slate,
                   struct err *err)
{
    struct claim claims[CLAIMS_MAX];
    uint32_t answer[SLATE_MAX];
    struct text text;
    json_t *list = json_array();
    size_t held = 0;
    for (size_t i = 0; i < slate->count; i++)
        answer[i] = slate->items[i].row;
    size_t count =
        claims_check(claims, &reasoned->writer, reasoned->gains, s, answer, slate->count);
    text_init(&text, 32768);
    for (size_t i = 0; i < count; i++) {
        atomic_fetch_add(&metrics->claims[claims[i].kind][claims[i].holds], 1);
        if (claims[i].holds) {
            json_array_append_new(list, claim_json(&claims[i], s, txn, slate, &text, err));
            held++;
        }
    }
    json_object_set_new(reply, "reasons", list);
    json_object_set_new(reply, "reasoning", json_string(text.bytes ? text.bytes : ""));
    json_object_set_new(
        reply, "claims",
        json_pack("{s:I, s:I}", "said", (json_int_t)count, "dropped", (json_int_t)(count - held)));
    text_release(&text);
    return err->code == ERR_NONE;
}
