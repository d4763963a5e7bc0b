#include "model/trunk.h"

#include "model/lora.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static size_t kv_width(const struct shape *shape)
{
    return extent_of(KV, shape);
}

static size_t q_width(const struct shape *shape)
{
    return extent_of(Q, shape);
}

void trunk_layout(struct trunk_work *work, const struct shape *s, size_t positions,
                  size_t length_max, bool learns, struct arena *arena)
{
    size_t layers = learns ? s->layers : 1;
    size_t rows = layers * positions;
    size_t kv = kv_width(s);
    size_t wide = q_width(s);
    size_t half = shape_head(s) / 2;
    work->positions_max = positions;
    work->length_max = length_max;
    work->learns = learns;
    work->place = arena_take(arena, positions, sizeof *work->place);
    work->cosine = arena_take(arena, length_max * half, sizeof(real));
    work->sine = arena_take(arena, length_max * half, sizeof(real));
    work->x = arena_take(arena, rows * s->dim, sizeof(real));
    work->x_mid = arena_take(arena, rows * s->dim, sizeof(real));
    work->x_last = arena_take(arena, positions * s->dim, sizeof(real));
    work->n = arena_take(arena, rows * s->dim, sizeof(real));
    work->m = arena_take(arena, rows * s->dim, sizeof(real));
    work->n_inv = arena_take(arena, rows, sizeof(real));
    work->m_inv = arena_take(arena, rows, sizeof(real));
    work->q = arena_take(arena, rows * wide, sizeof(real));
    work->k = arena_take(arena, rows * kv, sizeof(real));
    work->v = arena_take(arena, rows * kv, sizeof(real));
    work->probs = arena_take(arena, rows * s->heads * length_max, sizeof(real));
    work->mixed = arena_take(arena, rows * wide, sizeof(real));
    work->gate = arena_take(arena, rows * s->ffn, sizeof(real));
    work->up = arena_take(arena, rows * s->ffn, sizeof(real));
    work->act = arena_take(arena, rows * s->ffn, sizeof(real));
    work->z = arena_take(arena, positions * s->dim, sizeof(real));
    work->z_inv = arena_take(arena, positions, sizeof(real));
    if (s->qk_norm) {
        work->q_raw = arena_take(arena, rows * wide, sizeof(real));
        work->k_raw = arena_take(arena, rows * kv, sizeof(real));
        work->q_inv = arena_take(arena, rows * s->heads, sizeof(real));
        work->k_inv = arena_take(arena, rows * s->kv_heads, sizeof(real));
    }
    if (!learns)
        return;
    work->mask = arena_take(arena, 2 * rows * s->dim, 1);
    work->dx = arena_take(arena, positions * s->dim, sizeof(real));
    work->dn = arena_take(arena, positions * s->dim, sizeof(real));
    work->dq = arena_take(arena, positions * wide, sizeof(real));
    work->dk = arena_take(arena, positions * kv, sizeof(real));
    work->dv = arena_take(arena, positions * kv, sizeof(real));
    work->dmixed = arena_take(arena, positions * (wide > s->dim ? wide : s->dim), sizeof(real));
    work->dgate = arena_take(arena, positions * s->ffn, sizeof(real));
    work->dup = arena_take(arena, positions * s->ffn, sizeof(real));
    work->dact = arena_take(arena, positions * s->ffn, sizeof(real));
    work->dlora = arena_take(arena, 2 * positions * s->lora_rank, sizeof(real));
}

void trunk_prepare(struct trunk_work *work, const struct shape *shape)
{
    size_t half = shape_head(shape) / 2;
    for (size_t p = 0; p < work->length_max; p++)
        for (size_t c = 0; c < half; c++) {
            double angle = (double)p * shape_turn(shape, c);
            work->cosine[p * half + c] = (real)cos(angle);
            work->sine[p * half + c] = (real)sin(angle);
        }
}

static size_t suffix_start(const struct packed *packed)
{
    return packed->first[packed->sequences];
}

