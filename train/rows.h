/* rows.h: the store's histories in the rows of an index or version; shared by the jobs. */
#ifndef TRAIN_ROWS_H
#define TRAIN_ROWS_H

#include "train/jobs.h"
#include "train/judge.h"

struct row_data {
    char index_name[64];
    struct item_index *index;    /* owned until somebody takes it */
    struct histories *histories; /* items are numbers, after rows_name() rows */
    struct split split;
    struct sequences sequences; /* rows; filled by rows_name() */
    uint32_t *numbers;          /* the items as numbers, kept for another naming */
    const struct job *job;
};

/*
 * What events mean and which of them train is part of an index and of a version: it stands in their
 * manifests, and a job that was asked for something else is refused.  upto: the manifest's
 * watermark.
 */
void rows_note_meaning(json_t *facts, const struct job *job);
bool rows_check_meaning(uint64_t *upto, const char *folder, const struct job *job,
                        struct err *err) MUST_CHECK;

bool rows_load(struct row_data *data, const struct job *job,
               struct err *err) MUST_CHECK; /* current index and events */
/* How far the current index looked into the log. */
bool rows_index_upto(uint64_t *upto, const struct job *job, struct err *err) MUST_CHECK;
/*
 * Everything up to a watermark beyond data's (0: all), in the rows of a snapshot; what data does
 * not have is what its split keeps for post-training.  Released as data is.
 */
bool rows_load_newer(struct row_data *newer, const struct row_data *data, uint64_t upto,
                     const struct snapshot *snapshot, struct err *err) MUST_CHECK;
bool rows_load_events(struct row_data *data, const struct job *job, uint64_t upto,
                      struct err *err) MUST_CHECK;
bool rows_name(struct row_data *data, const struct snapshot *snapshot, struct err *err) MUST_CHECK;
/* All cases of a part in the rows of this snapshot; histories are renamed for it. */
bool rows_cases(struct cases *cases, struct row_data *data, const struct snapshot *snapshot,
                enum part part, size_t max_cases, struct err *err) MUST_CHECK; /* 0: all */
void rows_release(struct row_data *data);

/* Appends a row to `out` unless it is there already, or among `before`; returns how many it holds.
 */
static inline size_t row_append(uint32_t *out, size_t count, const uint32_t *before,
                                size_t before_count, uint32_t row)
{
    if (numbers_hold(before, before_count, row) || numbers_hold(out, count, row))
        return count;
    out[count] = row;
    return count + 1;
}

#endif
