/*
 * job_texts.c: `tessera texts`: asks a large model what items are wanted for and what users like.
 *
 *   catalogue, training events ─► questions not answered yet ─► endpoint, some at a time ─► store
 *
 * Answers are written in batches, so a run that was killed asks only for the rest.
 */
#include "base/log.h"
#include "data/catalogue.h"
#include "recommend/item_words.h"
#include "train/chain_teacher.h"
#include "train/list_told.h"
#include "train/talk_told.h"
#include "train/told.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { BATCH = 64, ANSWER_TOKENS = 160, LIST_TOKENS = 480, LINE_MAX_BYTES = 200 };

static const char ITEM_ASKS[] =
    "You help a search engine. You are shown one item of a catalogue. Write three short searches "
    "that somebody who wants such an item, but does not know its name, would type. One a line, "
    "lower case, no numbering, no name of the item.";
static const char USER_ASKS[] =
    "You help a recommender. You are shown items that one person chose, oldest first. Write two "
    "lines of at most twelve words each: what this person likes on the whole, then what this "
    "person likes lately. No numbering, no names of items.";

struct question {
    enum text_owner owner;
    uint32_t number; /* of the store */
    size_t user;     /* in the histories; of a dialogue's question its place */
    uint64_t of;
};

struct asking {
    const struct job *job;
    struct endpoint *endpoint;
    struct row_data data;
    struct store_txn txn; /* reading, while questions are gathered */
    struct question *questions;
    size_t count, room, answered_before, answered, refused;
    struct err first_refusal;
    bool chains, lists;
    struct dialogues *dialogues; /* owned; NULL: they are not asked about */
    struct talk_question *talks; /* owned */
    size_t talk_count;
    atomic_bool stopped;
    const struct question *batch;
    json_t *answers[BATCH];
    struct err errors[BATCH];
};

static bool add_question(struct asking *a, const struct question *q, struct err *err)
{
    if (texts_has(&a->txn, q->owner, q->number, q->of, a->job->endpoint->endpoint_model, err)) {
        a->answered_before++;
        return true;
    }
    if (err->code != ERR_NONE)
        return false;
    if (a->count == a->room) {
        size_t room = 2 * a->room + 1024;
        struct question *more = realloc(a->questions, room * sizeof *more);
        if (!more)
            return err_set(err, ERR_SYSTEM, "no memory for %zu questions", room);
        a->questions = more;
        a->room = room;
    }
    a->questions[a->count++] = *q;
    return true;
}

/* The titles of what a user chose. */
static bool titles_message(struct text *message, const struct store_txn *txn,
                           const uint32_t *events, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        json_t *record = catalogue_get(txn, events[i], err);
        const char *title = json_string_value(json_object_get(record, "title"));
        if (title)
            text_addf(message, "%s\n", title);
        json_decref(record);
    }
    return err->code == ERR_NONE;
}

static bool user_message(struct text *message, const struct asking *a, const struct store_txn *txn,
                         size_t user, struct err *err)
{
    uint32_t events[TOLD_EVENTS];
    return titles_message(message, txn, events, told_events(events, &a->data, user), err);
}

static bool gather_item(void *self, uint32_t number, const char *id, json_t *record,
                        struct err *err)
{
    struct asking *a = self;
    struct text message;
    (void)id;
    text_init(&message, 1 << 16);
    bool fine = told_item_message(&message, record, err);
    struct question q = {TEXT_OF_ITEM, number, 0, 0};
    if (fine && message.size) {
        q.of = XXH3_64bits(message.bytes, message.size);
        fine = add_question(a, &q, err);
    }
    text_release(&message);
    return fine;
}

/* A user whose items have no titles is not asked about. */
static bool gather_user(struct asking *a, size_t user, struct err *err)
{
    uint32_t events[TOLD_EVENTS];
    struct text message;
    size_t count = told_events(events, &a->data, user);
    struct question q = {TEXT_OF_USER, a->data.histories->user[user], user, told_of(events, count)};
    text_init(&message, 1 << 16);
    bool fine = user_message(&message, a, &a->txn, user, err) &&
                (message.size == 0 || add_question(a, &q, err));
    text_release(&message);
    return fine;
}

static bool gather_chain(struct asking *a, size_t user, struct err *err)
{
    struct chain_question about;
    if (!chain_question_make(&about, &a->data, user))
        return true;
    struct question q = {TEXT_OF_CHAIN, a->data.histories->user[user], user, about.of};
    return add_question(a, &q, err);
}

