#include "model/decode.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void decode_layout(struct decode_work *w, const struct shape *s, size_t beam, size_t width,
                   struct arena *arena)
{
    w->beam_max = beam;
    w->width_max = width;
    w->h = arena_take(arena, beam * s->dim, sizeof(real));
    w->h_next = arena_take(arena, beam * s->dim, sizeof(real));
    w->logits = arena_take(arena, beam * s->tiles, sizeof(real));
    w->pre = arena_take(arena, beam * s->dim, sizeof(real));
    w->act = arena_take(arena, beam * s->dim, sizeof(real));
    w->ones = arena_take(arena, beam * s->dim, sizeof(real));
    w->picked = arena_take(arena, width, sizeof(real));
    w->block = arena_take(arena, width, sizeof(real));
    w->score = arena_take(arena, beam, sizeof(real));
    w->score_next = arena_take(arena, beam, sizeof(real));
    w->node = arena_take(arena, beam, sizeof *w->node);
    w->node_next = arena_take(arena, beam, sizeof *w->node);
    w->children = arena_take(arena, beam * width, sizeof *w->children);
    w->parent = arena_take(arena, beam * width, sizeof *w->parent);
    w->heap = arena_take(arena, beam, sizeof *w->heap);
    w->state = arena_take(arena, beam, sizeof *w->state);
}

void decode_prepare(struct decode_work *w, const struct shape *s)
{
    for (size_t i = 0; i < w->beam_max * s->dim; i++)
        w->ones[i] = 1;
}

/* Logits of the children of one state into w->picked; returns log(sum(exp)).  Leaves them as
 * logits. */
static real child_logits(struct decode_work *w, const struct tile_child *children, size_t count,
                         size_t state, size_t level, const struct policy *policy)
{
    const struct shape *s = &policy->shape;
    const real *h = w->h + state * s->dim;
    real most = -INFINITY;
    policy_child_logits(w->picked, w->block, policy, h, w->logits + state * s->tiles, children,
                        count, level);
    for (size_t c = 0; c < count; c++)
        most = w->picked[c] > most ? w->picked[c] : most;
    real sum = 0;
    for (size_t c = 0; c < count; c++)
        sum += (real)exp((double)(w->picked[c] - most));
    return most + (real)log((double)sum);
}

/* w->h of the next level from the chosen (state, tile) pairs. */
static void descend(struct decode_work *w, const struct policy *policy, const uint32_t *state,
                    const uint32_t *tile, size_t count, size_t level)
{
    const struct shape *s = &policy->shape;
    const struct params *p = &policy->params;
    size_t d = s->dim;
    for (size_t i = 0; i < count; i++)
        memcpy(w->h_next + i * d, w->h + state[i] * d, d * sizeof(real));
    product_nt(w->pre, w->h_next, p->depth_up + level * d * d, count, d, d, 0);
    for (size_t i = 0; i < count; i++) {
        const real *embedding = p->depth_tile + (level * s->tiles + tile[i]) * d;
        for (size_t k = 0; k < d; k++)
            w->pre[i * d + k] += embedding[k];
    }
    policy->kernels->swiglu_forward(w->act, w->pre, w->ones, count * d);
    product_nt(w->h_next, w->act, p->depth_down + level * d * d, count, d, d, 1);
    real *other = w->h;
    w->h = w->h_next;
    w->h_next = other;
}

static void tile_logits(struct decode_work *w, const struct policy *policy, size_t states,
                        size_t level)
{
    const struct shape *s = &policy->shape;
    if (level < s->levels)
        product_nt(w->logits, w->h, policy->params.tile_out + level * s->tiles * s->dim, states,
                   s->tiles, s->dim, 0);
}

