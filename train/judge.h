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

enum method {
    METHOD_POPULAR,
    METHOD_MARKOV,
    METHOD_KNN,
    METHOD_TEXT,   /* nearest text: cosine to the mean of the last 3 items */
    METHOD_SASREC, /* filled by job_evaluate from a version of its own */
    METHOD_NAME,
    METHOD_FIND,
    METHOD_FUSED,
    METHODS
};
extern const char *const METHOD_NAMES[METHODS];

struct cases {
    size_t count;
    uint32_t *history, *seen;           /* flat rows */
    size_t *history_first, *seen_first; /* [count + 1] */
    uint32_t *target, *user;            /* [count] row; user's number in the store */
    char **query;                       /* [count] owned texts, or NULL: nothing is asked */
};

/* histories->item are rows (NO_ITEM: not in this version).  max_cases 0: all, else a fixed sample.
 */
bool cases_make(struct cases *cases, const struct histories *histories, const struct split *split,
                enum part part, size_t max_cases, uint64_t seed, struct err *err) MUST_CHECK;
/* Room for a case a user, then case by case: what came before an event, and its item as target. */
bool cases_reserve(struct cases *cases, const struct histories *histories,
                   struct err *err) MUST_CHECK;
void cases_add(struct cases *cases, const struct histories *histories, size_t user, size_t event);
void cases_release(struct cases *cases);

struct case_features {         /* of the candidates of one case, for fitting */
    size_t count, target;      /* target: its place, or SIZE_MAX */
    float (*values)[FEATURES]; /* owned [count] */
};

struct judging_options {
    const struct fusion *fusion; /* NULL: the version's own */
    size_t beam, history_max;
    bool keep_features;
    const struct neighbour_lists *followers; /* for the baselines; NULL: they are left out */
    bool unmasked;                           /* what was seen may be shown again */
    bool known_only;                         /* items without training events are not shown */
    size_t newest;       /* each history is cut to so many of its newest items; 0: not */
    double mmr;          /* as in slate_request */
    size_t category_max; /* the same */
};

struct judgement {
    uint32_t *rank[METHODS];        /* [cases] */
    uint32_t *shown[METHODS];       /* [rows] times in a top 10 */
    struct case_features *features; /* [cases], or NULL */
    double slate_ms;                /* mean time of one slate */
    double likeness;                /* mean cosine of content between two of a slate's first 10 */
};

bool judge(struct judgement *out, const struct cases *cases, const struct snapshot *snapshot,
           const struct judging_options *options, struct thread_pool *pool,
           struct err *err) MUST_CHECK;
void judgement_release(struct judgement *judgement, size_t cases);

/*
 * What newcomers may get on top of these weights so that the targets that are none lose at most a
 * share of their HR@10 (by bisection; without newcomers among the candidates it is the largest
 * tried, 30).
 */
double newcomers_fit(const double *weights, double loss, const struct judgement *judgement,
                     size_t cases);
/*
 * Fits the weights on these cases: the largest mean log-softmax of the target among its candidates
 * (Newton), for all features, all but one, and each reading alone; keeps the best by NDCG@10.
 */
void fusion_fit(struct fusion *fusion, const struct judgement *judgement, size_t cases);

#endif
