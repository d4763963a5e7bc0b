/*
 * policy.h: the whole policy: items and words in, trunk, and its readings name, find and say.
 *
 * A position holds a symbol: an item (its row) or a token of text (TOKEN + its number).
 *
 *     input    x_i = sum_l tile_in[l, c_l] + content_in v_i + a own[i]         an item; a: sqrt(d)
 *              x_t = text[t]                                                   a token
 *     say      p(token) = softmax(text z)                                      or text_out, if
 * untied find     s_i = (find_query z) . f_i          f_i = find_content v_i + own[i] f_i of a
 * newcomer is given name     h_1 = name_start z p(tile l) = softmax over legal ((tile_out[l] + m_l)
 * h_l + tile_bias[l]) h_{l+1} = h_l + depth_down[l] silu(depth_up[l] h_l + depth_tile[l, c_l])
 *              p(last tile = member j) = softmax over members (h_{L+1} . f_j)
 *
 * (the depth head follows RQ-Transformer, Lee et al., CVPR 2022: each tile from z and the tiles
 * before it.)  v_i is the content vector of an item, c its tiles.  m_l is the mean find vector of
 * the items under the node that a tile leads to: what tile_out shares among all parents, m tells
 * apart (no gradient goes through it).  The last tile is scored by the find vectors of the members,
 * so *name* can reach members that it never saw.
 *
 * An item without training events, a newcomer, has no embedding of its own, and what v holds in
 * the place of co-occurrence is guessed from its text.  It takes no part in training, which costs
 * the others nothing; its find vector comes from outside (recommend/version.h).
 *
 * Find teaches name: its probabilities, summed over the items under each legal child, are a soft
 * target for the tile (weight `name_teach`; rows are ordered by name, so a node is a run of rows).
 *
 * A list takes no time: the mark <list> stands one place after what came before, the items that
 * follow it stand where it stands, and what comes after the list goes on from there (place_after).
 * So a rank is told from another by what is listed above, not by a count of positions.  What is
 * listed already is left out of find's softmax and of name's tiles where the next rank is learnt.
 *
 * Memory    a policy owns nothing: params, items and find vectors belong to the caller.
 * Threads   a policy is read-only here; one policy_work per thread.
 */
#ifndef MODEL_POLICY_H
#define MODEL_POLICY_H

#include "base/legal_tiles.h"
#include "model/trunk.h"

enum { NO_ITEM = UINT32_MAX };
#define TOKEN ((uint32_t)1 << 31)

static inline bool is_token(uint32_t symbol)
{
    return symbol >= TOKEN && symbol != NO_ITEM;
}

/* Where a symbol stands in time, for rope. */
struct place {
    uint32_t at;
    uint32_t listing; /* 0: in no list; else 1 + how many items of the list have been read */
};

/* before NULL: nothing came before.  list_mark: the symbol <list>. */
static inline struct place place_after(const struct place *before, uint32_t symbol,
                                       uint32_t list_mark)
{
    if (before && before->listing && !is_token(symbol))
        return (struct place){before->at, before->listing + 1};
    return (struct place){before ? before->at + 1 : 0, symbol == list_mark};
}

/* What the policy knows of items; row i of each.  Late rows, if any, come after `count`. */
struct item_table {
    size_t count;
    size_t text_dims;          /* the first dims of a content vector come from text */
    const real *content;       /* [count, content] */
    const uint16_t *codes;     /* [count, levels + 1] */
    const unsigned char *seen; /* [count] has training events */
    const uint32_t *node;      /* [levels, count] which node of its level holds a row; NULL: no m */
    const real *node_vectors;  /* [nodes, dim] m, level after level, in the order of rows */
    size_t nodes;
    const real *late_content;
    const uint16_t *late_codes;
    const real *late_find; /* [late, dim] */
    /*
     * Bits of the rows that are left out, or NULL.  If given, a tile's score is log sum exp(h . f)
     * over the other rows under it, and neither tile_out nor m is asked: newcomers among
     * themselves.
     */
    const uint64_t *skip;
    const uint32_t *late_row; /* [late] rows in the order of their names */
    /* [count] added to log p where a rank of a list is chosen, by recommend/ alone; NULL: none */
    const float *experience;
};

struct policy {
    struct shape shape;
    struct params params;
    uint32_t frozen_words; /* tokens below it get no gradient */
    uint32_t marks;        /* the first of the marks (tokenizer.h) among the tokens */
    struct item_table items;
    const real *find_vectors; /* [count, dim]: policy_find_vectors() of all items */
    const struct kernels *kernels;
};

const uint16_t *policy_codes(const struct policy *policy, uint32_t row);
const real *policy_content(const struct policy *policy, uint32_t row);
const real *policy_find_vector(const struct policy *policy, uint32_t row);

/*
 * The items that find compares in one step, by rising row: all of them, or a sample that holds
 * every target and, for the last tile, members of its collision.
 */
struct find_set {
    size_t count;
    const uint32_t *row; /* [count], or NULL: row k is k */
    const uint32_t
        *before; /* [items + 1] how many of the set come before a row; NULL: it is a sample */
    const uint32_t *place;     /* [items] of a row in the set, or UINT32_MAX; NULL when row is */
    const real *log_inclusion; /* [count] log probability of being in the set; NULL: 0 */
    const real *content;       /* [count, content] of the set's rows */
    const real *vectors;       /* [count, dim] */
};

struct examples {
    struct packed packed;
    const uint32_t *input;  /* [positions] symbols */
    const uint32_t *target; /* [positions] symbols, or NO_ITEM */
    const real *weight;     /* [positions] of each target's loss; NULL: 1 */
};

