#include "model/readings.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LISTED_LOGIT ((real)-1e30) /* no probability */

/*
 * Sums find's probabilities over the items under each legal child, on the way down to the target.
 * p [find->count]; its scale does not matter.
 */
static void teach(struct policy_work *w, const struct reading *r, const real *p, size_t at)
{
    const struct shape *s = &r->policy->shape;
    const uint32_t *before = r->options->find->before;
    const uint16_t *codes = policy_codes(r->policy, w->want[at]);
    struct tile_node node = r->options->legal->root;
    for (size_t l = 0; l < s->levels; l++) {
        real *out = w->teach + (l * w->trunk.positions_max + at) * s->tiles;
        size_t count = reading_children(r, at, node, l);
        real total = 0;
        for (size_t c = 0; c < count; c++) {
            real sum = 0;
            size_t first = w->children[c].node.first;
            size_t last = w->children[c].node.last;
            for (size_t i = before ? before[first] : first; i < (before ? before[last] : last); i++)
                sum += p[i];
            out[c] = sum;
            total += sum;
            if (w->children[c].tile == codes[l])
                node = w->children[c].node;
        }
        for (size_t c = 0; c < count; c++)
            out[c] = total > 0 ? out[c] / total : 1 / (real)count;
    }
}

/* Numbers of what is listed above become this; returns how many are in the set. */
static size_t set_listed(real *row, const struct policy_work *w, const struct find_set *find,
                         size_t at, real value)
{
    size_t count = 0;
    for (size_t n = 0; n < w->listed_count[at]; n++) {
        size_t place = find_place(find, w->listed[at][n]);
        if (place == UINT32_MAX)
            continue;
        row[place] = value;
        count++;
    }
    return count;
}

/*
 * One row of logits becomes its gradient.  In a sampled set the others stand for the items left
 * out, by 1 / their probability of being in; the target is always in.
 */
static void softmax_row(struct policy_work *w, const struct reading *r, real *row, size_t at)
{
    const struct find_set *find = r->options->find;
    size_t target = find_place(find, w->want[at]);
    assert(target < find->count); /* what is wanted has events */
    real scale = r->options->scale * r->options->find_weight * w->weight[at];
    real smoothing = r->options->smoothing;
    if (find->log_inclusion) {
        real kept = row[target];
        axpy(row, -1, find->log_inclusion, find->count);
        row[target] = kept;
    }
    real logit = row[target];
    real mean = 0;
    size_t rivals = find->count - set_listed(row, w, find, at, 0);
    if (smoothing > 0) {
        for (size_t i = 0; i < find->count; i++)
            mean += row[i];
        mean /= (real)rivals;
    }
    set_listed(row, w, find, at, LISTED_LOGIT);
    real total = r->policy->kernels->softmax(row, find->count, scale);
    r->losses->find +=
        (double)(w->weight[at] * (total - (1 - smoothing) * logit - smoothing * mean));
    if (r->options->name_weight > 0 && find_teaches(r))
        teach(w, r, row, at);
    row[target] -= scale * (1 - smoothing);
    if (smoothing > 0)
        for (size_t i = 0; i < find->count; i++)
            row[i] -= scale * smoothing / (real)rivals;
    set_listed(row, w, find, at, 0);
}

/* Softmax over the set, in chunks of rows so that the logits stay in cache. */
void find_learn(const struct reading *r)
{
    struct policy_work *w = r->work;
    const struct find_set *find = r->options->find;
    const struct params *p = &r->policy->params;
    size_t d = r->policy->shape.dim;
    assert(find->count <= w->find_max);
    product_nt(w->query, w->zt, p->find_query, r->count, d, d, 0);
    for (size_t begin = 0; begin < r->count; begin += w->chunk_rows) {
        size_t count = r->count - begin < w->chunk_rows ? r->count - begin : w->chunk_rows;
        product_nt(w->logits, w->query + begin * d, find->vectors, count, find->count, d, 0);
        for (size_t i = 0; i < count; i++)
            softmax_row(w, r, w->logits + i * find->count, begin + i);
        product_nn(w->dquery + begin * d, w->logits, find->vectors, count, d, find->count, 0);
        product_tn(r->dfind, w->logits, w->query + begin * d, find->count, d, count, 1);
    }
    product_tn(r->grads->find_query, w->dquery, w->zt, d, d, r->count, 1);
    product_nn(w->dzt, w->dquery, p->find_query, r->count, d, d, 1);
}

void policy_find_content(real *vectors, const struct policy *policy, const real *content,
                         size_t count)
{
    const struct shape *s = &policy->shape;
    product_nt(vectors, content, policy->params.find_content, count, s->dim, s->content, 0);
}

void policy_find_vectors(real *find_vectors, const struct policy *policy, size_t first, size_t last)
{
    const struct shape *s = &policy->shape;
    policy_find_content(find_vectors, policy, policy->items.content + first * s->content,
                        last - first);
    axpy(find_vectors, 1, policy->params.own + first * s->dim, (last - first) * s->dim);
}

void policy_finish_gradients(struct params *grads, const real *dfind, const struct policy *policy,
                             const struct find_set *find, size_t first, size_t last)
{
    const struct shape *s = &policy->shape;
    REAL_GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, (int)(last - first), (int)s->content,
              (int)find->count, 1, dfind + first, (int)s->dim, find->content, (int)s->content, 1,
              grads->find_content + first * s->content, (int)s->content);
}
