/*
 * workers.c: the threads behind the listeners: model workers, the committer, the watcher.
 */
#include "service/routes.h"

#include "base/log.h"
#include "data/records.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PRUNE_AT_MOST = 1000 };

void call_done(struct call *call)
{
    call->state = CALL_DONE;
    MHD_resume_connection(call->connection);
}

struct snapshot *service_snapshot(struct service *service)
{
    pthread_mutex_lock(&service->snapshot_lock);
    struct snapshot *snapshot = service->snapshot ? snapshot_hold(service->snapshot) : NULL;
    pthread_mutex_unlock(&service->snapshot_lock);
    return snapshot;
}

struct snapshot *service_chat_snapshot(struct service *service, bool *taught)
{
    pthread_mutex_lock(&service->snapshot_lock);
    struct snapshot *snapshot = service->chat_snapshot ? service->chat_snapshot : service->snapshot;
    snapshot = snapshot ? snapshot_hold(snapshot) : NULL;
    if (taught)
        *taught = service->chat_taught;
    pthread_mutex_unlock(&service->snapshot_lock);
    return snapshot;
}

/* slot: &service->snapshot or &service->chat_snapshot; next may be NULL. */
static void set_snapshot(struct service *service, struct snapshot **slot, struct snapshot *next)
{
    pthread_mutex_lock(&service->snapshot_lock);
    struct snapshot *old = *slot;
    *slot = next;
    pthread_mutex_unlock(&service->snapshot_lock);
    snapshot_drop(old);
}

/* ---- model workers: one call at a time each, in scratch of their own ---- */

void scratch_close(struct scratch *work)
{
    slate_work_close(&work->slate);
    reason_work_close(&work->reason);
    work->laid_out = 0;
}

bool scratch_ready(struct scratch *work, struct service *service, const struct snapshot *snapshot,
                   struct err *err)
{
    size_t late_max = service->settings->late_items_max;
    if (work->laid_out == snapshot->version->serial && slate_work_fits(&work->slate, snapshot))
        return true;
    scratch_close(work);
    if (!slate_work_open(&work->slate, snapshot, late_max, service->settings->history_max, err) ||
        (snapshot->version->attributes &&
         !reason_work_open(&work->reason, snapshot, late_max, err)))
        return false;
    work->laid_out = snapshot->version->serial;
    return true;
}

void *worker_main(void *self)
{
    struct service *service = self;
    struct scratch work = {0};
    struct call *call;
    struct err first = {0};
    struct snapshot *ready = service_snapshot(service);
    if (ready && !scratch_ready(&work, service, ready, &first)) /* before a request needs it */
        log_error("worker.start why=\"%s\"", first.text);
    snapshot_drop(ready);
    while ((call = queue_take(&service->model_queue))) {
        struct err err = {0};
        struct snapshot *snapshot = service_snapshot(service);
        if (!snapshot)
            call_problem(call, 503, "not_ready", NULL, "no model version is in service yet");
        else if (!scratch_ready(&work, service, snapshot, &err))
            call_fail(call, &err);
        else
            call->route->answer(call, &work, snapshot);
        snapshot_drop(snapshot);
        call_done(call);
    }
    scratch_close(&work);
    return NULL;
}

/* ---- the committer: LMDB has one writer, so writes that wait together share one fsync ---- */

static struct slate_note *take_slates(struct service *service)
{
    pthread_mutex_lock(&service->slate_lock);
    struct slate_note *notes = service->slates;
    service->slates = NULL;
    service->slates_end = &service->slates;
    service->slates_length = 0;
    pthread_mutex_unlock(&service->slate_lock);
    return notes;
}

void service_log_slate(struct service *service, const char *request_id, char *json)
{
    struct slate_note *note = calloc(1, sizeof *note);
    bool dropped = !note;
    if (note) {
        snprintf(note->request_id, sizeof note->request_id, "%s", request_id);
        note->json = json;
        pthread_mutex_lock(&service->slate_lock);
        dropped = service->slates_length >= service->settings->slate_queue_max;
        if (!dropped) {
            *service->slates_end = note;
            service->slates_end = &note->next;
            service->slates_length++;
        }
        pthread_mutex_unlock(&service->slate_lock);
    }
    if (dropped) {
        atomic_fetch_add(&service->metrics.slates_dropped, 1);
        free(note);
        free(json);
    }
}