static bool gather_list(struct asking *a, size_t user, struct err *err)
{
    struct list_question about;
    if (!list_question_make(&about, &a->data, user, a->job->train->seed))
        return true;
    struct question q = {TEXT_OF_LIST, a->data.histories->user[user], user, about.of};
    return add_question(a, &q, err);
}

/* They come first: whoever asks about them and not about all means them. */
static bool gather_talks(struct asking *a, struct err *err)
{
    bool fine = !a->dialogues || talk_questions_make(&a->talks, &a->talk_count, a->dialogues, err);
    for (size_t i = 0; fine && i < a->talk_count; i++) {
        struct question q = {TEXT_OF_TALK, a->talks[i].number, i, a->talks[i].of};
        fine = add_question(a, &q, err);
    }
    return fine;
}

static bool gather(struct asking *a, struct err *err)
{
    if (!store_begin(&a->txn, a->job->store, false, err))
        return false;
    bool fine = gather_talks(a, err) && catalogue_each(&a->txn, gather_item, a, err);
    for (size_t u = 0; fine && u < a->data.histories->users; u++)
        fine = gather_user(a, u, err) && (!a->chains || gather_chain(a, u, err)) &&
               (!a->lists || gather_list(a, u, err));
    store_abort(&a->txn);
    return fine;
}

static bool message_of(struct text *message, const struct asking *a, const struct question *q,
                       struct err *err)
{
    struct store_txn txn;
    if (q->owner == TEXT_OF_TALK) {
        talk_question_text(message, a->dialogues, a->talks[q->user].dialogue,
                           a->talks[q->user].turn);
        return true;
    }
    bool fine = store_begin(&txn, a->job->store, false, err);
    if (!fine)
        return false;
    struct chain_question about;
    struct list_question list;
    if (q->owner == TEXT_OF_LIST) {
        fine = list_question_make(&list, &a->data, q->user, a->job->train->seed) &&
               titles_message(message, &txn, list.history, list.count, err);
    } else if (q->owner == TEXT_OF_CHAIN) {
        fine = chain_question_make(&about, &a->data, q->user) &&
               chain_question_text(message, &about, &txn, err);
    } else if (q->owner == TEXT_OF_USER) {
        fine = user_message(message, a, &txn, q->user, err);
    } else {
        json_t *record = catalogue_get(&txn, q->number, err);
        fine = record && told_item_message(message, record, err);
        json_decref(record);
    }
    store_abort(&txn);
    return fine;
}

/* Where a line's words begin: after the sign or number that a list puts before them. */
static const char *after_bullet(const char *at)
{
    at += strspn(at, " \t\r\n-*#>\"'");
    size_t digits = strspn(at, "0123456789");
    if (digits && (at[digits] == '.' || at[digits] == ')'))
        at += digits + 1;
    return at + strspn(at, " \t\"'");
}

/* The first lines of an answer that say something: not marks of a model's own, no headings. */
static json_t *lines_of(const char *answer, size_t most)
{
    json_t *lines = json_array();
    for (const char *at = answer; *at && json_array_size(lines) < most;) {
        at = after_bullet(at);
        size_t size = strcspn(at, "\r\n");
        size_t kept = size < LINE_MAX_BYTES ? size : LINE_MAX_BYTES;
        while (kept && kept < size && ((unsigned char)at[kept] & 0xc0) == 0x80)
            kept--;
        while (kept && strchr(" \t\"'", at[kept - 1]))
            kept--;
        if (kept && *at != '<' && at[kept - 1] != ':')
            json_array_append_new(lines, json_stringn(at, kept));
        at += size;
    }
    return lines;
}

