#include "model/policy.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void policy_layout(struct policy_work *w, const struct shape *s, size_t positions,
                   size_t length_max, size_t width, bool learns, struct arena *arena)
{
    trunk_layout(&w->trunk, s, positions, length_max, learns, arena);
    w->content = arena_take(arena, positions * s->content, sizeof(real));
    if (!learns)
        return;
    w->chunk_rows = positions < FIND_CHUNK_ROWS ? positions : FIND_CHUNK_ROWS;
    w->own_kept = arena_take(arena, positions, 1);
    w->input_mask = arena_take(arena, positions * s->dim, 1);
    w->query = arena_take(arena, positions * s->dim, sizeof(real));
    w->dquery = arena_take(arena, positions * s->dim, sizeof(real));
    w->logits = arena_take(arena, w->chunk_rows * s->items, sizeof(real));
    w->dz = arena_take(arena, positions * s->dim, sizeof(real));
    w->h = arena_take(arena, (s->levels + 1) * positions * s->dim, sizeof(real));
    w->pre = arena_take(arena, s->levels * positions * s->dim, sizeof(real));
    w->act = arena_take(arena, s->levels * positions * s->dim, sizeof(real));
    w->dtiles = arena_take(arena, s->levels * positions * s->tiles, sizeof(real));
    w->ones = arena_take(arena, positions * s->dim, sizeof(real));
    w->dh = arena_take(arena, positions * s->dim, sizeof(real));
    w->dpre = arena_take(arena, positions * s->dim, sizeof(real));
    w->dact = arena_take(arena, positions * s->dim, sizeof(real));
    w->node = arena_take(arena, positions, sizeof *w->node);
    w->children = arena_take(arena, width + 1, sizeof *w->children);
    w->picked = arena_take(arena, width + 1, sizeof(real));
    w->member_vector = arena_take(arena, s->dim, sizeof(real));
}

void policy_prepare(struct policy_work *w, const struct shape *s)
{
    trunk_prepare(&w->trunk, s);
    if (w->trunk.learns)
        for (size_t i = 0; i < w->trunk.positions_max * s->dim; i++)
            w->ones[i] = 1;
}

static const uint16_t *codes_of(const struct policy *policy, uint32_t row)
{
    return policy->items.codes + (size_t)row * (policy->shape.levels + 1);
}

static void axpy(real *to, real scale, const real *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] += scale * from[i];
}

