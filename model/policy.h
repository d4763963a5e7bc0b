/*
 * policy.h: the whole policy: items in, trunk, and its readings name and find, with their losses.
 *
 *     input    x_i = sum_l tile_in[l, c_l] + content_in v_i + own_in[i]
 *     find     s_i = (find_query z) . f_i          f_i = find_content v_i + own_out[i]
 *     name     h_1 = name_start z                  p(tile l) = softmax over legal (tile_out[l] h_l
 * + bias[l]) h_{l+1} = h_l + depth_down[l] silu(depth_up[l] h_l + depth_tile[l, c_l]) p(last tile =
 * member j) = softmax over members (h_{L+1} . member v_j)
 *
 * (the depth head follows RQ-Transformer, Lee et al., CVPR 2022: each tile from z and the tiles
 * before it.)  v_i is the content vector of an item, c its tiles.
 *
 * Memory    a policy owns nothing: params, items and find vectors belong to the caller.
 * Threads   a policy is read-only here; one policy_work per thread.
 */
#ifndef MODEL_POLICY_H
#define MODEL_POLICY_H

#include "base/legal_tiles.h"
#include "model/trunk.h"

/* What the policy knows of items; row i of each. */
struct item_table {
    const real *content;       /* [items, content] */
    const uint16_t *codes;     /* [items, levels + 1] */
    const unsigned char *seen; /* [items] has training events */
};

struct policy {
    struct shape shape;
    struct params params;
    struct item_table items;
    const real *find_vectors; /* [items, dim]: policy_find_vectors() of all items */
    const struct kernels *kernels;
};

enum { NO_ITEM = UINT32_MAX };

struct examples {
    struct packed packed;
    const uint32_t *input;  /* [positions] rows */
    const uint32_t *target; /* [positions] rows, or NO_ITEM */
};

struct loss_options {
    real dropout;  /* in the trunk and on its input */
    real own_drop; /* share of inputs whose own embedding is left out */
    real find_weight, name_weight;
    real scale;                      /* 1 / targets in the whole step */
    struct rng rng;                  /* of this micro-batch */
    const struct legal_tiles *legal; /* the trie of the training catalogue */
};

struct losses {
    double find, name; /* sums over targets, in nats */
    size_t targets;
};

struct policy_work {
    struct trunk_work trunk;
    size_t chunk_rows;
    real *content;               /* [positions, content] of the inputs */
    unsigned char *own_kept;     /* [positions] */
    unsigned char *input_mask;   /* [positions, dim] */
    real *query, *dquery;        /* [positions, dim] */
    real *logits;                /* [chunk_rows, items] */
    real *dz;                    /* [positions, dim] */
    real *h;                     /* [levels + 1, positions, dim] */
    real *pre, *act;             /* [levels, positions, dim] */
    real *dtiles;                /* [levels, positions, tiles]  logits, then their gradients */
    real *ones;                  /* [positions, dim] */
    real *dh, *dpre, *dact;      /* [positions, dim] */
    struct tile_node *node;      /* [positions] */
    struct tile_child *children; /* [width] */
    real *picked;                /* [width] */
    real *member_vector;         /* [dim] of one member */
};

enum { FIND_CHUNK_ROWS = 128 };

void policy_layout(struct policy_work *work, const struct shape *shape, size_t positions_max,
                   size_t length_max, size_t width, bool learns, struct arena *arena);
void policy_prepare(struct policy_work *work, const struct shape *shape); /* once, after layout */

/* Inputs and trunk: leaves z of every position in work->trunk.z. */
void policy_forward(struct policy_work *work, const struct policy *policy,
                    const struct packed *packed, const uint32_t *input,
                    const struct loss_options *options);

/* find_vectors [last - first, dim] of rows [first, last). */
void policy_find_vectors(real *find_vectors, const struct policy *policy, size_t first,
                         size_t last);

/*
 * Forward and backward of one micro-batch.  Adds into grads; the gradient of the find vectors is
 * added into grads->own_out, from which policy_finish_gradients() makes those of own_out and
 * find_content once all micro-batches of a step are summed.
 */
void policy_learn(struct policy_work *work, struct params *grads, struct losses *losses,
                  const struct policy *policy, const struct examples *examples,
                  const struct loss_options *options);
/* Rows [first, last) of find_content's gradient; all of them before the next. */
void policy_finish_gradients(struct params *grads, const struct policy *policy, size_t first,
                             size_t last);
/* Items without training events keep no embedding of their own. */
void policy_clear_unseen(struct params *grads, const struct policy *policy);

#endif
