#include "train/rl_anchors.h"

#include "index/text_vectors.h"
#include "recommend/snapshot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIMS_MAX = 1024 };

static void state_of(float *state, const struct anchors *a, const uint32_t *history, size_t count)
{
    size_t from = count > ANCHOR_HISTORY ? count - ANCHOR_HISTORY : 0;
    memset(state, 0, a->dims * sizeof *state);
    for (size_t i = from; i < count; i++)
        for (size_t d = 0; d < a->dims; d++)
            state[d] += a->unit[history[i] * a->dims + d] / (float)(count - from);
}

static size_t tile_of(const struct policy *policy, uint32_t item)
{
    return policy_codes(policy, item)[0];
}

/* fn for every pair that is kept: one in `stride` of all events that something came before. */
typedef void pair_fn(struct anchors *a, const struct policy *policy, const uint32_t *items,
                     size_t at);

static void each_pair(struct anchors *a, const struct policy *policy, const struct sequences *s,
                      size_t stride, pair_fn *fn)
{
    size_t seen = 0;
    for (size_t u = 0; u < s->users; u++)
        for (size_t e = s->first[u] + 1; e < s->first[u + 1]; e++)
            if (seen++ % stride == 0)
                fn(a, policy, s->item + s->first[u], e - s->first[u]);
}

static void count_pair(struct anchors *a, const struct policy *policy, const uint32_t *items,
                       size_t at)
{
    a->tile_first[tile_of(policy, items[at]) + 1]++;
    a->count++;
}

/* tile_first[t] is the next free place of tile t while pairs are put. */
static void put_pair(struct anchors *a, const struct policy *policy, const uint32_t *items,
                     size_t at)
{
    size_t place = a->tile_first[tile_of(policy, items[at])]++;
    a->item[place] = items[at];
    state_of(a->state + place * a->dims, a, items, at);
}

bool anchors_make(struct anchors *a, const struct policy *policy, const struct sequences *s,
                  struct err *err)
{
    size_t tiles = policy->shape.tiles;
    *a = (struct anchors){.dims = policy->shape.content};
    if (a->dims > DIMS_MAX)
        return err_set(err, ERR_INPUT,
                       "prdc: expected content vectors of %d dims at most, found %zu", DIMS_MAX,
                       a->dims);
    a->unit = malloc((policy->shape.items * a->dims + 1) * sizeof *a->unit);
    a->tile_first = calloc(tiles + 2, sizeof *a->tile_first);
    if (!a->unit || !a->tile_first)
        return err_set(err, ERR_SYSTEM, "no memory for anchors");
    for (size_t i = 0; i < policy->shape.items; i++) {
        for (size_t d = 0; d < a->dims; d++)
            a->unit[i * a->dims + d] = (float)policy_content(policy, (uint32_t)i)[d];
        vector_to_unit(a->unit + i * a->dims, a->dims);
    }
    size_t stride = s->events / ANCHORS_MAX + 1;
    each_pair(a, policy, s, stride, count_pair);
    for (size_t t = 0; t < tiles; t++)
        a->tile_first[t + 1] += a->tile_first[t];
    a->state = malloc((a->count * a->dims + 1) * sizeof *a->state);
    a->item = malloc((a->count + 1) * sizeof *a->item);
    if (!a->state || !a->item)
        return err_set(err, ERR_SYSTEM, "no memory for %zu anchors", a->count);
    each_pair(a, policy, s, stride, put_pair);
    memmove(a->tile_first + 1, a->tile_first, tiles * sizeof *a->tile_first);
    a->tile_first[0] = 0;
    return true;
}

void anchors_free(struct anchors *a)
{
    free(a->unit);
    free(a->state);
    free(a->item);
    free(a->tile_first);
    *a = (struct anchors){0};
}

static double distance(const float *a, const float *b, size_t dims)
{
    float sum = 0;
    for (size_t d = 0; d < dims; d++)
        sum += (a[d] - b[d]) * (a[d] - b[d]);
    return (double)sum;
}

uint32_t anchors_find(const struct anchors *a, const struct policy *policy, double beta,
                      const uint32_t *history, size_t history_count, uint32_t proposed,
                      const uint64_t *skip)
{
    float state[DIMS_MAX];
    size_t tile = tile_of(policy, proposed);
    uint32_t best = NO_ITEM;
    double nearest = INFINITY;
    state_of(state, a, history, history_count);
    for (size_t i = a->tile_first[tile]; i < a->tile_first[tile + 1]; i++) {
        double d = distance(a->unit + a->item[i] * a->dims, a->unit + proposed * a->dims, a->dims);
        if (d >= nearest || bit_get(skip, a->item[i]))
            continue;
        d += beta * beta * distance(a->state + i * a->dims, state, a->dims);
        if (d < nearest) {
            nearest = d;
            best = a->item[i];
        }
    }
    return best;
}
