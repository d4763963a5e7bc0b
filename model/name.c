#include "model/readings.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void policy_node_vectors(real *node_vectors, const struct policy *policy, const uint32_t *row,
                         size_t count, const real *find_vectors, size_t level)
{
    const struct item_table *items = &policy->items;
    const uint32_t *node = items->node + level * items->count;
    size_t d = policy->shape.dim;
    for (size_t first = 0, last; first < count; first = last) {
        size_t at = node[row ? row[first] : first];
        real *m = node_vectors + at * d;
        size_t seen = 0;
        for (last = first; last < count && node[row ? row[last] : last] == at; last++)
            seen += items->seen[row ? row[last] : last];
        memset(m, 0, d * sizeof(real));
        for (size_t k = first; k < last; k++)
            if (!seen || items->seen[row ? row[k] : k])
                axpy(m, 1 / (real)(seen ? seen : last - first), find_vectors + k * d, d);
    }
}

/* Nodes are numbered in the order of rows, so the children of a node lie together. */
static size_t block_of(size_t *size, const struct policy *policy, const struct tile_child *children,
                       size_t count, size_t level)
{
    size_t first = SIZE_MAX;
    *size = 0;
    for (size_t c = 0; c < count; c++) {
        size_t node = child_node(policy, &children[c], level);
        if (node == SIZE_MAX)
            continue;
        if (first == SIZE_MAX)
            first = node;
        *size = node - first + 1;
    }
    return first;
}

/* A growing log(sum(exp(x))). */
struct log_sum {
    real most, sum;
};

static void log_sum_add(struct log_sum *s, real x)
{
    if (x > s->most) {
        s->sum = s->sum * REAL_EXP(s->most - x) + 1;
        s->most = x;
    } else {
        s->sum += REAL_EXP(x - s->most);
    }
}

/* log sum exp(h . f) over the rows under a node that are not left out. */
static real sum_score(const struct policy *policy, const real *h, const struct tile_node *node)
{
    const struct item_table *items = &policy->items;
    int d = (int)policy->shape.dim;
    struct log_sum sum = {-HUGE_VALF, 0};
    for (size_t row = node->first; row < node->last; row++) {
        uint64_t left = ~items->skip[row / 64] >> row % 64;
        if (!left) {
            row |= 63; /* none in the rest of this word */
            continue;
        }
        row += (size_t)__builtin_ctzll(left);
        if (row < node->last)
            log_sum_add(&sum, REAL_DOT(d, h, 1, policy_find_vector(policy, (uint32_t)row), 1));
    }
    for (size_t at = node->late_first; at < node->late_last; at++) {
        uint32_t row = items->late_row[at];
        if (!(items->skip[row / 64] >> row % 64 & 1))
            log_sum_add(&sum, REAL_DOT(d, h, 1, policy_find_vector(policy, row), 1));
    }
    return sum.most + REAL_LOG(sum.sum);
}

void policy_node_scores(real *scores, real *block, const struct policy *policy, const real *h,
                        const struct tile_child *children, size_t count, size_t level)
{
    int d = (int)policy->shape.dim;
    size_t size;
    for (size_t c = 0; policy->items.skip && c < count; c++)
        scores[c] = sum_score(policy, h, &children[c].node);
    if (policy->items.skip || !policy->items.node)
        return;
    size_t first = block_of(&size, policy, children, count, level);
    if (size)
        REAL_GEMV(CblasRowMajor, CblasNoTrans, (int)size, d, 1,
                  policy->items.node_vectors + first * (size_t)d, d, h, 1, 0, block, 1);
    for (size_t c = 0; c < count; c++) {
        size_t node = child_node(policy, &children[c], level);
        scores[c] += node != SIZE_MAX
                         ? block[node - first]
                         : dot(h, policy_find_vector(policy, children[c].item), (size_t)d);
    }
}

void policy_child_logits(real *out, real *block, const struct policy *policy, const real *h,
                         const real *tile_logits, const struct tile_child *children, size_t count,
                         size_t level)
{
    const struct shape *s = &policy->shape;
    const real *bias = policy->params.tile_bias + level * s->tiles;
    for (size_t c = 0; c < count; c++)
        out[c] = level < s->levels ? tile_logits[children[c].tile] + bias[children[c].tile]
                                   : dot(h, policy_find_vector(policy, children[c].item), s->dim);
    if (level < s->levels)
        policy_node_scores(out, block, policy, h, children, count, level);
}

