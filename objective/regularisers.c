/* regularisers.c: what keeps the policy near something. */
#include "objective/parts.h"

#include <math.h>
#include <string.h>

static double kl(const struct objective *o, struct rollouts *b)
{
    const struct objective_settings *s = &o->settings;
    const double *anchor = strcmp(s->kl_anchor, "ref") == 0 ? b->lp_ref : b->lp_old;
    bool k1 = strcmp(s->kl_estimator, "k1") == 0;
    bool k2 = strcmp(s->kl_estimator, "k2") == 0;
    double loss = 0;
    for (size_t t = 0; t < b->tokens; t++) {
        if (b->weight[t] <= 0)
            continue;
        double d = b->lp[t] - anchor[t];
        double value = k1 ? d : k2 ? d * d / 2 : exp(-d) + d - 1;
        double slope = k1 ? 1 : k2 ? d : 1 - exp(-d);
        loss += s->beta * b->share[t] * value;
        b->g_lp[t] += s->beta * b->share[t] * slope;
    }
    return loss;
}

static double kl_hinge(const struct objective *o, struct rollouts *b)
{
    double shares = 0;
    double drift = 0;
    for (size_t t = 0; t < b->tokens; t++)
        if (b->weight[t] > 0) {
            shares += b->share[t];
            drift += b->share[t] * (b->lp_old[t] - b->lp[t]);
        }
    double over = shares > 0 ? drift / shares - o->settings.kl_hinge_delta : 0;
    if (over <= 0)
        return 0;
    for (size_t t = 0; t < b->tokens; t++)
        if (b->weight[t] > 0)
            b->g_lp[t] -= o->settings.kl_hinge_beta * over * b->share[t] / shares;
    return o->settings.kl_hinge_beta / 2 * over * over;
}

static double entropy(const struct objective *o, struct rollouts *b)
{
    double loss = 0;
    for (size_t t = 0; t < b->tokens; t++) {
        if (b->weight[t] <= 0)
            continue;
        loss -= o->settings.entropy_coef * b->share[t] * b->entropy[t];
        b->g_entropy[t] -= o->settings.entropy_coef * b->share[t];
    }
    return loss;
}

static double k2_old(const struct objective *o, struct rollouts *b)
{
    double loss = 0;
    for (size_t t = 0; t < b->tokens; t++) {
        double d = b->lp[t] - b->lp_old[t];
        if (b->weight[t] <= 0)
            continue;
        loss += o->settings.k2_coef * b->share[t] * d * d;
        b->g_lp[t] += 2 * o->settings.k2_coef * b->share[t] * d;
    }
    return loss;
}

/* What was good must not become less likely: of a unit that did, each token that lost. */
static double llds(const struct objective *o, struct rollouts *b)
{
    double live = 0;
    double loss = 0;
    for (size_t t = 0; t < b->tokens; t++)
        live += b->weight[t] > 0;
    for (size_t u = 0; u < b->units; u++) {
        double lost = 0;
        for (size_t t = b->unit_token[u]; t < b->unit_token[u + 1]; t++)
            if (b->weight[t] > 0 && b->advantage[t] >= 0)
                lost += b->lp_old[t] - b->lp[t];
        for (size_t t = b->unit_token[u]; lost > 0 && t < b->unit_token[u + 1]; t++) {
            double d = b->lp_old[t] - b->lp[t];
            if (b->weight[t] <= 0 || b->advantage[t] < 0 || d <= 0)
                continue;
            loss += o->settings.llds_coef * d / live;
            b->g_lp[t] -= o->settings.llds_coef / live;
        }
    }
    return loss;
}

/* Of the log what was liked; an anchor is liked by whoever took it. */
static bool imitated(const struct rollouts *b, size_t row, enum row_kind kind)
{
    return b->kind[row] == kind && (kind != ROW_LOGGED || b->reward[b->row_unit[row]] > 0);
}

/* -coef * mean over rows of a kind of their log-probability. */
static double imitate(struct rollouts *b, enum row_kind kind, double coef)
{
    double loss = 0;
    double rows = 0;
    for (size_t r = 0; r < b->rows; r++)
        rows += imitated(b, r, kind);
    for (size_t r = 0; r < b->rows; r++)
        for (size_t t = row_first_token(b, r); imitated(b, r, kind) && t < row_last_token(b, r);
             t++) {
            loss -= coef * b->lp[t] / rows;
            b->g_lp[t] -= coef / rows;
        }
    return loss;
}

/*
 * What the log says was liked (worth 1) becomes likelier, what was not (worth 0) less likely: no
 * probability of whoever showed it is asked for.
 */
static double feedback(const struct objective *o, struct rollouts *b)
{
    double loss = 0;
    double rows = 0;
    for (size_t r = 0; r < b->rows; r++)
        rows += b->kind[r] == ROW_LOGGED;
    for (size_t r = 0; r < b->rows; r++) {
        double push = o->settings.feedback_coef *
                      (b->reward[b->row_unit[r]] - o->settings.feedback_value) / rows;
        for (size_t t = row_first_token(b, r); b->kind[r] == ROW_LOGGED && t < row_last_token(b, r);
             t++) {
            loss -= push * b->lp[t];
            b->g_lp[t] -= push;
        }
    }
    return loss;
}

static double sft(const struct objective *o, struct rollouts *b)
{
    return imitate(b, ROW_LOGGED, o->settings.sft_coef);
}

static double prdc(const struct objective *o, struct rollouts *b)
{
    return imitate(b, ROW_ANCHOR, o->settings.prdc_coef);
}

const struct objective_part REGULARISER_PARTS[] = {
    {STAGE_REGULARISER, "kl", 0, kl, "beta kl_estimator kl_anchor",
     "beta * k1 (d), k2 (d^2 / 2) or k3 (exp(-d) + d - 1), d = lp - anchor",
     "Schulman 2020; GRPO, arXiv 2402.03300"},
    {STAGE_REGULARISER, "kl_hinge", NEEDS_STALE, kl_hinge, "kl_hinge_delta kl_hinge_beta",
     "beta / 2 [mean (lp_old - lp) - delta]+^2", "DisCO, arXiv 2505.12366"},
    {STAGE_REGULARISER, "entropy", NEEDS_ENTROPY, entropy, "entropy_coef", "-coef H",
     "Williams and Peng 1991"},
    {STAGE_REGULARISER, "k2_old", NEEDS_STALE, k2_old, "k2_coef", "coef (lp - lp_old)^2",
     "OPMD in arXiv 2509.24203"},
    {STAGE_REGULARISER, "llds", NEEDS_STALE, llds, "llds_coef",
     "coef mean [sum over the unit of lp_old - lp > 0] max(0, lp_old - lp), where A >= 0",
     "LLDS, arXiv 2512.04220, action gate"},
    {STAGE_REGULARISER, "sft", NEEDS_LOGGED, sft, "sft_coef", "-coef mean over logged rows of lp",
     "RPO, arXiv 2405.16436"},
    {STAGE_REGULARISER, "feedback", NEEDS_LOGGED | NEEDS_DISLIKES, feedback,
     "feedback_coef feedback_value", "-coef mean over logged rows of (r - value) lp",
     "AsymRE over the log, arXiv 2506.20520"},
    {STAGE_REGULARISER, "prdc", NEEDS_ANCHORS, prdc, "prdc_coef prdc_beta",
     "-coef mean over groups of lp of what is nearest in the log to a miss: beta^2 |state|^2 + "
     "|item|^2",
     "PRDC, arXiv 2306.06569"},
};
const size_t REGULARISER_PARTS_COUNT = COUNT(REGULARISER_PARTS);
