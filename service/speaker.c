/*
 * speaker.c: the one thread that answers chats: as many as there are streams, one step for all.
 *
 *     while somebody is answered or waits:
 *         those who wait begin, oldest first, while there is a stream
 *         clients that are gone are let go
 *         every desk makes one step for all its talks; every chat says one piece
 *         who was silent for long gets a comment
 *
 * Two desks at most are open: that of the version in production and, while chats began on it are
 * not over, the one before.
 */
#include "service/answer.h"

#include "base/files.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DESKS = 2, DRAIN_S = 2 };
static const double LOOK_S = .1; /* between looks at those who wait */

struct speaking {
    struct service *service;
    struct desk desks[DESKS];
    struct conversations *conversations;
    struct chat *answered, **end; /* held; oldest first */
    size_t count;
    double looked_s;
};

void speaker_init(struct service *service)
{
    struct chat_queue *queue = &service->chats;
    pthread_condattr_t clock;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->filled, &clock);
    pthread_condattr_destroy(&clock);
}

void speaker_release(struct service *service)
{
    pthread_cond_destroy(&service->chats.filled);
    pthread_mutex_destroy(&service->chats.lock);
}

bool chat_wait(struct service *service, struct chat *chat)
{
    struct chat_queue *queue = &service->chats;
    pthread_mutex_lock(&queue->lock);
    bool room = !queue->closed && queue->length < service->settings->chat_queue_max;
    if (room) {
        chat_hold(chat);
        chat->next = NULL;
        if (queue->last)
            queue->last->next = chat;
        else
            queue->first = chat;
        queue->last = chat;
        queue->length++;
        pthread_cond_signal(&queue->filled);
    }
    pthread_mutex_unlock(&queue->lock);
    return room;
}

void speaker_close(struct service *service)
{
    pthread_mutex_lock(&service->chats.lock);
    service->chats.closed = true;
    pthread_cond_signal(&service->chats.filled);
    pthread_mutex_unlock(&service->chats.lock);
}

/* The chat that waits longest, or NULL; with `wait` a second is waited for one. */
static struct chat *take(struct chat_queue *queue, bool wait)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    pthread_mutex_lock(&queue->lock);
    while (wait && !queue->first && !queue->closed &&
           pthread_cond_timedwait(&queue->filled, &queue->lock, &until) == 0)
        ;
    struct chat *chat = queue->first;
    if (chat) {
        queue->first = chat->next;
        if (!queue->first)
            queue->last = NULL;
        queue->length--;
        chat->next = NULL;
    }
    pthread_mutex_unlock(&queue->lock);
    return chat;
}

/* ---- desks ---- */

/* The desk of this snapshot's version; opens it if need be.  Takes the snapshot's share. */
static struct desk *desk_for(struct speaking *s, struct snapshot *snapshot, struct err *err)
{
    struct desk *newest = NULL;
    struct desk *idle = NULL;
    for (size_t i = 0; i < DESKS; i++) {
        struct desk *desk = &s->desks[i];
        bool open = desk->snapshot != NULL;
        if (open && desk->snapshot->version->serial == snapshot->version->serial) {
            desk_follow(desk, s->service, snapshot);
            return desk;
        }
        if (open &&
            (!newest || desk->snapshot->version->serial > newest->snapshot->version->serial))
            newest = desk;
        if (!open || desk->active == 0)
            idle = desk;
    }
    if (!idle) { /* both are in use: the newer one answers until the older one is free */
        snapshot_drop(snapshot);
        return newest;
    }
    desk_close(idle);
    return desk_open(idle, s->service, snapshot, err) ? idle : NULL;
}

/* Those whose version left production and that nobody uses give their memory back. */
static void close_desks(struct speaking *s)
{
    struct snapshot *now = service_chat_snapshot(s->service, NULL);
    for (size_t i = 0; i < DESKS; i++)
        if (s->desks[i].snapshot && s->desks[i].active == 0 && now &&
            s->desks[i].snapshot->version->serial != now->version->serial)
            desk_close(&s->desks[i]);
    snapshot_drop(now);
}

/* ---- chats ---- */

static void let_go(struct speaking *s, struct chat *chat)
{
    answer_free(chat);
    atomic_store(&s->service->metrics.chats_active, s->count);
    chat_drop(chat);
}

static bool is_gone(struct speaking *s, struct chat *chat)
{
    if (!speech_gone(chat))
        return false;
    atomic_fetch_add(&s->service->metrics.chats_gone, 1);
    chat_fail(chat, 408, "client_gone", "the client left");
    return true;
}