static bool write_slates(struct service *service, const struct store_txn *txn,
                         const struct slate_note *notes, struct err *err)
{
    size_t count = 0;
    for (const struct slate_note *note = notes; note; note = note->next, count++)
        if (!slate_put(txn, note->request_id, note->json, strlen(note->json), err))
            return false;
    if (count)
        slates_prune(txn, service->settings->slates_max,
                     now_ms() - (int64_t)service->settings->slate_days * 86400000, PRUNE_AT_MOST,
                     err);
    atomic_fetch_add(&service->metrics.slates_written, count);
    return err->code == ERR_NONE;
}

static bool commit_group(struct service *service, struct call *chain,
                         const struct slate_note *notes, struct err *err)
{
    struct store_txn txn;
    if (!store_begin(&txn, service->store, true, err))
        return false;
    for (struct call *call = chain; call; call = call->next)
        if (!call->route->apply(call, &txn, err)) {
            store_abort(&txn);
            return false;
        }
    if (!write_slates(service, &txn, notes, err)) {
        store_abort(&txn);
        return false;
    }
    atomic_fetch_add(&service->metrics.commits, 1);
    return store_commit(&txn, err);
}

/* Under snapshot_change, so that nobody else sets a slot. */
static bool update_snapshot(struct service *service, const uint32_t *numbers, size_t count,
                            struct err *err)
{
    struct snapshot **const slots[] = {&service->snapshot, &service->chat_snapshot};
    bool fine = true;
    for (size_t i = 0; i < COUNT(slots); i++) {
        struct snapshot *old = *slots[i];
        if (!old) /* without a version there is nothing to update: it reads them all */
            continue;
        struct snapshot *next = snapshot_update(old, service->store, numbers, count, err);
        if (next)
            set_snapshot(service, slots[i], next);
        fine = fine && next;
    }
    return fine;
}

/* Items whose change did not get into the snapshot (a full disk, no memory) wait for another try.
 */
static void follow_numbers(struct service *service, const uint32_t *numbers, size_t count)
{
    struct err err = {0};
    if (count == 0 || update_snapshot(service, numbers, count, &err))
        return;
    log_error("snapshot.update items=%zu why=\"%s\"", count, err.text);
    for (size_t i = 0; i < count; i++) {
        struct err own = {0};
        if (update_snapshot(service, &numbers[i], 1, &own))
            continue;
        if (service->pending_count < COUNT(service->pending))
            service->pending[service->pending_count++] = numbers[i];
        else
            log_error("snapshot.update item=%u lost until the next reload", numbers[i]);
    }
}

static void retry_pending(struct service *service)
{
    uint32_t numbers[COUNT(service->pending)];
    size_t count = service->pending_count;
    if (count == 0 || clock_s() < service->pending_at_s)
        return;
    memcpy(numbers, service->pending, count * sizeof *numbers);
    service->pending_count = 0;
    service->pending_at_s = clock_s() + 1;
    pthread_mutex_lock(&service->snapshot_change);
    follow_numbers(service, numbers, count);
    pthread_mutex_unlock(&service->snapshot_change);
}

/* The items that a group changed become part of the next snapshot before anybody is told. */
static void follow_items(struct service *service, struct call *chain)
{
    uint32_t numbers[256];
    size_t count = 0;
    bool any = false;
    for (struct call *call = chain; call; call = call->next)
        any = any || (call->status == 0 && call_changed_item(call, &numbers[0]));
    if (!any)
        return;
    pthread_mutex_lock(&service->snapshot_change);
    for (struct call *call = chain; call; call = call->next) {
        if (call->status == 0 && call_changed_item(call, &numbers[count]))
            count++;
        if (count == COUNT(numbers) || !call->next) {
            follow_numbers(service, numbers, count);
            count = 0;
        }
    }
    pthread_mutex_unlock(&service->snapshot_change);
}

static void commit_calls(struct service *service, struct call *chain, struct slate_note *notes)
{
    struct err err = {0};
    if (!commit_group(service, chain, notes, &err)) {
        log_error("commit.failed why=\"%s\"", err.text);
        for (const struct slate_note *note = notes; note; note = note->next)
            atomic_fetch_add(&service->metrics.slates_dropped, 1);
        for (struct call *next, *call = chain; call;
             call = next) { /* one of them may be to blame */
            struct err own = {0};
            next = call->next;
            call->next = NULL;
            if (!commit_group(service, call, NULL, &own))
                call_fail(call, &own);
            call->next = next;
        }
    }
    follow_items(service, chain);
    for (struct call *next, *call = chain; call; call = next) {
        next = call->next;
        if (call->status == 0)
            call->route->committed(call);
        call_done(call);
    }
}

