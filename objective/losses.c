/*
 * losses.c: surrogates.  With w a ratio of probabilities now and at sampling, at the level of a
 * token, of a unit or of a row (the geometric mean of its live tokens' ratios),
 *
 *     L = sum_t share_t f(A_t, w_level(t))
 *
 * and since dw/dlp_s = w / live for each live token s of the level, dL/dlp_s is the mean over the
 * level of share_t f'(A_t, w) w.
 */
#include "objective/parts.h"

#include <math.h>
#include <string.h>

/* f and f' * w at one token; *clipped: the clip took the gradient away. */
typedef double surrogate_fn(const struct objective *o, double advantage, double w, double *slope,
                            bool *clipped);

static const double RATIO_LOG_MAX = 20;

/* The span of tokens that shares a ratio with token t of unit u. */
static void level_span(const struct objective *o, const struct rollouts *b, size_t row, size_t unit,
                       size_t t, size_t *first, size_t *last)
{
    const char *level = o->settings.importance_sampling_level;
    *first = t;
    *last = t + 1;
    if (strcmp(level, "item") == 0) {
        *first = b->unit_token[unit];
        *last = b->unit_token[unit + 1];
    } else if (strcmp(level, "sequence") == 0) {
        *first = row_first_token(b, row);
        *last = row_last_token(b, row);
    }
}

static double span_loss(const struct objective *o, struct rollouts *b, size_t first, size_t last,
                        surrogate_fn *fn)
{
    double live = 0;
    double log_ratio = 0;
    double loss = 0;
    double gradient = 0;
    for (size_t t = first; t < last; t++)
        if (b->weight[t] > 0) {
            live++;
            log_ratio += b->lp[t] - b->lp_old[t];
        }
    if (live == 0)
        return 0;
    double w = exp(fmax(-RATIO_LOG_MAX, fmin(RATIO_LOG_MAX, log_ratio / live)));
    for (size_t t = first; t < last; t++) {
        double slope = 0;
        bool clipped = false;
        if (b->weight[t] <= 0)
            continue;
        loss += b->share[t] * fn(o, b->advantage[t], w, &slope, &clipped);
        gradient += b->share[t] * slope;
        b->scratch[t] = clipped;
    }
    for (size_t t = first; t < last; t++)
        if (b->weight[t] > 0)
            b->g_lp[t] += gradient / live;
    return loss;
}

static double surrogate(const struct objective *o, struct rollouts *b, surrogate_fn *fn)
{
    double loss = 0;
    memset(b->scratch, 0, b->tokens * sizeof *b->scratch);
    for (size_t r = 0; r < b->rows; r++)
        for (size_t u = b->row_unit[r]; u < b->row_unit[r + 1]; u++)
            for (size_t t = b->unit_token[u]; t < b->unit_token[u + 1]; t++) {
                size_t first;
                size_t last;
                level_span(o, b, r, u, t, &first, &last);
                if (t == first)
                    loss += span_loss(o, b, first, last, fn);
            }
    return loss;
}

static double clip_value(const struct objective *o, double a, double w, double *slope,
                         bool *clipped)
{
    const struct objective_settings *s = &o->settings;
    double bounded = fmax(1 - s->epsilon, fmin(1 + s->epsilon_high, w));
    *clipped = a >= 0 ? w > 1 + s->epsilon_high : w < 1 - s->epsilon;
    double value = -fmin(w * a, bounded * a);
    *slope = *clipped ? 0 : -a * w;
    if (a < 0 && s->delta > 0 && w > s->delta) { /* dual clip */
        *clipped = true;
        *slope = 0;
        value = -s->delta * a;
    }
    return value;
}

static double clip(const struct objective *o, struct rollouts *b)
{
    return surrogate(o, b, clip_value);
}

/* The gate's slope is 1 at w = 1 for every tau. */
static double soft_gate(const struct objective *o, double a, double w, double *slope, bool *clipped)
{
    double tau = a > 0 ? o->settings.tau_pos : o->settings.tau_neg;
    double s = 1 / (1 + exp(-tau * (w - 1)));
    *clipped = false;
    *slope = -a * w * 4 * s * (1 - s);
    return -a * 4 / tau * s;
}

