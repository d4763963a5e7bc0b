/*
 * baselines.h: what counting alone recommends; the bar that a trained model has to pass.
 *
 * item-kNN: the last KNN_HISTORY items of a history, the newest first with weight recency^k, vote
 * for their neighbours with the neighbours' similarity.
 *
 * Votes are kept in a tally, which knows the rows it touched: a request costs its votes, not the
 * catalogue.
 */
#ifndef EVALUATE_BASELINES_H
#define EVALUATE_BASELINES_H

#include <stddef.h>
#include <stdint.h>

enum { KNN_HISTORY = 20 };
#define KNN_RECENCY 0.6F

/* Row r is similar to item[first[r] .. first[r + 1]) by similarity[...]. */
struct neighbour_lists {
    const size_t *first;
    const uint32_t *item;
    const float *similarity;
    size_t items; /* rows beyond have no neighbours */
};

struct tally {
    float *score;      /* [rows] 0 but for the touched */
    uint32_t *touched; /* [rows] */
    size_t count;
};

void tally_add(struct tally *tally, uint32_t row, float vote); /* only votes above 0 count */
void tally_clear(struct tally *tally);

/* The votes of the last `depth` items; history is oldest first. */
void knn_votes(struct tally *tally, const struct neighbour_lists *lists, const uint32_t *history,
               size_t count, size_t depth, float recency);
/*
 * The votes of what is like those items by its words: each item's `nearest` first entries of
 * `texts` (the nearest first), weighed by their similarity squared, sum 1, vote in its place.
 */
void walk_votes(struct tally *tally, const struct neighbour_lists *texts,
                const struct neighbour_lists *lists, const uint32_t *history, size_t count,
                size_t depth, float recency, size_t nearest);

#endif
