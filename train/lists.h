/*
 * lists.h: ranked lists to imitate, and how good written ones are.
 *
 * Imitation: a user's training events are cut at one place; the list is what she took next, in that
 * order, filled up with the slate of a version for what came before, or with what becomes of a
 * teacher's list (list_told.h); all without newcomers.  So the policy first learns what a list is;
 * post-training then pays for its ranks (rl.h).
 *
 * Judging: a user with LIST_RELEVANT_LEAST or more targets in a part of the split; all of them are
 * relevant, the history is what came before the first.  Only a split by time has such users.
 */
#ifndef TRAIN_LISTS_H
#define TRAIN_LISTS_H

#include "base/threads.h"
#include "recommend/list.h"
#include "train/judge.h"
#include "train/report.h"
#include "train/rows.h"

enum { LIST_RELEVANT_LEAST = 3, LIST_CUTS = 3 };
extern const size_t LIST_CUT_AT[LIST_CUTS]; /* 5, 10, 20 */

struct list_examples {
    size_t count, ranks;
    uint32_t *history; /* owned, flat rows */
    size_t *first;     /* owned [count + 1] */
    uint32_t *item;    /* owned [count, ranks] */
    uint32_t *user;    /* owned [count] as in the sequences */
};

/* Where a user's `count` training events are cut: 1 or more come before; 0: they are too few. */
size_t list_cut(size_t count, uint64_t seed, size_t user);

/*
 * history_max: the newest so many are read.  told NULL: lists are filled with the slate; else by
 * list_examples_teach().  An error if no user has enough events.
 */
struct list_told;
bool list_examples_make(struct list_examples *examples, const struct sequences *sequences,
                        const struct snapshot *snapshot, size_t ranks, size_t history_max,
                        uint64_t seed, const struct list_told *told, struct thread_pool *pool,
                        struct err *err) MUST_CHECK;
void list_examples_free(struct list_examples *examples);

/* Cases with more than one target. */
struct list_cases {
    struct cases cases;     /* the history is what came before the part; target is not read */
    uint32_t *relevant;     /* owned, flat rows: distinct, not seen before */
    size_t *relevant_first; /* owned [cases + 1] */
};

/* histories->item are rows.  most 0: all.  No case is no error. */
bool list_cases_make(struct list_cases *lists, const struct row_data *data, enum part part,
                     size_t most, struct err *err) MUST_CHECK;
void list_cases_free(struct list_cases *lists);

enum list_method { LISTS_WRITTEN, LISTS_NAME, LISTS_FIND, LISTS_FUSED, LIST_METHODS };
extern const char *const LIST_METHOD_NAMES[LIST_METHODS];

struct list_judgement {
    double *ndcg[LIST_METHODS][LIST_CUTS]; /* owned [cases] each; 0 where it was not asked */
    double *recall[LIST_METHODS];          /* owned [cases] at the last cut */
    uint32_t *shown[LIST_METHODS];         /* owned [rows] times in a list */
};

/* written_only: the slate is left out. */
bool lists_judge(struct list_judgement *out, const struct list_cases *lists,
                 const struct snapshot *snapshot, size_t history_max, size_t beam,
                 bool written_only, struct thread_pool *pool, struct err *err) MUST_CHECK;
void list_judgement_free(struct list_judgement *judgement);

/* The table of a part; with a path, NDCG and recall of each user's written list as columns. */
bool lists_report(struct report *report, const struct row_data *data,
                  const struct snapshot *snapshot, enum part part, const char *scores_path,
                  struct err *err) MUST_CHECK;

#endif
