/*
 * stage_experience.c: `tessera train --stage experience`: rounds of experience.h, each kept only if
 * written lists are better for it on validation.
 *
 *   look ─► round ─► look: better? keep : go back, half the step ─► round ─► ...
 */
#include "base/log.h"
#include "recommend/experience.h"
#include "train/experience.h"
#include "train/training.h"

#include <stdlib.h>
#include <string.h>

static struct experience_prompts prompts_of(const struct rl_prompts *p)
{
    return (struct experience_prompts){.count = p->count,
                                       .symbol = p->history,
                                       .first = p->first,
                                       .known = p->seen ? p->seen : p->history,
                                       .known_first = p->seen ? p->seen_first : p->first,
                                       .relevant = p->relevant,
                                       .relevant_first = p->relevant_first};
}

static struct experience_options options_of(const struct training *t)
{
    const struct train_settings *s = t->job->train;
    return (struct experience_options){.prompts = s->experience_prompts,
                                       .lists = s->experience_lists,
                                       .ranks = s->list_items,
                                       .symbols =
                                           t->talking.on ? s->dialogue_symbols : LIST_HISTORY_MAX,
                                       .temperature = s->rl_temperature,
                                       .prior = s->experience_prior,
                                       .step = 1,
                                       .seed = s->seed};
}

/* The version writes with a copy of this bias from now on. */
static bool try_bias(struct training *t, const float *bias, struct err *err)
{
    size_t items = t->version->index->items;
    float *copy = malloc((items + 1) * sizeof *copy);
    if (!copy)
        return err_set(err, ERR_SYSTEM, "no memory for the experience of %zu items", items);
    memcpy(copy, bias, items * sizeof *copy);
    version_take_experience(t->version, copy);
    return true;
}

static bool take_round(struct training *t, float *bias, float *kept,
                       const struct experience_prompts *prompts, struct experience_options *options,
                       struct err *err)
{
    struct experience_report r;
    double value;
    size_t size = t->version->index->items * sizeof *bias;
    size_t round = ++t->trainer.step;
    memcpy(bias, kept, size);
    if (!experience_round(bias, prompts, t->snapshot, options, round, &r, t->job->pool, err) ||
        !try_bias(t, bias, err) || !training_look(t, &value, err))
        return false;
    bool better = t->best_step == round;
    log_info("train.experience round=%zu prompts=%zu silent=%zu items=%zu reward=%.4f step=%.3f "
             "ndcg20=%.4f kept=%d",
             round, r.prompts, r.silent, r.items, r.reward, options->step, value, better);
    fprintf(t->steps, "%zu\t0\t0\t0\t0\t0\t%.6g\t%.5f\t0\n", round, options->step, value);
    if (better) {
        memcpy(kept, bias, size);
        return true;
    }
    options->step /= 2;
    return try_bias(t, kept, err);
}

bool experience_run(struct training *t, struct err *err)
{
    const struct train_settings *s = t->job->train;
    size_t items = t->version->index->items;
    double value;
    struct experience_options options = options_of(t);
    const struct experience_prompts prompts = prompts_of(&t->rl.prompts);
    float *kept = calloc(items + 1, sizeof *kept);
    float *bias = calloc(items + 1, sizeof *bias);
    bool fine = (kept && bias) || err_set(err, ERR_SYSTEM, "no memory for experience");
    if (fine && t->start->experience)
        memcpy(kept, t->start->experience, items * sizeof *kept);
    fine =
        fine && (!t->start->experience || try_bias(t, kept, err)) && training_look(t, &value, err);
    for (size_t round = 0; fine && round < s->experience_rounds && t->since_best < s->patience;
         round++)
        fine = take_round(t, bias, kept, &prompts, &options, err);
    if (fine && t->best_step == 0 && !t->start->experience)
        version_take_experience(t->version, NULL); /* nothing was learnt that helps */
    free(kept);
    free(bias);
    return fine;
}
