#include "model/trunk.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static size_t kv_width(const struct shape *shape)
{
    return extent_of(KV, shape);
}

void trunk_layout(struct trunk_work *work, const struct shape *s, size_t positions,
                  size_t length_max, bool learns, struct arena *arena)
{
    size_t layers = learns ? s->layers : 1;
    size_t rows = layers * positions;
    size_t kv = kv_width(s);
    size_t half = s->dim / s->heads / 2;
    work->positions_max = positions;
    work->length_max = length_max;
    work->learns = learns;
    work->cosine = arena_take(arena, length_max * half, sizeof(real));
    work->sine = arena_take(arena, length_max * half, sizeof(real));
    work->x = arena_take(arena, rows * s->dim, sizeof(real));
    work->x_mid = arena_take(arena, rows * s->dim, sizeof(real));
    work->x_last = arena_take(arena, positions * s->dim, sizeof(real));
    work->n = arena_take(arena, rows * s->dim, sizeof(real));
    work->m = arena_take(arena, rows * s->dim, sizeof(real));
    work->n_inv = arena_take(arena, rows, sizeof(real));
    work->m_inv = arena_take(arena, rows, sizeof(real));
    work->q = arena_take(arena, rows * s->dim, sizeof(real));
    work->k = arena_take(arena, rows * kv, sizeof(real));
    work->v = arena_take(arena, rows * kv, sizeof(real));
    work->probs = arena_take(arena, rows * s->heads * length_max, sizeof(real));
    work->mixed = arena_take(arena, rows * s->dim, sizeof(real));
    work->gate = arena_take(arena, rows * s->ffn, sizeof(real));
    work->up = arena_take(arena, rows * s->ffn, sizeof(real));
    work->act = arena_take(arena, rows * s->ffn, sizeof(real));
    work->z = arena_take(arena, positions * s->dim, sizeof(real));
    work->z_inv = arena_take(arena, positions, sizeof(real));
    if (!learns)
        return;
    work->mask = arena_take(arena, 2 * rows * s->dim, 1);
    work->dx = arena_take(arena, positions * s->dim, sizeof(real));
    work->dn = arena_take(arena, positions * s->dim, sizeof(real));
    work->dq = arena_take(arena, positions * s->dim, sizeof(real));
    work->dk = arena_take(arena, positions * kv, sizeof(real));
    work->dv = arena_take(arena, positions * kv, sizeof(real));
    work->dmixed = arena_take(arena, positions * s->dim, sizeof(real));
    work->dgate = arena_take(arena, positions * s->ffn, sizeof(real));
    work->dup = arena_take(arena, positions * s->ffn, sizeof(real));
    work->dact = arena_take(arena, positions * s->ffn, sizeof(real));
}

void trunk_prepare(struct trunk_work *work, const struct shape *shape)
{
    size_t half = shape->dim / shape->heads / 2;
    for (size_t p = 0; p < work->length_max; p++)
        for (size_t c = 0; c < half; c++) {
            double angle = (double)p * pow(shape->rope_base, -(double)c / (double)half);
            work->cosine[p * half + c] = (real)cos(angle);
            work->sine[p * half + c] = (real)sin(angle);
        }
}

/* direction 1 turns forward; -1 turns back, which is the gradient of turning forward. */
static void rope(real *x, const struct trunk_work *work, const struct packed *packed, size_t heads,
                 size_t head_dim, real direction)
{
    size_t half = head_dim / 2;
    for (size_t s = 0; s < packed->sequences; s++)
        for (size_t i = packed->first[s]; i < packed->first[s + 1]; i++) {
            const real *cosine = work->cosine + (i - packed->first[s]) * half;
            const real *sine = work->sine + (i - packed->first[s]) * half;
            for (size_t h = 0; h < heads; h++) {
                real *a = x + (i * heads + h) * head_dim;
                real *b = a + half;
                for (size_t c = 0; c < half; c++) {
                    real turned = a[c] * cosine[c] - direction * b[c] * sine[c];
                    b[c] = b[c] * cosine[c] + direction * a[c] * sine[c];
                    a[c] = turned;
                }
            }
        }
}

void dropout_apply(real *x, unsigned char *mask, size_t count, struct dropout dropout)
{
    if (dropout.share <= 0)
        return;
    uint64_t threshold = (uint64_t)((double)dropout.share * 65536);
    real scale = 1 / (1 - dropout.share);
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++) {
        bits = i % 4 == 0 ? rng_u64(dropout.rng) : bits >> 16;
        mask[i] = (bits & 0xffff) >= threshold;
        x[i] = mask[i] ? x[i] * scale : 0;
    }
}

