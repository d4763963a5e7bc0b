#include "model/sample.h"

#include "model/readings.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void sample_layout(struct sample_work *w, const struct shape *s, size_t rows, size_t width,
                   struct arena *arena)
{
    w->rows_max = rows;
    w->h = arena_take(arena, (s->levels + 1) * rows * s->dim, sizeof(real));
    w->pre = arena_take(arena, s->levels * rows * s->dim, sizeof(real));
    w->act = arena_take(arena, s->levels * rows * s->dim, sizeof(real));
    w->ones = arena_take(arena, rows * s->dim, sizeof(real));
    w->logits = arena_take(arena, s->levels * rows * s->tiles, sizeof(real));
    w->dnode = arena_take(arena, s->levels * rows * s->dim, sizeof(real));
    real **of_rows[] = {&w->zt, &w->dh, &w->dpre, &w->dact, &w->dones};
    for (size_t i = 0; i < COUNT(of_rows); i++)
        *of_rows[i] = arena_take(arena, rows * s->dim, sizeof(real));
    w->picked = arena_take(arena, width, sizeof(real));
    w->block = arena_take(arena, width, sizeof(real));
    w->node = arena_take(arena, (s->levels + 1) * rows, sizeof *w->node);
    w->children = arena_take(arena, width, sizeof *w->children);
}

void sample_prepare(struct sample_work *w, const struct shape *s)
{
    for (size_t i = 0; i < w->rows_max * s->dim; i++)
        w->ones[i] = 1;
}

/* The legal children of a row's node at a level and their logits in w->picked. */
static size_t child_logits(struct sample_work *w, const struct sampled *rows,
                           const struct policy *policy, size_t row, size_t level)
{
    const struct shape *s = &policy->shape;
    const struct legal_tiles *legal = &rows->legal[rows->prompt[row]];
    const real *h = w->h + (level * w->rows_max + row) * s->dim;
    size_t count =
        legal->children(legal->self, w->children, w->node[level * w->rows_max + row], level);
    policy_child_logits(w->picked, w->block, policy, h,
                        level < s->levels ? w->logits + (level * w->rows_max + row) * s->tiles
                                          : NULL,
                        w->children, count, level);
    for (size_t c = 0; c < count; c++)
        w->picked[c] /= rows->temperature;
    return count;
}

/* w->picked becomes probabilities; returns their entropy. */
static real to_probabilities(struct sample_work *w, size_t count)
{
    real most = w->picked[0];
    real total = 0;
    real mean = 0;
    for (size_t c = 1; c < count; c++)
        most = w->picked[c] > most ? w->picked[c] : most;
    for (size_t c = 0; c < count; c++) {
        real weight = REAL_EXP(w->picked[c] - most);
        mean += weight * w->picked[c];
        total += weight;
        w->picked[c] = weight;
    }
    for (size_t c = 0; c < count; c++)
        w->picked[c] /= total;
    return most + REAL_LOG(total) - mean / total;
}

static size_t draw(const struct sample_work *w, size_t count, struct rng *rng)
{
    double u = rng_uniform(rng);
    size_t last = 0; /* rounding must not pick what has no probability */
    for (size_t c = 0; c < count; c++) {
        last = w->picked[c] > 0 ? c : last;
        u -= (double)w->picked[c];
        if (u < 0)
            return c;
    }
    return last;
}

static size_t place_of(const struct sample_work *w, size_t count, uint32_t tile)
{
    size_t c = 0;
    while (c < count && w->children[c].tile != tile)
        c++;
    return c;
}

static bool is_drawn(const struct sampled *rows, size_t row, size_t level, const struct rng *rng)
{
    return rng && !(rows->forced && rows->forced[row] > level);
}

/* Chooses or follows one tile of one row; false: it can go no further. */
static bool step(struct sample_work *w, struct sampled *rows, const struct policy *policy,
                 size_t row, size_t level, struct rng *rng, uint32_t *tile)
{
    size_t at = row * (policy->shape.levels + 1) + level;
    size_t count = child_logits(w, rows, policy, row, level);
    if (count == 0)
        return false;
    real entropy = to_probabilities(w, count);
    bool drawn = is_drawn(rows, row, level, rng);
    size_t c = drawn ? draw(w, count, rng)
                     : place_of(w, count, policy_codes(policy, rows->item[row])[level]);
    if (c == count)
        return false;
    if (count > 1) {
        rows->decided[at] = 1;
        rows->lp[at] = REAL_LOG(w->picked[c]);
        rows->entropy[at] = entropy;
    }
    *tile = w->children[c].tile;
    if (level < policy->shape.levels)
        w->node[(level + 1) * w->rows_max + row] = w->children[c].node;
    else if (drawn)
        rows->item[row] = w->children[c].item;
    return true;
}

