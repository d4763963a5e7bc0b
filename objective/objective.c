#include "objective/parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const STAGE_NAMES[STAGES] = {"reward",    "reward_shape", "filter",    "adv",
                                         "adv_bonus", "credit",       "loss_type", "reg"};

const struct setting OBJECTIVE_SETTINGS[] = {
    SETTING(TEXT, objective_settings, algo, "srpo", 0, 0,
            "preset and modifiers, such as srpo+llds; see tessera train --list-methods"),
    SETTING(TEXT, objective_settings, reward, "rsvr", 0, 0, "what an outcome is worth"),
    SETTING(TEXT, objective_settings, reward_shape, "", 0, 0, "how a group bends it"),
    SETTING(TEXT, objective_settings, filter, "", 0, 0, "which rows take part; several, in order"),
    SETTING(TEXT, objective_settings, adv, "grpo", 0, 0, "how rewards become advantages"),
    SETTING(TEXT, objective_settings, adv_scope, "sequence", 0, 0,
            "sequence, or rank: what is compared within a group"),
    SETTING(TEXT, objective_settings, scale_rewards, "group", 0, 0, "group, batch or none"),
    SETTING(TEXT, objective_settings, adv_bonus, "", 0, 0, "added to advantages"),
    SETTING(TEXT, objective_settings, credit, "", 0, 0,
            "which decisions an advantage belongs to; several, in order"),
    SETTING(TEXT, objective_settings, loss_type, "clip", 0, 0, "the surrogate"),
    SETTING(TEXT, objective_settings, importance_sampling_level, "token", 0, 0,
            "token, item or sequence"),
    SETTING(TEXT, objective_settings, loss_agg_mode, "token-mean", 0, 0,
            "token-mean, seq-mean-token-sum, seq-mean-token-mean, seq-mean-token-sum-norm or "
            "unit-mean"),
    SETTING(TEXT, objective_settings, reg, "", 0, 0, "regularisers; several"),
    SETTING(TEXT, objective_settings, selector, "", 0, 0,
            "which prompts are asked: evenly if empty, or vade, spo, vas"),
    SETTING(SIZE, objective_settings, num_generations, "10", 2, 256, "rollouts of a prompt"),
    SETTING(SIZE, objective_settings, num_iterations, "1", 1, 64, "updates for one sampling"),
    SETTING(SIZE, objective_settings, max_num_gen_batches, "1", 1, 64,
            "times that other prompts take the places of those whose rewards do not differ"),
    SETTING(SIZE, objective_settings, passk, "4", 1, 256, "k of the Pass@k bonus"),
    SETTING(SIZE, objective_settings, max_completion_length, "80", 1, 100000,
            "tokens by which seq-mean-token-sum-norm divides"),
    SETTING(SIZE, objective_settings, keep_rows, "6", 2, 256, "rows of a group that max_var keeps"),
    SETTING(REAL, objective_settings, rank_gamma, "2", 1, 1e6, "of rank_exp"),
    SETTING(REAL, objective_settings, entity_alpha, "0.3", 0, 1, "of a miss that is alike"),
    SETTING(REAL, objective_settings, std_floor, "1e-6", 1e-12, 1,
            "added to a group's standard deviation"),
    SETTING(REAL, objective_settings, epsilon, "0.2", 0, 1, "clip below 1"),
    SETTING(REAL, objective_settings, epsilon_high, "0.2", 0, 100, "clip above 1"),
    SETTING(REAL, objective_settings, delta, "0", 0, 1000,
            "dual clip of negative advantages; 0: none"),
    SETTING(REAL, objective_settings, tau_pos, "1", 0.01, 100, "of sapo's gate, A > 0"),
    SETTING(REAL, objective_settings, tau_neg, "1.05", 0.01, 100, "of sapo's gate, A <= 0"),
    SETTING(REAL, objective_settings, disco_tau, "10", 0.01, 1000, "of disco"),
    SETTING(REAL, objective_settings, rec_low, "0.6", 0, 1, "outer band of rec_ring, below 1"),
    SETTING(REAL, objective_settings, rec_high, "2", 0, 100, "outer band of rec_ring, above 1"),
    SETTING(REAL, objective_settings, regress_beta, "0.1", 0, 100, "of regress"),
    SETTING(REAL, objective_settings, dpo_beta, "0.1", 0, 100, "of dpo"),
    SETTING(REAL, objective_settings, asymre_shift, "-0.1", -10, 10, "of asymre"),
    SETTING(REAL, objective_settings, beta, "0.001", 0, 100, "of kl"),
    SETTING(TEXT, objective_settings, kl_estimator, "k3", 0, 0, "k1, k2 or k3"),
    SETTING(TEXT, objective_settings, kl_anchor, "ref", 0, 0, "ref or old"),
    SETTING(REAL, objective_settings, kl_hinge_delta, "1e-4", 0, 10, "of kl_hinge"),
    SETTING(REAL, objective_settings, kl_hinge_beta, "1000", 0, 1e9, "of kl_hinge"),
    SETTING(REAL, objective_settings, entropy_coef, "0.001", 0, 10, "of entropy"),
    SETTING(REAL, objective_settings, llds_coef, "0.2", 0, 100, "of llds"),
    SETTING(REAL, objective_settings, sft_coef, "0.005", 0, 100, "of sft"),
    SETTING(REAL, objective_settings, feedback_coef, "0.01", 0, 100, "of feedback"),
    SETTING(REAL, objective_settings, feedback_value, "0.5", 0, 1,
            "of feedback: what a logged item must be worth to be made likelier"),
    SETTING(REAL, objective_settings, prdc_coef, "0.01", 0, 100, "of prdc"),
    SETTING(REAL, objective_settings, prdc_beta, "2", 0, 1000,
            "of prdc: what the distance of states weighs beside that of items"),
    SETTING(REAL, objective_settings, k2_coef, "0.1", 0, 100, "of k2_old"),
    SETTING(REAL, objective_settings, token_share, "0.2", 0, 1, "of token_topk"),
    SETTING(REAL, objective_settings, gigpo_omega, "1", 0, 100, "of gigpo"),
    SETTING(TEXT, objective_settings, rescue, "", 0, 0,
            "what is done where nobody hits: nothing if empty, or prefix_hint"),
    SETTING(REAL, objective_settings, rescue_share, "0.5", 0, 1,
            "of prefix_hint: rows of such a group that are drawn again"),
    SETTING(REAL, objective_settings, hint_min, "0.2", 0, 1,
            "of prefix_hint: share of the target's tiles that is given, at least"),
    SETTING(REAL, objective_settings, hint_max, "0.6", 0, 1, "the same, at most"),
    SETTING(REAL, objective_settings, hint_share, "0.2", 0, 1,
            "of prefix_hint: given tiles that take part all the same, those of most entropy"),
    SETTING(SIZE, objective_settings, selector_pool, "16", 1, 10000,
            "candidates that a selector scores for each prompt it picks"),
    SETTING(REAL, objective_settings, decay_selected, "0.2", 0, 1,
            "of vade: what is left of a prompt's counts when it is asked again"),
    SETTING(REAL, objective_settings, decay_idle, "0.999", 0, 1, "of vade: the same, a step"),
    SETTING(REAL, objective_settings, decay_past, "0.875", 0, 1,
            "of spo and vas: what is left of a prompt's counts when it is asked again"),
    SETTING(REAL, objective_settings, mix_ratio, "0.5", 0, 1,
            "of vas: share of prompts that are picked by score"),
};
const size_t OBJECTIVE_SETTINGS_COUNT = COUNT(OBJECTIVE_SETTINGS);

