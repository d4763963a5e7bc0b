#include "base/log.h"
#include "train/judge.h"

#include <math.h>
#include <string.h>

struct moments {
    double gradient[FEATURES], hessian[FEATURES][FEATURES];
};

static double score_of(const double *w, const float *x)
{
    double score = 0;
    for (size_t a = 0; a < FEATURES; a++)
        score += w[a] * (double)x[a];
    return score;
}

static void add_moments(struct moments *sum, const struct case_features *f, const double *w)
{
    double most = -INFINITY;
    double total = 0;
    double mean[FEATURES] = {0};
    double second[FEATURES][FEATURES] = {{0}};
    for (size_t i = 0; i < f->count; i++)
        most = fmax(most, score_of(w, f->values[i]));
    for (size_t i = 0; i < f->count; i++) {
        const float *x = f->values[i];
        double p = exp(score_of(w, x) - most);
        total += p;
        for (size_t a = 0; a < FEATURES; a++) {
            mean[a] += p * (double)x[a];
            for (size_t b = 0; b <= a; b++)
                second[a][b] += p * (double)x[a] * (double)x[b];
        }
    }
    for (size_t a = 0; a < FEATURES; a++) {
        sum->gradient[a] += (double)f->values[f->target][a] - mean[a] / total;
        for (size_t b = 0; b <= a; b++) {
            double h = second[a][b] / total - mean[a] * mean[b] / total / total;
            sum->hessian[a][b] += h;
            if (b < a)
                sum->hessian[b][a] += h;
        }
    }
}

/* Solves H x = g by elimination over the active weights. */
static void solve(double *x, struct moments *m, const bool *active)
{
    for (size_t a = 0; a < FEATURES; a++) {
        if (!active[a])
            for (size_t b = 0; b < FEATURES; b++)
                m->hessian[a][b] = m->hessian[b][a] = m->gradient[a] = 0;
        m->hessian[a][a] += active[a] ? 1e-6 : 1;
    }
    for (size_t a = 0; a < FEATURES; a++)
        for (size_t r = a + 1; r < FEATURES; r++) {
            double factor = m->hessian[r][a] / m->hessian[a][a];
            for (size_t b = a; b < FEATURES; b++)
                m->hessian[r][b] -= factor * m->hessian[a][b];
            m->gradient[r] -= factor * m->gradient[a];
        }
    for (size_t a = FEATURES; a-- > 0;) {
        x[a] = m->gradient[a];
        for (size_t b = a + 1; b < FEATURES; b++)
            x[a] -= m->hessian[a][b] * x[b];
        x[a] /= m->hessian[a][a];
    }
}

static void fit(double *w, const bool *start, const struct judgement *judgement, size_t cases)
{
    bool active[FEATURES];
    memcpy(active, start, sizeof active);
    for (size_t a = 0; a < FEATURES; a++)
        w[a] = active[a] ? 0.3 : 0;
    for (int step = 0; step < 30; step++) {
        struct moments sum = {0};
        double x[FEATURES];
        double moved = 0;
        for (size_t i = 0; i < cases; i++)
            if (judgement->features[i].count && judgement->features[i].target != SIZE_MAX)
                add_moments(&sum, &judgement->features[i], w);
        for (size_t a = 0; a < FEATURES; a++) /* what never differs says nothing */
            if (active[a] && sum.hessian[a][a] < 1e-9) {
                active[a] = false;
                w[a] = 0;
            }
        solve(x, &sum, active);
        for (size_t a = 0; a < FEATURES; a++) {
            double by = x[a] > 1 ? 1 : x[a] < -1 ? -1 : x[a];
            w[a] += by;
            moved += fabs(by);
            if (active[a] && w[a] < 0) { /* a source that hurts is left out */
                w[a] = 0;
                active[a] = false;
                moved = 1;
            }
        }
        if (moved < 1e-5)
            break;
    }
}

static double ndcg_with(const double *w, const struct judgement *judgement, size_t cases)
{
    double sum = 0;
    for (size_t c = 0; c < cases; c++) {
        const struct case_features *f = &judgement->features[c];
        if (!f->count || f->target == SIZE_MAX)
            continue;
        uint32_t rank = 1;
        double own = score_of(w, f->values[f->target]);
        for (size_t i = 0; i < f->count; i++) {
            double score = score_of(w, f->values[i]);
            rank += score > own || (score == own && i < f->target);
        }
        sum += ranking_ndcg(rank, 10);
    }
    return cases ? sum / (double)cases : 0;
}

/* Fits one set of features; keeps it if it is the best so far. */
static double try_set(struct fusion *fusion, double *best, const bool *set,
                      const struct judgement *judgement, size_t cases)
{
    double w[FEATURES];
    fit(w, set, judgement, cases);
    double ndcg = ndcg_with(w, judgement, cases);
    if (ndcg > *best) {
        *best = ndcg;
        memcpy(fusion->weight, w, sizeof fusion->weight);
    }
    return ndcg;
}

/* HR@10 of targets that are no newcomers, when newcomers get `boost` (-INFINITY: are left out). */
static double known_hr(const double *weights, double boost, const struct judgement *judgement,
                       size_t cases)
{
    double w[FEATURES];
    double hits = 0;
    size_t count = 0;
    memcpy(w, weights, sizeof w);
    w[FEATURE_NEW] = 0;
    for (size_t c = 0; c < cases; c++) {
        const struct case_features *f = &judgement->features[c];
        if (!f->count || f->target == SIZE_MAX || f->values[f->target][FEATURE_NEW] > 0)
            continue;
        double own = score_of(w, f->values[f->target]);
        size_t above = 0;
        for (size_t i = 0; i < f->count; i++) {
            bool is_new = f->values[i][FEATURE_NEW] > 0;
            above += score_of(w, f->values[i]) + (is_new ? boost : 0) > own;
        }
        hits += above < 10;
        count++;
    }
    return count ? hits / (double)count : 0;
}

double newcomers_fit(const double *weights, double loss, const struct judgement *judgement,
                     size_t cases)
{
    double before = known_hr(weights, -INFINITY, judgement, cases);
    double least = (1 - loss) * before;
    if (before <= 0) /* nothing to measure a loss by */
        return 0;
    double low = -30;
    double high = 30;
    for (int step = 0; step < 24; step++) {
        double middle = (low + high) / 2;
        if (known_hr(weights, middle, judgement, cases) >= least)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* All of them, all but one, and each reading of the policy alone. */
void fusion_fit(struct fusion *fusion, const struct judgement *judgement, size_t cases)
{
    double best = -1;
    bool set[FEATURES];
    struct text line;
    text_init(&line, 2048);
    for (size_t without = 0; without <= FEATURE_NEW; without++) {
        for (size_t a = 0; a < FEATURES; a++)
            set[a] = a != without && a != FEATURE_NEW; /* see newcomers_fit() */
        text_addf(&line, " without_%s=%.5f",
                  without == FEATURE_NEW ? "none" : FEATURE_NAMES[without],
                  try_set(fusion, &best, set, judgement, cases));
    }
    for (size_t only = FEATURE_NAME; only <= FEATURE_FIND; only++) {
        for (size_t a = 0; a < FEATURES; a++)
            set[a] = a == only;
        try_set(fusion, &best, set, judgement, cases);
    }
    for (size_t a = 0; a < FEATURE_NEW; a++)
        text_addf(&line, " %s=%.3f", FEATURE_NAMES[a], fusion->weight[a]);
    log_info("fusion.fit validation_ndcg10=%.5f%s", best, line.bytes);
    text_release(&line);
}
