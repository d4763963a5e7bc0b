/*
 * list.h: a ranked list, written by the policy rank by rank.
 *
 *     history, <list> ─► z ─► the likeliest name ─► read as the next position ─► z ─► ...
 *
 * The prompt, the mark and the mask are those that rollouts of training see (train/rl.h): items
 * with training events, nothing twice, and nothing that work->skip has a bit for.
 *
 * Threads   one list_work per thread.
 * Cost      the history once, then a position and a beam over the trie a rank.
 */
#ifndef RECOMMEND_LIST_H
#define RECOMMEND_LIST_H

#include "recommend/snapshot.h"

enum { LIST_RANKS_MAX = 50, LIST_HISTORY_MAX = 40, LIST_PROMPT_MAX = 1024 };

struct list_work {
    size_t rows_max, history_max, beam_max;
    struct arena arena; /* owned; everything below lies in it */
    struct policy_work policy;
    struct decode_work decode;
    uint64_t *skip; /* a bit per row that may not be listed; the caller fills it */
    uint32_t *allowed_before;
    uint32_t *input; /* [history_max + LIST_RANKS_MAX] */
    struct hit *hits;
    float *log_p; /* [LIST_RANKS_MAX] of the ranks of the last list */
};

bool list_work_open(struct list_work *work, const struct snapshot *snapshot, size_t history_max,
                    size_t beam_max, struct err *err) MUST_CHECK;
void list_work_close(struct list_work *work);

/* skip = what the snapshot hides and what has no training events; the caller adds its own bits. */
void list_begin(struct list_work *work, const struct snapshot *snapshot);

/*
 * Writes up to n <= LIST_RANKS_MAX rows, the best first, and returns how many: fewer only if the
 * mask has no more.  The newest history_max of the history are read, at most LIST_PROMPT_MAX; none
 * of it gives none.
 */
size_t list_make(uint32_t *rows, size_t n, struct list_work *work, const struct snapshot *snapshot,
                 const uint32_t *history, size_t history_count, size_t beam);

#endif
