#include "recommend/draw.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct drawing {
    struct slate *slate;
    struct slate_work *w;
    const struct snapshot *s;
    const struct slate_request *request;
    struct rng rng;
    size_t count;                    /* candidates left */
    uint32_t common[CANDIDATES_MAX]; /* categories that most candidates have: no cap holds them */
    size_t common_count;
};

static double standing(const struct drawing *d, size_t i)
{
    return d->w->candidates[i].score - d->request->mmr * (double)d->w->likeness[i];
}

static bool has_category(const struct drawing *d, uint32_t row, uint32_t category)
{
    return snapshot_in_category(d->s, row, category);
}

static int compare_categories(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void note_common(struct drawing *d)
{
    enum { NOTED_MAX = CANDIDATES_MAX * 16 }; /* of most catalogues that is every category */
    const struct snapshot *s = d->s;
    uint32_t noted[NOTED_MAX];
    size_t count = 0;
    for (size_t i = 0; i < d->count; i++) {
        uint32_t row = d->w->candidates[i].row;
        for (size_t c = s->category_first[row]; c < s->category_first[row + 1] && count < NOTED_MAX;
             c++)
            noted[count++] = s->category[c];
    }
    qsort(noted, count, sizeof *noted, compare_categories);
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && noted[next] == noted[i];)
            next++;
        if (2 * (next - i) > d->count)
            d->common[d->common_count++] = noted[i];
    }
}

static bool capped(const struct drawing *d, uint32_t category)
{
    size_t taken = 0;
    for (size_t c = 0; c < d->common_count; c++)
        if (d->common[c] == category)
            return false;
    for (size_t k = 0; k < d->slate->count; k++)
        taken += has_category(d, d->slate->items[k].row, category);
    return taken >= d->request->category_max;
}

static void forget(struct drawing *d, size_t at)
{
    struct slate_work *w = d->w;
    memmove(w->candidates + at, w->candidates + at + 1,
            (d->count - at - 1) * sizeof *w->candidates);
    memmove(w->likeness + at, w->likeness + at + 1, (d->count - at - 1) * sizeof *w->likeness);
    d->count--;
}

/* After an item was taken: what has a full category leaves, what is like it stands lower. */
static void after(struct drawing *d, uint32_t row)
{
    const struct snapshot *s = d->s;
    int dims = (int)s->version->policy.shape.content;
    const float *content = snapshot_content(s, row);
    float length = cblas_snrm2(dims, content, 1);
    for (size_t c = s->category_first[row];
         d->request->category_max && c < s->category_first[row + 1]; c++)
        if (capped(d, s->category[c]))
            for (size_t i = d->count; i-- > 0;)
                if (has_category(d, d->w->candidates[i].row, s->category[c]))
                    forget(d, i);
    for (size_t i = 0; d->request->mmr > 0 && i < d->count; i++) {
        const float *other = snapshot_content(s, d->w->candidates[i].row);
        float lengths = length * cblas_snrm2(dims, other, 1);
        float cosine = lengths > 0 ? cblas_sdot(dims, content, 1, other, 1) / lengths : 0;
        d->w->likeness[i] = fmaxf(d->w->likeness[i], cosine);
    }
}

static size_t choose(struct drawing *d, double *propensity)
{
    double t = d->request->explore;
    double most = -INFINITY;
    size_t best = 0;
    for (size_t i = 0; i < d->count; i++)
        if (standing(d, i) > most) {
            most = standing(d, i);
            best = i;
        }
    *propensity = 1;
    if (t <= 0)
        return best;
    double sum = 0;
    for (size_t i = 0; i < d->count; i++)
        sum += exp((standing(d, i) - most) / t);
    if (d->slate->count == 0)
        d->slate->log_normaliser = log(sum) + most / t;
    double left = rng_uniform(&d->rng) * sum;
    size_t pick = 0;
    for (; pick + 1 < d->count; pick++) {
        left -= exp((standing(d, pick) - most) / t);
        if (left < 0)
            break;
    }
    *propensity = exp((standing(d, pick) - most) / t) / sum;
    return pick;
}

void slate_draw(struct slate *slate, struct slate_work *w, const struct snapshot *s, size_t count,
                const struct slate_request *request)
{
    struct drawing d = {.slate = slate,
                        .w = w,
                        .s = s,
                        .request = request,
                        .rng = rng_stream(request->seed, 0x5a7e, 0),
                        .count = count};
    memset(w->likeness, 0, count * sizeof *w->likeness);
    if (request->category_max)
        note_common(&d);
    while (slate->count < request->n && d.count > 0) {
        double propensity;
        size_t pick = choose(&d, &propensity);
        struct slate_item item = w->candidates[pick];
        item.propensity = propensity;
        slate->items[slate->count++] = item;
        forget(&d, pick);
        after(&d, item.row);
    }
}