void dropout_backward(real *dx, const unsigned char *mask, size_t count, real share)
{
    if (share <= 0)
        return;
    real scale = 1 / (1 - share);
    for (size_t i = 0; i < count; i++)
        dx[i] = mask[i] ? dx[i] * scale : 0;
}

static void add(real *to, const real *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] += from[i];
}

static struct attention attention_of(const struct trunk_work *work, const struct shape *shape,
                                     const struct packed *packed, size_t sequence)
{
    return (struct attention){
        .heads = shape->heads,
        .kv_heads = shape->kv_heads,
        .head_dim = shape->dim / shape->heads,
        .length_max = work->length_max,
        .first = packed->first[sequence],
        .last = packed->first[sequence + 1],
        .positions = work->positions_max,
    };
}

/* Where the activations of a layer lie: all in one place when nothing is kept. */
static size_t slot(const struct trunk_work *work, size_t layer)
{
    return work->learns ? layer * work->positions_max : 0;
}

static void attention_block(struct trunk_work *w, const struct shape *s,
                            const struct params *params, size_t layer, const struct packed *packed,
                            struct dropout dropout, const struct kernels *kernels)
{
    size_t rows = packed->positions;
    size_t at = slot(w, layer);
    size_t d = s->dim;
    size_t kv = kv_width(s);
    size_t head = d / s->heads;
    real *n = w->n + at * d;
    real *q = w->q + at * d;
    real *k = w->k + at * kv;
    real *v = w->v + at * kv;
    real *mixed = w->mixed + at * d;
    kernels->rmsnorm_forward(n, w->n_inv + at, w->x + at * d, params->attn_norm + layer * d, rows,
                             d, (real)s->norm_eps);
    product_nt(q, n, params->q + layer * d * d, rows, d, d, 0);
    product_nt(k, n, params->k + layer * kv * d, rows, kv, d, 0);
    product_nt(v, n, params->v + layer * kv * d, rows, kv, d, 0);
    rope(q, w, packed, s->heads, head, 1);
    rope(k, w, packed, s->kv_heads, head, 1);
    for (size_t i = 0; i < packed->sequences; i++) {
        struct attention attention = attention_of(w, s, packed, i);
        kernels->attention_forward(mixed, w->probs + at * s->heads * w->length_max, q, k, v,
                                   &attention);
    }
    real *out = w->x_mid + at * d;
    product_nt(out, mixed, params->o + layer * d * d, rows, d, d, 0);
    dropout_apply(out, w->mask + 2 * at * d, rows * d, dropout);
    add(out, w->x + at * d, rows * d);
}

static void mlp_block(struct trunk_work *w, real *out, const struct shape *s,
                      const struct params *params, size_t layer, size_t rows,
                      struct dropout dropout, const struct kernels *kernels)
{
    size_t at = slot(w, layer);
    size_t d = s->dim;
    size_t f = s->ffn;
    real *m = w->m + at * d;
    kernels->rmsnorm_forward(m, w->m_inv + at, w->x_mid + at * d, params->mlp_norm + layer * d,
                             rows, d, (real)s->norm_eps);
    product_nt(w->gate + at * f, m, params->gate + layer * f * d, rows, f, d, 0);
    product_nt(w->up + at * f, m, params->up + layer * f * d, rows, f, d, 0);
    kernels->swiglu_forward(w->act + at * f, w->gate + at * f, w->up + at * f, rows * f);
    product_nt(out, w->act + at * f, params->down + layer * d * f, rows, d, f, 0);
    dropout_apply(out, w->mask + (2 * at + w->positions_max) * d, rows * d, dropout);
    add(out, w->x_mid + at * d, rows * d);
}

void trunk_forward(struct trunk_work *w, const struct shape *s, const struct params *params,
                   const struct packed *packed, struct dropout dropout,
                   const struct kernels *kernels)
{
    assert(packed->positions <= w->positions_max);
    assert(dropout.share <= 0 || w->learns);
    for (size_t l = 0; l < s->layers; l++) {
        attention_block(w, s, params, l, packed, dropout, kernels);
        bool last = l + 1 == s->layers;
        real *out = last ? w->x_last : w->x + slot(w, l + 1) * s->dim;
        mlp_block(w, out, s, params, l, packed->positions, dropout, kernels);
    }
    kernels->rmsnorm_forward(w->z, w->z_inv, w->x_last, params->norm, packed->positions, s->dim,
                             (real)s->norm_eps);
}