static double sapo(const struct objective *o, struct rollouts *b)
{
    return surrogate(o, b, soft_gate);
}

/* Weights that are not differentiated: L = -sum share c lp with c a number. */
typedef double weight_fn(const struct objective *o, double advantage, double w);

static double weighted_lp(const struct objective *o, struct rollouts *b, weight_fn *fn)
{
    double loss = 0;
    for (size_t t = 0; t < b->tokens; t++) {
        b->scratch[t] = 0;
        if (b->weight[t] <= 0)
            continue;
        double w = exp(fmax(-RATIO_LOG_MAX, fmin(RATIO_LOG_MAX, b->lp[t] - b->lp_old[t])));
        double c = fn(o, b->advantage[t], w);
        b->scratch[t] = c == 0 && b->advantage[t] != 0;
        b->g_lp[t] -= b->share[t] * c;
        loss -= b->share[t] * c * b->lp[t];
    }
    return loss;
}

static double plain(const struct objective *o, double a, double w)
{
    (void)o;
    (void)w;
    return a;
}

static double logp(const struct objective *o, struct rollouts *b)
{
    return weighted_lp(o, b, plain);
}

static double capped(const struct objective *o, double a, double w)
{
    return a * fmin(w, 1 + o->settings.epsilon_high);
}

static double cispo(const struct objective *o, struct rollouts *b)
{
    return weighted_lp(o, b, capped);
}

/* Inside the band on the side that the advantage pushes to; no ratio in the weight. */
static double one_side(const struct objective *o, double a, double w)
{
    bool in = a >= 0 ? w <= 1 + o->settings.epsilon_high : w >= 1 - o->settings.epsilon;
    return in ? a : 0;
}

static double rec(const struct objective *o, struct rollouts *b)
{
    return weighted_lp(o, b, one_side);
}

/* In the band, or far outside on the side from which the advantage pulls back. */
static double ring_value(const struct objective *o, double a, double w)
{
    const struct objective_settings *s = &o->settings;
    bool in = w >= 1 - s->epsilon && w <= 1 + s->epsilon_high;
    bool far = a >= 0 ? w <= 1 - s->rec_low : w >= 1 + s->rec_high;
    return in || far ? a : 0;
}

static double rec_ring(const struct objective *o, struct rollouts *b)
{
    return weighted_lp(o, b, ring_value);
}

static double advantage_weighted(const struct objective *o, double a, double w)
{
    (void)o;
    (void)w;
    return a * exp(a);
}

static double red_weight(const struct objective *o, struct rollouts *b)
{
    return weighted_lp(o, b, advantage_weighted);
}

/* Sum over a row's live tokens of lp minus the anchor's. */
static double row_drift(const struct objective *o, const struct rollouts *b, size_t row)
{
    const double *anchor = strcmp(o->settings.kl_anchor, "ref") == 0 ? b->lp_ref : b->lp_old;
    double sum = 0;
    for (size_t t = row_first_token(b, row); t < row_last_token(b, row); t++)
        if (b->weight[t] > 0)
            sum += b->lp[t] - anchor[t];
    return sum;
}

/*
 * Rewards are regressed on drifts, both centred in the group: the loss over all pairs in linear
 * time. L = 1/2 mean_i (a_i - mean a)^2, a_i = r_i - beta drift_i.
 */
static double regress(const struct objective *o, struct rollouts *b)
{
    double beta = o->settings.regress_beta;
    double *a = b->scratch + b->tokens + b->units; /* [rows] */
    double loss = 0;
    double rows = 0;
    for (size_t r = 0; r < b->rows; r++)
        rows += row_counts(b, r);
    for (size_t g = 0; g < b->groups; g++) {
        double sum = 0;
        double count = 0;
        for (size_t r = b->group_row[g]; r < b->group_row[g + 1]; r++)
            if (row_counts(b, r)) {
                sum += a[r] = row_reward(b, r) - beta * row_drift(o, b, r);
                count++;
            }
        for (size_t r = b->group_row[g]; r < b->group_row[g + 1]; r++) {
            if (!row_counts(b, r))
                continue;
            double off = a[r] - sum / count;
            loss += off * off / 2 / rows;
            for (size_t t = row_first_token(b, r); t < row_last_token(b, r); t++)
                if (b->weight[t] > 0)
                    b->g_lp[t] -= beta * off / rows;
        }
    }
    return loss;
}

