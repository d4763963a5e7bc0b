#include "model/policy.h"

#include "model/readings.h"
#include "model/tokenizer.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

void policy_layout(struct policy_work *w, const struct shape *s, size_t positions,
                   size_t length_max, size_t width, size_t find_max, bool learns,
                   struct arena *arena)
{
    trunk_layout(&w->trunk, s, positions, length_max, learns, arena);
    w->content = arena_take(arena, positions * s->content, sizeof(real));
    w->place = arena_take(arena, positions, sizeof *w->place);
    if (!learns)
        return;
    w->chunk_rows = positions < FIND_CHUNK_ROWS ? positions : FIND_CHUNK_ROWS;
    w->find_max = find_max;
    w->own_kept = arena_take(arena, positions, 1);
    w->input_mask = arena_take(arena, positions * s->dim, 1);
    w->at = arena_take(arena, positions, sizeof *w->at);
    w->want = arena_take(arena, positions, sizeof *w->want);
    w->listed = arena_take(arena, positions, sizeof *w->listed);
    w->listed_count = arena_take(arena, positions, sizeof *w->listed_count);
    w->weight = arena_take(arena, positions, sizeof(real));
    w->zt = arena_take(arena, positions * s->dim, sizeof(real));
    w->dzt = arena_take(arena, positions * s->dim, sizeof(real));
    w->dz = arena_take(arena, positions * s->dim, sizeof(real));
    w->query = arena_take(arena, positions * s->dim, sizeof(real));
    w->dquery = arena_take(arena, positions * s->dim, sizeof(real));
    w->logits = arena_take(arena, w->chunk_rows * larger(find_max, s->vocab), sizeof(real));
    w->h = arena_take(arena, (s->levels + 1) * positions * s->dim, sizeof(real));
    w->pre = arena_take(arena, s->levels * positions * s->dim, sizeof(real));
    w->act = arena_take(arena, s->levels * positions * s->dim, sizeof(real));
    w->dtiles = arena_take(arena, s->levels * positions * s->tiles, sizeof(real));
    w->dnode = arena_take(arena, s->levels * positions * s->dim, sizeof(real));
    w->block = arena_take(arena, width + 1, sizeof(real));
    w->teach = arena_take(arena, s->levels * positions * s->tiles, sizeof(real));
    w->ones = arena_take(arena, positions * s->dim, sizeof(real));
    w->dh = arena_take(arena, positions * s->dim, sizeof(real));
    w->dpre = arena_take(arena, positions * s->dim, sizeof(real));
    w->dact = arena_take(arena, positions * s->dim, sizeof(real));
    w->node = arena_take(arena, positions, sizeof *w->node);
    w->children = arena_take(arena, width + 1, sizeof *w->children);
    w->picked = arena_take(arena, width + 1, sizeof(real));
}

void policy_prepare(struct policy_work *w, const struct shape *s)
{
    trunk_prepare(&w->trunk, s);
    if (w->trunk.learns)
        for (size_t i = 0; i < w->trunk.positions_max * s->dim; i++)
            w->ones[i] = 1;
}

const uint16_t *policy_codes(const struct policy *policy, uint32_t row)
{
    const struct item_table *items = &policy->items;
    size_t levels = policy->shape.levels + 1;
    return row < items->count ? items->codes + (size_t)row * levels
                              : items->late_codes + (row - items->count) * levels;
}

const real *policy_content(const struct policy *policy, uint32_t row)
{
    const struct item_table *items = &policy->items;
    size_t dims = policy->shape.content;
    return row < items->count ? items->content + (size_t)row * dims
                              : items->late_content + (row - items->count) * dims;
}

const real *policy_find_vector(const struct policy *policy, uint32_t row)
{
    const struct item_table *items = &policy->items;
    size_t dim = policy->shape.dim;
    return row < items->count ? policy->find_vectors + (size_t)row * dim
                              : items->late_find + (row - items->count) * dim;
}

/* Content vectors of the inputs; some are read as an item without events would be. */
static void gather_content(struct policy_work *w, const struct policy *policy,
                           const uint32_t *input, size_t from, size_t to, real own_drop,
                           struct rng *rng)
{
    size_t dims = policy->shape.content;
    for (size_t i = from; i < to; i++) {
        real *content = w->content + i * dims;
        bool token = is_token(input[i]);
        bool kept = !token && !(own_drop > 0 && rng_uniform(rng) < (double)own_drop);
        if (w->trunk.learns)
            w->own_kept[i] = kept;
        if (token) {
            memset(content, 0, dims * sizeof(real));
            continue;
        }
        memcpy(content, policy_content(policy, input[i]), dims * sizeof(real));
        if (!kept)
            memset(content + policy->items.text_dims, 0,
                   (dims - policy->items.text_dims) * sizeof(real));
    }
}

