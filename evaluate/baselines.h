/*
 * baselines.h: what counting alone recommends; the bar that a trained model has to pass.
 *
 * item-kNN: the last 20 items of a history, the newest first with weight RECENCY^k, vote for their
 * neighbours with the neighbours' similarity.
 */
#ifndef EVALUATE_BASELINES_H
#define EVALUATE_BASELINES_H

#include <stddef.h>
#include <stdint.h>

enum { KNN_HISTORY = 20 };

/* Row r is similar to item[first[r] .. first[r + 1]) by similarity[...]. */
struct neighbour_lists {
    const size_t *first;
    const uint32_t *item;
    const float *similarity;
    size_t items; /* rows beyond have no neighbours */
};

/* Adds votes into scores [items]; history is oldest first. */
void knn_scores(float *scores, const struct neighbour_lists *lists, const uint32_t *history,
                size_t count);

/* How often each item was taken: scores [items]. */
void popularity_scores(float *scores, const uint32_t *events, size_t items);

#endif