/* The best row of a group against each worse one. */
static double dpo(const struct objective *o, struct rollouts *b)
{
    double beta = o->settings.dpo_beta;
    double loss = 0;
    for (size_t g = 0; g < b->groups; g++) {
        size_t best = SIZE_MAX;
        for (size_t r = b->group_row[g]; r < b->group_row[g + 1]; r++)
            if (row_counts(b, r) && (best == SIZE_MAX || row_reward(b, r) > row_reward(b, best)))
                best = r;
        for (size_t r = b->group_row[g]; best != SIZE_MAX && r < b->group_row[g + 1]; r++) {
            if (!row_counts(b, r) || row_reward(b, r) >= row_reward(b, best))
                continue;
            double margin = beta * (row_drift(o, b, best) - row_drift(o, b, r));
            double wrong = 1 / (1 + exp(margin));
            double part = 1 / (double)b->rows;
            loss += part * (margin > 0 ? log1p(exp(-margin)) : log1p(exp(margin)) - margin);
            for (size_t t = row_first_token(b, best); t < row_last_token(b, best); t++)
                b->g_lp[t] -= b->weight[t] > 0 ? part * beta * wrong : 0;
            for (size_t t = row_first_token(b, r); t < row_last_token(b, r); t++)
                b->g_lp[t] += b->weight[t] > 0 ? part * beta * wrong : 0;
        }
    }
    return loss;
}

const struct objective_part LOSS_PARTS[] = {
    {STAGE_LOSS, "clip", 0, clip, "epsilon epsilon_high delta importance_sampling_level",
     "-min(w A, clip(w, 1 - eps, 1 + eps_high) A); A < 0 and w > delta: -delta A",
     "PPO, arXiv 1707.06347; dual clip arXiv 1912.09729; GSPO 2507.18071; Rank-GRPO 2510.20150"},
    {STAGE_LOSS, "cispo", 0, cispo, "epsilon_high", "-min(w, 1 + eps_high) A lp, weight detached",
     "MiniMax-M1, arXiv 2506.13585"},
    {STAGE_LOSS, "sapo", NEEDS_STALE, sapo, "tau_pos tau_neg", "-(4 / tau) sigmoid(tau (w - 1)) A",
     "SAPO, arXiv 2511.20347"},
    {STAGE_LOSS, "rec", 0, rec, "epsilon epsilon_high",
     "-A lp where A >= 0 and w <= 1 + eps_high, or A < 0 and w >= 1 - eps",
     "REC-OneSide-NoIS, arXiv 2509.24203"},
    {STAGE_LOSS, "rec_ring", 0, rec_ring, "epsilon epsilon_high rec_low rec_high",
     "-A lp inside the band, or beyond the outer one on the side to come back from",
     "REC-Ring, arXiv 2509.24203"},
    {STAGE_LOSS, "red_weight", 0, red_weight, "", "-A exp(A) lp", "RED-Weight, arXiv 2509.24203"},
    {STAGE_LOSS, "logp", 0, logp, "", "-A lp", "REINFORCE; OPMD in arXiv 2509.24203"},
    {STAGE_LOSS, "regress", 0, regress, "regress_beta kl_anchor",
     "1/2 mean (a - mean a)^2, a = r - beta (lp - anchor)",
     "CoPG, arXiv 2406.19185 (anchor ref); Reg-GRPO, arXiv 2506.07464, centred (anchor old)"},
    {STAGE_LOSS, "dpo", NEEDS_REFERENCE, dpo, "dpo_beta kl_anchor",
     "-log sigmoid(beta (drift of the best - drift of a worse one))", "DPO, arXiv 2305.18290"},
};
const size_t LOSS_PARTS_COUNT = COUNT(LOSS_PARTS);
