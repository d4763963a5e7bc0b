/*
 * ranking.h: how good ranked lists are, with intervals.
 *
 * Every user has one target.  rank[u] is its place in the user's list from 1, or 0 if it is not in
 * it.  HR@k = mean(rank <= k), NDCG@k = mean(1 / log2(1 + rank)), MRR@k = mean(1 / rank), each 0
 * beyond k.  Differences are per user and paired; the interval comes from resampling users.
 */
#ifndef EVALUATE_RANKING_H
#define EVALUATE_RANKING_H

#include <stddef.h>
#include <stdint.h>

enum { CUTS = 5, LIST_MAX = 50, RESAMPLES = 10000 };
extern const size_t CUT_AT[CUTS]; /* 1, 5, 10, 20, 50 */

struct ranking {
    double hr[CUTS], ndcg[CUTS], mrr[CUTS];
};

void ranking_measure(struct ranking *ranking, const uint32_t *rank, size_t users);
double ranking_ndcg(uint32_t rank, size_t cut); /* of one user */

/*
 * Of one user with several targets: list [count] rows, the best first, against relevant
 * [relevant_count], all distinct.  ndcg = sum of 1 / log2(1 + rank) over hits within cut, over the
 * most it can be; recall = hits within cut / relevant.
 */
struct list_score {
    double ndcg, recall;
};
struct list_score list_measure(const uint32_t *list, size_t count, const uint32_t *relevant,
                               size_t relevant_count, size_t cut);

struct interval {
    double mean, low, high; /* of the paired difference; 95 % */
    double detectable;      /* the smallest difference seen 4 times in 5: 2.8 standard errors */
};

double mean_of(const double *value, size_t users); /* 0 users: 0 */
/* Of the mean of one value a user. */
struct interval interval_of(const double *value, size_t users, uint64_t seed);

enum ranking_metric { RANKING_HR, RANKING_NDCG };
/* The mean over users, with its interval. */
struct interval ranking_interval(const uint32_t *rank, size_t users, size_t cut,
                                 enum ranking_metric metric, uint64_t seed);

/* A metric of list a minus list b, user by user. */
struct interval ranking_compare(const uint32_t *rank_a, const uint32_t *rank_b, size_t users,
                                size_t cut, enum ranking_metric metric, uint64_t seed);

/* shown[i]: how often item i stands in a list.  Coverage: share of items shown; Gini of the counts.
 */
double lists_coverage(const uint32_t *shown, size_t items);
double lists_gini(const uint32_t *shown, size_t items);
/*
 * Coverage of a minus that of b.  An item shown c times is left out by a resample of the lists with
 * probability exp(-c); the interval is 1.96 standard errors of that, as if a and b were drawn
 * apart.
 */
struct interval coverage_compare(const uint32_t *shown_a, const uint32_t *shown_b, size_t items);

#endif