void *committer_main(void *self)
{
    struct service *service = self;
    bool closed = false;
    while (!closed) {
        struct call *chain =
            queue_take_all(&service->write_queue, (int)service->settings->slate_write_ms, &closed);
        struct slate_note *notes = take_slates(service);
        if (chain || notes)
            commit_calls(service, chain, notes);
        retry_pending(service);
        for (struct slate_note *next; notes; notes = next) {
            next = notes->next;
            free(notes->json);
            free(notes);
        }
    }
    return NULL;
}

/* ---- the watcher: production/recommend moved, so the next version is opened and swapped in ----
 */

/* The name of the version in a slot; "" if there is none. */
static void slot_name(char name[64], struct service *service, struct snapshot *const *slot)
{
    pthread_mutex_lock(&service->snapshot_lock);
    snprintf(name, 64, "%s", *slot ? (*slot)->version->name : "");
    pthread_mutex_unlock(&service->snapshot_lock);
}

static bool take_version(struct service *service, struct snapshot **slot, const char *name,
                         struct err *err)
{
    struct version *version =
        version_open(service->home, name, service->store, service->settings->scan_items_max, err);
    if (!version)
        return false;
    pthread_mutex_lock(
        &service->snapshot_change); /* no item may be put between reading them and the swap */
    struct snapshot *next = snapshot_open(version, service->store, err);
    size_t items = next ? next->version->index->items : 0;
    size_t late = next ? next->late : 0;
    if (next)
        set_snapshot(service, slot, next);
    pthread_mutex_unlock(&service->snapshot_change);
    if (!next)
        return false;
    atomic_fetch_add(&service->metrics.reloads, 1);
    log_info("version.in_service name=%s items=%zu late=%zu for=%s", name, items, late,
             slot == &service->snapshot ? "recommend" : "chat");
    return true;
}

/* production/chat, if it is there and another version than production/recommend. */
static bool reload_chat(struct service *service, struct err *err)
{
    char wanted[64];
    char chat[64];
    char recommend[64];
    struct err missing = {0};
    bool named = version_link(wanted, service->home, "production/chat", &missing);
    if (!named && missing.code != ERR_MISSING)
        return err_set(err, missing.code, "%s", missing.text);
    pthread_mutex_lock(&service->snapshot_lock);
    service->chat_taught = named;
    pthread_mutex_unlock(&service->snapshot_lock);
    slot_name(chat, service, &service->chat_snapshot);
    slot_name(recommend, service, &service->snapshot);
    if (named && strcmp(wanted, chat) == 0)
        return true;
    if (named && strcmp(wanted, recommend) != 0)
        return take_version(service, &service->chat_snapshot, wanted, err);
    if (!chat[0])
        return true;
    pthread_mutex_lock(&service->snapshot_change);
    set_snapshot(service, &service->chat_snapshot, NULL);
    pthread_mutex_unlock(&service->snapshot_change);
    return true;
}

bool service_reload(struct service *service, struct err *err)
{
    char wanted[64];
    char name[64];
    bool fine = production_name(wanted, service->home, err);
    slot_name(name, service, &service->snapshot);
    if (fine && strcmp(name, wanted) != 0)
        fine = take_version(service, &service->snapshot, wanted, err);
    return reload_chat(service, err) && fine;
}

void *watcher_main(void *self)
{
    struct service *service = self;
    const struct timespec longer = {
        1, 0}; /* after a failure: reading a broken version again is not free */
    const struct timespec pause = {(time_t)(service->settings->watch_ms / 1000),
                                   (long)(service->settings->watch_ms % 1000) * 1000000};
    while (!atomic_load(&service->stopping)) {
        struct err err = {0};
        bool fine = service_reload(service, &err);
        pthread_mutex_lock(&service->snapshot_lock);
        bool news = !fine && strcmp(service->reload_error, err.text) != 0;
        snprintf(service->reload_error, sizeof service->reload_error, "%s", fine ? "" : err.text);
        pthread_mutex_unlock(&service->snapshot_lock);
        if (news) {
            atomic_fetch_add(&service->metrics.reload_failures, 1);
            log_error("version.not_taken why=\"%s\"", err.text);
        }
        nanosleep(fine ? &pause : &longer, NULL);
    }
    return NULL;
}
