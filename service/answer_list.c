/*
 * answer_list.c: a list as a reply shows it, what is kept of it, and a template's words about it.
 */
#include "service/answer.h"

#include "service/routes.h"

#include <stdlib.h>
#include <string.h>

static json_t *items_json(struct answer *a, struct err *err)
{
    json_t *list = json_array();
    for (size_t i = 0; i < a->slate.count; i++) {
        json_t *item = gather_item(&a->gathering, &a->slate.items[i], i + 1, err);
        if (item && a->in_talk)
            json_object_del(item, "features"); /* a talk has none */
        if (item)
            json_array_append_new(list, item);
    }
    return list;
}

/* The chain of reasons for the list, if asked for: every claim was checked. */
static bool give_reasons(struct chat *chat, struct err *err)
{
    struct answer *a = chat->answer;
    struct scratch *work = &a->desk->scratch;
    const struct reason_options options = {.facts = true};
    if (!chat->request.reasons)
        return true;
    a->reasons = json_object();
    if (!a->snapshot->version->attributes || a->gathering.count == 0)
        return true; /* nothing follows from nothing */
    reason_write(&work->reasoned, &work->reason, a->snapshot, a->gathering.history,
                 a->gathering.count, &options, NULL);
    if (!reasons_reply(a->reasons, &chat->service->metrics, &work->reasoned, a->snapshot,
                       a->gathering.txn, &a->slate, err))
        return false;
    json_object_set(a->reasons, "reasoning_content", json_object_get(a->reasons, "reasoning"));
    json_object_del(a->reasons, "reasoning");
    return true;
}

/* Kept like any slate that was served, so that events can refer to it. */
static void log_list(const struct chat *chat)
{
    const struct answer *a = chat->answer;
    json_t *items = json_array();
    for (size_t i = 0; i < json_array_size(a->recommendations); i++) {
        json_t *item = json_copy(json_array_get(a->recommendations, i));
        json_object_del(item, "item");
        json_array_append_new(items, item);
    }
    json_t *note = json_pack("{s:s, s:{s:s, s:s}, s:s, s:o, s:O}", "request_id", a->request_id,
                             "model", "id", "chat", "version", a->snapshot->version->name, "mode",
                             "dialogue", "items", items, "understood", a->understood);
    if (chat->request.user)
        json_object_set_new(note, "user_id", json_string(chat->request.user));
    char *text = json_dumps(note, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(note);
    if (text)
        service_log_slate(chat->service, a->request_id, text);
}

static void remember_shown(const struct chat *chat, struct conversations *conversations)
{
    const struct answer *a = chat->answer;
    uint32_t numbers[SLATE_MAX];
    for (size_t i = 0; i < a->slate.count; i++)
        numbers[i] = snapshot_number(a->snapshot, a->slate.items[i].row);
    conversations_note(conversations, &chat->conversation, a->asked, numbers, a->slate.count,
                       clock_s());
}

bool answer_list(struct chat *chat, struct conversations *conversations, struct err *err)
{
    struct answer *a = chat->answer;
    struct store_txn txn;
    if (!store_begin(&txn, chat->service->store, false, err))
        return false;
    a->gathering.txn = &txn;
    a->recommendations = items_json(a, err);
    bool fine = err->code == ERR_NONE && give_reasons(chat, err);
    store_abort(&txn);
    a->gathering.txn = NULL;
    if (!fine)
        return false;
    if (a->slate.fallback)
        atomic_fetch_add(&chat->service->metrics.fallbacks, 1);
    log_list(chat);
    remember_shown(chat, conversations);
    if (a->in_talk && a->talk.words_max > 0) {
        a->source = "model";
        return true;
    }
    write_template(a, &chat->request);
    a->words_ready = true;
    return true;
}
