/* presets.c: names of methods, as the settings they stand for; and which settings go together. */
#include "objective/parts.h"

#include <stdio.h>
#include <string.h>

static const struct preset {
    const char *name;
    bool base; /* stands alone; the others are added to one */
    const char *means, *source;
} PRESETS[] = {
    {"srpo", true,
     "reward=rsvr filter=zero_std max_num_gen_batches=3 adv=grpo scale_rewards=group "
     "adv_bonus=passk passk=4 num_generations=10 loss_type=clip epsilon=0.2 epsilon_high=0.2 "
     "delta=10 "
     "loss_agg_mode=token-mean reg=kl beta=0.001",
     "arXiv 2510.20815 and its code"},
    {"rank_grpo", true,
     "reward=rank_exp_inf adv=grpo adv_scope=rank scale_rewards=group std_floor=1e-4 "
     "num_generations=8 loss_type=clip importance_sampling_level=item epsilon=0.06 "
     "epsilon_high=0.08 loss_agg_mode=unit-mean reg=kl beta=0.001",
     "arXiv 2510.20150 and its code"},
    {"grpo", true,
     "reward=exact adv=grpo scale_rewards=group std_floor=1e-4 loss_type=clip epsilon=0.2 "
     "epsilon_high=0.2 loss_agg_mode=seq-mean-token-mean reg=kl beta=0.001",
     "arXiv 2402.03300"},
    {"dr_grpo", true,
     "reward=exact adv=grpo scale_rewards=none loss_type=clip "
     "loss_agg_mode=seq-mean-token-sum-norm",
     "arXiv 2503.20783"},
    {"dapo", true,
     "reward=exact filter=zero_std max_num_gen_batches=10 adv=grpo scale_rewards=group "
     "loss_type=clip epsilon=0.2 "
     "epsilon_high=0.28 loss_agg_mode=token-mean",
     "arXiv 2503.14476"},
    {"turn_grpo", true,
     "reward=exact adv=turns scale_rewards=group std_floor=1e-4 num_generations=8 loss_type=clip "
     "epsilon=0.2 epsilon_high=0.3 loss_agg_mode=unit-mean reg=kl beta=0.001",
     "arXiv 2510.05592; a turn is a unit, statistics over rollouts"},
    {"gspo", true,
     "reward=exact adv=grpo scale_rewards=group loss_type=clip "
     "importance_sampling_level=sequence epsilon=3e-4 epsilon_high=4e-4 "
     "loss_agg_mode=seq-mean-token-mean",
     "arXiv 2507.18071"},
    {"rloo", true,
     "reward=exact adv=rloo scale_rewards=none loss_type=clip loss_agg_mode=seq-mean-token-sum",
     "arXiv 2402.14740"},
    {"reinforce", true,
     "reward=exact adv=reinforce scale_rewards=none loss_type=logp "
     "loss_agg_mode=seq-mean-token-sum",
     "Williams 1992"},
    {"cispo", true,
     "reward=exact adv=grpo scale_rewards=group loss_type=cispo epsilon_high=1 "
     "loss_agg_mode=token-mean",
     "arXiv 2506.13585"},
    {"sapo", true,
     "reward=exact adv=grpo scale_rewards=group loss_type=sapo "
     "loss_agg_mode=seq-mean-token-mean",
     "arXiv 2511.20347"},
    {"rec", true, "reward=exact adv=grpo scale_rewards=none loss_type=rec loss_agg_mode=token-mean",
     "arXiv 2509.24203, OneSide-NoIS"},
    {"rec_ring", true,
     "reward=exact adv=grpo scale_rewards=none loss_type=rec_ring loss_agg_mode=token-mean",
     "arXiv 2509.24203"},
    {"red_drop", true,
     "reward=exact filter=balance adv=grpo scale_rewards=none loss_type=rec "
     "loss_agg_mode=token-mean",
     "arXiv 2509.24203"},
    {"red_weight", true,
     "reward=exact adv=grpo scale_rewards=none loss_type=red_weight loss_agg_mode=token-mean",
     "arXiv 2509.24203"},
    {"opmd", true,
     "reward=exact adv=grpo scale_rewards=none loss_type=logp reg=k2_old "
     "loss_agg_mode=token-mean",
     "arXiv 2509.24203"},
    {"asymre", true,
     "reward=exact adv=asymre scale_rewards=none loss_type=logp loss_agg_mode=token-mean",
     "arXiv 2509.24203"},
    {"disco_b", true,
     "reward=exact adv=disco_b scale_rewards=none loss_type=logp reg=kl_hinge "
     "loss_agg_mode=seq-mean-token-mean",
     "arXiv 2505.12366"},
    {"disco", true,
     "reward=exact adv=disco scale_rewards=none loss_type=logp reg=kl_hinge "
     "loss_agg_mode=seq-mean-token-mean",
     "arXiv 2505.12366"},
    {"spo", true,
     "reward=exact adv=spo scale_rewards=batch selector=spo num_generations=2 loss_type=clip "
     "epsilon=0.2 epsilon_high=0.28 delta=10 loss_agg_mode=token-mean",
     "arXiv 2509.13232 and its code, which samples one row a prompt"},
    {"copg", true, "reward=rsvr adv=grpo loss_type=regress kl_anchor=ref", "arXiv 2406.19185"},
    {"reg_grpo", true, "reward=rsvr adv=grpo loss_type=regress kl_anchor=old",
     "arXiv 2506.07464, centred: as printed it is singular at the policy that sampled"},
    {"rpo", true, "reward=rsvr adv=grpo loss_type=dpo dpo_beta=0.01 reg=sft sft_coef=0.005",
     "arXiv 2405.16436"},
    {"salt", false, "credit=salt", "arXiv 2510.20022"},
    {"tree_td", false, "credit=tree_td", "after arXiv 2510.20022"},
    {"gigpo", false, "credit=gigpo", "arXiv 2505.10978"},
    {"gtpo", false, "credit=conflict_mask", "arXiv 2508.03772"},
    {"d3s", false, "filter=max_var credit=token_topk", "arXiv 2509.22115"},
    {"e_grpo", false, "reward=exact reward_shape=entity", "arXiv 2510.24694"},
    {"igpo", false, "rescue=prefix_hint",
     "arXiv 2509.10396, for names: the first tiles of the target are given"},
    {"vade", false, "selector=vade", "arXiv 2511.18902"},
    {"vas", false, "selector=vas", "arXiv 2509.21268"},
    {"llds", false, "reg=llds", "arXiv 2512.04220"},
    {"feedback", false, "reg=feedback", "arXiv 2506.20520, over logged rows"},
    {"prdc", false, "reg=prdc", "arXiv 2306.06569"},
    {"entropy", false, "reg=entropy", "Williams and Peng 1991"},
};