/* One level: the best children of all beams become the beams, or the hits at the last level. */
static size_t beam_step(struct decode_work *w, struct hit *hits, size_t beam, size_t beams,
                        size_t level, const struct policy *policy, const struct legal_tiles *legal)
{
    bool last = level == policy->shape.levels;
    struct topk best = {.hits = w->heap, .max = beam};
    size_t used = 0;
    tile_logits(w, policy, beams, level);
    for (size_t b = 0; b < beams; b++) {
        struct tile_child *children = w->children + used;
        size_t count = legal->children(legal->self, children, w->node[b], level);
        real total = count ? child_logits(w, children, count, b, level, policy) : 0;
        for (size_t c = 0; c < count; c++) {
            real score = w->score[b] + w->picked[c] - total;
            w->parent[used + c] = (uint32_t)b;
            topk_push(&best, (struct hit){(uint32_t)(used + c), (float)score});
        }
        used += count;
    }
    topk_sort(&best);
    uint32_t tiles[DECODE_BEAM_MAX];
    uint32_t states[DECODE_BEAM_MAX];
    for (size_t i = 0; i < best.count; i++) {
        const struct tile_child *child = &w->children[best.hits[i].row];
        states[i] = w->parent[best.hits[i].row];
        tiles[i] = child->tile;
        w->score_next[i] = (real)best.hits[i].score;
        w->node_next[i] = child->node;
        if (last)
            hits[i] = (struct hit){child->item, best.hits[i].score};
    }
    memcpy(w->score, w->score_next, best.count * sizeof *w->score);
    memcpy(w->node, w->node_next, best.count * sizeof *w->node);
    if (!last && best.count)
        descend(w, policy, states, tiles, best.count, level);
    return best.count;
}

size_t name_beam(struct hit *hits, size_t beam, struct decode_work *w, const struct policy *policy,
                 const real *z, const struct legal_tiles *legal)
{
    const struct shape *s = &policy->shape;
    assert(beam <= w->beam_max && beam <= DECODE_BEAM_MAX && legal->width <= w->width_max);
    product_nt(w->h, z, policy->params.name_start, 1, s->dim, s->dim, 0);
    w->node[0] = legal->root;
    w->score[0] = 0;
    size_t beams = 1;
    for (size_t l = 0; l <= s->levels && beams > 0; l++)
        beams = beam_step(w, hits, beam, beams, l, policy, legal);
    hits_sort(hits, beams); /* equal scores by row, not by place in the beam */
    return beams;
}

void name_score(float *score, const uint32_t *rows, size_t count, struct decode_work *w,
                const struct policy *policy, const real *z, const struct legal_tiles *legal)
{
    const struct shape *s = &policy->shape;
    assert(count <= w->beam_max && count <= DECODE_BEAM_MAX);
    if (count == 0)
        return;
    uint32_t states[DECODE_BEAM_MAX];
    uint32_t tiles[DECODE_BEAM_MAX];
    product_nt(w->h, z, policy->params.name_start, 1, s->dim, s->dim, 0);
    w->node[0] = legal->root;
    for (size_t i = 0; i < count; i++) {
        w->state[i] = 0;
        score[i] = 0;
    }
    size_t states_count = 1;
    for (size_t l = 0; l <= s->levels; l++) {
        tile_logits(w, policy, states_count, l);
        size_t next = 0;
        size_t width = 0;
        real total = 0;
        uint32_t open = UINT32_MAX; /* the state whose children are laid out */
        for (size_t i = 0; i < count; i++) {
            if (score[i] == -INFINITY)
                continue;
            const uint16_t *codes = policy_codes(policy, rows[i]);
            if (w->state[i] != open) {
                open = w->state[i];
                width = legal->children(legal->self, w->children, w->node[open], l);
                total = width ? child_logits(w, w->children, width, open, l, policy) : 0;
            }
            size_t c = 0;
            while (c < width && w->children[c].tile != codes[l])
                c++;
            if (c == width) {
                score[i] = -INFINITY;
                continue;
            }
            score[i] += (float)(w->picked[c] - total);
            if (next == 0 || states[next - 1] != open || tiles[next - 1] != codes[l]) {
                states[next] = open;
                tiles[next] = codes[l];
                w->node_next[next++] = w->children[c].node;
            }
            w->state[i] = (uint32_t)next - 1;
        }
        memcpy(w->node, w->node_next, next * sizeof *w->node);
        states_count = next;
        if (l < s->levels && next)
            descend(w, policy, states, tiles, next, l);
        if (next == 0)
            return;
    }
}
