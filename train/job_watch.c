/* job_watch.c: `tessera train --watch`: post-training that follows the log. */
#include "base/log.h"
#include "train/rows.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LOOK_EVERY_S = 2 };

static bool newest(uint64_t *sequence, const struct job *job, struct err *err)
{
    struct store_txn txn;
    if (!store_begin(&txn, job->store, false, err))
        return false;
    *sequence = store_sequence(&txn);
    store_abort(&txn);
    return true;
}

bool job_watch(const struct job *job, struct err *err)
{
    const struct train_settings *s = job->train;
    uint64_t done = 0;
    bool fine = strcmp(s->stage, "rl") == 0 && strcmp(s->rl_source, "newer") == 0;
    if (!fine)
        return err_set(err, ERR_INPUT,
                       "watch: expected a stage of post-training with rl_source newer, found stage "
                       "'%.40s' with rl_source '%.40s'",
                       s->stage, s->rl_source);
    fine = rows_index_upto(&done, job, err);
    log_info("train.watch events=%zu newer_than=%llu", s->watch_events, (unsigned long long)done);
    while (fine) {
        uint64_t now = 0;
        fine = newest(&now, job, err);
        if (fine && now >= done + s->watch_events) {
            done = now;
            fine = job_train(job, err);
            fflush(stdout); /* whoever watches wants to see it now */
        } else if (fine) {
            nanosleep(&(struct timespec){.tv_sec = LOOK_EVERY_S}, NULL);
        }
    }
    return false;
}