static void ask_piece(void *self, size_t piece, size_t worker)
{
    struct asking *a = self;
    const struct question *q = &a->batch[piece];
    struct err *err = &a->errors[piece];
    struct text message;
    char *answer = NULL;
    const char *asks = q->owner == TEXT_OF_ITEM   ? ITEM_ASKS
                       : q->owner == TEXT_OF_USER ? USER_ASKS
                       : q->owner == TEXT_OF_LIST ? LIST_ASKS
                       : q->owner == TEXT_OF_TALK ? TALK_ASKS
                                                  : CHAIN_ASKS;
    bool names = q->owner == TEXT_OF_LIST || q->owner == TEXT_OF_TALK;
    size_t lines = q->owner == TEXT_OF_CHAIN ? CHAIN_ANSWER_LINES
                   : names                   ? TEACHER_RANKS
                                             : TOLD_LINES;
    if (atomic_load(&a->stopped))
        return;
    text_init(&message, 1 << 16);
    if (message_of(&message, a, q, err) &&
        endpoint_ask(&answer, a->endpoint, worker, asks, message.bytes ? message.bytes : "",
                     names ? LIST_TOKENS : ANSWER_TOKENS, err))
        a->answers[piece] = lines_of(answer, lines);
    if (a->answers[piece] && json_array_size(a->answers[piece]) == 0)
        err_set(err, ERR_INPUT, "expected lines of words, found '%.80s'", answer);
    if (err->code != ERR_NONE && err->code != ERR_INPUT)
        atomic_store(&a->stopped, true); /* the others would fare no better */
    free(answer);
    text_release(&message);
}

/* What came is kept, also when another question failed; what the model would not answer is counted.
 */
static bool keep_batch(struct asking *a, size_t count, struct err *err)
{
    struct store_txn txn;
    struct err worst = {0};
    bool fine = store_begin(&txn, a->job->store, true, err);
    for (size_t i = 0; i < count; i++) {
        const struct question *q = &a->batch[i];
        const struct err *why = &a->errors[i];
        if (why->code == ERR_INPUT && a->refused++ == 0)
            a->first_refusal = *why;
        else if (why->code != ERR_NONE && why->code != ERR_INPUT && worst.code == ERR_NONE)
            worst = *why;
        if (fine && a->answers[i] && why->code == ERR_NONE) {
            fine = texts_put(&txn, q->owner, q->number, q->of, a->job->endpoint->endpoint_model,
                             a->answers[i], err);
            a->answered++;
        } else {
            json_decref(a->answers[i]);
        }
        a->answers[i] = NULL;
        a->errors[i] = (struct err){0};
    }
    if (fine)
        fine = store_commit(&txn, err);
    else
        store_abort(&txn);
    if (fine && worst.code != ERR_NONE)
        *err = worst;
    return fine && worst.code == ERR_NONE;
}

static bool ask_all(struct asking *a, size_t wanted, struct thread_pool *pool, struct err *err)
{
    for (size_t at = 0; at < wanted; at += BATCH) {
        size_t count = wanted - at < BATCH ? wanted - at : BATCH;
        a->batch = a->questions + at;
        thread_pool_run(pool, count, ask_piece, a);
        if (!keep_batch(a, count, err))
            return false;
        log_info("texts.progress answered=%zu refused=%zu of=%zu", a->answered, a->refused, wanted);
    }
    if (a->refused)
        log_info("texts.refused count=%zu first=\"%s\"", a->refused, a->first_refusal.text);
    if (a->refused && a->answered == 0)
        *err = a->first_refusal;
    return err->code == ERR_NONE;
}

bool job_texts(const struct job *job, const struct texts_options *options, struct err *err)
{
    struct asking *a = calloc(1, sizeof *a);
    struct thread_pool *pool = NULL;
    if (!a)
        return err_set(err, ERR_SYSTEM, "no memory for questions");
    a->job = job;
    size_t most = options->most;
    a->chains = options->chains;
    a->lists = options->lists;
    a->endpoint = endpoint_open(job->endpoint, err);
    a->dialogues = a->endpoint && options->talks ? dialogues_load(job->store, err) : NULL;
    bool fine = a->endpoint != NULL && (a->dialogues || !options->talks) &&
                rows_load_events(&a->data, job, 0, err) && gather(a, err);
    size_t wanted = most && most < a->count ? most : a->count;
    if (fine) {
        pool = thread_pool_new(job->endpoint->endpoint_parallel, err);
        fine = pool && ask_all(a, wanted, pool, err);
    }
    if (fine)
        printf("texts: answered %zu, refused %zu, answered before %zu, left %zu\n", a->answered,
               a->refused, a->answered_before, a->count - wanted);
    thread_pool_free(pool);
    endpoint_close(a->endpoint);
    rows_release(&a->data);
    dialogues_free(a->dialogues);
    free(a->talks);
    free(a->questions);
    free(a);
    return fine;
}
