/*
 * decode.h: naming items from one hidden state, tile by tile, under a mask.
 *
 * At every level the probabilities are those of the legal children alone, so the log-probability of
 * a name is that of the policy under the mask in force.  A beam needs no cache: its state is the
 * hidden vector of the depth head.  Equal scores are ordered by name.
 *
 * Threads   one decode_work per thread.
 * Cost      levels * beam * (2 dim^2 + dim * tiles) multiply-adds.
 */
#ifndef MODEL_DECODE_H
#define MODEL_DECODE_H

#include "base/topk.h"
#include "model/policy.h"

enum { DECODE_BEAM_MAX = 512 };

struct decode_work {
    size_t beam_max, width_max;
    real *h, *h_next;                   /* [beam_max, dim] */
    real *logits;                       /* [beam_max, tiles] */
    real *pre, *act, *ones;             /* [beam_max, dim] */
    real *picked, *block;               /* [width_max] */
    real *score, *score_next;           /* [beam_max] */
    struct tile_node *node, *node_next; /* [beam_max] */
    struct tile_child *children;        /* [beam_max * width_max] */
    uint32_t *parent;                   /* [beam_max * width_max] */
    struct hit *heap;                   /* [beam_max] */
    uint32_t *state;                    /* [beam_max] */
};

void decode_layout(struct decode_work *work, const struct shape *shape, size_t beam_max,
                   size_t width_max, struct arena *arena);
void decode_prepare(struct decode_work *work, const struct shape *shape);

/* The most likely names from z [dim]: hits[beam] with log-probabilities, best first; returns how
 * many. */
size_t name_beam(struct hit *hits, size_t beam, struct decode_work *work,
                 const struct policy *policy, const real *z, const struct legal_tiles *legal);

/*
 * score[i] = log p(name of rows[i] | z), -INFINITY if the mask forbids it.  rows rise by name
 * within the version and within the late ones, as a walk over the trie would meet them; count <=
 * beam_max.
 */
void name_score(float *score, const uint32_t *rows, size_t count, struct decode_work *work,
                const struct policy *policy, const real *z, const struct legal_tiles *legal);

#endif