static void walk(struct sample_work *w, struct sampled *rows, const struct policy *policy,
                 const real *z, struct rng *rng)
{
    const struct shape *s = &policy->shape;
    const struct params *p = &policy->params;
    size_t d = s->dim;
    size_t tiles = s->levels + 1;
    size_t stride = w->rows_max * d;
    assert(rows->rows <= w->rows_max);
    memset(rows->lp, 0, rows->rows * tiles * sizeof(real));
    memset(rows->entropy, 0, rows->rows * tiles * sizeof(real));
    memset(rows->decided, 0, rows->rows * tiles);
    for (size_t r = 0; r < rows->rows; r++) {
        memcpy(w->zt + r * d, z + rows->prompt[r] * d, d * sizeof(real));
        w->node[r] = rows->legal[rows->prompt[r]].root;
        if (is_drawn(rows, r, 0, rng))
            rows->item[r] = 0; /* on its way */
    }
    product_nt(w->h, w->zt, p->name_start, rows->rows, d, d, 0);
    for (size_t l = 0; l <= s->levels; l++) {
        real *h = w->h + l * stride;
        real *pre = w->pre + l * stride;
        if (l < s->levels) {
            product_nt(w->logits + l * w->rows_max * s->tiles, h, p->tile_out + l * s->tiles * d,
                       rows->rows, s->tiles, d, 0);
            product_nt(pre, h, p->depth_up + l * d * d, rows->rows, d, d, 0);
        }
        for (size_t r = 0; r < rows->rows; r++) {
            uint32_t tile = 0;
            if (rows->item[r] == NO_ITEM)
                continue;
            if (!step(w, rows, policy, r, l, rng, &tile)) {
                if (is_drawn(rows, r, s->levels, rng)) {
                    rows->item[r] = NO_ITEM;
                } else {
                    rows->decided[r * tiles + l] = 1;
                    rows->lp[r * tiles + l] = -HUGE_VALF;
                }
                w->node[l * w->rows_max + r] = (struct tile_node){0, 0, 0, 0};
                if (l < s->levels)
                    w->node[(l + 1) * w->rows_max + r] = (struct tile_node){0, 0, 0, 0};
            } else if (l < s->levels) {
                axpy(pre + r * d, 1, p->depth_tile + (l * s->tiles + tile) * d, d);
            }
        }
        if (l == s->levels)
            break;
        policy->kernels->swiglu_forward(w->act + l * stride, pre, w->ones, rows->rows * d);
        memcpy(h + stride, h, rows->rows * d * sizeof(real));
        product_nt(h + stride, w->act + l * stride, p->depth_down + l * d * d, rows->rows, d, d, 1);
    }
}

void sample_names(struct sample_work *w, struct sampled *rows, const struct policy *policy,
                  const real *z, struct rng *rng)
{
    walk(w, rows, policy, z, rng);
}

void sample_score(struct sample_work *w, struct sampled *rows, const struct policy *policy,
                  const real *z)
{
    walk(w, rows, policy, z, NULL);
}

/* Whether a decision was taken, can be followed, and has a gradient. */
static bool has_gradient(const struct sampled *rows, size_t row, size_t at, const real *g_lp,
                         const real *g_entropy)
{
    return rows->item[row] != NO_ITEM && rows->decided[at] && rows->lp[at] > -HUGE_VALF &&
           (g_lp[at] != 0 || g_entropy[at] != 0);
}

/* Gradients of a row's legal logits at a level into w->picked; returns how many. */
static size_t child_gradients(struct sample_work *w, const struct sampled *rows,
                              const struct policy *policy, size_t row, size_t level, real g_lp,
                              real g_entropy)
{
    size_t count = child_logits(w, rows, policy, row, level);
    real entropy = to_probabilities(w, count);
    size_t chosen = place_of(w, count, policy_codes(policy, rows->item[row])[level]);
    for (size_t c = 0; c < count; c++) {
        real p = w->picked[c];
        real log_p = p > 0 ? REAL_LOG(p) : 0;
        w->picked[c] =
            (g_lp * ((c == chosen) - p) - g_entropy * p * (log_p + entropy)) / rows->temperature;
    }
    return count;
}