void policy_node_backward(real *dh, real *block, const struct policy *policy, const real *gradient,
                          const struct tile_child *children, size_t count, size_t level)
{
    int d = (int)policy->shape.dim;
    size_t size;
    size_t first = block_of(&size, policy, children, count, level);
    memset(block, 0, size * sizeof(real));
    for (size_t c = 0; c < count; c++)
        block[child_node(policy, &children[c], level) - first] = gradient[c];
    REAL_GEMV(CblasRowMajor, CblasTrans, (int)size, d, 1,
              policy->items.node_vectors + first * (size_t)d, d, block, 1, 0, dh, 1);
}

/* Items of find's set under a node; of a sample, which does not know, all of them. */
static size_t items_under(const struct reading *r, const struct tile_node *node)
{
    const uint32_t *before = r->options->find ? r->options->find->before : NULL;
    return before ? before[node->last] - before[node->first] : node->last - node->first;
}

size_t reading_children(const struct reading *r, size_t k, struct tile_node node, size_t level)
{
    struct policy_work *w = r->work;
    const struct legal_tiles *legal = r->options->legal;
    size_t count = legal->children(legal->self, w->children, node, level);
    size_t kept = 0;
    if (w->listed_count[k] == 0)
        return count;
    for (size_t c = 0; c < count; c++) {
        const struct tile_node *under = &w->children[c].node;
        size_t left = items_under(r, under);
        for (size_t n = 0; left && left <= w->listed_count[k] && n < w->listed_count[k]; n++)
            left -= w->listed[k][n] >= under->first && w->listed[k][n] < under->last;
        if (left)
            w->children[kept++] = w->children[c];
    }
    return kept;
}

/*
 * One level at one position: logits [tiles] become their gradients, the node moves to the target's
 * child.  An illegal target cannot be: targets are items of the trie.
 */
static void tile_learn(const struct reading *r, real *logits, size_t level, size_t at,
                       uint32_t tile)
{
    struct policy_work *w = r->work;
    const struct shape *s = &r->policy->shape;
    const real *teach = w->teach + (level * w->trunk.positions_max + at) * s->tiles;
    real share = find_teaches(r) ? r->options->name_teach : 0;
    real scale = r->options->scale * r->options->name_weight * w->weight[at];
    size_t count = reading_children(r, at, w->node[at], level);
    size_t target = SIZE_MAX;
    size_t d = s->dim;
    const real *h = w->h + (level * w->trunk.positions_max + at) * d;
    real taught = 0; /* sum of teach * logit */
    policy_child_logits(w->picked, w->block, r->policy, h, logits, w->children, count, level);
    for (size_t c = 0; c < count; c++) {
        if (share > 0)
            taught += teach[c] * w->picked[c];
        if (w->children[c].tile == tile)
            target = c;
    }
    assert(target != SIZE_MAX);
    real logit = w->picked[target];
    real total = r->policy->kernels->softmax(w->picked, count, 1);
    r->losses->name += (double)(w->weight[at] * (total - (1 - share) * logit - share * taught));
    w->picked[target] -= 1 - share;
    memset(logits, 0, s->tiles * sizeof(real));
    for (size_t c = 0; c < count; c++) {
        w->picked[c] = (w->picked[c] - (share > 0 ? share * teach[c] : 0)) * scale;
        logits[w->children[c].tile] = w->picked[c];
    }
    if (r->policy->items.node)
        policy_node_backward(w->dnode + (level * w->trunk.positions_max + at) * d, w->block,
                             r->policy, w->picked, w->children, count, level);
    w->node[at] = w->children[target].node;
}

/* The last tile: members of a collision, each scored by h . f.  Adds into dh and dfind. */
static void member_learn(const struct reading *r, size_t at)
{
    struct policy_work *w = r->work;
    size_t d = r->policy->shape.dim;
    size_t levels = r->policy->shape.levels;
    const real *h = w->h + (levels * w->trunk.positions_max + at) * d;
    const struct find_set *find = r->options->find;
    size_t count = reading_children(r, at, w->node[at], levels);
    size_t target = SIZE_MAX;
    size_t kept = 0;
    for (size_t c = 0; c < count; c++) /* of a large collision the sample holds a part */
        if (find_place(find, w->children[c].item) != UINT32_MAX)
            w->children[kept++] = w->children[c];
    count = kept;
    if (count < 2)
        return;
    for (size_t c = 0; c < count; c++) {
        w->picked[c] = dot(h, find->vectors + find_place(find, w->children[c].item) * d, d);
        if (w->children[c].item == w->want[at])
            target = c;
    }
    assert(target != SIZE_MAX);
    real logit = w->picked[target];
    real total = r->policy->kernels->softmax(w->picked, count, 1);
    r->losses->name += (double)(w->weight[at] * (total - logit));
    w->picked[target] -= 1;
    for (size_t c = 0; c < count; c++) {
        size_t place = find_place(find, w->children[c].item) * d;
        real g = w->picked[c] * r->options->scale * r->options->name_weight * w->weight[at];
        axpy(w->dh + at * d, g, find->vectors + place, d);
        axpy(r->dfind + place, g, h, d);
    }
}

