/*
 * prompts.h: what earlier rollouts say of each prompt, and which prompts to ask next.
 *
 * A prompt has two pseudo-counts: `won` and `missed`, the parts of its rollouts' rewards that came
 * and that did not (a graded reward counts by its part), and `spread`, how many different first
 * decisions its last group took, as a share.  From them a selector scores a pool of candidates that
 * is drawn evenly over all prompts, and the best are asked:
 *
 *   vade   p (1 - p)^2 with p ~ Beta(won + 1, missed + 1): largest where one in three comes; counts
 *          of what was asked are kept by decay_selected, all by decay_idle a step
 *          VADE, arXiv 2511.18902, its figure (decays .2 and .999)
 *   spo    drawn by weight sqrt(v (1 - v)) + .05, v = what is expected; counts kept by decay_past
 *          SPO, arXiv 2509.13232, its code (constant decay)
 *   vas    mix_ratio of them drawn by weight .8 * 4 v (1 - v) + .2 * spread, the rest evenly
 *          MMR1, arXiv 2509.21268; the scores come from earlier groups, not from a pass over all
 *
 * The same expectation is the baseline of adv=spo.  A prompt that was never asked is expected to
 * give what all have given so far.
 *
 * Threads   prompts_pick() reads only; prompts_observe() belongs to one caller.
 * Cost      a pick: pool candidates a prompt; an observation: linear in rows.
 */
#ifndef OBJECTIVE_PROMPTS_H
#define OBJECTIVE_PROMPTS_H

#include "base/topk.h"
#include "objective/objective.h"

enum { PROMPT_FACTS = 4 }; /* floats a prompt in a saved state */

struct prompt_facts {
    float won, missed, spread;
    float step; /* 1 + the step when it was asked last; 0: never */
};

struct prompts {
    size_t count;
    struct prompt_facts *facts; /* [count + 1]; the last holds what all gave: won and missed */
};

void prompts_layout(struct prompts *prompts, size_t count, struct arena *arena);

/*
 * Picks `count` of the prompts that part `part` of `parts` equal parts asks from; without a
 * selector evenly.  room [count].
 */
void prompts_pick(uint32_t *picked, size_t count, const struct prompts *prompts,
                  const struct objective_settings *settings, size_t part, size_t parts, size_t step,
                  struct rng *rng, struct hit *room);

/* What a row of that prompt is expected to be worth. */
double prompts_expected(const struct prompts *prompts, uint32_t prompt);

/* After objective_prepare(): asked [groups] says which prompt each group is of. */
void prompts_observe(struct prompts *prompts, const struct objective_settings *settings,
                     const struct rollouts *rollouts, const uint32_t *asked, size_t step);

#endif
