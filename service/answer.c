/*
 * answer.c: desks, and an answer from its beginning to its last word.
 */
#include "service/answer.h"

#include "base/files.h"
#include "base/log.h"
#include "recommend/item_words.h"
#include "service/routes.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_BY_TURNS_MAX = 512, HISTORY_SYMBOLS = 20 };

/* ---- desks ---- */

bool desk_open(struct desk *desk, struct service *service, struct snapshot *snapshot,
               struct err *err)
{
    const struct serve_settings *settings = service->settings;
    const struct talks_options options = {.streams = settings->chat_streams,
                                          .positions = settings->chat_positions,
                                          .threads = settings->chat_threads,
                                          .beam = settings->beam};
    double start_s = clock_s();
    *desk = (struct desk){.snapshot = snapshot};
    desk->titles = titles_open(snapshot, service->store, err);
    desk->titles_at_s = clock_s();
    desk->titles_took_s = desk->titles_at_s - start_s;
    desk->talks = desk->titles ? talks_open(snapshot, &options, err) : NULL;
    if (desk->talks && scratch_ready(&desk->scratch, service, snapshot, err))
        return true;
    desk_close(desk);
    return false;
}

void desk_close(struct desk *desk)
{
    titles_free(desk->titles);
    talks_close(desk->talks);
    scratch_close(&desk->scratch);
    snapshot_drop(desk->snapshot);
    *desk = (struct desk){0};
}

void desk_follow(struct desk *desk, struct service *service, struct snapshot *snapshot)
{
    struct err err = {0};
    double now_s = clock_s();
    bool news = snapshot->late != titles_rows(desk->titles) - desk->snapshot->version->index->items;
    if (news && now_s - desk->titles_at_s > 1 + 50 * desk->titles_took_s) {
        struct titles *titles = titles_open(snapshot, service->store, &err);
        desk->titles_at_s = clock_s();
        desk->titles_took_s = desk->titles_at_s - now_s;
        if (titles) {
            titles_free(desk->titles);
            desk->titles = titles;
        }
    }
    snapshot_drop(snapshot);
}

/* ---- the beginning ---- */

static uint32_t known_row(const struct answer *a, uint32_t number)
{
    uint32_t row = snapshot_row(a->snapshot, number);
    return row < a->snapshot->rows ? row : NO_ITEM;
}

/* Items that an earlier reply of ours carries by their ids. */
static void hide_recommendations(struct answer *a, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct err unknown = {0};
        const char *id = json_string_value(json_object_get(json_array_get(list, i), "item_id"));
        uint32_t row = id ? gather_row(&a->gathering, id, &unknown) : NO_ITEM;
        if (row != NO_ITEM)
            gather_hide(&a->gathering, row, &a->gathering.filtered.seen);
    }
}

/* What was shown is not shown again: by the conversation's id, by ids, by exact titles. */
static void hide_shown(struct answer *a, const struct chat *chat,
                       struct conversations *conversations)
{
    uint32_t shown[SHOWN_MAX];
    size_t newest;
    size_t count =
        conversations_shown(shown, &newest, conversations, &chat->conversation, clock_s());
    for (size_t i = 0; i < count; i++) {
        uint32_t row = known_row(a, shown[i]);
        if (row != NO_ITEM)
            gather_hide(&a->gathering, row, &a->gathering.filtered.seen);
    }
    for (size_t i = 0; i < chat->request.count; i++)
        hide_recommendations(a, chat->request.messages[i].recommendations);
}

/* What the dialogue names is not listed; what its user names is what the list is made of. */
static void read_dialogue(struct answer *a, const struct message *messages, size_t count)
{
    uint32_t rows[SHOWN_BY_TURNS_MAX];
    enum speaker by[SHOWN_BY_TURNS_MAX];
    size_t named = dialogue_items(rows, by, SHOWN_BY_TURNS_MAX, a->desk->titles, messages, count);
    for (size_t i = 0; i < named; i++) {
        if (rows[i] >= a->snapshot->rows)
            continue;
        gather_hide(&a->gathering, rows[i], &a->gathering.filtered.seen);
        if (by[i] == SPEAKER_USER)
            gather_remember(&a->gathering, rows[i]);
    }
}

