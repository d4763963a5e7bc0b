/*
 * sample.h: names drawn from the policy, their log-probabilities and entropies, and the way back.
 *
 * A row is one name, drawn from the z of a prompt.  Rows of one prompt share everything up to z
 * (one trunk position, whose gradient is the sum of its rows') and walk the depth head each on
 * their own: the form of Prefix Grouper (arXiv 2506.05433) for names, which have no positions of
 * their own.
 *
 *     logits of a level   as in decode.h: tile_out h + bias + h . m; the last tile h . f, all / T
 *     lp = log softmax over the legal children        H = -sum p log p
 *     backward            dlogit = (g_lp (onehot - p) - g_entropy p (log p + H)) / T
 *
 * m and f are constants here: what find knows is not moved by what name is paid for.
 *
 * A tile without a legal rival is no decision: lp and H are 0 and get no gradient.
 *
 * Memory    everything is laid out once; nothing is allocated.
 * Threads   one sample_work per thread.
 * Cost      a row: levels * (tiles + 2 dim) * dim multiplications forward, twice that backward.
 */
#ifndef MODEL_SAMPLE_H
#define MODEL_SAMPLE_H

#include "model/policy.h"

enum { FORCED_WHOLLY = 255 };

struct sampled {
    size_t rows;
    const uint32_t *prompt;          /* [rows] which z and which mask */
    const struct legal_tiles *legal; /* [prompts] */
    real temperature;
    /* [rows] first tiles for which sample_names() follows the item it finds; NULL: 0 */
    const unsigned char *forced;
    uint32_t *item; /* [rows] chosen by sample_names(), read by sample_score() */
    /* [rows, levels + 1] */
    real *lp, *entropy;
    unsigned char *decided;
};

struct sample_work {
    size_t rows_max;
    real *h;                /* [levels + 1, rows, dim] */
    real *pre, *act, *ones; /* [levels, rows, dim], the last [rows, dim] */
    real *logits;           /* [levels, rows, tiles]; in backward their gradients */
    real *dnode;            /* [levels, rows, dim] */
    real *zt;               /* [rows, dim] */
    real *dh, *dpre, *dact, *dones;
    real *picked, *block;        /* [width] */
    struct tile_node *node;      /* [levels + 1, rows] */
    struct tile_child *children; /* [width] */
};

void sample_layout(struct sample_work *work, const struct shape *shape, size_t rows_max,
                   size_t width, struct arena *arena);
void sample_prepare(struct sample_work *work, const struct shape *shape); /* once, after layout */

/*
 * Draws rows->item and fills the rest; a prompt without a legal name, or without one that begins as
 * is forced, gives NO_ITEM and no decision.
 */
void sample_names(struct sample_work *work, struct sampled *rows, const struct policy *policy,
                  const real *z, struct rng *rng);
/* The same for items that are given: illegal ones get lp -infinity at the tile where they leave. */
void sample_score(struct sample_work *work, struct sampled *rows, const struct policy *policy,
                  const real *z);
/*
 * Once after either of them, with the same rows: adds to grads and to dz [prompts, dim].  g_lp,
 * g_entropy [rows, levels + 1].
 */
void sample_backward(struct sample_work *work, struct params *grads, real *dz,
                     const struct sampled *rows, const struct policy *policy, const real *g_lp,
                     const real *g_entropy);

#endif
