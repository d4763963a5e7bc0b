/*
 * choice.h: one symbol out of a few that a grammar offers, all tokens or all items.
 *
 *     logit of a token  say_t . z               of an item  (find_query z) . f_i          all / T
 *     lp = log softmax over the choices         H = -sum p log p
 *     backward          dlogit = (g_lp (onehot - p) - g_entropy p (log p + H)) / T
 *
 * f is a constant here: what find knows is not moved by what is chosen.
 *
 * Threads   the policy is read, everything else is the caller's.
 * Cost      choices * dim multiplications, and dim^2 for items.
 */
#ifndef MODEL_CHOICE_H
#define MODEL_CHOICE_H

#include "model/policy.h"

struct choice {
    const uint32_t *symbols; /* [count] */
    size_t count;
    size_t chosen; /* which of them */
};

/* logits [count], not divided by T; query [dim] is scratch, of items find_query z. */
void choice_logits(real *logits, real *query, const struct policy *policy, const real *z,
                   const uint32_t *symbols, size_t count);
/* Logits become probabilities. */
void choice_score(double *lp, double *entropy, real *logits, const struct choice *choice,
                  double temperature);
/* Which of them, by their probabilities. */
size_t choice_draw(const real *probabilities, size_t count, struct rng *rng);
/*
 * Adds to grads and to dz [dim].  After choice_logits() and choice_score() with the same logits and
 * query, which are lost.
 */
void choice_backward(struct params *grads, real *dz, real *probabilities, real *query,
                     const struct policy *policy, const real *z, const struct choice *choice,
                     double temperature, double g_lp, double g_entropy);

#endif