static bool hide_excluded(struct answer *a, const json_t *ids, struct err *err)
{
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        uint32_t row = gather_row(&a->gathering, id, err);
        if (err->code != ERR_NONE)
            return err_prefix(err, "exclude[%zu]", i);
        if (row != NO_ITEM)
            gather_hide(&a->gathering, row, &a->gathering.filtered.excluded);
    }
    return true;
}

/* The dialogue as symbols, the user's own items before it. */
static bool make_prompt(struct answer *a, const struct message *messages, size_t count,
                        size_t remembered, struct err *err)
{
    size_t first = remembered > HISTORY_SYMBOLS ? remembered - HISTORY_SYMBOLS : 0;
    for (size_t i = first; i < remembered; i++)
        if (a->gathering.history[i] < a->desk->snapshot->version->index->items)
            a->prompt[a->prompt_count++] = a->gathering.history[i];
    a->prompt_count +=
        dialogue_symbols(a->prompt + a->prompt_count, LIST_PROMPT_MAX - a->prompt_count,
                         a->desk->snapshot, a->desk->titles, messages, count, err);
    a->prompt_tokens = a->prompt_count;
    return err->code == ERR_NONE;
}

static const char *newest_words(const struct chat *chat)
{
    for (size_t i = chat->request.count; i-- > 0;)
        if (chat->request.messages[i].role == CHAT_USER && *chat->request.messages[i].text)
            return chat->request.messages[i].text;
    return NULL;
}

static bool list_by_slate(struct answer *a, const struct chat *chat, struct err *err)
{
    struct desk *desk = a->desk;
    const struct serve_settings *settings = chat->service->settings;
    if (!scratch_ready(&desk->scratch, chat->service, a->snapshot, err))
        return false;
    slate_begin(&desk->scratch.slate, a->snapshot);
    memcpy(desk->scratch.slate.skip, a->gathering.skip,
           (a->snapshot->rows / 64 + 1) * sizeof *a->gathering.skip);
    const struct slate_request request = {.history = a->gathering.history,
                                          .history_count = a->gathering.count,
                                          .query = a->gathering.words,
                                          .n = chat->request.n,
                                          .beam = settings->beam,
                                          .seed = chat->request.seed};
    return slate_make(&a->slate, &desk->scratch.slate, a->snapshot, NULL, &request, err);
}

static bool begin_talk(struct answer *a, const struct chat *chat, struct err *err)
{
    a->talk = (struct talk){.prompt = a->prompt,
                            .prompt_count = a->prompt_count,
                            .skip = a->gathering.skip,
                            .n = chat->request.n,
                            .words_max = talks_speak(a->desk->talks) ? chat->request.words_max : 0,
                            .seed = chat->request.seed,
                            .temperature = chat->request.temperature};
    a->in_talk = talks_add(a->desk->talks, &a->talk);
    return a->in_talk || err_set(err, ERR_SYSTEM, "no stream is free for a chat");
}

static bool gather(struct chat *chat, struct conversations *conversations, struct err *err)
{
    struct answer *a = chat->answer;
    struct gathering *g = &a->gathering;
    const struct chat_request *r = &chat->request;
    struct message *messages = calloc(r->count, sizeof *messages);
    size_t count = 0;
    if (!messages)
        return err_set(err, ERR_SYSTEM, "no memory for a dialogue");
    for (size_t i = 0; i < r->count; i++)
        if (r->messages[i].role != CHAT_SYSTEM)
            messages[count++] = (struct message){
                .speaker = r->messages[i].role == CHAT_USER ? SPEAKER_USER : SPEAKER_ASSISTANT,
                .text = r->messages[i].text};
    bool fine = !r->user || gather_user(g, r->user, SEEN_ANY, chat->service, err);
    size_t remembered = g->count;
    g->words = newest_words(chat);
    hide_shown(a, chat, conversations);
    read_dialogue(a, messages, count);
    fine = fine && hide_excluded(a, r->exclude, err) &&
           make_prompt(a, messages, count, remembered, err);
    free(messages);
    return fine;
}