static const struct preset *find_preset(const char *name, size_t size)
{
    for (size_t i = 0; i < COUNT(PRESETS); i++)
        if (strlen(PRESETS[i].name) == size && memcmp(PRESETS[i].name, name, size) == 0)
            return &PRESETS[i];
    return NULL;
}

bool objective_is_preset(const char *name)
{
    size_t size = strcspn(name, "+");
    const struct preset *preset = find_preset(name, size);
    return preset && preset->base;
}

/* Lists of parts grow when a modifier names one more; all else is set. */
static bool is_list(const char *name)
{
    return strcmp(name, "filter") == 0 || strcmp(name, "credit") == 0 || strcmp(name, "reg") == 0;
}

static char *list_of(struct objective_settings *s, const char *name)
{
    return strcmp(name, "filter") == 0   ? s->filter
           : strcmp(name, "credit") == 0 ? s->credit
                                         : s->reg;
}

static bool apply(struct objective_settings *s, const struct preset *preset, struct err *err)
{
    const struct settings table = {OBJECTIVE_SETTINGS, OBJECTIVE_SETTINGS_COUNT, s};
    for (const char *at = preset->means; *at;) {
        char name[64];
        char value[SETTING_TEXT_SIZE];
        size_t size = strcspn(at, " ");
        size_t equals = strcspn(at, "=");
        snprintf(name, sizeof name, "%.*s", (int)equals, at);
        snprintf(value, sizeof value, "%.*s", (int)(size - equals - 1), at + equals + 1);
        if (!preset->base && is_list(name) && *list_of(s, name)) {
            char longer[2 * SETTING_TEXT_SIZE];
            snprintf(longer, sizeof longer, "%s,%s", list_of(s, name), value);
            snprintf(value, sizeof value, "%.*s", SETTING_TEXT_SIZE - 1, longer);
        }
        if (!settings_put(&table, 1, name, value, err))
            return false;
        at += size + strspn(at + size, " ");
    }
    return true;
}

bool objective_expand(struct objective_settings *s, struct err *err)
{
    char algo[SETTING_TEXT_SIZE];
    snprintf(algo, sizeof algo, "%s", s->algo);
    bool first = true;
    for (const char *at = algo; *at || first;) {
        size_t size = strcspn(at, "+");
        const struct preset *preset = find_preset(at, size);
        if (!preset || preset->base != first)
            return err_set(err, ERR_INPUT, "algo: expected %s, found '%.*s' (see --list-methods)",
                           first ? "a preset" : "a modifier after '+'", (int)size, at);
        if (!apply(s, preset, err))
            return false;
        first = false;
        at += size + (at[size] == '+');
    }
    return true;
}

