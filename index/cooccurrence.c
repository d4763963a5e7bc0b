#include "index/cooccurrence.h"

#include "base/topk.h"
#include "index/text_vectors.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct counting {
    size_t window;
    bool roots;     /* 1/sqrt(gap) instead of 1/gap */
    float backward; /* of a pair counted the other way round */
};

static struct sparse *count_pairs(const uint32_t *items, const size_t *first, size_t users,
                                  size_t item_count, const struct counting *how, struct err *err)
{
    struct pairs pairs = {0};
    bool fine = true;
    for (size_t u = 0; fine && u < users; u++)
        for (size_t i = first[u]; fine && i < first[u + 1]; i++)
            for (size_t gap = 1; fine && gap <= how->window && i + gap < first[u + 1]; gap++) {
                uint32_t a = items[i];
                uint32_t b = items[i + gap];
                if (a == b)
                    continue;
                float weight = how->roots ? 1 / sqrtf((float)gap) : 1 / (float)gap;
                fine = pairs_add(&pairs, (struct pair){a, b, weight}, err) &&
                       (how->backward <= 0 ||
                        pairs_add(&pairs, (struct pair){b, a, weight * how->backward}, err));
            }
    struct sparse *counts = fine ? sparse_from_pairs(&pairs, item_count, item_count, err) : NULL;
    free(pairs.list);
    return counts;
}

struct sparse *followers_count(const uint32_t *items, const size_t *first, size_t users,
                               size_t item_count, struct err *err)
{
    struct pairs pairs = {0};
    bool fine = true;
    for (size_t u = 0; fine && u < users; u++)
        for (size_t i = first[u]; fine && i + 1 < first[u + 1]; i++)
            fine = pairs_add(&pairs, (struct pair){items[i], items[i + 1], 1}, err);
    struct sparse *counts = fine ? sparse_from_pairs(&pairs, item_count, item_count, err) : NULL;
    free(pairs.list);
    return counts;
}

static float *count_events(const uint32_t *items, const size_t *first, size_t users,
                           size_t item_count, struct err *err)
{
    float *events = calloc(item_count + 1, sizeof *events);
    if (!events)
        err_set(err, ERR_SYSTEM, "no memory for the counts of %zu items", item_count);
    for (size_t i = first[0]; events && i < first[users]; i++)
        events[items[i]]++;
    return events;
}

/* Keeps the strongest of each row, and the order by column. */
static bool keep_strongest(struct sparse *counts, size_t most, struct err *err)
{
    struct hit *best = malloc((most + 1) * sizeof *best);
    if (!best)
        return err_set(err, ERR_SYSTEM, "no memory for %zu neighbours", most);
    size_t out = 0;
    for (size_t r = 0; r < counts->rows; r++) {
        size_t begin = counts->first[r];
        size_t end = counts->first[r + 1];
        struct topk topk = {.hits = best, .max = most};
        for (size_t e = begin; e < end; e++)
            topk_push(&topk, (struct hit){counts->column[e], counts->value[e]});
        topk_sort(&topk);
        struct hit worst = topk.count ? best[topk.count - 1] : (struct hit){0};
        counts->first[r] = out;
        for (size_t e = begin; e < end; e++) {
            struct hit hit = {counts->column[e], counts->value[e]};
            if (hit_better(worst, hit))
                continue;
            counts->column[out] = hit.row;
            counts->value[out++] = hit.score;
        }
    }
    counts->first[counts->rows] = out;
    counts->entries = out;
    free(best);
    return true;
}

/* The largest window that counts no more than PAIRS_MAX pairs. */
static size_t fitting_window(const size_t *first, size_t users, size_t window)
{
    for (; window > 1; window--) {
        size_t pairs = 0;
        for (size_t u = 0; u < users; u++) {
            size_t n = first[u + 1] - first[u];
            size_t w = n > window ? window : n;
            pairs += 2 * n * w;
        }
        if (pairs <= PAIRS_MAX)
            break;
    }
    return window;
}