/* dx enters as the gradient of the layer's output and leaves as that of x_mid. */
static void mlp_backward(struct trunk_work *w, struct params *grads, const struct shape *s,
                         const struct params *params, size_t layer, size_t rows, real drop,
                         const struct kernels *kernels)
{
    size_t at = slot(w, layer);
    size_t d = s->dim;
    size_t f = s->ffn;
    const real *m = w->m + at * d;
    memcpy(w->dmixed, w->dx, rows * d * sizeof(real));
    dropout_backward(w->dmixed, w->mask + (2 * at + w->positions_max) * d, rows * d, drop);
    product_tn(grads->down + layer * d * f, w->dmixed, w->act + at * f, d, f, rows, 1);
    product_nn(w->dact, w->dmixed, params->down + layer * d * f, rows, f, d, 0);
    kernels->swiglu_backward(w->dgate, w->dup, w->dact, w->gate + at * f, w->up + at * f, rows * f);
    product_tn(grads->gate + layer * f * d, w->dgate, m, f, d, rows, 1);
    product_tn(grads->up + layer * f * d, w->dup, m, f, d, rows, 1);
    product_nn(w->dn, w->dgate, params->gate + layer * f * d, rows, d, f, 0);
    product_nn(w->dn, w->dup, params->up + layer * f * d, rows, d, f, 1);
    kernels->rmsnorm_backward(w->dx, grads->mlp_norm + layer * d, w->dn, w->x_mid + at * d,
                              params->mlp_norm + layer * d, w->m_inv + at, rows, d);
}

/* dx enters as the gradient of x_mid and leaves as that of the layer's input. */
static void attention_block_backward(struct trunk_work *w, struct params *grads,
                                     const struct shape *s, const struct params *params,
                                     size_t layer, const struct packed *packed, real drop,
                                     const struct kernels *kernels)
{
    size_t rows = packed->positions;
    size_t at = slot(w, layer);
    size_t d = s->dim;
    size_t kv = kv_width(s);
    size_t head = d / s->heads;
    const real *n = w->n + at * d;
    const real *q = w->q + at * d;
    const real *k = w->k + at * kv;
    const real *v = w->v + at * kv;
    memcpy(w->dn, w->dx, rows * d * sizeof(real));
    dropout_backward(w->dn, w->mask + 2 * at * d, rows * d, drop);
    product_tn(grads->o + layer * d * d, w->dn, w->mixed + at * d, d, d, rows, 1);
    product_nn(w->dmixed, w->dn, params->o + layer * d * d, rows, d, d, 0);
    memset(w->dq, 0, rows * d * sizeof(real));
    memset(w->dk, 0, rows * kv * sizeof(real));
    memset(w->dv, 0, rows * kv * sizeof(real));
    for (size_t i = 0; i < packed->sequences; i++) {
        struct attention attention = attention_of(w, s, packed, i);
        kernels->attention_backward(w->dq, w->dk, w->dv, w->dmixed,
                                    w->probs + at * s->heads * w->length_max, q, k, v, &attention);
    }
    rope(w->dq, w, packed, s->heads, head, -1);
    rope(w->dk, w, packed, s->kv_heads, head, -1);
    product_tn(grads->q + layer * d * d, w->dq, n, d, d, rows, 1);
    product_tn(grads->k + layer * kv * d, w->dk, n, kv, d, rows, 1);
    product_tn(grads->v + layer * kv * d, w->dv, n, kv, d, rows, 1);
    product_nn(w->dn, w->dq, params->q + layer * d * d, rows, d, d, 0);
    product_nn(w->dn, w->dk, params->k + layer * kv * d, rows, d, kv, 1);
    product_nn(w->dn, w->dv, params->v + layer * kv * d, rows, d, kv, 1);
    kernels->rmsnorm_backward(w->dx, grads->attn_norm + layer * d, w->dn, w->x + at * d,
                              params->attn_norm + layer * d, w->n_inv + at, rows, d);
}

void trunk_backward(struct trunk_work *w, struct params *grads, const real *dz,
                    const struct shape *s, const struct params *params, const struct packed *packed,
                    struct dropout dropout, const struct kernels *kernels)
{
    size_t rows = packed->positions;
    assert(w->learns);
    memset(w->dx, 0, rows * s->dim * sizeof(real));
    kernels->rmsnorm_backward(w->dx, grads->norm, dz, w->x_last, params->norm, w->z_inv, rows,
                              s->dim);
    for (size_t l = s->layers; l-- > 0;) {
        mlp_backward(w, grads, s, params, l, rows, dropout.share, kernels);
        attention_block_backward(w, grads, s, params, l, packed, dropout.share, kernels);
    }
}
