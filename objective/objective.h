/*
 * objective.h: what post-training maximises, put together from parts.
 *
 *   prepare, once for what was sampled          gradient, at every look at it
 *   reward ► shape ► filter ► advantage ►        loss ► regularisers
 *   bonus ► credit ► shares
 *
 * A part is a short function for one of these stages, named as TRL and verl name it.  A preset
 * (`srpo`, `rank_grpo`, `grpo`, ...) is a set of settings; modifiers are added to it: `srpo+llds`.
 * Pairs of parts that make no sense are refused with the reason (objective_check).
 *
 * Threads   an objective is read-only; a batch belongs to one caller at a time.
 * Cost      linear in tokens; tree credit sorts nothing, a group is at most some dozens of rows.
 */
#ifndef OBJECTIVE_OBJECTIVE_H
#define OBJECTIVE_OBJECTIVE_H

#include "base/settings.h"
#include "objective/rollouts.h"

struct objective_settings {
    char algo[SETTING_TEXT_SIZE];
    char reward[SETTING_TEXT_SIZE], reward_shape[SETTING_TEXT_SIZE], filter[SETTING_TEXT_SIZE],
        adv[SETTING_TEXT_SIZE], adv_scope[SETTING_TEXT_SIZE], scale_rewards[SETTING_TEXT_SIZE],
        adv_bonus[SETTING_TEXT_SIZE], credit[SETTING_TEXT_SIZE], loss_type[SETTING_TEXT_SIZE],
        importance_sampling_level[SETTING_TEXT_SIZE], loss_agg_mode[SETTING_TEXT_SIZE],
        reg[SETTING_TEXT_SIZE], selector[SETTING_TEXT_SIZE], rescue[SETTING_TEXT_SIZE];
    size_t num_generations, num_iterations, passk, max_completion_length, keep_rows, selector_pool,
        max_num_gen_batches;
    double rank_gamma, entity_alpha, std_floor;
    double epsilon, epsilon_high, delta, tau_pos, tau_neg, disco_tau, rec_low, rec_high,
        regress_beta, dpo_beta, asymre_shift;
    double beta, kl_hinge_delta, kl_hinge_beta, entropy_coef, llds_coef, sft_coef, k2_coef,
        token_share, gigpo_omega, decay_selected, decay_idle, decay_past, mix_ratio, prdc_coef,
        prdc_beta, feedback_coef, feedback_value, rescue_share, hint_min, hint_max, hint_share;
    char kl_estimator[SETTING_TEXT_SIZE], kl_anchor[SETTING_TEXT_SIZE];
};

extern const struct setting OBJECTIVE_SETTINGS[];
extern const size_t OBJECTIVE_SETTINGS_COUNT;

enum objective_stage {
    STAGE_REWARD,
    STAGE_SHAPE,
    STAGE_FILTER,
    STAGE_ADVANTAGE,
    STAGE_BONUS,
    STAGE_CREDIT,
    STAGE_LOSS,
    STAGE_REGULARISER,
    STAGES
};
extern const char *const STAGE_NAMES[STAGES];

enum {
    NEEDS_REFERENCE = 1, /* lp_ref */
    NEEDS_ENTROPY = 2,   /* entropy, and its gradient is meant */
    NEEDS_STALE = 4,     /* does nothing while the policy is the one that sampled */
    NEEDS_LOGGED = 8,    /* rows of the log */
    NEEDS_ANCHORS = 32,  /* rows of the nearest thing in the log */
    NEEDS_PAST = 16,     /* what earlier rollouts say of a prompt (prompts.h) */
    NEEDS_DISLIKES = 64, /* rows of the log that were not liked, too */
};

struct objective;

/* Adds to b what its stage is for; a loss or regulariser returns its value, others 0. */
typedef double part_fn(const struct objective *objective, struct rollouts *b);

struct objective_part {
    enum objective_stage stage;
    const char *name;
    unsigned needs;
    part_fn *run;
    const char *options; /* the settings it reads */
    const char *formula, *source;
};

enum { PARTS_A_STAGE = 8 };

struct objective {
    struct objective_settings settings;
    const struct objective_part *parts[STAGES][PARTS_A_STAGE];
    size_t count[STAGES];
    unsigned needs; /* of all of them */
};

bool objective_is_preset(const char *name); /* one that stands alone */
/* Applies what `algo` means to settings: a preset, then modifiers, parted by '+'. */
bool objective_expand(struct objective_settings *settings, struct err *err) MUST_CHECK;
/* settings are expanded; warnings, one a line, go into `warnings`. */
bool objective_open(struct objective *objective, const struct objective_settings *settings,
                    struct text *warnings, struct err *err) MUST_CHECK;
/* Every part with its options, defaults, formula and source; every preset with what it means. */
void objective_list(struct text *text);

struct objective_report {
    double reward;        /* mean over rows' units */
    double silent_groups; /* share whose rewards do not differ */
    double live_tokens;   /* share with weight */
    double signal_units;  /* share of units with an advantage that is not 0 */
    double clipped;       /* share of live tokens whose gradient the clip took; of the last */
    double kl, entropy;   /* means over tokens; kl is k3 to lp_old */
    double displaced;     /* share of tokens with A > 0 that are less likely than when sampled */
};

/* Rewards to token advantages and shares.  lp_old and outcomes are filled. */
void objective_prepare(const struct objective *objective, struct rollouts *b,
                       struct objective_report *report);
/* Sets g_lp and g_entropy and returns the loss.  lp, entropy (and lp_ref if needed) are filled. */
double objective_gradient(const struct objective *objective, struct rollouts *b,
                          struct objective_report *report);

#endif