struct sparse *neighbours_count(const uint32_t *items, const size_t *first, size_t users,
                                size_t item_count, const struct neighbour_options *o,
                                struct err *err)
{
    float *events = count_events(items, first, users, item_count, err);
    const struct counting how = {fitting_window(first, users, o->window), true, (float)o->backward};
    struct sparse *counts = events ? count_pairs(items, first, users, item_count, &how, err) : NULL;
    for (size_t r = 0; counts && r < counts->rows; r++)
        for (size_t e = counts->first[r]; e < counts->first[r + 1]; e++) {
            double c = (double)counts->value[e];
            double from = pow((double)events[r] + o->shrink, o->from);
            double to = pow((double)events[counts->column[e]] + o->shrink, o->to);
            counts->value[e] = (float)(c / (from * to) * c / (c + 1));
        }
    free(events);
    if (counts && keep_strongest(counts, o->most, err))
        return counts;
    sparse_free(counts);
    return NULL;
}

static void to_ppmi(struct sparse *counts, const float *sums, double total)
{
    for (size_t r = 0; r < counts->rows; r++)
        for (size_t e = counts->first[r]; e < counts->first[r + 1]; e++) {
            double expected = (double)sums[r] * (double)sums[counts->column[e]] / total;
            double pmi = log((double)counts->value[e] / expected);
            counts->value[e] = pmi > 0 ? (float)pmi : 0;
        }
}

bool cooccurrence_vectors(float *vectors, const uint32_t *items, const size_t *first, size_t users,
                          size_t item_count, size_t dims, uint64_t seed, struct err *err)
{
    float *events = count_events(items, first, users, item_count, err);
    const struct counting how = {COOCCURRENCE_WINDOW, false, 1};
    struct sparse *counts = events ? count_pairs(items, first, users, item_count, &how, err) : NULL;
    float *sums = calloc(item_count + 1, sizeof *sums);
    float *right = calloc(item_count * dims + 1, sizeof *right);
    bool fine = counts && sums && right;
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for co-occurrence vectors of %zu items", item_count);
    double total = 0;
    for (size_t r = 0; fine && r < item_count; r++) {
        for (size_t e = counts->first[r]; e < counts->first[r + 1]; e++)
            sums[r] += counts->value[e];
        total += (double)sums[r];
    }
    if (fine && total > 0)
        to_ppmi(counts, sums, total);
    fine = fine && svd_sparse(vectors, right, counts, dims, seed, err);
    /* U S to U sqrt(S): a column of U S is as long as its singular value. */
    for (size_t d = 0; fine && d < dims; d++) {
        float strength = cblas_snrm2((int)item_count, vectors + d, (int)dims);
        if (strength > 1e-12F)
            cblas_sscal((int)item_count, 1 / sqrtf(strength), vectors + d, (int)dims);
    }
    for (size_t i = 0; fine && i < item_count; i++) {
        vector_to_unit(vectors + i * dims, dims);
        cblas_sscal((int)dims, events[i] / (events[i] + 3), vectors + i * dims, 1);
    }
    free(right);
    free(sums);
    free(events);
    sparse_free(counts);
    return fine;
}

bool nearest_mean(float *mean, size_t dims, const uint32_t *near, const float *likeness,
                  size_t count, const float *vectors, size_t stride, const uint32_t *events)
{
    float total = 0;
    size_t used = 0;
    for (size_t d = 0; d < dims; d++)
        mean[d] = 0;
    for (size_t i = 0; i < count && used < NEAREST_MOST; i++) {
        if (!events[near[i]])
            continue;
        float weight = likeness[i] * likeness[i];
        cblas_saxpy((int)dims, weight, vectors + near[i] * stride, 1, mean, 1);
        total += weight;
        used++;
    }
    if (total > 0)
        cblas_sscal((int)dims, 1 / total, mean, 1);
    return total > 0;
}

void nearest_mean_all(float *guessed, bool *any, const float *content, size_t dims, size_t at,
                      const struct sparse *texts, const uint32_t *events)
{
    memcpy(guessed, content, texts->rows * dims * sizeof *guessed);
    for (size_t r = 0; r < texts->rows; r++) {
        size_t first = texts->first[r];
        bool found = nearest_mean(guessed + r * dims + at, dims - at, texts->column + first,
                                  texts->value + first, texts->first[r + 1] - first, content + at,
                                  dims, events);
        if (any)
            any[r] = found;
    }
}
