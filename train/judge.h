/*
 * judge.h: every method's list for every held-out user, from one pass of the serving code.
 *
 * A case is a target event and all that came before it.  Items seen before are masked, for every
 * method alike.  The lists come from slate_make(), so what is judged is what is served.
 */
#ifndef TRAIN_JUDGE_H
#define TRAIN_JUDGE_H

#include "base/threads.h"
#include "evaluate/ranking.h"
#include "recommend/slate.h"
#include "train/split.h"

enum method { METHOD_POPULAR, METHOD_KNN, METHOD_NAME, METHOD_FIND, METHOD_FUSED, METHODS };
extern const char *const METHOD_NAMES[METHODS];

struct cases {
    size_t count;
    uint32_t *history, *seen;           /* flat rows */
    size_t *history_first, *seen_first; /* [count + 1] */
    uint32_t *target, *user;            /* [count] row; user's number in the store */
};

/* histories->item are rows (NO_ITEM: not in this version).  max_cases 0: all, else a fixed sample.
 */
bool cases_make(struct cases *cases, const struct histories *histories, const struct split *split,
                enum part part, size_t max_cases, uint64_t seed, struct err *err) MUST_CHECK;
void cases_release(struct cases *cases);

struct case_features {         /* of the candidates of one case, for fitting */
    size_t count, target;      /* target: its place, or SIZE_MAX */
    float (*values)[FEATURES]; /* owned [count] */
};

struct judgement {
    uint32_t *rank[METHODS];        /* [cases] */
    uint32_t *shown[METHODS];       /* [rows] times in a top 10 */
    struct case_features *features; /* [cases], or NULL */
    double slate_ms;                /* mean time of one slate */
};

bool judge(struct judgement *out, const struct cases *cases, const struct snapshot *snapshot,
           const struct fusion *fusion, size_t beam, size_t history_max, bool keep_features,
           struct thread_pool *pool, struct err *err) MUST_CHECK;
void judgement_release(struct judgement *judgement, size_t cases);

/*
 * Fits the weights on these cases: the largest mean log-softmax of the target among its candidates
 * (Newton), for each set of sources; then keeps the set with the best NDCG@10.
 */
void fusion_fit(struct fusion *fusion, const struct judgement *judgement, size_t cases);

#endif
