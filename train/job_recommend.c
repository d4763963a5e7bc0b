/*
 * job_recommend.c: `tessera recommend --all-users`: one JSON line a user.
 */
#include "base/json.h"
#include "data/catalogue.h"
#include "data/histories.h"
#include "recommend/slate.h"
#include "train/jobs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct all_users {
    const struct job *job;
    const struct snapshot *snapshot;
    const struct store_txn *txn;
    struct histories *histories;
    struct slate_work work;
    struct slate slate;
    size_t n;
    FILE *out;
};

static bool write_user(struct all_users *a, size_t user, struct err *err)
{
    const struct histories *h = a->histories;
    uint32_t history[1024];
    size_t count = 0;
    char id[ID_SIZE_MAX + 1];
    slate_begin(&a->work, a->snapshot);
    for (size_t e = h->first[user]; e < h->first[user + 1]; e++) {
        uint32_t row = snapshot_row(a->snapshot, h->item[e]);
        if (row == NO_ITEM)
            continue;
        bit_set(a->work.skip, row);
        if (h->kind[e] == EVENT_POSITIVE) {
            if (count == COUNT(history))
                memmove(history, history + 1, --count * sizeof *history);
            history[count++] = row;
        }
    }
    const struct slate_request request = {
        .history = history, .history_count = count, .n = a->n, .beam = a->job->train->beam};
    if (!user_id(id, a->txn, h->user[user], err) ||
        !slate_make(&a->slate, &a->work, a->snapshot, NULL, &request, err))
        return false;
    json_t *items = json_array();
    for (size_t i = 0; i < a->slate.count; i++) {
        char item[ID_SIZE_MAX + 1] = "";
        if (!catalogue_id(item, a->txn, snapshot_number(a->snapshot, a->slate.items[i].row), err))
            break;
        json_array_append_new(items, json_pack("{s:s, s:f, s:s}", "item_id", item, "score",
                                               a->slate.items[i].score, "source",
                                               SLATE_SOURCES[a->slate.items[i].source]));
    }
    json_t *line = json_pack("{s:s, s:o}", "user_id", id, "items", items);
    json_dumpf(line, a->out, JSON_COMPACT);
    fputc('\n', a->out);
    json_decref(line);
    return err->code == ERR_NONE;
}

bool job_recommend_all(const struct job *job, size_t n, const char *path, struct err *err)
{
    char name[64];
    struct store_txn txn = {0};
    struct all_users a = {.job = job, .n = n, .txn = &txn};
    if (!production_name(name, job->home, err))
        return false;
    struct version *version =
        version_open(job->home, name, job->store, job->train->scan_items_max, err);
    struct snapshot *snapshot = version ? snapshot_open(version, job->store, err) : NULL;
    a.snapshot = snapshot;
    a.histories = snapshot ? histories_load(job->store, job->events, 0, err) : NULL;
    a.out = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    bool fine = a.histories && slate_work_open(&a.work, snapshot, 0, job->train->window, err);
    if (!a.out)
        fine = err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    fine = fine && store_begin(&txn, job->store, false, err);
    for (size_t u = 0; fine && u < a.histories->users; u++)
        fine = write_user(&a, u, err);
    store_abort(&txn);
    if (a.out && (a.out == stdout ? fflush(a.out) : fclose(a.out)) != 0 && fine)
        fine = err_set(err, ERR_FULL, "%s: cannot write: %s", path, strerror(errno));
    slate_work_close(&a.work);
    histories_free(a.histories);
    snapshot_drop(snapshot);
    return fine;
}