/* ---- what parts share ---- */

double row_reward(const struct rollouts *b, size_t row)
{
    double sum = 0;
    size_t units = b->row_unit[row + 1] - b->row_unit[row];
    for (size_t u = b->row_unit[row]; u < b->row_unit[row + 1]; u++)
        sum += b->reward[u];
    return units ? sum / (double)units : 0;
}

double row_live(const struct rollouts *b, size_t row)
{
    double sum = 0;
    for (size_t t = row_first_token(b, row); t < row_last_token(b, row); t++)
        sum += b->weight[t];
    return sum;
}

bool row_counts(const struct rollouts *b, size_t row)
{
    return b->kind[row] == ROW_ROLLOUT && row_live(b, row) > 0;
}

void mean_and_deviation(double *mean, double *deviation, const double *values, size_t count)
{
    double sum = 0;
    double squares = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    *mean = count ? sum / (double)count : 0;
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - *mean) * (values[i] - *mean);
    *deviation = count > 1 ? sqrt(squares / (double)(count - 1)) : 0;
}

/* ---- stages ---- */

static double run_stage(const struct objective *o, enum objective_stage stage, struct rollouts *b)
{
    double loss = 0;
    for (size_t i = 0; i < o->count[stage]; i++)
        loss += o->parts[stage][i]->run(o, b);
    return loss;
}

