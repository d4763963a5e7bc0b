#include "train/split.h"

#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

static int compare_times(const void *a, const void *b)
{
    const int64_t *x = a;
    const int64_t *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void leave_one_out(struct split *split, const struct histories *h, size_t user)
{
    size_t last[3] = {SIZE_MAX, SIZE_MAX, SIZE_MAX};
    for (size_t e = h->first[user]; e < h->first[user + 1]; e++)
        if (h->kind[e] == EVENT_POSITIVE) {
            last[2] = last[1];
            last[1] = last[0];
            last[0] = e;
        }
    if (last[2] == SIZE_MAX)
        return;
    split->target[PART_TEST][user] = last[0];
    split->target[PART_VALIDATION][user] = last[1];
    split->end[PART_TEST][user] = last[0] + 1;
    split->end[PART_VALIDATION][user] = last[1] + 1;
    split->train_end[user] = last[1];
}

static void by_time(struct split *split, const struct histories *h, size_t user, const int64_t *cut)
{
    size_t trained = 0;
    for (size_t e = h->first[user]; e < h->first[user + 1]; e++) {
        if (h->time_ms[e] < cut[0]) {
            trained += h->kind[e] == EVENT_POSITIVE;
            continue;
        }
        if (split->train_end[user] > e)
            split->train_end[user] = e;
        enum part part = h->time_ms[e] < cut[1] ? PART_VALIDATION : PART_TEST;
        if (h->kind[e] != EVENT_POSITIVE || !trained)
            continue;
        if (split->target[part][user] == SIZE_MAX)
            split->target[part][user] = e;
        split->end[part][user] = e + 1;
    }
}

bool split_make(struct split *split, const struct histories *h, const char *kind, struct err *err)
{
    bool time = strcmp(kind, "time") == 0;
    bool none = strcmp(kind, "none") == 0;
    *split = (struct split){.users = h->users};
    if (!time && !none && strcmp(kind, "leave_one_out") != 0)
        return err_set(err, ERR_INPUT, "split: expected leave_one_out, time or none, found '%.40s'",
                       kind);
    split->train_end = calloc(h->users + 1, sizeof *split->train_end);
    split->rl_first = calloc(h->users + 1, sizeof *split->rl_first);
    split->rl_end = calloc(h->users + 1, sizeof *split->rl_end);
    split->target[0] = calloc(h->users + 1, sizeof *split->target[0]);
    split->target[1] = calloc(h->users + 1, sizeof *split->target[1]);
    split->end[0] = calloc(h->users + 1, sizeof *split->end[0]);
    split->end[1] = calloc(h->users + 1, sizeof *split->end[1]);
    int64_t *times = calloc(h->events + 1, sizeof *times);
    bool fine = split->train_end && split->rl_first && split->rl_end && split->target[0] &&
                split->target[1] && split->end[0] && split->end[1] && times;
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory to split %zu events", h->events);
    int64_t cut[2] = {0, 0};
    if (fine && time && h->events) {
        memcpy(times, h->time_ms, h->events * sizeof *times);
        qsort(times, h->events, sizeof *times, compare_times);
        cut[0] = times[h->events * 8 / 10];
        cut[1] = times[h->events * 9 / 10];
    }
    for (size_t u = 0; fine && u < h->users; u++) {
        split->train_end[u] = h->first[u + 1];
        split->target[0][u] = split->target[1][u] = SIZE_MAX;
        if (time)
            by_time(split, h, u, cut);
        else if (!none)
            leave_one_out(split, h, u);
    }
    for (size_t u = 0; fine && u < h->users; u++)
        split->rl_first[u] = split->rl_end[u] = split->train_end[u];
    free(times);
    if (!fine)
        split_release(split);
    return fine;
}

void split_hide_cold(struct histories *h, double share)
{
    for (size_t e = 0; share > 0 && e < h->events; e++) {
        struct rng rng = rng_stream(0xc01d, h->item[e], 0);
        if (rng_uniform(&rng) < share)
            h->kind[e] = EVENT_IGNORED;
    }
}

void split_keep_for_rl(struct split *split, const struct histories *h, double share, size_t kept)
{
    for (size_t u = 0; share > 0 && u < h->users; u++) {
        struct rng rng = rng_stream(0x0f0715, h->user[u], 0);
        size_t last = SIZE_MAX; /* where the kept ones begin */
        size_t count = 0;
        if (rng_uniform(&rng) >= share)
            continue;
        for (size_t e = split->train_end[u]; e-- > h->first[u];)
            if (h->kind[e] == EVENT_POSITIVE && ++count == kept)
                last = e;
        if (count >= kept + RL_HISTORY)
            split->train_end[u] = split->rl_first[u] = last;
    }
}

void split_release(struct split *split)
{
    free(split->train_end);
    free(split->rl_first);
    free(split->rl_end);
    free(split->target[0]);
    free(split->target[1]);
    free(split->end[0]);
    free(split->end[1]);
    *split = (struct split){0};
}

bool split_sequences(struct sequences *out, const struct histories *h, const struct split *split,
                     struct err *err)
{
    *out = (struct sequences){.users = h->users};
    out->first = calloc(h->users + 1, sizeof *out->first);
    out->item = calloc(h->events + 1, sizeof *out->item);
    if (!out->first || !out->item) {
        sequences_release(out);
        return err_set(err, ERR_SYSTEM, "no memory for %zu events", h->events);
    }
    for (size_t u = 0; u < h->users; u++) {
        for (size_t e = h->first[u]; e < split->train_end[u]; e++)
            if (h->kind[e] == EVENT_POSITIVE)
                out->item[out->events++] = h->item[e];
        out->first[u + 1] = out->events;
    }
    return true;
}

void sequences_release(struct sequences *sequences)
{
    free(sequences->first);
    free(sequences->item);
    *sequences = (struct sequences){0};
}
