/*
 * answer.c: desks, and an answer from its beginning to its last word.
 */
#include "service/answer.h"

#include "base/files.h"
#include "base/log.h"
#include "service/routes.h"

#include <stdlib.h>
#include <string.h>

/* ---- desks ---- */

/* What is read from the whole catalogue. */
static bool read_names(struct desk *desk, struct service *service, struct snapshot *snapshot,
                       struct err *err)
{
    double start_s = clock_s();
    struct titles *titles = titles_open(snapshot, service->store, err);
    struct wish_book *book = titles ? wish_book_open(snapshot, titles, err) : NULL;
    desk->read_at_s = clock_s();
    desk->read_took_s = desk->read_at_s - start_s;
    if (!book) {
        titles_free(titles);
        return false;
    }
    wish_book_free(desk->book);
    titles_free(desk->titles);
    desk->book = book;
    desk->titles = titles;
    snapshot_hold(snapshot);
    snapshot_drop(desk->snapshot);
    desk->snapshot = snapshot;
    return true;
}

bool desk_open(struct desk *desk, struct service *service, struct snapshot *snapshot,
               struct err *err)
{
    const struct serve_settings *settings = service->settings;
    const struct talks_options options = {.streams = settings->chat_streams,
                                          .positions = settings->chat_positions,
                                          .threads = settings->chat_threads,
                                          .beam = settings->beam};
    *desk = (struct desk){0};
    bool fine = read_names(desk, service, snapshot, err);
    desk->wish_work = fine ? wish_work_new(err) : NULL;
    desk->talks = desk->wish_work ? talks_open(snapshot, &options, err) : NULL;
    fine = desk->talks && scratch_ready(&desk->scratch, service, snapshot, err);
    snapshot_drop(snapshot);
    if (fine)
        return true;
    desk_close(desk);
    return false;
}

void desk_close(struct desk *desk)
{
    wish_work_free(desk->wish_work);
    wish_book_free(desk->book);
    titles_free(desk->titles);
    talks_close(desk->talks);
    scratch_close(&desk->scratch);
    snapshot_drop(desk->snapshot);
    *desk = (struct desk){0};
}

void desk_follow(struct desk *desk, struct service *service, struct snapshot *snapshot)
{
    struct err err = {0};
    bool pause_is_over = clock_s() - desk->read_at_s > 1 + 50 * desk->read_took_s;
    if (snapshot != desk->snapshot && pause_is_over && !read_names(desk, service, snapshot, &err))
        log_error("speaker.names why=\"%s\"", err.text);
    snapshot_drop(snapshot);
}

/* ---- the beginning ---- */

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
                                          .n = a->n,
                                          .beam = settings->beam,
                                          .seed = chat->request.seed};
    return slate_make(&a->slate, &desk->scratch.slate, a->snapshot, NULL, &request, err);
}

static bool begin_talk(struct answer *a, const struct chat *chat, struct err *err)
{
    if (!scratch_ready(&a->desk->scratch, chat->service, a->snapshot, err))
        return false;
    votes_count(&a->votes, &a->desk->scratch.slate.votes, a->snapshot, a->gathering.history,
                a->gathering.count, a->gathering.skip, a->snapshot->version->list_votes);
    a->talk = (struct talk){.prompt = a->prompt,
                            .prompt_count = a->prompt_count,
                            .skip = a->gathering.skip,
                            .votes = &a->votes,
                            .n = a->n,
                            .words_max = talks_speak(a->desk->talks) ? chat->request.words_max : 0,
                            .seed = chat->request.seed,
                            .temperature = chat->request.temperature};
    a->in_talk = talks_add(a->desk->talks, &a->talk);
    return a->in_talk || err_set(err, ERR_SYSTEM, "no stream is free for a chat");
}

