#include "objective/prompts.h"

#include "objective/parts.h"

#include <math.h>
#include <string.h>

_Static_assert(sizeof(struct prompt_facts) == PROMPT_FACTS * sizeof(float), "facts are floats");

void prompts_layout(struct prompts *p, size_t count, struct arena *arena)
{
    p->count = count;
    p->facts = arena_take(arena, count + 1, sizeof *p->facts);
}

/* ---- what is known ---- */

double prompts_expected(const struct prompts *p, uint32_t prompt)
{
    const struct prompt_facts *all = &p->facts[p->count];
    const struct prompt_facts *f = &p->facts[prompt];
    double mean = ((double)all->won + 0.5) / ((double)(all->won + all->missed) + 1);
    return ((double)f->won + mean) / ((double)(f->won + f->missed) + 1);
}

static bool is_vade(const struct objective_settings *s)
{
    return strcmp(s->selector, "vade") == 0;
}

/* What is left of counts after the steps in which nobody asked, between the last one and this. */
static double idle_decay(const struct objective_settings *s, const struct prompt_facts *f,
                         size_t step)
{
    double idle = (double)step - (double)f->step;
    return is_vade(s) && f->step > 0 ? pow(s->decay_idle, fmax(0, idle)) : 1;
}

/* ---- scores ---- */

/* Marsaglia and Tsang, ACM TOMS 2000; shape >= 1. */
static double draw_gamma(struct rng *rng, double shape)
{
    double d = shape - 1.0 / 3;
    double c = 1 / sqrt(9 * d);
    for (;;) {
        double x = rng_normal(rng);
        double v = 1 + c * x;
        double u = rng_uniform(rng);
        v = v * v * v;
        if (v > 0 && log(u > 0 ? u : 1e-300) < 0.5 * x * x + d - d * v + d * log(v))
            return d * v;
    }
}

static double information(const struct objective_settings *s, const struct prompt_facts *f,
                          size_t step, struct rng *rng)
{
    double kept = idle_decay(s, f, step);
    double a = draw_gamma(rng, kept * (double)f->won + 1);
    double b = draw_gamma(rng, kept * (double)f->missed + 1);
    double p = a / (a + b);
    return p * (1 - p) * (1 - p);
}

/* The largest of log(u) / weight are a sample without replacement (Efraimidis and Spirakis 2006).
 */
static double key_of(double weight, struct rng *rng)
{
    double u = rng_uniform(rng);
    return log(u > 0 ? u : 1e-300) / weight;
}

static double score(const struct prompts *p, const struct objective_settings *s, uint32_t prompt,
                    size_t step, struct rng *rng)
{
    const struct prompt_facts *f = &p->facts[prompt];
    if (is_vade(s))
        return information(s, f, step, rng);
    double v = prompts_expected(p, prompt);
    if (strcmp(s->selector, "spo") == 0)
        return key_of(sqrt(v * (1 - v)) + 0.05, rng);
    double spread = f->step > 0 ? (double)f->spread : 1;
    return key_of(0.8 * 4 * v * (1 - v) + 0.2 * spread + 1e-6, rng);
}

/* ---- picking ---- */

/* The i-th of `count` strata of a part. */
static uint32_t draw_evenly(const struct prompts *p, size_t i, size_t count, size_t part,
                            size_t parts, struct rng *rng)
{
    size_t at = (part * count + i) * p->count / (parts * count);
    size_t end = (part * count + i + 1) * p->count / (parts * count);
    return (uint32_t)(at + (end > at + 1 ? rng_below(rng, end - at) : 0));
}

void prompts_pick(uint32_t *picked, size_t count, const struct prompts *p,
                  const struct objective_settings *s, size_t part, size_t parts, size_t step,
                  struct rng *rng, struct hit *room)
{
    size_t by_score = !*s->selector                     ? 0
                      : strcmp(s->selector, "vas") == 0 ? (size_t)(s->mix_ratio * (double)count)
                                                        : count;
    size_t candidates = (size_t)s->selector_pool * count;
    struct topk best = {.hits = room, .max = by_score};
    if (candidates * parts > p->count) /* each prompt once */
        candidates = p->count / parts > count ? p->count / parts : count;
    for (size_t i = 0; by_score && i < candidates; i++) {
        uint32_t prompt = draw_evenly(p, i, candidates, part, parts, rng);
        topk_push(&best, (struct hit){prompt, (float)score(p, s, prompt, step, rng)});
    }
    topk_sort(&best);
    for (size_t i = 0; i < best.count; i++)
        picked[i] = best.hits[i].row;
    for (size_t i = best.count; i < count; i++)
        picked[i] = draw_evenly(p, i, count, part, parts, rng);
}

/* ---- learning ---- */

/* How many different first decisions a group's rollouts took, as a share of them. */
static float spread_of(const struct rollouts *b, size_t group)
{
    size_t rows = 0;
    size_t different = 0;
    for (size_t r = b->group_row[group]; r < b->group_row[group + 1]; r++) {
        size_t first = row_first_token(b, r);
        bool known = first == row_last_token(b, r);
        if (b->kind[r] != ROW_ROLLOUT)
            continue;
        for (size_t o = b->group_row[group]; o < r && !known; o++)
            known = row_first_token(b, o) < row_last_token(b, o) &&
                    b->tile[row_first_token(b, o)] == b->tile[first];
        rows++;
        different += !known;
    }
    return rows ? (float)different / (float)rows : 1;
}

void prompts_observe(struct prompts *p, const struct objective_settings *s,
                     const struct rollouts *b, const uint32_t *asked, size_t step)
{
    struct prompt_facts *all = &p->facts[p->count];
    for (size_t g = 0; g < b->groups; g++) {
        struct prompt_facts *f = &p->facts[asked[g]];
        double kept = idle_decay(s, f, step) * (is_vade(s) ? s->decay_selected : s->decay_past);
        double won = 0;
        double rows = 0;
        for (size_t r = b->group_row[g]; r < b->group_row[g + 1]; r++)
            if (b->kind[r] == ROW_ROLLOUT) {
                won += fmin(1, fmax(0, row_reward(b, r)));
                rows++;
            }
        *f = (struct prompt_facts){.won = (float)(kept * (double)f->won + won),
                                   .missed = (float)(kept * (double)f->missed + rows - won),
                                   .spread = spread_of(b, g),
                                   .step = (float)step + 1};
        all->won = (float)(0.999 * (double)all->won + won);
        all->missed = (float)(0.999 * (double)all->missed + rows - won);
    }
}