/* Advantages of the whole batch get deviation 1. */
static void scale_batch(struct rollouts *b)
{
    double *live = b->scratch;
    size_t count = 0;
    double mean;
    double deviation;
    for (size_t r = 0; r < b->rows; r++)
        if (row_counts(b, r))
            live[count++] = b->advantage[row_first_token(b, r)];
    mean_and_deviation(&mean, &deviation, live, count);
    for (size_t t = 0; t < b->tokens; t++)
        b->advantage[t] = (b->advantage[t] - mean) / (deviation + 1e-8);
}

/* What share of the batch's loss a token has.  Counts are of the whole batch, so that cutting it
 * into parts changes nothing. */
static void set_shares(const struct objective *o, struct rollouts *b)
{
    const char *mode = o->settings.loss_agg_mode;
    double tokens = 0;
    double rows = 0;
    for (size_t t = 0; t < b->tokens; t++)
        tokens += b->weight[t];
    for (size_t r = 0; r < b->rows; r++)
        rows += row_counts(b, r);
    memset(b->share, 0, b->tokens * sizeof *b->share);
    for (size_t r = 0; r < b->rows; r++) {
        double live = row_live(b, r);
        if (!row_counts(b, r))
            continue;
        for (size_t u = b->row_unit[r]; u < b->row_unit[r + 1]; u++) {
            double in_unit = 0;
            for (size_t t = b->unit_token[u]; t < b->unit_token[u + 1]; t++)
                in_unit += b->weight[t];
            double units = (double)(b->row_unit[r + 1] - b->row_unit[r]);
            double share = strcmp(mode, "token-mean") == 0            ? 1 / tokens
                           : strcmp(mode, "seq-mean-token-sum") == 0  ? 1 / rows
                           : strcmp(mode, "seq-mean-token-mean") == 0 ? 1 / rows / live
                           : strcmp(mode, "unit-mean") == 0
                               ? 1 / rows / units / in_unit
                               : 1 / rows / (double)o->settings.max_completion_length;
            for (size_t t = b->unit_token[u]; t < b->unit_token[u + 1]; t++)
                b->share[t] = b->weight[t] * share;
        }
    }
}

static void report_groups(const struct rollouts *b, struct objective_report *report)
{
    double reward = 0;
    double rows = 0;
    double silent = 0;
    for (size_t g = 0; g < b->groups; g++) {
        double low = INFINITY;
        double high = -INFINITY;
        for (size_t r = b->group_row[g]; r < b->group_row[g + 1]; r++) {
            if (b->kind[r] != ROW_ROLLOUT)
                continue;
            reward += row_reward(b, r);
            rows++;
            low = fmin(low, row_reward(b, r));
            high = fmax(high, row_reward(b, r));
        }
        silent += high - low < 1e-12;
    }
    report->reward = rows > 0 ? reward / rows : 0;
    report->silent_groups = b->groups ? silent / (double)b->groups : 0;
}

