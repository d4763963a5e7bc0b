/*
 * rollouts.h: what a policy did, as flat arrays: all that an objective ever sees.
 *
 * Nested levels, each a run of the one below:
 *
 *     talk    prompts of one dialogue, in order: their rows of one place are one rollout
 *     group   the rollouts of one prompt
 *     row     one rollout: an item, or a list of items
 *     unit    what shares one reward: the item of a row, or one rank of a list
 *     token   one decision: a tile that had at least one legal rival
 *
 * Every objective depends on the network only through two numbers of each token, its
 * log-probability and the entropy of the distribution it was drawn from, both under the mask of
 * sampling.  So a part reads these arrays and adds to g_lp = dL/dlp and g_entropy = dL/dH; a kernel
 * of the policy turns those into gradients of logits.
 *
 * Memory    the arrays are the caller's, or those of rollouts_layout(); objects are plain.
 * Units     log-probabilities and entropies in nats.  Everything is double: the arrays are small
 * and tests compare by finite differences.
 */
#ifndef OBJECTIVE_ROLLOUTS_H
#define OBJECTIVE_ROLLOUTS_H

#include "base/arena.h"
#include "base/rng.h"

enum row_kind {
    ROW_ROLLOUT, /* sampled by the policy (lp_old is what it was then) */
    ROW_LOGGED,  /* what the user did, from the log */
    ROW_ANCHOR,  /* the nearest thing in the log to a miss of the group */
};

struct rollouts {
    size_t groups, rows, units, tokens;
    size_t levels;        /* quantised tiles in a name */
    size_t *group_row;    /* [groups + 1] */
    uint32_t *talk;       /* [groups] neighbours of the same are one talk; 0: a talk of its own */
    size_t *row_unit;     /* [rows + 1] */
    size_t *unit_token;   /* [units + 1]; a unit may have no token: nothing was decided */
    unsigned char *kind;  /* [rows] enum row_kind */
    unsigned char *valid; /* [rows] of the right form; without, every reward is 0 */
    uint32_t *tile;       /* [tokens] */
    unsigned char *hint;  /* [tokens] forced, not sampled */
    double *lp, *lp_old;  /* [tokens] now; when it was sampled */
    double *lp_ref;       /* [tokens] by the reference; read only by parts that need it */
    double *entropy;      /* [tokens] */
    /* outcomes */
    double *exact;    /* [units] 1: the target, or relevant and new in its list */
    double *matched;  /* [units] quantised tiles of the target's name that it shares, 0 .. levels */
    double *alike;    /* [units] share of the target's attributes that it has, 0 .. 1 */
    double *expected; /* [groups] what a row is expected to be worth; read by NEEDS_PAST alone */
    /* made by the parts, in this order */
    double *reward;           /* [units] */
    double *advantage;        /* [tokens] */
    double *weight;           /* [tokens] 0: takes no part in the loss */
    double *share;            /* [tokens] of the whole batch's loss, from loss_agg_mode */
    double *g_lp, *g_entropy; /* [tokens] */
    double *scratch;          /* [tokens + units + rows + groups] */
    struct rng rng;
    double progress; /* 0 .. 1 of the training */
};

/* Arrays for at most so many; counts are set by whoever fills them. */
void rollouts_layout(struct rollouts *rollouts, size_t groups, size_t rows, size_t units,
                     size_t tokens, struct arena *arena);

static inline size_t row_first_token(const struct rollouts *b, size_t row)
{
    return b->unit_token[b->row_unit[row]];
}

static inline size_t row_last_token(const struct rollouts *b, size_t row)
{
    return b->unit_token[b->row_unit[row + 1]];
}

#endif
