/*
 * service.h: the HTTP service: who owns what, and which thread may touch it.
 *
 *   clients ─► listeners (libmicrohttpd, epoll) ─┬─► queue ─► workers: one slate at a time each
 *                 │ parse, check, answer at once │
 *                 │ what needs neither           └─► queue ─► committer: groups writes, one fsync
 *                 ◄───────── resumed when done ───────────────┘        └► next snapshot
 *                 │ chats (chat.h)            └─► waiting ─► speaker: all chats, step by step
 *   watcher: follows production/recommend and production/chat, opens versions, swaps snapshots
 *
 * A connection whose call waits in a queue is suspended.  Locks, none held while taking another but
 * snapshot_change before snapshot_lock:
 *   queue.lock        each queue's list and length
 *   snapshot_lock     the pointer `snapshot`; taken for a load and a swap only
 *   snapshot_change   who makes the next snapshot: the committer or the watcher
 *   chats.lock        the chats that wait for the speaker
 *   speech.lock       each chat's frames (chat.h); taken last
 *   metrics           atomics only
 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include "data/events.h"
#include "recommend/reason.h"
#include "recommend/slate.h"
#include "service/call.h"
#include "service/metrics.h"

#include <pthread.h>

struct serve_settings {
    char host[SETTING_TEXT_SIZE];
    size_t port, listeners, workers, queue_max, body_max, events_max, connections_max, timeout_s;
    size_t history_max, history_events, late_items_max, beam, scan_items_max, watch_ms;
    size_t slates_max, slate_days, slate_queue_max, slate_write_ms;
    size_t chat_streams, chat_threads, chat_queue_max, chat_words, chat_positions, chat_beat_ms,
        chat_grace_ms;
    size_t conversations_max, conversation_hours;
    bool insecure_no_auth;
};

extern const struct setting SERVE_SETTINGS[];
extern const size_t SERVE_SETTINGS_COUNT;

struct service;

struct call_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct call *first, *last;
    atomic_size_t length; /* metrics look at it without the lock */
    bool closed;
};

void queue_init(struct call_queue *queue);
void queue_release(struct call_queue *queue);
bool queue_push(struct call_queue *queue, struct call *call,
                size_t max);                       /* false: full or closed */
struct call *queue_take(struct call_queue *queue); /* NULL: closed and empty */
struct call *queue_take_all(struct call_queue *queue, int wait_ms,
                            bool *closed); /* a chain by call->next */
void queue_close(struct call_queue *queue);

/* A worker's own, laid out for one version. */
struct scratch {
    struct slate_work slate;
    struct reason_work reason; /* only if the version gives reasons */
    struct reasoned reasoned;
    unsigned long laid_out; /* serial of the version; 0: none */
};

/* Lays it out for a snapshot, if it is not yet. */
bool scratch_ready(struct scratch *work, struct service *service, const struct snapshot *snapshot,
                   struct err *err) MUST_CHECK;
void scratch_close(struct scratch *work);

struct slate_note { /* a served slate on its way to disk */
    struct slate_note *next;
    char request_id[REQUEST_ID_MAX + 1];
    char *json; /* owned */
};

struct chat;

struct chat_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct chat *first, *last; /* each held */
    atomic_size_t length;
    bool closed;
    atomic_size_t alive; /* chats that somebody holds */
};

struct service {
    const struct serve_settings *settings;
    const struct event_settings *events;
    const char *home;
    struct store *store;
    struct metrics metrics;
    struct call_queue model_queue, write_queue;
    pthread_mutex_t snapshot_lock, snapshot_change;
    struct snapshot *snapshot;      /* under snapshot_lock; NULL until a version is in production */
    struct snapshot *chat_snapshot; /* the same; NULL: chats are answered by `snapshot` */
    bool chat_taught;               /* the same: production/chat is there */
    struct chat_queue chats;
    char reload_error[400]; /* under snapshot_lock; "" when the last reload went well */
    pthread_mutex_t slate_lock;
    struct slate_note *slates, **slates_end; /* under slate_lock, with slates_length */
    size_t slates_length;
    uint32_t pending[256]; /* the committer's own: items that the snapshot has yet to follow */
    size_t pending_count;
    double pending_at_s;
    atomic_bool stopping;
    bool open_to_all; /* no keys and loopback only */
};

struct snapshot *
service_snapshot(struct service *service); /* a share of the current one, or NULL */
/* Of production/chat, else the same; taught (may be NULL): production/chat is there, so the version
 * was taught dialogues. */
struct snapshot *service_chat_snapshot(struct service *service, bool *taught);
bool service_reload(struct service *service, struct err *err) MUST_CHECK;
void service_log_slate(struct service *service, const char *request_id,
                       char *json); /* takes json */

void *worker_main(void *service);
void *committer_main(void *service);
void *watcher_main(void *service);

struct serve_job {
    const char *home;
    struct store *store;
    const struct serve_settings *settings;
    const struct event_settings *events;
};

/* Serves until SIGINT or SIGTERM. */
bool job_serve(const struct serve_job *job, struct err *err) MUST_CHECK;

#endif