static void begin(struct speaking *s, struct chat *chat)
{
    struct err err = {0};
    if (is_gone(s, chat)) {
        chat_drop(chat);
        return;
    }
    bool taught;
    struct snapshot *snapshot = service_chat_snapshot(s->service, &taught);
    if (!snapshot) {
        chat_fail(chat, 503, "not_ready", "no model version is in service yet");
        chat_drop(chat);
        return;
    }
    struct desk *desk = desk_for(s, snapshot_hold(snapshot), &err);
    if (desk && desk->snapshot->version != snapshot->version) {
        snapshot_drop(snapshot);
        snapshot = snapshot_hold(desk->snapshot);
    }
    if (desk && answer_begin(chat, desk, snapshot, taught, s->conversations, &err)) {
        atomic_fetch_add(&s->service->metrics.chats, 1);
        *s->end = chat;
        s->end = &chat->next;
        s->count++;
        atomic_store(&s->service->metrics.chats_active, s->count);
    } else {
        bool theirs = err.code == ERR_INPUT || err.code == ERR_LIMIT || err.code == ERR_MISSING;
        if (!theirs)
            log_error("chat.failed id=%s why=\"%s\"", chat->id, err.text);
        chat_fail(chat, theirs ? 422 : 500, theirs ? "invalid" : "internal",
                  theirs ? err.text : "the service could not do this; its log says why");
        let_go(s, chat);
    }
    snapshot_drop(snapshot);
}

/* One step for everybody. */
static void step(struct speaking *s)
{
    for (size_t i = 0; i < DESKS; i++)
        if (s->desks[i].active)
            talks_step(s->desks[i].talks);
    for (struct chat **at = &s->answered, *chat; (chat = *at);) {
        bool goes_on = !is_gone(s, chat) && answer_step(chat, s->conversations);
        if (goes_on) {
            at = &chat->next;
            continue;
        }
        *at = chat->next;
        if (s->end == &chat->next)
            s->end = at;
        s->count--;
        let_go(s, chat);
    }
}

static void beat(struct speaking *s, struct chat *chat, double now_s)
{
    static const char comment[] = ": still here\n\n";
    double most = (double)s->service->settings->chat_beat_ms / 1000;
    if (chat->request.stream && speech_silence(chat, now_s) >= most)
        speech_add(chat, comment, sizeof comment - 1);
}

/* Who waits is told that somebody is there, and leaves the queue when gone. */
static void look_around(struct speaking *s)
{
    struct chat_queue *queue = &s->service->chats;
    struct chat *gone = NULL;
    double now_s = clock_s();
    if (now_s - s->looked_s < LOOK_S)
        return;
    s->looked_s = now_s;
    for (struct chat *chat = s->answered; chat; chat = chat->next)
        beat(s, chat, now_s);
    pthread_mutex_lock(&queue->lock);
    queue->last = NULL;
    for (struct chat **at = &queue->first, *chat; (chat = *at);) {
        if (speech_gone(chat)) {
            *at = chat->next;
            queue->length--;
            chat->next = gone;
            gone = chat;
            continue;
        }
        beat(s, chat, now_s);
        queue->last = chat;
        at = &chat->next;
    }
    pthread_mutex_unlock(&queue->lock);
    for (struct chat *next; gone; gone = next) {
        next = gone->next;
        is_gone(s, gone);
        chat_drop(gone);
    }
}

static void refuse_waiting(struct speaking *s)
{
    struct chat *chat;
    while ((chat = take(&s->service->chats, false))) {
        chat_fail(chat, 503, "overloaded", "the service is going down");
        chat_drop(chat);
    }
}

/* Those answered may end; then the listeners get time to send what is left to send. */
static void go_down(struct speaking *s)
{
    const struct timespec pause = {0, 5000000};
    double until_s = clock_s() + (double)s->service->settings->chat_grace_ms / 1000;
    refuse_waiting(s);
    while (s->answered && clock_s() < until_s)
        step(s);
    while (s->answered) {
        struct chat *chat = s->answered;
        s->answered = chat->next;
        s->count--;
        chat_fail(chat, 503, "overloaded", "the service is going down");
        let_go(s, chat);
    }
    until_s = clock_s() + DRAIN_S;
    while (atomic_load(&s->service->chats.alive) > 0 && clock_s() < until_s)
        nanosleep(&pause, NULL);
}

static bool is_closed(struct chat_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    bool closed = queue->closed;
    pthread_mutex_unlock(&queue->lock);
    return closed;
}

/* The version in production is opened before the first chat needs it. */
static void warm_up(struct speaking *s)
{
    struct err err = {0};
    struct snapshot *snapshot = service_chat_snapshot(s->service, NULL);
    if (snapshot && !desk_for(s, snapshot, &err))
        log_error("speaker.start why=\"%s\"", err.text);
}

void *speaker_main(void *self)
{
    struct err err = {0};
    struct speaking s = {.service = self};
    const struct serve_settings *settings = s.service->settings;
    s.end = &s.answered;
    s.conversations = conversations_new(settings->conversations_max,
                                        (double)settings->conversation_hours * 3600, &err);
    if (!s.conversations) { /* chats are answered all the same, and forgotten */
        log_error("speaker.start why=\"%s\"", err.text);
        struct err none = {0};
        s.conversations = conversations_new(0, 0, &none);
    }
    warm_up(&s);
    while (!is_closed(&s.service->chats)) {
        struct chat *chat;
        while (s.count < settings->chat_streams && (chat = take(&s.service->chats, s.count == 0)))
            begin(&s, chat);
        step(&s);
        look_around(&s);
        if (s.count == 0)
            close_desks(&s);
    }
    go_down(&s);
    for (size_t i = 0; i < DESKS; i++)
        desk_close(&s.desks[i]);
    conversations_free(s.conversations);
    return NULL;
}