bool answer_begin(struct chat *chat, struct desk *desk, struct snapshot *snapshot, bool taught,
                  struct conversations *conversations, struct err *err)
{
    struct answer *a = calloc(1, sizeof *a);
    struct store_txn txn;
    chat->answer = a;
    if (!a)
        return err_set(err, ERR_SYSTEM, "no memory for an answer");
    a->desk = desk;
    a->snapshot = snapshot_hold(snapshot);
    a->source = "template";
    a->finish = "stop";
    a->understood = json_array();
    a->not_understood = json_array();
    text_init(&a->words, SPEECH_BYTES / 4);
    text_init(&a->sentence, SPEECH_BYTES / 4);
    id_make(a->request_id, sizeof a->request_id, "rec_");
    desk->active++;
    a->gathering.skip = calloc(snapshot->rows / 64 + 1, sizeof *a->gathering.skip);
    if (!a->gathering.skip || !store_begin(&txn, chat->service->store, false, err))
        return err_set(err, ERR_SYSTEM, "no memory for a list");
    memcpy(a->gathering.skip, snapshot->hidden,
           (snapshot->rows / 64 + 1) * sizeof *a->gathering.skip);
    a->gathering.snapshot = snapshot;
    a->gathering.txn = &txn;
    a->gathering.scratch = &desk->scratch;
    bool fine = gather(chat, conversations, err);
    store_abort(&txn);
    a->gathering.txn = NULL;
    return fine && ((taught || talks_speak(desk->talks)) ? begin_talk(a, chat, err)
                                                         : list_by_slate(a, chat, err));
}

/* ---- step by step ---- */

/* The ranks of a talk as a slate, so that both are shown alike. */
static void take_ranks(struct answer *a)
{
    a->slate.count = a->talk.listed;
    a->slate.candidates = a->talk.listed;
    if (a->talk.listed < a->talk.n)
        a->slate.fallback = "filter_exhausted";
    for (size_t i = 0; i < a->talk.listed; i++)
        a->slate.items[i] = (struct slate_item){.row = a->talk.rows[i],
                                                .score = a->talk.log_p[i],
                                                .propensity = 1,
                                                .source = SOURCE_NAME,
                                                .because = NO_ITEM};
}

static bool list_is_ready(const struct answer *a)
{
    return !a->in_talk || a->talk.state == TALK_SAYING || a->talk.state == TALK_DONE;
}

/* Bytes of the next piece: white space and the word after it. */
static size_t next_piece(const struct answer *a)
{
    const char *at = a->words.bytes + a->said;
    size_t space = strspn(at, " \n\t");
    return space + strcspn(at + space, " \n\t");
}

/* One piece a step; false when all was said. */
static bool say(struct chat *chat)
{
    struct answer *a = chat->answer;
    bool counts = strcmp(a->source, "template") == 0; /* a template's token is a piece */
    if (counts && a->said < a->words.size && a->tokens >= chat->request.words_max) {
        a->finish = "length";
        a->words.size = a->said;
        a->words.bytes[a->said] = 0;
    }
    if (a->said < a->words.size) {
        size_t size = next_piece(a);
        reply_words(chat, a->words.bytes + a->said, size);
        a->said += size;
        a->tokens += counts;
        atomic_fetch_add(&chat->service->metrics.chat_tokens, counts);
        return true;
    }
    return !a->words_ready;
}

bool answer_step(struct chat *chat, struct conversations *conversations)
{
    struct answer *a = chat->answer;
    struct err err = {0};
    if (a->state == ANSWER_LISTING) {
        if (!list_is_ready(a))
            return true;
        if (a->in_talk)
            take_ranks(a);
        if (!answer_list(chat, conversations, &err)) {
            log_error("chat.failed id=%s why=\"%s\"", chat->id, err.text);
            chat_fail(chat, 500, "internal", "the service could not do this; its log says why");
            return false;
        }
        a->state = ANSWER_SAYING;
        reply_list(chat);
        return true;
    }
    if (!a->words_ready)
        answer_hear(chat);
    if (say(chat))
        return true;
    reply_end(chat);
    a->state = ANSWER_OVER;
    return false;
}

void answer_free(struct chat *chat)
{
    struct answer *a = chat->answer;
    if (!a)
        return;
    chat->answer = NULL;
    if (a->in_talk)
        talks_remove(a->desk->talks, &a->talk);
    a->desk->active--;
    json_decref(a->recommendations);
    json_decref(a->understood);
    json_decref(a->not_understood);
    json_decref(a->reasons);
    text_release(&a->words);
    text_release(&a->sentence);
    free(a->gathering.skip);
    snapshot_drop(a->snapshot);
    free(a);
}
