/*
 * trunk.h: the transformer over positions, forward and backward.
 *
 *     x_1 = x + drop(W_o attention(rope(W_q n), rope(W_k n), W_v n))      n  = rmsnorm(x)
 *     x_2 = x_1 + drop(W_down (silu(W_gate m) * W_up m))                  m  = rmsnorm(x_1)
 *     z   = rmsnorm(x_last)
 *
 * with biases on q, k, v (Qwen2) or an RMSNorm of each head of q and k (Qwen3) where the shape says
 * so; the Llama block (rotary positions in split halves, as Hugging Face stores them; Su et al.
 * 2021). Sequences are packed one after another without padding: sequence s is positions [first[s],
 * first[s + 1]).
 *
 * Several continuations of one sequence share it (Prefix Grouper, arXiv 2506.05433): a suffix looks
 * at all of its prefix and at itself, its positions count on from the prefix, and what flows back
 * into the prefix is summed.  The same as each continuation with a copy of the prefix, at the cost
 * of one.  Suffixes lie step by step, so that all of them can go one step at a time: what they look
 * at is there already (trunk_forward of a slice).
 *
 * Where a position stands in time, for rope, is work->place: the caller's to say (policy.h).
 *
 * Memory    struct trunk_work holds every activation of one micro-batch; laid out once over an
 * arena. Threads   one work per thread; params are read, gradients are the caller's own.
 */
#ifndef MODEL_TRUNK_H
#define MODEL_TRUNK_H

#include "base/rng.h"
#include "model/kernels/kernels.h"
#include "model/params.h"

struct packed {
    size_t positions, sequences;
    const uint32_t *first; /* [sequences + 1] */
    /* Step t of suffix s is position first[sequences] + t * suffixes + s. */
    size_t suffixes, steps;
    const uint32_t *prefix; /* [suffixes] which sequence each goes on from */
};

struct dropout {
    real share; /* of values set to 0; the rest grow by 1 / (1 - share) */
    struct rng *rng;
};

struct trunk_work {
    size_t positions_max, length_max;
    bool learns;         /* false: no layer's activations are kept, memory for one layer */
    uint32_t *place;     /* [positions] below length_max; the caller fills it */
    real *cosine, *sine; /* [length_max, head / 2] */
    real *x;             /* [layers, positions, dim]  what enters a layer */
    real *x_mid;         /* [layers, positions, dim]  what enters its MLP */
    real *x_last;        /* [positions, dim] */
    real *n, *m;         /* [layers, positions, dim] */
    real *n_inv, *m_inv; /* [layers, positions] */
    real *q, *k, *v;     /* [layers, positions, heads * head | kv] after rope */
    /* Qwen3: q, k before their norm, and the norms' 1 / length, [layers, positions, heads] */
    real *q_raw, *k_raw, *q_inv, *k_inv;
    real *probs;           /* [layers, heads, positions, length_max] */
    real *mixed;           /* [layers, positions, heads * head] out of attention */
    real *gate, *up, *act; /* [layers, positions, ffn] */
    real *z, *z_inv;       /* [positions, dim], [positions] */
    unsigned char *mask;   /* [layers, 2, positions, dim] */
    real *dx, *dn, *dq, *dk, *dv, *dmixed, *dgate, *dup, *dact; /* scratch for backward */
    real *dlora;                                                /* [2, positions, rank] */
};

void trunk_layout(struct trunk_work *work, const struct shape *shape, size_t positions_max,
                  size_t length_max, bool learns, struct arena *arena);
void trunk_prepare(struct trunk_work *work,
                   const struct shape *shape); /* fills the rope tables, once */

/*
 * Reads x[0] (the caller wrote the inputs there) and writes work->z, of positions [from, to): whole
 * sequences, whole steps of all suffixes.  A work that does not learn forgets what came before, so
 * it takes all positions at once.
 */
void trunk_forward(struct trunk_work *work, const struct shape *shape, const struct params *params,
                   const struct packed *packed, size_t from, size_t to, struct dropout dropout,
                   const struct kernels *kernels);

/* Adds into grads; leaves the gradient of the inputs in work->dx.  dz [positions, dim]. */
void trunk_backward(struct trunk_work *work, struct params *grads, const real *dz,
                    const struct shape *shape, const struct params *params,
                    const struct packed *packed, struct dropout dropout,
                    const struct kernels *kernels);

void dropout_apply(real *x, unsigned char *mask, size_t count, struct dropout dropout);
void dropout_backward(real *dx, const unsigned char *mask, size_t count, real share);

#endif