static void last_backward(struct sample_work *w, const struct sampled *rows,
                          const struct policy *policy, const real *g_lp, const real *g_entropy)
{
    const struct shape *s = &policy->shape;
    for (size_t r = 0; r < rows->rows; r++) {
        size_t at = r * (s->levels + 1) + s->levels;
        if (!has_gradient(rows, r, at, g_lp, g_entropy))
            continue;
        size_t count = child_gradients(w, rows, policy, r, s->levels, g_lp[at], g_entropy[at]);
        for (size_t c = 0; c < count; c++)
            axpy(w->dh + r * s->dim, w->picked[c], policy_find_vector(policy, w->children[c].item),
                 s->dim);
    }
}

/* The logits of a level become their gradients; what m gives to h goes into w->dnode. */
static void level_backward(struct sample_work *w, const struct sampled *rows,
                           const struct policy *policy, const real *g_lp, const real *g_entropy,
                           size_t level)
{
    const struct shape *s = &policy->shape;
    for (size_t r = 0; r < rows->rows; r++) {
        size_t at = r * (s->levels + 1) + level;
        real *logits = w->logits + (level * w->rows_max + r) * s->tiles;
        real *dnode = w->dnode + (level * w->rows_max + r) * s->dim;
        size_t count = 0;
        memset(dnode, 0, s->dim * sizeof(real));
        if (has_gradient(rows, r, at, g_lp, g_entropy))
            count = child_gradients(w, rows, policy, r, level, g_lp[at], g_entropy[at]);
        memset(logits, 0, s->tiles * sizeof(real));
        for (size_t c = 0; c < count; c++)
            logits[w->children[c].tile] = w->picked[c];
        if (count && policy->items.node)
            policy_node_backward(dnode, w->block, policy, w->picked, w->children, count, level);
    }
}

void sample_backward(struct sample_work *w, struct params *grads, real *dz,
                     const struct sampled *rows, const struct policy *policy, const real *g_lp,
                     const real *g_entropy)
{
    const struct shape *s = &policy->shape;
    const struct params *p = &policy->params;
    size_t d = s->dim;
    size_t n = rows->rows;
    size_t stride = w->rows_max * d;
    memset(w->dh, 0, n * d * sizeof(real));
    last_backward(w, rows, policy, g_lp, g_entropy);
    for (size_t l = s->levels; l-- > 0;) {
        const real *h = w->h + l * stride;
        const real *dlogits = w->logits + l * w->rows_max * s->tiles;
        product_tn(grads->depth_down + l * d * d, w->dh, w->act + l * stride, d, d, n, 1);
        product_nn(w->dact, w->dh, p->depth_down + l * d * d, n, d, d, 0);
        policy->kernels->swiglu_backward(w->dpre, w->dones, w->dact, w->pre + l * stride, w->ones,
                                         n * d);
        level_backward(w, rows, policy, g_lp, g_entropy, l);
        for (size_t r = 0; r < n; r++) {
            if (rows->item[r] == NO_ITEM)
                continue;
            uint32_t tile = policy_codes(policy, rows->item[r])[l];
            axpy(grads->depth_tile + (l * s->tiles + tile) * d, 1, w->dpre + r * d, d);
            axpy(grads->tile_bias + l * s->tiles, 1, dlogits + r * s->tiles, s->tiles);
        }
        product_tn(grads->depth_up + l * d * d, w->dpre, h, d, d, n, 1);
        product_nn(w->dh, w->dpre, p->depth_up + l * d * d, n, d, d, 1);
        product_tn(grads->tile_out + l * s->tiles * d, dlogits, h, s->tiles, d, n, 1);
        product_nn(w->dh, dlogits, p->tile_out + l * s->tiles * d, n, d, s->tiles, 1);
        if (policy->items.node)
            axpy(w->dh, 1, w->dnode + l * stride, n * d);
    }
    product_tn(grads->name_start, w->dh, w->zt, d, d, n, 1);
    product_nn(w->dact, w->dh, p->name_start, n, d, d, 0);
    for (size_t r = 0; r < n; r++)
        axpy(dz + rows->prompt[r] * d, 1, w->dact + r * d, d);
}