/* ---- from names to parts ---- */

static const struct {
    const struct objective_part *parts;
    const size_t *count;
} TABLES[] = {
    {REWARD_PARTS, &REWARD_PARTS_COUNT},       {FILTER_PARTS, &FILTER_PARTS_COUNT},
    {ADVANTAGE_PARTS, &ADVANTAGE_PARTS_COUNT}, {CREDIT_PARTS, &CREDIT_PARTS_COUNT},
    {LOSS_PARTS, &LOSS_PARTS_COUNT},           {REGULARISER_PARTS, &REGULARISER_PARTS_COUNT},
};

static const struct objective_part *find_part(enum objective_stage stage, const char *name,
                                              size_t size)
{
    for (size_t t = 0; t < COUNT(TABLES); t++)
        for (size_t i = 0; i < *TABLES[t].count; i++) {
            const struct objective_part *part = &TABLES[t].parts[i];
            if (part->stage == stage && strlen(part->name) == size &&
                memcmp(part->name, name, size) == 0)
                return part;
        }
    return NULL;
}

static bool add_parts(struct objective *o, enum objective_stage stage, const char *names, bool many,
                      struct err *err)
{
    for (const char *at = names; *at;) {
        size_t size = strcspn(at, ",");
        const struct objective_part *part = find_part(stage, at, size);
        if (!part)
            return err_set(err, ERR_INPUT, "%s: expected one of --list-methods, found '%.*s'",
                           STAGE_NAMES[stage], (int)size, at);
        if (o->count[stage] == (many ? PARTS_A_STAGE : 1))
            return err_set(err, ERR_INPUT, "%s: expected at most %d, found '%s'",
                           STAGE_NAMES[stage], many ? PARTS_A_STAGE : 1, names);
        o->parts[stage][o->count[stage]++] = part;
        o->needs |= part->needs;
        at += size + (at[size] == ',');
    }
    return true;
}

static bool one_of(const char *value, const char *name, const char *list, struct err *err)
{
    size_t size = strlen(value);
    for (const char *at = list; *at; at += strcspn(at, " "), at += strspn(at, " "))
        if (strcspn(at, " ") == size && memcmp(at, value, size) == 0)
            return true;
    return err_set(err, ERR_INPUT, "%s: expected one of: %s; found '%.60s'", name, list, value);
}

static bool has(const struct objective *o, enum objective_stage stage, const char *name)
{
    for (size_t i = 0; i < o->count[stage]; i++)
        if (strcmp(o->parts[stage][i]->name, name) == 0)
            return true;
    return false;
}

static bool check_pairs(const struct objective *o, struct err *err)
{
    const struct objective_settings *s = &o->settings;
    bool token = strcmp(s->importance_sampling_level, "token") == 0;
    bool credits = has(o, STAGE_CREDIT, "salt") || has(o, STAGE_CREDIT, "tree_td") ||
                   has(o, STAGE_CREDIT, "gigpo") || has(o, STAGE_CREDIT, "conflict_mask");
    if (!token && !has(o, STAGE_LOSS, "clip"))
        return err_set(err, ERR_INPUT,
                       "importance_sampling_level: '%s' goes with loss_type clip alone, found %s: "
                       "its weight is one token's",
                       s->importance_sampling_level, s->loss_type);
    if (!token && credits)
        return err_set(err, ERR_INPUT,
                       "credit: '%s' gives each decision its own advantage, which a ratio of a "
                       "whole %s would average away",
                       s->credit, s->importance_sampling_level);
    if (has(o, STAGE_REWARD, "rsvr") && has(o, STAGE_SHAPE, "entity"))
        return err_set(err, ERR_INPUT,
                       "reward_shape: rsvr pays for near misses already; entity goes with exact");
    if (strcmp(s->adv_scope, "rank") == 0 && strcmp(s->importance_sampling_level, "sequence") == 0)
        return err_set(err, ERR_INPUT,
                       "adv_scope: ranks have advantages of their own, a ratio of the whole "
                       "sequence cannot carry them");
    if (has(o, STAGE_ADVANTAGE, "spo") && strcmp(s->scale_rewards, "batch") != 0)
        return err_set(err, ERR_INPUT,
                       "scale_rewards: adv spo compares with a prompt's past, not with its group: "
                       "expected batch, found '%s'",
                       s->scale_rewards);
    if (has(o, STAGE_ADVANTAGE, "turns") && strcmp(s->adv_scope, "rank") == 0)
        return err_set(err, ERR_INPUT,
                       "adv_scope: adv turns gives every turn the outcome of the whole rollout: "
                       "expected sequence, found rank");
    if (has(o, STAGE_ADVANTAGE, "spo") && strcmp(s->adv_scope, "rank") == 0)
        return err_set(err, ERR_INPUT, "adv_scope: adv spo expects one value of a whole row");
    if (s->hint_min > s->hint_max)
        return err_set(err, ERR_INPUT, "hint_min: expected at most hint_max (%g), found %g",
                       s->hint_max, s->hint_min);
    if (o->count[STAGE_BONUS] && s->passk >= s->num_generations)
        return err_set(err, ERR_INPUT, "passk: expected less than num_generations (%zu), found %zu",
                       s->num_generations, s->passk);
    return true;
}

