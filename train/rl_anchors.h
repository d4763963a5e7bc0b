/*
 * rl_anchors.h: the nearest thing in the log to what the policy proposed (PRDC, arXiv 2306.06569).
 *
 * A logged pair is a state (the mean of the unit content vectors of the last ANCHOR_HISTORY items
 * before an event) and the item of that event.  For a prompt and a proposed item the anchor is the
 * item of the pair that is nearest by
 *
 *     beta^2 |state - state'|^2 + |x - x'|^2          x: unit content vectors
 *
 * among the pairs whose item shares the proposed one's first tile: the tiles are the index.
 *
 * Memory    pairs * dims floats, at most ANCHORS_MAX pairs, evenly thinned.
 * Threads   read-only after anchors_make().
 * Cost      a query: the pairs under one tile, twice dims multiplications each.
 */
#ifndef TRAIN_RL_ANCHORS_H
#define TRAIN_RL_ANCHORS_H

#include "model/policy.h"
#include "train/rows.h"

enum { ANCHOR_HISTORY = 3, ANCHORS_MAX = 100000 };

struct anchors {
    size_t count, dims;
    float *unit;        /* owned [items, dims] */
    float *state;       /* owned [count, dims], by rising first tile of the item */
    uint32_t *item;     /* owned [count] */
    size_t *tile_first; /* owned [tiles + 1] */
};

bool anchors_make(struct anchors *anchors, const struct policy *policy,
                  const struct sequences *sequences, struct err *err) MUST_CHECK;
void anchors_free(struct anchors *anchors);

/* NO_ITEM if there is none; rows with a bit in skip are no anchors. */
uint32_t anchors_find(const struct anchors *anchors, const struct policy *policy, double beta,
                      const uint32_t *history, size_t history_count, uint32_t proposed,
                      const uint64_t *skip);

#endif