/* What tiles and, where it has one and it is wanted, its own embedding say of an item. */
static void add_item(real *x, const struct policy *policy, uint32_t row, bool own)
{
    const struct shape *s = &policy->shape;
    const struct params *p = &policy->params;
    const uint16_t *codes = policy_codes(policy, row);
    for (size_t l = 0; l < s->levels; l++)
        axpy(x, 1, p->tile_in + (l * s->tiles + codes[l]) * s->dim, s->dim);
    if (own && row < policy->items.count)
        axpy(x, (real)shape_own_scale(s), p->own + (size_t)row * s->dim, s->dim);
}

static void gather_inputs(struct policy_work *w, const struct policy *policy, const uint32_t *input,
                          size_t from, size_t to)
{
    const struct shape *s = &policy->shape;
    const struct params *p = &policy->params;
    size_t d = s->dim;
    real *x = w->trunk.x;
    product_nt(x + from * d, w->content + from * s->content, p->content_in, to - from, d,
               s->content, 0);
    for (size_t i = from; i < to; i++) {
        if (is_token(input[i]))
            axpy(x + i * d, 1, p->text + (input[i] - TOKEN) * d, d);
        else
            add_item(x + i * d, policy, input[i], !w->trunk.learns || w->own_kept[i]);
    }
}

void policy_input(real *x, const struct policy *policy, uint32_t symbol)
{
    const struct shape *s = &policy->shape;
    const struct params *p = &policy->params;
    if (is_token(symbol)) {
        memcpy(x, p->text + (symbol - TOKEN) * s->dim, s->dim * sizeof(real));
        return;
    }
    product_nt(x, policy_content(policy, symbol), p->content_in, 1, s->dim, s->content, 0);
    add_item(x, policy, symbol, true);
}

static void note_place(struct policy_work *w, const struct policy *policy, const uint32_t *input,
                       size_t at, size_t before)
{
    w->place[at] = place_after(before == SIZE_MAX ? NULL : &w->place[before], input[at],
                               TOKEN + policy->marks + MARK_LIST);
    w->trunk.place[at] = w->place[at].at;
}

/* Of the sequences and of the suffixes' steps that lie in [from, to). */
static void note_places(struct policy_work *w, const struct policy *policy,
                        const struct packed *packed, const uint32_t *input, size_t from, size_t to)
{
    size_t start = packed->first[packed->sequences];
    for (size_t s = 0; s < packed->sequences; s++)
        for (size_t i = packed->first[s]; i < packed->first[s + 1]; i++)
            if (i >= from && i < to)
                note_place(w, policy, input, i, i > packed->first[s] ? i - 1 : SIZE_MAX);
    for (size_t i = from > start ? from : start; i < to; i++) {
        const uint32_t *own = packed->first + packed->prefix[(i - start) % packed->suffixes];
        size_t before = i - start >= packed->suffixes ? i - packed->suffixes
                        : own[1] > own[0]             ? own[1] - 1
                                                      : SIZE_MAX;
        note_place(w, policy, input, i, before);
    }
}

static void forward(struct policy_work *w, const struct policy *policy, const struct packed *packed,
                    const uint32_t *input, size_t from, size_t to,
                    const struct loss_options *options)
{
    size_t d = policy->shape.dim;
    struct rng rng = options->rng;
    struct dropout dropout = {options->dropout, &rng};
    note_places(w, policy, packed, input, from, to);
    gather_content(w, policy, input, from, to, options->own_drop, &rng);
    gather_inputs(w, policy, input, from, to);
    dropout_apply(w->trunk.x + from * d, w->input_mask + from * d, (to - from) * d, dropout);
    trunk_forward(&w->trunk, &policy->shape, &policy->params, packed, from, to, dropout,
                  policy->kernels);
}

void policy_forward(struct policy_work *w, const struct policy *policy, const struct packed *packed,
                    const uint32_t *input, const struct loss_options *options)
{
    forward(w, policy, packed, input, 0, packed->positions, options);
}

void policy_forward_prefixes(struct policy_work *w, const struct policy *policy,
                             const struct packed *packed, const uint32_t *input)
{
    const struct loss_options options = {0};
    forward(w, policy, packed, input, 0, packed->first[packed->sequences], &options);
}