static void warn(const struct objective *o, struct text *warnings)
{
    for (size_t g = 0; g < STAGES; g++)
        for (size_t i = 0; i < o->count[g]; i++)
            if ((o->parts[g][i]->needs & NEEDS_STALE) && o->settings.num_iterations == 1)
                text_addf(warnings,
                          "%s: does nothing while there is one update for a sampling "
                          "(num_iterations 1)\n",
                          o->parts[g][i]->name);
}

bool objective_open(struct objective *o, const struct objective_settings *s, struct text *warnings,
                    struct err *err)
{
    *o = (struct objective){.settings = *s};
    if (!add_parts(o, STAGE_REWARD, s->reward, false, err) ||
        !add_parts(o, STAGE_SHAPE, s->reward_shape, true, err) ||
        !add_parts(o, STAGE_FILTER, s->filter, true, err) ||
        !add_parts(o, STAGE_ADVANTAGE, s->adv, false, err) ||
        !add_parts(o, STAGE_BONUS, s->adv_bonus, false, err) ||
        !add_parts(o, STAGE_CREDIT, s->credit, true, err) ||
        !add_parts(o, STAGE_LOSS, s->loss_type, false, err) ||
        !add_parts(o, STAGE_REGULARISER, s->reg, true, err) ||
        !one_of(s->adv_scope, "adv_scope", "sequence rank", err) ||
        !one_of(s->scale_rewards, "scale_rewards", "group batch none", err) ||
        !one_of(s->importance_sampling_level, "importance_sampling_level", "token item sequence",
                err) ||
        !one_of(s->loss_agg_mode, "loss_agg_mode",
                "token-mean seq-mean-token-sum seq-mean-token-mean seq-mean-token-sum-norm "
                "unit-mean",
                err) ||
        (*s->selector && !one_of(s->selector, "selector", "vade spo vas", err)) ||
        (*s->rescue && !one_of(s->rescue, "rescue", "prefix_hint", err)) ||
        !one_of(s->kl_estimator, "kl_estimator", "k1 k2 k3", err) ||
        !one_of(s->kl_anchor, "kl_anchor", "ref old", err))
        return false;
    if (!o->count[STAGE_REWARD] || !o->count[STAGE_ADVANTAGE] || !o->count[STAGE_LOSS])
        return err_set(err, ERR_INPUT,
                       "reward, adv and loss_type: expected one of --list-methods each, found "
                       "'%s', '%s', '%s'",
                       s->reward, s->adv, s->loss_type);
    bool anchored = has(o, STAGE_REGULARISER, "kl") || has(o, STAGE_LOSS, "regress");
    if (anchored && strcmp(s->kl_anchor, "ref") == 0)
        o->needs |= NEEDS_REFERENCE;
    if (*s->selector)
        o->needs |= NEEDS_PAST;
    warn(o, warnings);
    return check_pairs(o, err);
}

void objective_list(struct text *text)
{
    text_addf(text, "presets (tessera train --stage rl --algo NAME, NAME+MODIFIER, ...)\n");
    for (size_t i = 0; i < COUNT(PRESETS); i++)
        text_addf(text, "  %s%-11s %s\n              %s\n", PRESETS[i].base ? "" : "+",
                  PRESETS[i].name, PRESETS[i].means, PRESETS[i].source);
    for (size_t g = 0; g < STAGES; g++) {
        text_addf(text, "\n%s\n", STAGE_NAMES[g]);
        for (size_t t = 0; t < COUNT(TABLES); t++)
            for (size_t i = 0; i < *TABLES[t].count; i++) {
                const struct objective_part *part = &TABLES[t].parts[i];
                if (part->stage == g)
                    text_addf(text, "  %-14s %s\n                 %s%s%s\n", part->name,
                              part->formula, part->source, *part->options ? "; options: " : "",
                              part->options);
            }
    }
    text_addf(text, "\noptions\n");
    struct objective_settings defaults;
    const struct settings table = {OBJECTIVE_SETTINGS, OBJECTIVE_SETTINGS_COUNT, &defaults};
    settings_start(&table, 1);
    settings_help(text, &table);
}