static real dot(const real *a, const real *b, size_t count)
{
    real sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

static void gather_inputs(struct policy_work *w, const struct policy *policy, const uint32_t *input,
                          size_t rows, real own_drop, struct rng *rng)
{
    const struct shape *s = &policy->shape;
    size_t d = s->dim;
    real *x = w->trunk.x;
    for (size_t i = 0; i < rows; i++)
        memcpy(w->content + i * s->content, policy->items.content + (size_t)input[i] * s->content,
               s->content * sizeof(real));
    product_nt(x, w->content, policy->params.content_in, rows, d, s->content, 0);
    for (size_t i = 0; i < rows; i++) {
        const uint16_t *codes = codes_of(policy, input[i]);
        for (size_t l = 0; l < s->levels; l++)
            axpy(x + i * d, 1, policy->params.tile_in + (l * s->tiles + codes[l]) * d, d);
        bool kept = own_drop <= 0 || rng_uniform(rng) >= (double)own_drop;
        if (w->trunk.learns)
            w->own_kept[i] = kept;
        if (kept)
            axpy(x + i * d, 1, policy->params.own_in + (size_t)input[i] * d, d);
    }
}

void policy_forward(struct policy_work *w, const struct policy *policy, const struct packed *packed,
                    const uint32_t *input, const struct loss_options *options)
{
    struct rng rng = options->rng;
    struct dropout dropout = {options->dropout, &rng};
    gather_inputs(w, policy, input, packed->positions, options->own_drop, &rng);
    dropout_apply(w->trunk.x, w->input_mask, packed->positions * policy->shape.dim, dropout);
    trunk_forward(&w->trunk, &policy->shape, &policy->params, packed, dropout, policy->kernels);
}

void policy_find_vectors(real *find_vectors, const struct policy *policy, size_t first, size_t last)
{
    const struct shape *s = &policy->shape;
    memcpy(find_vectors, policy->params.own_out + first * s->dim,
           (last - first) * s->dim * sizeof(real));
    product_nt(find_vectors, policy->items.content + first * s->content,
               policy->params.find_content, last - first, s->dim, s->content, 1);
}

/* Softmax over all items, in chunks of rows so that the logits stay in cache. */
static void find_learn(struct policy_work *w, struct params *grads, struct losses *losses,
                       const struct policy *policy, const struct examples *examples,
                       const struct loss_options *options)
{
    const struct shape *s = &policy->shape;
    size_t d = s->dim;
    size_t rows = examples->packed.positions;
    product_nt(w->query, w->trunk.z, policy->params.find_query, rows, d, d, 0);
    real scale = options->scale * options->find_weight;
    for (size_t begin = 0; begin < rows; begin += w->chunk_rows) {
        size_t count = rows - begin < w->chunk_rows ? rows - begin : w->chunk_rows;
        product_nt(w->logits, w->query + begin * d, policy->find_vectors, count, s->items, d, 0);
        for (size_t i = 0; i < count; i++) {
            uint32_t target = examples->target[begin + i];
            real *row = w->logits + i * s->items;
            if (target == NO_ITEM) {
                memset(row, 0, s->items * sizeof(real));
                continue;
            }
            real logit = row[target];
            losses->find += (double)(policy->kernels->softmax(row, s->items, scale) - logit);
            losses->targets++;
            row[target] -= scale;
        }
        product_nn(w->dquery + begin * d, w->logits, policy->find_vectors, count, d, s->items, 0);
        product_tn(grads->own_out, w->logits, w->query + begin * d, s->items, d, count, 1);
    }
    product_tn(grads->find_query, w->dquery, w->trunk.z, d, d, rows, 1);
    product_nn(w->dz, w->dquery, policy->params.find_query, rows, d, d, 0);
}

/*
 * One level at one position: logits [tiles] become their gradients, the node moves to the target's
 * child.  An illegal target cannot be: targets are items of the trie.
 */
static double tile_learn(struct policy_work *w, real *logits, struct tile_node *node, size_t level,
                         uint32_t tile, const real *bias, const struct policy *policy,
                         const struct loss_options *options, real scale)
{
    const struct legal_tiles *legal = options->legal;
    size_t count = legal->children(legal->self, w->children, *node, level);
    size_t at = SIZE_MAX;
    for (size_t c = 0; c < count; c++) {
        w->picked[c] = logits[w->children[c].tile] + bias[w->children[c].tile];
        if (w->children[c].tile == tile)
            at = c;
    }
    assert(at != SIZE_MAX);
    real logit = w->picked[at];
    double loss = (double)(policy->kernels->softmax(w->picked, count, 1) - logit);
    w->picked[at] -= 1;
    memset(logits, 0, policy->shape.tiles * sizeof(real));
    for (size_t c = 0; c < count; c++)
        logits[w->children[c].tile] = w->picked[c] * scale;
    *node = w->children[at].node;
    return loss;
}

/* The last tile: members of a collision, each scored by h . (member v).  Adds into dh and grads. */
static double member_learn(struct policy_work *w, struct params *grads, real *dh, const real *h,
                           struct tile_node node, uint32_t target, const struct policy *policy,
                           const struct loss_options *options, real scale)
{
    const struct shape *s = &policy->shape;
    const struct legal_tiles *legal = options->legal;
    size_t count = legal->children(legal->self, w->children, node, s->levels);
    size_t at = SIZE_MAX;
    if (count < 2)
        return 0;
    for (size_t c = 0; c < count; c++) {
        const real *content = policy->items.content + (size_t)w->children[c].item * s->content;
        product_nt(w->member_vector, content, policy->params.member, 1, s->dim, s->content, 0);
        w->picked[c] = dot(h, w->member_vector, s->dim);
        if (w->children[c].item == target)
            at = c;
    }
    assert(at != SIZE_MAX);
    real logit = w->picked[at];
    double loss = (double)(policy->kernels->softmax(w->picked, count, 1) - logit);
    w->picked[at] -= 1;
    for (size_t c = 0; c < count; c++) {
        const real *content = policy->items.content + (size_t)w->children[c].item * s->content;
        real g = w->picked[c] * scale;
        product_nt(w->member_vector, content, policy->params.member, 1, s->dim, s->content, 0);
        axpy(dh, g, w->member_vector, s->dim);
        for (size_t k = 0; k < s->dim; k++)
            axpy(grads->member + k * s->content, g * h[k], content, s->content);
    }
    return loss;
}

static void name_forward(struct policy_work *w, struct losses *losses, const struct policy *policy,
                         const struct examples *examples, const struct loss_options *options)
{
    const struct shape *s = &policy->shape;
    const struct params *p = &policy->params;
    size_t rows = examples->packed.positions;
    size_t stride = w->trunk.positions_max * s->dim;
    size_t d = s->dim;
    real scale = options->scale * options->name_weight;
    product_nt(w->h, w->trunk.z, p->name_start, rows, d, d, 0);
    for (size_t i = 0; i < rows; i++)
        w->node[i] = options->legal->root;
    for (size_t l = 0; l < s->levels; l++) {
        real *h = w->h + l * stride;
        real *pre = w->pre + l * stride;
        real *logits = w->dtiles + l * w->trunk.positions_max * s->tiles;
        product_nt(logits, h, p->tile_out + l * s->tiles * d, rows, s->tiles, d, 0);
        product_nt(pre, h, p->depth_up + l * d * d, rows, d, d, 0);
        for (size_t i = 0; i < rows; i++) {
            uint32_t target = examples->target[i];
            if (target == NO_ITEM) {
                memset(logits + i * s->tiles, 0, s->tiles * sizeof(real));
                continue;
            }
            uint32_t tile = codes_of(policy, target)[l];
            losses->name += tile_learn(w, logits + i * s->tiles, &w->node[i], l, tile,
                                       p->tile_bias + l * s->tiles, policy, options, scale);
            axpy(pre + i * d, 1, p->depth_tile + (l * s->tiles + tile) * d, d);
        }
        policy->kernels->swiglu_forward(w->act + l * stride, pre, w->ones, rows * d);
        memcpy(h + stride, h, rows * d * sizeof(real));
        product_nt(h + stride, w->act + l * stride, p->depth_down + l * d * d, rows, d, d, 1);
    }
}

static void name_backward(struct policy_work *w, struct params *grads, const struct policy *policy,
                          const struct examples *examples)
{
    const struct shape *s = &policy->shape;
    const struct params *p = &policy->params;
    size_t rows = examples->packed.positions;
    size_t stride = w->trunk.positions_max * s->dim;
    size_t d = s->dim;
    for (size_t l = s->levels; l-- > 0;) {
        const real *h = w->h + l * stride;
        const real *dlogits = w->dtiles + l * w->trunk.positions_max * s->tiles;
        product_tn(grads->depth_down + l * d * d, w->dh, w->act + l * stride, d, d, rows, 1);
        product_nn(w->dact, w->dh, p->depth_down + l * d * d, rows, d, d, 0);
        policy->kernels->swiglu_backward(w->dpre, w->dquery, w->dact, w->pre + l * stride, w->ones,
                                         rows * d);
        for (size_t i = 0; i < rows; i++) {
            if (examples->target[i] == NO_ITEM)
                continue;
            uint32_t tile = codes_of(policy, examples->target[i])[l];
            axpy(grads->depth_tile + (l * s->tiles + tile) * d, 1, w->dpre + i * d, d);
            axpy(grads->tile_bias + l * s->tiles, 1, dlogits + i * s->tiles, s->tiles);
        }
        product_tn(grads->depth_up + l * d * d, w->dpre, h, d, d, rows, 1);
        product_nn(w->dh, w->dpre, p->depth_up + l * d * d, rows, d, d, 1);
        product_tn(grads->tile_out + l * s->tiles * d, dlogits, h, s->tiles, d, rows, 1);
        product_nn(w->dh, dlogits, p->tile_out + l * s->tiles * d, rows, d, s->tiles, 1);
    }
    product_tn(grads->name_start, w->dh, w->trunk.z, d, d, rows, 1);
    product_nn(w->dz, w->dh, p->name_start, rows, d, d, 1);
}

static void name_learn(struct policy_work *w, struct params *grads, struct losses *losses,
                       const struct policy *policy, const struct examples *examples,
                       const struct loss_options *options)
{
    const struct shape *s = &policy->shape;
    size_t rows = examples->packed.positions;
    name_forward(w, losses, policy, examples, options);
    memset(w->dh, 0, rows * s->dim * sizeof(real));
    const real *h = w->h + s->levels * w->trunk.positions_max * s->dim;
    for (size_t i = 0; i < rows; i++)
        if (examples->target[i] != NO_ITEM)
            losses->name += member_learn(w, grads, w->dh + i * s->dim, h + i * s->dim, w->node[i],
                                         examples->target[i], policy, options,
                                         options->scale * options->name_weight);
    name_backward(w, grads, policy, examples);
}

static void inputs_backward(struct policy_work *w, struct params *grads,
                            const struct policy *policy, const struct examples *examples,
                            real share)
{
    const struct shape *s = &policy->shape;
    size_t rows = examples->packed.positions;
    size_t d = s->dim;
    real *dx = w->trunk.dx;
    dropout_backward(dx, w->input_mask, rows * d, share);
    product_tn(grads->content_in, dx, w->content, d, s->content, rows, 1);
    for (size_t i = 0; i < rows; i++) {
        const uint16_t *codes = codes_of(policy, examples->input[i]);
        for (size_t l = 0; l < s->levels; l++)
            axpy(grads->tile_in + (l * s->tiles + codes[l]) * d, 1, dx + i * d, d);
        if (w->own_kept[i])
            axpy(grads->own_in + (size_t)examples->input[i] * d, 1, dx + i * d, d);
    }
}

void policy_learn(struct policy_work *w, struct params *grads, struct losses *losses,
                  const struct policy *policy, const struct examples *examples,
                  const struct loss_options *options)
{
    struct dropout dropout = {options->dropout, NULL};
    policy_forward(w, policy, &examples->packed, examples->input, options);
    find_learn(w, grads, losses, policy, examples, options);
    if (options->name_weight > 0)
        name_learn(w, grads, losses, policy, examples, options);
    trunk_backward(&w->trunk, grads, w->dz, &policy->shape, &policy->params, &examples->packed,
                   dropout, policy->kernels);
    inputs_backward(w, grads, policy, examples, options->dropout);
}

void policy_finish_gradients(struct params *grads, const struct policy *policy, size_t first,
                             size_t last)
{
    const struct shape *s = &policy->shape;
    REAL_GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, (int)(last - first), (int)s->content,
              (int)s->items, 1, grads->own_out + first, (int)s->dim, policy->items.content,
              (int)s->content, 1, grads->find_content + first * s->content, (int)s->content);
}

void policy_clear_unseen(struct params *grads, const struct policy *policy)
{
    const struct shape *s = &policy->shape;
    for (size_t i = 0; i < s->items; i++)
        if (!policy->items.seen[i]) {
            memset(grads->own_out + i * s->dim, 0, s->dim * sizeof(real));
            memset(grads->own_in + i * s->dim, 0, s->dim * sizeof(real));
        }
}
