#include "model/choice.h"

#include "model/readings.h"

#include <math.h>
#include <string.h>

void choice_logits(real *logits, real *query, const struct policy *policy, const real *z,
                   const uint32_t *symbols, size_t count)
{
    size_t d = policy->shape.dim;
    bool items = !is_token(symbols[0]);
    const real *say = params_say(&policy->params, &policy->shape);
    if (items)
        product_nt(query, z, policy->params.find_query, 1, d, d, 0);
    for (size_t i = 0; i < count; i++)
        logits[i] = items ? dot(query, policy_find_vector(policy, symbols[i]), d)
                          : dot(z, say + (symbols[i] - TOKEN) * d, d);
}

void choice_score(double *lp, double *entropy, real *logits, const struct choice *c,
                  double temperature)
{
    real top = logits[0];
    double total = 0;
    for (size_t i = 1; i < c->count; i++)
        top = logits[i] > top ? logits[i] : top;
    for (size_t i = 0; i < c->count; i++)
        total += exp((double)(logits[i] - top) / temperature);
    *entropy = 0;
    for (size_t i = 0; i < c->count; i++) {
        double log_p = (double)(logits[i] - top) / temperature - log(total);
        if (i == c->chosen)
            *lp = log_p;
        *entropy -= exp(log_p) * log_p;
        logits[i] = (real)exp(log_p);
    }
}

size_t choice_draw(const real *p, size_t count, struct rng *rng)
{
    double left = rng_uniform(rng);
    size_t at = 0;
    while (at + 1 < count && (left -= (double)p[at]) >= 0)
        at++;
    return at;
}

void choice_backward(struct params *grads, real *dz, real *p, real *query,
                     const struct policy *policy, const real *z, const struct choice *c,
                     double temperature, double g_lp, double g_entropy)
{
    size_t d = policy->shape.dim;
    bool items = !is_token(c->symbols[0]);
    double entropy = 0;
    for (size_t i = 0; i < c->count; i++)
        entropy -= p[i] > 0 ? (double)p[i] * log((double)p[i]) : 0;
    if (items)
        memset(query, 0, d * sizeof *query); /* its gradient from here on */
    for (size_t i = 0; i < c->count; i++) {
        double log_p = p[i] > 0 ? log((double)p[i]) : 0;
        real g = (real)((g_lp * ((i == c->chosen) - (double)p[i]) -
                         g_entropy * (double)p[i] * (log_p + entropy)) /
                        temperature);
        if (items) {
            axpy(query, g, policy_find_vector(policy, c->symbols[i]), d);
        } else {
            size_t at = (c->symbols[i] - TOKEN) * d;
            axpy(dz, g, params_say(&policy->params, &policy->shape) + at, d);
            axpy(params_say(grads, &policy->shape) + at, g, z, d);
        }
    }
    if (!items)
        return;
    product_nn(dz, query, policy->params.find_query, 1, d, d, 1);
    for (size_t i = 0; i < d; i++)
        axpy(grads->find_query + i * d, query[i], z, d);
}