struct loss_options {
    real dropout;  /* in the trunk and on its input */
    real own_drop; /* share of inputs that are read as if their item had no events */
    real find_weight, name_weight, say_weight;
    real name_teach;                 /* share of name's target that find gives */
    real smoothing;                  /* share of find's target spread over all items */
    real scale;                      /* of the whole loss: 1 / targets in the step */
    struct rng rng;                  /* of this micro-batch */
    const struct legal_tiles *legal; /* the trie of the training catalogue */
    const struct find_set *find;
};

struct losses {
    double find, name, say; /* weighted sums over targets, in nats */
    size_t items, tokens;   /* targets of each kind */
};

struct policy_work {
    struct trunk_work trunk;
    size_t chunk_rows, find_max;
    real *content;             /* [positions, content] of the inputs */
    unsigned char *own_kept;   /* [positions] */
    unsigned char *input_mask; /* [positions, dim] */
    struct place *place;       /* [positions] */
    uint32_t *at;              /* [positions] where the targets of one kind stand */
    uint32_t *want;            /* [positions] those targets */
    const uint32_t **listed;   /* [positions] what is listed before them */
    uint32_t *listed_count;    /* [positions] */
    real *weight;              /* [positions] their weights */
    real *zt, *dzt;            /* [positions, dim] z there, and its gradient */
    real *dz;                  /* [positions, dim] */
    real *query, *dquery;      /* [positions, dim] */
    real *logits;              /* [chunk_rows, find_max] or [chunk_rows, vocab] */
    real *h;                   /* [levels + 1, positions, dim] */
    real *pre, *act;           /* [levels, positions, dim] */
    real *dtiles;              /* [levels, positions, tiles]  logits, then their gradients */
    real *dnode;               /* [levels, positions, dim]  what m gives to the gradient of h */
    real *block;               /* [width] scores of a node's children by their m */
    real *teach;               /* [levels, positions, tiles]  find's opinion of each legal child */
    real *ones;                /* [positions, dim] */
    real *dh, *dpre, *dact;    /* [positions, dim] */
    struct tile_node *node;    /* [positions] */
    struct tile_child *children; /* [width] */
    real *picked;                /* [width] */
};

enum { FIND_CHUNK_ROWS = 128 };

void policy_layout(struct policy_work *work, const struct shape *shape, size_t positions_max,
                   size_t length_max, size_t width, size_t find_max, bool learns,
                   struct arena *arena);
void policy_prepare(struct policy_work *work, const struct shape *shape); /* once, after layout */

/* x [dim]: what one symbol gives the trunk to read; an item's own embedding is read, too. */
void policy_input(real *x, const struct policy *policy, uint32_t symbol);

/* Inputs and trunk: leaves z of every position in work->trunk.z. */
void policy_forward(struct policy_work *work, const struct policy *policy,
                    const struct packed *packed, const uint32_t *input,
                    const struct loss_options *options);

/*
 * The same in slices, of a work that learns: first the sequences, then the suffixes a step at a
 * time; all steps done, it is as if policy_forward() had been called.
 */
void policy_forward_prefixes(struct policy_work *work, const struct policy *policy,
                             const struct packed *packed, const uint32_t *input);
void policy_forward_step(struct policy_work *work, const struct policy *policy,
                         const struct packed *packed, const uint32_t *input, size_t step);

/* The way back from work->dz [positions, dim], the gradient of z, after policy_forward(). */
void policy_backward(struct policy_work *work, struct params *grads, const struct policy *policy,
                     const struct packed *packed, const uint32_t *input, real dropout);

/* vectors [count, dim] = content [count, content] . find_content^T, without own embeddings. */
void policy_find_content(real *vectors, const struct policy *policy, const real *content,
                         size_t count);
/*
 * m of one level from the find vectors of rising rows (NULL: all of them): of those with training
 * events where a node has any.
 */
void policy_node_vectors(real *node_vectors, const struct policy *policy, const uint32_t *row,
                         size_t count, const real *find_vectors, size_t level);
/*
 * Adds h . m to the scores of the legal children of a node, or replaces them (items.skip); block
 * [width] is scratch.
 */
void policy_node_scores(real *scores, real *block, const struct policy *policy, const real *h,
                        const struct tile_child *children, size_t count, size_t level);
/*
 * Logits of the legal children of a node: tile_out h + bias + h . m with tile_logits [tiles] =
 * tile_out h, or at the last level h . f of the members.
 */
void policy_child_logits(real *out, real *block, const struct policy *policy, const real *h,
                         const real *tile_logits, const struct tile_child *children, size_t count,
                         size_t level);
/* dh [dim] = the children's m, weighed by the gradients of their scores. */
void policy_node_backward(real *dh, real *block, const struct policy *policy, const real *gradient,
                          const struct tile_child *children, size_t count, size_t level);

/* find_vectors [last - first, dim] of rows [first, last); of newcomers what their content says. */
void policy_find_vectors(real *find_vectors, const struct policy *policy, size_t first,
                         size_t last);

/*
 * Forward and backward of one micro-batch.  Adds into grads and into dfind [find->count, dim], the
 * gradient of the find vectors of the set; own and find_content get what is theirs of it once all
 * micro-batches of a step are summed.
 */
void policy_learn(struct policy_work *work, struct params *grads, real *dfind,
                  struct losses *losses, const struct policy *policy,
                  const struct examples *examples, const struct loss_options *options);
/* Rows [first, last) of find_content's gradient from the summed dfind; all before the next. */
void policy_finish_gradients(struct params *grads, const real *dfind, const struct policy *policy,
                             const struct find_set *find, size_t first, size_t last);

#endif