static void name_forward(const struct reading *r)
{
    struct policy_work *w = r->work;
    const struct shape *s = &r->policy->shape;
    const struct params *p = &r->policy->params;
    size_t d = s->dim;
    size_t stride = w->trunk.positions_max * d;
    product_nt(w->h, w->zt, p->name_start, r->count, d, d, 0);
    for (size_t i = 0; i < r->count; i++)
        w->node[i] = r->options->legal->root;
    for (size_t l = 0; l < s->levels; l++) {
        real *h = w->h + l * stride;
        real *pre = w->pre + l * stride;
        real *logits = w->dtiles + l * w->trunk.positions_max * s->tiles;
        product_nt(logits, h, p->tile_out + l * s->tiles * d, r->count, s->tiles, d, 0);
        product_nt(pre, h, p->depth_up + l * d * d, r->count, d, d, 0);
        for (size_t i = 0; i < r->count; i++) {
            uint32_t tile = policy_codes(r->policy, w->want[i])[l];
            tile_learn(r, logits + i * s->tiles, l, i, tile);
            axpy(pre + i * d, 1, p->depth_tile + (l * s->tiles + tile) * d, d);
        }
        r->policy->kernels->swiglu_forward(w->act + l * stride, pre, w->ones, r->count * d);
        memcpy(h + stride, h, r->count * d * sizeof(real));
        product_nt(h + stride, w->act + l * stride, p->depth_down + l * d * d, r->count, d, d, 1);
    }
}

static void name_backward(const struct reading *r)
{
    struct policy_work *w = r->work;
    struct params *grads = r->grads;
    const struct shape *s = &r->policy->shape;
    const struct params *p = &r->policy->params;
    size_t d = s->dim;
    size_t stride = w->trunk.positions_max * d;
    for (size_t l = s->levels; l-- > 0;) {
        const real *h = w->h + l * stride;
        const real *dlogits = w->dtiles + l * w->trunk.positions_max * s->tiles;
        product_tn(grads->depth_down + l * d * d, w->dh, w->act + l * stride, d, d, r->count, 1);
        product_nn(w->dact, w->dh, p->depth_down + l * d * d, r->count, d, d, 0);
        r->policy->kernels->swiglu_backward(w->dpre, w->dquery, w->dact, w->pre + l * stride,
                                            w->ones, r->count * d);
        for (size_t i = 0; i < r->count; i++) {
            uint32_t tile = policy_codes(r->policy, w->want[i])[l];
            axpy(grads->depth_tile + (l * s->tiles + tile) * d, 1, w->dpre + i * d, d);
            axpy(grads->tile_bias + l * s->tiles, 1, dlogits + i * s->tiles, s->tiles);
        }
        product_tn(grads->depth_up + l * d * d, w->dpre, h, d, d, r->count, 1);
        product_nn(w->dh, w->dpre, p->depth_up + l * d * d, r->count, d, d, 1);
        product_tn(grads->tile_out + l * s->tiles * d, dlogits, h, s->tiles, d, r->count, 1);
        product_nn(w->dh, dlogits, p->tile_out + l * s->tiles * d, r->count, d, s->tiles, 1);
        if (r->policy->items.node)
            axpy(w->dh, 1, w->dnode + l * stride, r->count * d);
    }
    product_tn(grads->name_start, w->dh, w->zt, d, d, r->count, 1);
    product_nn(w->dzt, w->dh, p->name_start, r->count, d, d, 1);
}

void name_learn(const struct reading *r)
{
    name_forward(r);
    memset(r->work->dh, 0, r->count * r->policy->shape.dim * sizeof(real));
    for (size_t i = 0; i < r->count; i++)
        member_learn(r, i);
    name_backward(r);
}