void policy_forward_step(struct policy_work *w, const struct policy *policy,
                         const struct packed *packed, const uint32_t *input, size_t step)
{
    const struct loss_options options = {0};
    size_t from = packed->first[packed->sequences] + step * packed->suffixes;
    forward(w, policy, packed, input, from, from + packed->suffixes, &options);
}

static void inputs_backward(struct policy_work *w, struct params *grads,
                            const struct policy *policy, const struct packed *packed,
                            const uint32_t *inputs, real share)
{
    const struct shape *s = &policy->shape;
    size_t rows = packed->positions;
    size_t d = s->dim;
    real *dx = w->trunk.dx;
    dropout_backward(dx, w->input_mask, rows * d, share);
    product_tn(grads->content_in, dx, w->content, d, s->content, rows, 1);
    for (size_t i = 0; i < rows; i++) {
        uint32_t input = inputs[i];
        if (is_token(input)) {
            if (input - TOKEN >= policy->frozen_words)
                axpy(grads->text + (input - TOKEN) * d, 1, dx + i * d, d);
            continue;
        }
        const uint16_t *codes = policy_codes(policy, input);
        for (size_t l = 0; l < s->levels; l++)
            axpy(grads->tile_in + (l * s->tiles + codes[l]) * d, 1, dx + i * d, d);
        if (w->own_kept[i] && policy->items.seen[input])
            axpy(grads->own + (size_t)input * d, (real)shape_own_scale(s), dx + i * d, d);
    }
}

/* What stands in the list above position i; nothing if the target is there, too. */
static void note_listed(struct policy_work *w, const uint32_t *input, size_t i, uint32_t target,
                        size_t k)
{
    uint32_t count = w->place[i].listing > 1 ? w->place[i].listing - 1 : 0;
    w->listed[k] = input + i + 1 - count;
    w->listed_count[k] = count;
    for (size_t n = 0; n < count; n++)
        if (w->listed[k][n] == target)
            w->listed_count[k] = 0;
}

/* The targets that are items, or those that are tokens, one after another. */
static size_t gather_targets(struct policy_work *w, const struct examples *examples, bool tokens,
                             size_t dim)
{
    size_t count = 0;
    for (size_t i = 0; i < examples->packed.positions; i++) {
        uint32_t target = examples->target[i];
        if (target == NO_ITEM || is_token(target) != tokens)
            continue;
        w->at[count] = (uint32_t)i;
        w->want[count] = target;
        w->weight[count] = examples->weight ? examples->weight[i] : 1;
        note_listed(w, examples->input, i, target, count);
        memcpy(w->zt + count * dim, w->trunk.z + i * dim, dim * sizeof(real));
        count++;
    }
    memset(w->dzt, 0, count * dim * sizeof(real));
    return count;
}

static void scatter_dz(struct policy_work *w, size_t count, size_t dim)
{
    for (size_t k = 0; k < count; k++)
        axpy(w->dz + w->at[k] * dim, 1, w->dzt + k * dim, dim);
}

void policy_backward(struct policy_work *w, struct params *grads, const struct policy *policy,
                     const struct packed *packed, const uint32_t *input, real dropout)
{
    trunk_backward(&w->trunk, grads, w->dz, &policy->shape, &policy->params, packed,
                   (struct dropout){dropout, NULL}, policy->kernels);
    inputs_backward(w, grads, policy, packed, input, dropout);
}

void policy_learn(struct policy_work *w, struct params *grads, real *dfind, struct losses *losses,
                  const struct policy *policy, const struct examples *examples,
                  const struct loss_options *options)
{
    struct reading reading = {w, grads, dfind, losses, policy, options, 0};
    size_t d = policy->shape.dim;
    policy_forward(w, policy, &examples->packed, examples->input, options);
    memset(w->dz, 0, examples->packed.positions * d * sizeof(real));
    reading.count = gather_targets(w, examples, false, d);
    losses->items += reading.count;
    if (reading.count && options->find_weight > 0)
        find_learn(&reading);
    if (reading.count && options->name_weight > 0)
        name_learn(&reading);
    scatter_dz(w, reading.count, d);
    reading.count = gather_targets(w, examples, true, d);
    losses->tokens += reading.count;
    if (reading.count && options->say_weight > 0)
        say_learn(&reading);
    scatter_dz(w, reading.count, d);
    policy_backward(w, grads, policy, &examples->packed, examples->input, options->dropout);
}