/* Sequences, then suffixes: what of one lies in [from, to). */
static struct attention run_of(const struct trunk_work *work, const struct shape *shape,
                               const struct packed *packed, size_t run, size_t from, size_t to)
{
    struct attention a = {
        .heads = shape->heads,
        .kv_heads = shape->kv_heads,
        .head_dim = shape_head(shape),
        .length_max = work->length_max,
        .stride = 1,
        .positions = work->positions_max,
    };
    size_t own = run < packed->sequences ? run : packed->prefix[run - packed->sequences];
    a.first = packed->first[own];
    a.end = packed->first[own + 1] - a.first;
    if (run < packed->sequences) {
        a.end = a.first >= from && a.first < to ? a.end : 0;
        return a;
    }
    size_t start = suffix_start(packed);
    a.prefix = a.first;
    a.prefix_count = a.end;
    a.first = start + run - packed->sequences;
    a.stride = packed->suffixes;
    a.begin = from > start ? (from - start) / packed->suffixes : 0;
    a.end = to > start ? (to - start) / packed->suffixes : 0;
    return a;
}

static size_t run_count(const struct packed *packed)
{
    return packed->sequences + packed->suffixes;
}

/* direction 1 turns forward; -1 turns back, which is the gradient of turning forward. */
static void rope(real *x, const struct trunk_work *work, const struct attention *a, size_t heads,
                 real direction)
{
    size_t half = a->head_dim / 2;
    for (size_t i = a->begin; i < a->end; i++) {
        size_t place = work->place[attention_query(a, i)];
        const real *cosine = work->cosine + place * half;
        const real *sine = work->sine + place * half;
        for (size_t h = 0; h < heads; h++) {
            real *low = x + (attention_query(a, i) * heads + h) * a->head_dim;
            real *high = low + half;
            for (size_t c = 0; c < half; c++) {
                real turned = low[c] * cosine[c] - direction * high[c] * sine[c];
                high[c] = high[c] * cosine[c] + direction * low[c] * sine[c];
                low[c] = turned;
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

/* Where the activations of a layer lie: all in one place when nothing is kept. */
static size_t slot(const struct trunk_work *work, size_t layer)
{
    return work->learns ? layer * work->positions_max : 0;
}

/* What a forward pass is about: all layers see the same. */
struct pass {
    struct trunk_work *work;
    const struct shape *shape;
    const struct params *params;
    const struct packed *packed;
    size_t from, count; /* positions */
    struct dropout dropout;
    const struct kernels *kernels;
};

static void attend(const struct pass *f, size_t at, real *q, real *k, const real *v, real *mixed)
{
    struct trunk_work *w = f->work;
    const struct shape *s = f->shape;
    for (size_t i = 0; i < run_count(f->packed); i++) {
        struct attention run = run_of(w, s, f->packed, i, f->from, f->from + f->count);
        rope(q, w, &run, s->heads, 1);
        rope(k, w, &run, s->kv_heads, 1);
    }
    for (size_t i = 0; i < run_count(f->packed); i++) {
        struct attention run = run_of(w, s, f->packed, i, f->from, f->from + f->count);
        f->kernels->attention_forward(mixed, w->probs + at * s->heads * w->length_max, q, k, v,
                                      &run);
    }
}

static void add_bias(real *x, const real *bias, size_t rows, size_t width)
{
    for (size_t r = 0; r < rows; r++)
        add(x + r * width, bias, width);
}

/* Each head of x by its own length; what it was goes to raw. */
static void norm_heads(real *x, real *raw, real *inv, const real *weight, size_t heads,
                       const struct pass *f)
{
    size_t head = shape_head(f->shape);
    memcpy(raw, x, f->count * heads * head * sizeof(real));
    f->kernels->rmsnorm_forward(x, inv, raw, weight, f->count * heads, head,
                                (real)f->shape->norm_eps);
}

/* What biases or norms make of the rows of q, k, v from `here` on. */
static void shape_qkv(const struct pass *f, size_t layer, size_t here)
{
    struct trunk_work *w = f->work;
    const struct shape *s = f->shape;
    const struct params *p = f->params;
    size_t wide = q_width(s);
    size_t kv = kv_width(s);
    size_t head = shape_head(s);
    if (s->qkv_bias) {
        add_bias(w->q + here * wide, p->q_bias + layer * wide, f->count, wide);
        add_bias(w->k + here * kv, p->k_bias + layer * kv, f->count, kv);
        add_bias(w->v + here * kv, p->v_bias + layer * kv, f->count, kv);
    }
    if (s->qk_norm) {
        norm_heads(w->q + here * wide, w->q_raw + here * wide, w->q_inv + here * s->heads,
                   p->q_norm + layer * head, s->heads, f);
        norm_heads(w->k + here * kv, w->k_raw + here * kv, w->k_inv + here * s->kv_heads,
                   p->k_norm + layer * head, s->kv_heads, f);
    }
}

static void attention_block(const struct pass *f, size_t layer)
{
    struct trunk_work *w = f->work;
    const struct params *params = f->params;
    size_t at = slot(w, layer);
    size_t here = at + f->from;
    size_t d = f->shape->dim;
    size_t kv = kv_width(f->shape);
    size_t wide = q_width(f->shape);
    real *n = w->n + here * d;
    f->kernels->rmsnorm_forward(n, w->n_inv + here, w->x + here * d, params->attn_norm + layer * d,
                                f->count, d, (real)f->shape->norm_eps);
    product_nt(w->q + here * wide, n, params->q + layer * wide * d, f->count, wide, d, 0);
    product_nt(w->k + here * kv, n, params->k + layer * kv * d, f->count, kv, d, 0);
    product_nt(w->v + here * kv, n, params->v + layer * kv * d, f->count, kv, d, 0);
    shape_qkv(f, layer, here);
    attend(f, at, w->q + at * wide, w->k + at * kv, w->v + at * kv, w->mixed + at * wide);
    real *out = w->x_mid + here * d;
    product_nt(out, w->mixed + here * wide, params->o + layer * d * wide, f->count, d, wide, 0);
    dropout_apply(out, w->mask + (2 * at + f->from) * d, f->count * d, f->dropout);
    add(out, w->x + here * d, f->count * d);
}

static void mlp_block(const struct pass *f, real *out, size_t layer)
{
    struct trunk_work *w = f->work;
    const struct params *params = f->params;
    size_t at = slot(w, layer);
    size_t here = at + f->from;
    size_t d = f->shape->dim;
    size_t ffn = f->shape->ffn;
    real *m = w->m + here * d;
    f->kernels->rmsnorm_forward(m, w->m_inv + here, w->x_mid + here * d,
                                params->mlp_norm + layer * d, f->count, d,
                                (real)f->shape->norm_eps);
    product_nt(w->gate + here * ffn, m, params->gate + layer * ffn * d, f->count, ffn, d, 0);
    product_nt(w->up + here * ffn, m, params->up + layer * ffn * d, f->count, ffn, d, 0);
    f->kernels->swiglu_forward(w->act + here * ffn, w->gate + here * ffn, w->up + here * ffn,
                               f->count * ffn);
    product_nt(out, w->act + here * ffn, params->down + layer * d * ffn, f->count, d, ffn, 0);
    dropout_apply(out, w->mask + (2 * at + w->positions_max + f->from) * d, f->count * d,
                  f->dropout);
    add(out, w->x_mid + here * d, f->count * d);
}

void trunk_forward(struct trunk_work *w, const struct shape *s, const struct params *params,
                   const struct packed *packed, size_t from, size_t to, struct dropout dropout,
                   const struct kernels *kernels)
{
    const struct pass f = {w, s, params, packed, from, to - from, dropout, kernels};
    size_t d = s->dim;
    assert(packed->positions <= w->positions_max && to <= packed->positions);
    assert((dropout.share <= 0 && to - from == packed->positions) || w->learns);
    for (size_t l = 0; l < s->layers; l++) {
        attention_block(&f, l);
        bool last = l + 1 == s->layers;
        mlp_block(&f, (last ? w->x_last : w->x + slot(w, l + 1) * d) + from * d, l);
    }
    kernels->rmsnorm_forward(w->z + from * d, w->z_inv + from, w->x_last + from * d, params->norm,
                             f.count, d, (real)s->norm_eps);
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
    trunk_matrix_backward(grads, w->dlora, params, s, MATRIX_DOWN, layer, w->dmixed,
                          w->act + at * f, rows);
    product_nn(w->dact, w->dmixed, params->down + layer * d * f, rows, f, d, 0);
    kernels->swiglu_backward(w->dgate, w->dup, w->dact, w->gate + at * f, w->up + at * f, rows * f);
    trunk_matrix_backward(grads, w->dlora, params, s, MATRIX_GATE, layer, w->dgate, m, rows);
    trunk_matrix_backward(grads, w->dlora, params, s, MATRIX_UP, layer, w->dup, m, rows);
    product_nn(w->dn, w->dgate, params->gate + layer * f * d, rows, d, f, 0);
    product_nn(w->dn, w->dup, params->up + layer * f * d, rows, d, f, 1);
    kernels->rmsnorm_backward(w->dx, grads->mlp_norm + layer * d, w->dn, w->x_mid + at * d,
                              params->mlp_norm + layer * d, w->m_inv + at, rows, d);
}

static void bias_backward(real *grad, const real *dx, size_t rows, size_t width)
{
    for (size_t r = 0; r < rows; r++)
        add(grad, dx + r * width, width);
}

/* dx enters as the gradient of normed heads and leaves as that of what they were. */
static void norm_heads_backward(real *dx, real *grad, real *scratch, const real *raw,
                                const real *inv, const real *weight, size_t rows, size_t head,
                                const struct kernels *kernels)
{
    memcpy(scratch, dx, rows * head * sizeof(real));
    memset(dx, 0, rows * head * sizeof(real));
    kernels->rmsnorm_backward(dx, grad, scratch, raw, weight, inv, rows, head);
}

/* shape_qkv() backward, in dq, dk, dv. */
static void shape_qkv_backward(struct trunk_work *w, struct params *grads, const struct shape *s,
                               const struct params *params, size_t layer, size_t rows,
                               const struct kernels *kernels)
{
    size_t at = slot(w, layer);
    size_t wide = q_width(s);
    size_t kv = kv_width(s);
    size_t head = shape_head(s);
    if (s->qk_norm) { /* dmixed is free by now */
        norm_heads_backward(w->dq, grads->q_norm + layer * head, w->dmixed, w->q_raw + at * wide,
                            w->q_inv + at * s->heads, params->q_norm + layer * head,
                            rows * s->heads, head, kernels);
        norm_heads_backward(w->dk, grads->k_norm + layer * head, w->dmixed, w->k_raw + at * kv,
                            w->k_inv + at * s->kv_heads, params->k_norm + layer * head,
                            rows * s->kv_heads, head, kernels);
    }
    if (s->qkv_bias) {
        bias_backward(grads->q_bias + layer * wide, w->dq, rows, wide);
        bias_backward(grads->k_bias + layer * kv, w->dk, rows, kv);
        bias_backward(grads->v_bias + layer * kv, w->dv, rows, kv);
    }
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
    size_t wide = q_width(s);
    const real *n = w->n + at * d;
    const real *q = w->q + at * wide;
    const real *k = w->k + at * kv;
    const real *v = w->v + at * kv;
    memcpy(w->dn, w->dx, rows * d * sizeof(real));
    dropout_backward(w->dn, w->mask + 2 * at * d, rows * d, drop);
    trunk_matrix_backward(grads, w->dlora, params, s, MATRIX_O, layer, w->dn, w->mixed + at * wide,
                          rows);
    product_nn(w->dmixed, w->dn, params->o + layer * d * wide, rows, wide, d, 0);
    memset(w->dq, 0, rows * wide * sizeof(real));
    memset(w->dk, 0, rows * kv * sizeof(real));
    memset(w->dv, 0, rows * kv * sizeof(real));
    for (size_t i = 0; i < run_count(packed); i++) {
        struct attention run = run_of(w, s, packed, i, 0, rows);
        kernels->attention_backward(w->dq, w->dk, w->dv, w->dmixed,
                                    w->probs + at * s->heads * w->length_max, q, k, v, &run);
    }
    for (size_t i = 0; i < run_count(packed); i++) { /* suffixes add to dk of their prefix */
        struct attention run = run_of(w, s, packed, i, 0, rows);
        rope(w->dq, w, &run, s->heads, -1);
        rope(w->dk, w, &run, s->kv_heads, -1);
    }
    shape_qkv_backward(w, grads, s, params, layer, rows, kernels);
    trunk_matrix_backward(grads, w->dlora, params, s, MATRIX_Q, layer, w->dq, n, rows);
    trunk_matrix_backward(grads, w->dlora, params, s, MATRIX_K, layer, w->dk, n, rows);
    trunk_matrix_backward(grads, w->dlora, params, s, MATRIX_V, layer, w->dv, n, rows);
    product_nn(w->dn, w->dq, params->q + layer * wide * d, rows, d, wide, 0);
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
