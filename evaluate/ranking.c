#include "evaluate/ranking.h"

#include "base/rng.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const size_t CUT_AT[CUTS] = {1, 5, 10, 20, 50};

double ranking_ndcg(uint32_t rank, size_t cut)
{
    return rank >= 1 && rank <= cut ? 1 / log2(1 + (double)rank) : 0;
}

void ranking_measure(struct ranking *out, const uint32_t *rank, size_t users)
{
    *out = (struct ranking){0};
    for (size_t u = 0; u < users; u++)
        for (size_t c = 0; c < CUTS; c++)
            if (rank[u] >= 1 && rank[u] <= CUT_AT[c]) {
                out->hr[c] += 1;
                out->ndcg[c] += ranking_ndcg(rank[u], CUT_AT[c]);
                out->mrr[c] += 1 / (double)rank[u];
            }
    for (size_t c = 0; c < CUTS && users; c++) {
        out->hr[c] /= (double)users;
        out->ndcg[c] /= (double)users;
        out->mrr[c] /= (double)users;
    }
}

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return *x < *y ? -1 : *x > *y;
}

double mean_of(const double *value, size_t users)
{
    double mean = 0;
    for (size_t u = 0; u < users; u++)
        mean += value[u] / (double)users;
    return mean;
}

struct interval interval_of(const double *value, size_t users, uint64_t seed)
{
    struct interval out = {.mean = mean_of(value, users)};
    double *means = calloc(RESAMPLES, sizeof *means);
    double squares = 0;
    for (size_t u = 0; u < users; u++)
        squares += (value[u] - out.mean) * (value[u] - out.mean);
    if (users)
        out.detectable = 2.8 * sqrt(squares / (double)users / (double)users);
    struct rng rng = rng_stream(seed, 0xb007, users);
    for (size_t r = 0; means && users && r < RESAMPLES; r++) {
        double sum = 0;
        for (size_t u = 0; u < users; u++)
            sum += value[rng_below(&rng, users)];
        means[r] = sum / (double)users;
    }
    if (means && users) {
        qsort(means, RESAMPLES, sizeof *means, compare_doubles);
        out.low = means[RESAMPLES / 40];
        out.high = means[RESAMPLES - 1 - RESAMPLES / 40];
    }
    free(means);
    return out;
}

static double value_of(uint32_t rank, size_t cut, enum ranking_metric metric)
{
    return metric == RANKING_NDCG ? ranking_ndcg(rank, cut) : (double)(rank >= 1 && rank <= cut);
}

struct interval ranking_interval(const uint32_t *rank, size_t users, size_t cut,
                                 enum ranking_metric metric, uint64_t seed)
{
    struct interval out = {0};
    double *value = calloc(users + 1, sizeof *value);
    for (size_t u = 0; value && u < users; u++)
        value[u] = value_of(rank[u], cut, metric);
    if (value)
        out = interval_of(value, users, seed);
    free(value);
    return out;
}

struct interval ranking_compare(const uint32_t *rank_a, const uint32_t *rank_b, size_t users,
                                size_t cut, enum ranking_metric metric, uint64_t seed)
{
    struct interval out = {0};
    double *difference = calloc(users + 1, sizeof *difference);
    for (size_t u = 0; difference && u < users; u++)
        difference[u] = value_of(rank_a[u], cut, metric) - value_of(rank_b[u], cut, metric);
    if (difference)
        out = interval_of(difference, users, seed);
    free(difference);
    return out;
}

struct list_score list_measure(const uint32_t *list, size_t count, const uint32_t *relevant,
                               size_t relevant_count, size_t cut)
{
    double gain = 0;
    double most = 0;
    size_t hits = 0;
    for (size_t k = 0; k < cut; k++) {
        double discount = 1 / log2((double)k + 2);
        bool hit = false;
        for (size_t i = 0; k < count && i < relevant_count && !hit; i++)
            hit = list[k] == relevant[i];
        gain += hit ? discount : 0;
        hits += hit;
        most += k < relevant_count ? discount : 0;
    }
    return relevant_count ? (struct list_score){gain / most, (double)hits / (double)relevant_count}
                          : (struct list_score){0, 0};
}

double lists_coverage(const uint32_t *shown, size_t items)
{
    size_t any = 0;
    for (size_t i = 0; i < items; i++)
        any += shown[i] > 0;
    return items ? (double)any / (double)items : 0;
}

static int compare_counts(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;
    return *x < *y ? -1 : *x > *y;
}

double lists_gini(const uint32_t *shown, size_t items)
{
    uint32_t *sorted = calloc(items + 1, sizeof *sorted);
    double sum = 0;
    double weighted = 0;
    if (sorted && items) {
        memcpy(sorted, shown, items * sizeof *sorted);
        qsort(sorted, items, sizeof *sorted, compare_counts);
        for (size_t i = 0; i < items; i++) {
            sum += sorted[i];
            weighted += (double)(i + 1) * sorted[i];
        }
    }
    free(sorted);
    double n = (double)items;
    return sum > 0 ? 2 * weighted / (n * sum) - (n + 1) / n : 0;
}

/* Variance of whether a resample shows an item that was shown so often. */
static double presence_variance(uint32_t shown)
{
    double absent = exp(-(double)shown);
    return shown ? absent * (1 - absent) : 0;
}

struct interval coverage_compare(const uint32_t *shown_a, const uint32_t *shown_b, size_t items)
{
    double n = (double)items;
    double variance = 0;
    if (items == 0)
        return (struct interval){0};
    double mean = lists_coverage(shown_a, items) - lists_coverage(shown_b, items);
    for (size_t i = 0; i < items; i++)
        variance += presence_variance(shown_a[i]) + presence_variance(shown_b[i]);
    double error = sqrt(variance) / n;
    return (struct interval){mean, mean - 1.96 * error, mean + 1.96 * error, 2.8 * error};
}
