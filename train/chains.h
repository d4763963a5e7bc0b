/*
 * chains.h: chains of reasons to learn from, built from catalogue and logs, and how good written
 * ones are.
 *
 * A chain is built backwards, from an item that somebody took next (GREAM lets a large model argue
 * towards it; here the argument is what can be counted):
 *
 *     influence    of each item of the history: log p(next) with it - log p(next) without it, by
 *                  the version that training starts from
 *     evidence     pairs that share an attribute with what came next, the most influential first
 *     preference   what most of the history has, the rarer the better
 *     intent       of next's attributes the one that follows such histories most often
 *     plan         what most of the slate has that the start makes of the history
 *     cleaned      items that next is likelier without, if the rest is, too
 *
 * In training their density follows GREAM's curriculum (chains_density()).
 */
#ifndef TRAIN_CHAINS_H
#define TRAIN_CHAINS_H

#include "base/threads.h"
#include "recommend/reason.h"
#include "train/chain_teacher.h"
#include "train/judge.h"
#include "train/report.h"
#include "train/rows.h"
#include "train/split.h"

struct chain_example {
    uint32_t history[CHAIN_HISTORY];
    size_t history_count;
    uint32_t next;
    struct chain chain;
    const struct chain_wish *wish; /* what a large model would say here, or NULL */
};

struct chain_examples {
    const struct attributes *attributes; /* borrowed */
    struct chain_example *list;          /* owned [count] */
    size_t count;
};

/* Attributes of the items with events, and what the training events say of them. */
struct attributes *chains_attributes(const struct version *version, struct store *store,
                                     struct err *err) MUST_CHECK;
bool chains_count_next(struct attributes *attributes, const struct snapshot *snapshot,
                       const struct sequences *sequences, struct err *err) MUST_CHECK;

/* What writing and answering takes, for each thread of a pool; slates: or reasons alone. */
struct chain_works {
    struct reason_work *reasons;
    struct slate_work *slates; /* or NULL */
    struct slate *slate;
    struct reasoned *reasoned;
    uint32_t **cleaned; /* [threads][history_max] */
    struct err *errors;
    size_t threads;
};
bool chain_works_open(struct chain_works *works, const struct snapshot *snapshot,
                      size_t history_max, bool slates, struct thread_pool *pool,
                      struct err *err) MUST_CHECK;
bool chain_works_fine(const struct chain_works *works, struct err *err) MUST_CHECK;
void chain_works_close(struct chain_works *works); /* of a failed open, too */

enum { PLAN_ITEMS = 10 }; /* first items of an answer that a plan is about */

/*
 * At most CHAINS_A_USER places of each user.  snapshot: of the version to start from, with
 * attributes and its fusion.  An error if nobody has two events whose items have attributes.
 */
enum { CHAINS_A_USER = 4 };
bool chains_make(struct chain_examples *chains, const struct sequences *sequences,
                 const struct snapshot *snapshot, const struct chain_teacher *teacher,
                 uint64_t seed, struct thread_pool *pool, struct err *err) MUST_CHECK;
void chains_free(struct chain_examples *chains);

/*
 * The share of chains among the tasks of a step: in the first two thirds it grows from none to
 * twice `share`, in the last, and with steps 0, it is `share` (GREAM's code cuts the data into
 * three passes, its transform.py: chains come in with a chance that grows through a pass, what is
 * left at its end).
 */
double chains_density(double share, size_t step, size_t steps);

/* ---- judging ---- */

struct chain_judgement {
    size_t answers; /* cases with a history */
    size_t said[CLAIM_KINDS], held[CLAIM_KINDS];
    size_t surviving, two_of_two; /* claims that hold; answers with two or more of two kinds */
    /*
     * Cases with uncited items, and those where the cited count more: for the likeliest name after
     * the chain, the policy's own answer; for the first of the slate, that other sources had a say
     * in.
     */
    size_t removals, lowered[2];
    double calibration; /* mean |confidence - share that came true| over tenths, weighed by cases */
    double reason_ms, direct_ms;
    uint32_t *rank[2][2]; /* owned [cases]: direct, reasoned; name, slate */
};

enum { CHAINS_DIRECT, CHAINS_REASONED, CHAINS_NAME = 0, CHAINS_SLATE = 1 };

struct chain_judging {
    size_t beam, history_max;
    bool quick; /* the chains alone, without slates: no plan is judged, no rank, no removal */
    bool facts; /* as they are served; without, what the policy says under the grammar alone */
};

bool chains_judge(struct chain_judgement *out, const struct cases *cases,
                  const struct snapshot *snapshot, const struct chain_judging *options,
                  struct thread_pool *pool, struct err *err) MUST_CHECK;
/*
 * The table of a part, of a fixed sample of `most` users; with a path, the rank of each user's
 * target in each list.
 */
bool chains_report(struct report *report, struct row_data *data, const struct snapshot *snapshot,
                   enum part part, size_t most, const char *ranks_path, struct err *err) MUST_CHECK;
void chain_judgement_free(struct chain_judgement *judgement);

#endif
