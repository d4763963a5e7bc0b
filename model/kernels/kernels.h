/*
 * kernels.h: everything the policy computes that is not a matrix product, behind one table.
 *
 * reference.c holds plain loops and libm; vector.vec.c the same contracts in a form that compilers
 * vectorise, with its own exp, built for AVX2 and for AVX-512.  kernels_best() picks by CPU at
 * start. A test holds every table against the reference.  bf16 and int8 will be further tables.
 *
 * Outputs come first.  Forward overwrites; backward adds into its outputs unless it says otherwise.
 * Pointers must not overlap unless it is said that they may.
 */
#ifndef MODEL_KERNELS_H
#define MODEL_KERNELS_H

#include "model/real.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Who looks at whom.  A run of positions first, first + stride, ... looks at a prefix, all of it,
 * and at itself up to each position.  Queries [begin, end) of the run are asked for.
 */
struct attention {
    size_t heads, kv_heads, head_dim;
    size_t length_max;           /* row length of `probs` */
    size_t prefix, prefix_count; /* positions [prefix, prefix + prefix_count) */
    size_t first, stride, begin, end;
    size_t positions; /* in the packed arrays */
};

static inline size_t attention_query(const struct attention *a, size_t i)
{
    return a->first + i * a->stride;
}

/* The position of the j-th key, counted from the start of the prefix. */
static inline size_t attention_key(const struct attention *a, size_t j)
{
    return j < a->prefix_count ? a->prefix + j : a->first + (j - a->prefix_count) * a->stride;
}

struct adamw {
    real rate, beta1, beta2, eps, decay;
    real correct1, correct2; /* 1 / (1 - beta^step) */
    real grad_scale;         /* of the gradient as it is read: 1, or less where it was too long */
};

struct kernels {
    const char *name;

    /* inv[r] = 1/sqrt(mean_c(x^2) + eps)   y = x * inv * w     x, y [rows, dim]  w [dim]  inv
     * [rows] */
    void (*rmsnorm_forward)(real *y, real *inv, const real *x, const real *w, size_t rows,
                            size_t dim, real eps);
    /* with g = dy * w:  dx += inv * g - x * inv^3 * mean(g * x)     dw += dy * x * inv */
    void (*rmsnorm_backward)(real *dx, real *dw, const real *dy, const real *x, const real *w,
                             const real *inv, size_t rows, size_t dim);

    /* y = gate * sigmoid(gate) * up */
    void (*swiglu_forward)(real *y, const real *gate, const real *up, size_t count);
    /* overwrites dgate and dup */
    void (*swiglu_backward)(real *dgate, real *dup, const real *dy, const real *gate,
                            const real *up, size_t count);

    /*
     * Causal attention of one run.  q, out [positions, heads * head_dim];
     * k, v [positions, kv_heads * head_dim]; probs [heads, positions, length_max] kept for
     * backward.
     */
    void (*attention_forward)(real *out, real *probs, const real *q, const real *k, const real *v,
                              const struct attention *attention);
    void (*attention_backward)(real *dq, real *dk, real *dv, const real *dout, const real *probs,
                               const real *q, const real *k, const real *v,
                               const struct attention *attention);

    /* x becomes scale * softmax(x); returns log(sum(exp(x))) of what it was. */
    real (*softmax)(real *x, size_t count, real scale);

    /* AdamW (Loshchilov and Hutter, ICLR 2019) on one run of values; `grad` is read and set to 0.
     */
    void (*adamw)(real *value, real *grad, real *m, real *v, size_t count,
                  const struct adamw *adamw);
};

extern const struct kernels KERNELS_REFERENCE;
const struct kernels *kernels_best(void);
size_t kernels_all(const struct kernels **tables, size_t max); /* those this CPU can run */

#endif
