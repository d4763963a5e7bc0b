/*
 * votes.h: what a dialogue names votes for what is taken together with it, at every rank of a list.
 *
 *     push(row) = weight * log(1 + votes(row) / (VOTES_FLOOR * the most votes of a row that may be
 *                 listed))
 *
 * A rank is then the largest of log p + push among the names of the beam and the rows with votes
 * (list.h).  Votes are item-kNN's (evaluate/baselines.h) over what the dialogues that taught the
 * version name together.  The weight is fitted then, too (train/publish.c); 0: the policy lists
 * alone.
 *
 * Threads   none of its own; a tally belongs to one thread.
 * Cost      the votes of KNN_HISTORY rows, once a list; at each rank a walk over VOTES_MAX names.
 */
#ifndef RECOMMEND_VOTES_H
#define RECOMMEND_VOTES_H

#include "recommend/snapshot.h"

enum { VOTES_MAX = 100 };
#define VOTES_FLOOR 0.05
#define VOTES_RECENCY 0.9F

struct votes {
    size_t count;
    uint32_t row[VOTES_MAX]; /* rising, which is the order of names */
    float push[VOTES_MAX];   /* nats, above 0 */
};

/*
 * named: rows, the newest last; those beyond the version's are passed over.  skip (a bit a row)
 * holds what may not be listed.  tally: all zero, as it is left.
 */
void votes_count(struct votes *votes, struct tally *tally, const struct snapshot *snapshot,
                 const uint32_t *named, size_t count, const uint64_t *skip, double weight);

/* The push of a row; 0: nobody votes for it. */
float votes_push(const struct votes *votes, uint32_t row);

/* Of what is named the row that voted most for this one; NO_ITEM: none did. */
uint32_t votes_cause(const struct snapshot *snapshot, const uint32_t *named, size_t count,
                     uint32_t row);

#endif
