/* rewards.c: what an outcome is worth, and how a group bends it. */
#include "objective/parts.h"

#include <math.h>

/*
 * GREAM's Residual-Sensitive Verifiable Reward: sqrt of the share of quantised tiles that match, in
 * the table of its code for four levels; only the very item is worth 1.
 */
static double rsvr(const struct objective *o, struct rollouts *b)
{
    (void)o;
    for (size_t u = 0; u < b->units; u++) {
        double near = sqrt(b->matched[u] / (double)b->levels);
        b->reward[u] = b->exact[u] > 0 ? 1 : fmin(0.95, near);
        if (b->levels == 4 && b->exact[u] <= 0) {
            static const double table[] = {0, 0.5, 0.707, 0.866, 0.95};
            b->reward[u] = table[(size_t)b->matched[u]];
        }
    }
    return 0;
}

static double exact_hit(const struct objective *o, struct rollouts *b)
{
    (void)o;
    for (size_t u = 0; u < b->units; u++)
        b->reward[u] = b->exact[u];
    return 0;
}

/* Rank k is worth what stands at ranks >= k, the further below the less; never what is above it. */
static double rank_exp(const struct objective *o, struct rollouts *b)
{
    for (size_t r = 0; r < b->rows; r++) {
        double below = 0;
        for (size_t u = b->row_unit[r + 1]; u-- > b->row_unit[r];) {
            below = b->exact[u] + below / o->settings.rank_gamma;
            b->reward[u] = below;
        }
    }
    return 0;
}

/* The part of DCG that ranks >= k bring. */
static double rank_log(const struct objective *o, struct rollouts *b)
{
    (void)o;
    for (size_t r = 0; r < b->rows; r++) {
        double tail = 0;
        for (size_t u = b->row_unit[r + 1]; u-- > b->row_unit[r];) {
            tail += b->exact[u] / log2((double)(u - b->row_unit[r]) + 2);
            b->reward[u] = tail;
        }
    }
    return 0;
}

/* A miss is worth the share of the target's attributes it has, beside the best miss of its group.
 */
static double entity(const struct objective *o, struct rollouts *b)
{
    for (size_t g = 0; g < b->groups; g++) {
        size_t first = b->row_unit[b->group_row[g]];
        size_t last = b->row_unit[b->group_row[g + 1]];
        double most = 0;
        for (size_t u = first; u < last; u++)
            most = fmax(most, b->alike[u]);
        for (size_t u = first; u < last && most > 0; u++)
            if (b->exact[u] <= 0)
                b->reward[u] = fmax(b->reward[u], o->settings.entity_alpha * b->alike[u] / most);
    }
    return 0;
}

const struct objective_part REWARD_PARTS[] = {
    {STAGE_REWARD, "rsvr", 0, rsvr, "",
     "1 if exact, else min(.95, sqrt(matched / levels)); 4 levels: .5 .707 .866 .95",
     "SRPO, arXiv 2510.20815, 3.3 and its code"},
    {STAGE_REWARD, "exact", 0, exact_hit, "", "1 if exact", "-"},
    {STAGE_REWARD, "rank_exp_inf", 0, exact_hit, "", "r_k = rel_k",
     "Rank-GRPO, arXiv 2510.20150, exp of infinity"},
    {STAGE_REWARD, "rank_exp", 0, rank_exp, "rank_gamma", "r_k = rel_k + r_(k+1) / gamma",
     "Rank-GRPO, arXiv 2510.20150"},
    {STAGE_REWARD, "rank_log", 0, rank_log, "", "r_k = sum_(j>=k) rel_j / log2(j + 1)",
     "Rank-GRPO, arXiv 2510.20150"},
    {STAGE_SHAPE, "entity", 0, entity, "entity_alpha",
     "a miss: alpha * alike / largest alike of the group", "E-GRPO, arXiv 2510.24694, 3.2"},
};
const size_t REWARD_PARTS_COUNT = COUNT(REWARD_PARTS);
