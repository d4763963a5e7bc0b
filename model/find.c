#include "model/readings.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIT_ROWS = 256 };

/*
 * Sums find's probabilities over the items under each legal child, on the way down to the target.
 * p [find->count]; its scale does not matter.
 */
static void teach(struct policy_work *w, const struct reading *r, const real *p, size_t at)
{
    const struct shape *s = &r->policy->shape;
    const struct legal_tiles *legal = r->options->legal;
    const uint32_t *before = r->options->find->before;
    const uint16_t *codes = policy_codes(r->policy, w->want[at]);
    struct tile_node node = legal->root;
    for (size_t l = 0; l < s->levels; l++) {
        real *out = w->teach + (l * w->trunk.positions_max + at) * s->tiles;
        size_t count = legal->children(legal->self, w->children, node, l);
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

/*
 * One row of logits becomes its gradient.  In a sampled set the others stand for the items left
 * out, by 1 / their probability of being in; the target is always in.
 */
static void softmax_row(struct policy_work *w, const struct reading *r, real *row, size_t at)
{
    const struct find_set *find = r->options->find;
    size_t target = find_place(find, w->want[at]);
    real scale = r->options->scale * r->options->find_weight * w->weight[at];
    real smoothing = r->options->smoothing;
    if (find->log_inclusion) {
        real kept = row[target];
        axpy(row, -1, find->log_inclusion, find->count);
        row[target] = kept;
    }
    real logit = row[target];
    real mean = 0;
    if (smoothing > 0) {
        for (size_t i = 0; i < find->count; i++)
            mean += row[i];
        mean /= (real)find->count;
    }
    real total = r->policy->kernels->softmax(row, find->count, scale);
    r->losses->find +=
        (double)(w->weight[at] * (total - (1 - smoothing) * logit - smoothing * mean));
    if (r->options->name_weight > 0 && find_teaches(r))
        teach(w, r, row, at);
    row[target] -= scale * (1 - smoothing);
    if (smoothing > 0)
        for (size_t i = 0; i < find->count; i++)
            row[i] -= scale * smoothing / (real)find->count;
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
    for (size_t i = first; i < last; i++)
        if (!policy->items.seen[i])
            policy_cold_vector(find_vectors + (i - first) * s->dim, policy,
                               policy->items.content + i * s->content);
}

void policy_cold_vector(real *vector, const struct policy *policy, const real *content)
{
    const struct shape *s = &policy->shape;
    memcpy(vector, policy->params.cold_bias, s->dim * sizeof(real));
    REAL_GEMV(CblasRowMajor, CblasNoTrans, (int)s->dim, (int)s->content, 1, policy->params.cold,
              (int)s->content, content, 1, 1, vector, 1);
}

/* Solves (X^T X + ridge) A = X^T Y in place by Cholesky; xx [n, n], xy [n, m]. */
static void solve_ridge(real *xx, real *xy, size_t n, size_t m, real ridge)
{
    for (size_t i = 0; i < n; i++)
        xx[i * n + i] += ridge;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            real sum = xx[i * n + j];
            for (size_t k = 0; k < j; k++)
                sum -= xx[i * n + k] * xx[j * n + k];
            xx[i * n + j] = i == j ? (real)sqrt((double)(sum > ridge / 2 ? sum : ridge / 2))
                                   : sum / xx[j * n + j];
        }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++)
            axpy(xy + i * m, -xx[i * n + k], xy + k * m, m);
        for (size_t c = 0; c < m; c++)
            xy[i * m + c] /= xx[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++)
            axpy(xy + i * m, -xx[k * n + i], xy + k * m, m);
        for (size_t c = 0; c < m; c++)
            xy[i * m + c] /= xx[i * n + i];
    }
}

bool policy_fit_cold(struct policy *policy, const real *guessed)
{
    const struct shape *s = &policy->shape;
    const struct item_table *items = &policy->items;
    size_t n = s->content + 1; /* and a 1 for the bias */
    size_t d = s->dim;
    real *xx = calloc(n * n, sizeof *xx);
    real *xy = calloc(n * d, sizeof *xy);
    real *x = calloc(FIT_ROWS * n, sizeof *x);
    real *y = calloc(FIT_ROWS * d, sizeof *y);
    bool fine = xx && xy && x && y;
    size_t count = 0;
    for (size_t i = 0; fine && i <= items->count; i++) {
        if (i < items->count && items->seen[i]) {
            memcpy(x + count * n, guessed + i * s->content, (n - 1) * sizeof *x);
            x[count * n + n - 1] = 1;
            policy_find_vectors(y + count * d, policy, i, i + 1);
            count++;
        }
        if (count && (count == FIT_ROWS || i == items->count)) {
            product_tn(xx, x, x, n, n, count, 1);
            product_tn(xy, x, y, n, d, count, 1);
            count = 0;
        }
    }
    if (fine) {
        solve_ridge(xx, xy, n, d, 1);
        for (size_t k = 0; k < d; k++) {
            for (size_t t = 0; t + 1 < n; t++)
                policy->params.cold[k * s->content + t] = xy[t * d + k];
            policy->params.cold_bias[k] = xy[(n - 1) * d + k];
        }
    }
    free(xx);
    free(xy);
    free(x);
    free(y);
    return fine;
}

void policy_finish_gradients(struct params *grads, const real *dfind, const struct policy *policy,
                             const struct find_set *find, size_t first, size_t last)
{
    const struct shape *s = &policy->shape;
    REAL_GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, (int)(last - first), (int)s->content,
              (int)find->count, 1, dfind + first, (int)s->dim, find->content, (int)s->content, 1,
              grads->find_content + first * s->content, (int)s->content);
}