static void report_signal(const struct rollouts *b, struct objective_report *report)
{
    double live = 0;
    double units = 0;
    double signal = 0;
    for (size_t t = 0; t < b->tokens; t++)
        live += b->weight[t] > 0;
    for (size_t r = 0; r < b->rows; r++)
        for (size_t u = b->row_unit[r]; b->kind[r] == ROW_ROLLOUT && u < b->row_unit[r + 1]; u++) {
            bool any = false;
            for (size_t t = b->unit_token[u]; t < b->unit_token[u + 1]; t++)
                any = any || (b->weight[t] > 0 && b->advantage[t] != 0);
            units++;
            signal += any;
        }
    report->live_tokens = b->tokens ? live / (double)b->tokens : 0;
    report->signal_units = units > 0 ? signal / units : 0;
}

static int compare_falling(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return *x > *y ? -1 : *x < *y;
}

/* Of the tiles that a hint gave, those where the policy was least sure take part (IGPO, 3.3). */
static void weigh_hints(const struct objective *o, struct rollouts *b)
{
    double *entropy = b->scratch;
    size_t count = 0;
    for (size_t t = 0; t < b->tokens; t++)
        if (b->hint[t])
            entropy[count++] = b->entropy[t];
    size_t wanted = (size_t)(o->settings.hint_share * (double)count);
    if (wanted == 0)
        return;
    qsort(entropy, count, sizeof *entropy, compare_falling);
    double least = entropy[wanted - 1];
    for (size_t t = 0; t < b->tokens; t++)
        if (b->hint[t] && b->entropy[t] >= least)
            b->weight[t] = 1;
}

void objective_prepare(const struct objective *o, struct rollouts *b,
                       struct objective_report *report)
{
    for (size_t r = 0; r < b->rows; r++)
        for (size_t t = row_first_token(b, r); t < row_last_token(b, r); t++)
            b->weight[t] = b->kind[r] == ROW_ROLLOUT && !b->hint[t];
    weigh_hints(o, b);
    memset(b->advantage, 0, b->tokens * sizeof *b->advantage);
    run_stage(o, STAGE_REWARD, b);
    for (size_t r = 0; r < b->rows; r++)
        for (size_t u = b->row_unit[r]; !b->valid[r] && u < b->row_unit[r + 1]; u++)
            b->reward[u] = 0;
    run_stage(o, STAGE_SHAPE, b);
    for (size_t r = 0; r < b->rows; r++)
        for (size_t u = b->row_unit[r]; !b->valid[r] && u < b->row_unit[r + 1]; u++)
            b->reward[u] = 0;
    report_groups(b, report);
    run_stage(o, STAGE_FILTER, b);
    run_stage(o, STAGE_ADVANTAGE, b);
    if (strcmp(o->settings.scale_rewards, "batch") == 0)
        scale_batch(b);
    run_stage(o, STAGE_BONUS, b);
    run_stage(o, STAGE_CREDIT, b);
    set_shares(o, b);
    report_signal(b, report);
}

double objective_gradient(const struct objective *o, struct rollouts *b,
                          struct objective_report *report)
{
    double live = 0;
    double clipped = 0;
    double kl = 0;
    double entropy = 0;
    double paid = 0;
    double displaced = 0;
    memset(b->g_lp, 0, b->tokens * sizeof *b->g_lp);
    memset(b->g_entropy, 0, b->tokens * sizeof *b->g_entropy);
    memset(b->scratch, 0, b->tokens * sizeof *b->scratch);
    double loss = run_stage(o, STAGE_LOSS, b);
    for (size_t t = 0; t < b->tokens; t++) {
        if (b->weight[t] <= 0)
            continue;
        double d = b->lp[t] - b->lp_old[t];
        live++;
        clipped += b->scratch[t] > 0;
        kl += exp(-d) + d - 1;
        entropy += b->entropy[t];
        paid += b->advantage[t] > 0;
        displaced += b->advantage[t] > 0 && d < 0;
    }
    report->displaced = paid > 0 ? displaced / paid : 0;
    report->clipped = live > 0 ? clipped / live : 0;
    report->kl = live > 0 ? kl / live : 0;
    report->entropy = live > 0 ? entropy / live : 0;
    return loss + run_stage(o, STAGE_REGULARISER, b);
}