bool answer_begin(struct chat *chat, struct desk *desk, struct snapshot *snapshot, bool taught,
                  struct conversations *conversations, struct err *err)
{
    struct answer *a = calloc(1, sizeof *a);
    struct store_txn txn;
    bool talks = taught || talks_speak(desk->talks);
    chat->answer = a;
    if (!a)
        return err_set(err, ERR_SYSTEM, "no memory for an answer");
    a->desk = desk;
    a->snapshot = snapshot_hold(snapshot);
    a->source = "template";
    a->finish = "stop";
    a->n = chat->request.n;
    a->talk.seed = chat->request.seed;
    text_init(&a->notes, SPEECH_BYTES / 4);
    text_init(&a->words, SPEECH_BYTES / 4);
    text_init(&a->sentence, SPEECH_BYTES / 4);
    id_make(a->request_id, sizeof a->request_id, "rec_");
    desk->active++;
    a->gathering.skip = calloc(snapshot->rows / 64 + 1, sizeof *a->gathering.skip);
    if (!a->gathering.skip || !store_begin(&txn, chat->service->store, false, err))
        return err_set(err, ERR_SYSTEM, "no memory for a list");
    memcpy(a->gathering.skip, snapshot->hidden,
           (snapshot->rows / 64 + 1) * sizeof *a->gathering.skip);
    if (talks) /* what a talk cannot list is nothing that wishes leave */
        snapshot_mask_newcomers(a->gathering.skip, snapshot);
    a->gathering.snapshot = snapshot;
    a->gathering.in_dialogue = true;
    a->gathering.txn = &txn;
    a->gathering.scratch = &desk->scratch;
    bool fine = answer_read(chat, conversations, err);
    store_abort(&txn);
    a->gathering.txn = NULL;
    return fine && (talks ? begin_talk(a, chat, err) : list_by_slate(a, chat, err));
}

/* ---- step by step ---- */

/* The ranks of a talk as a slate, so that both are shown alike: what dialogues name together with
 * what this one does is there because of it. */
static void take_ranks(struct answer *a)
{
    a->slate.count = a->talk.listed;
    a->slate.candidates = a->talk.listed;
    if (a->talk.listed < a->talk.n)
        a->slate.fallback = "filter_exhausted";
    const uint32_t *history = a->gathering.history;
    size_t count = a->gathering.count;
    for (size_t i = 0; i < a->talk.listed; i++) {
        uint32_t row = a->talk.rows[i];
        bool voted = votes_push(&a->votes, row) > 0;
        uint32_t cause = voted ? votes_cause(a->snapshot, history, count, row) : NO_ITEM;
        a->slate.items[i] = (struct slate_item){
            .row = row,
            .score = a->talk.log_p[i],
            .propensity = 1,
            .source = cause != NO_ITEM ? SOURCE_COUNT : SOURCE_NAME,
            .because = cause != NO_ITEM ? cause : slate_nearest(a->snapshot, row, history, count)};
    }
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

/* Bytes that can be said: at the end of words that go on a stop may have begun. */
static size_t sayable(const struct answer *a, const struct chat_request *r)
{
    size_t begun = 0;
    for (size_t i = 0; i < r->stop_count && !a->words_ready; i++)
        begun = strlen(r->stops[i]) > begun + 1 ? strlen(r->stops[i]) - 1 : begun;
    return a->words.size > begun ? a->words.size - begun : 0;
}

/* One piece a step; false when all was said. */
static bool say(struct chat *chat)
{
    struct answer *a = chat->answer;
    bool counts = strcmp(a->source, "template") == 0; /* a template's token is a piece */
    if (counts && a->said < a->words.size && a->tokens >= chat->request.asked_max) {
        a->finish = "length";
        a->words.size = a->said;
        a->words.bytes[a->said] = 0;
    }
    size_t size = a->said < a->words.size ? next_piece(a) : 0;
    if (size && a->said + size <= sayable(a, &chat->request)) {
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
    text_release(&a->notes);
    json_decref(a->relaxed);
    free(a->gathering.skip);
    snapshot_drop(a->snapshot);
    free(a);
}
