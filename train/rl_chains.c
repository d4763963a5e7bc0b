/*
 * rl_chains.c: rollouts in reasoning mode: a chain of reasons, then a name; one unit of all their
 * decisions, as in GREAM.
 *
 *   prompts ─► forward ─► a symbol of every row's chain at a time ─► z of the last ─► name
 *
 * The grammar is that of serving (facts) but for two things that would cost a plain history an item
 * and prompt: any item of the history may be cited, not only what the answer rests on, and nothing
 * is dropped (recommend/reason.h tries that against likelihood).  Groups that say nothing stay.
 *
 * Rows whose chain has ended are filled up; nothing reads what fills them.
 */
#include "train/rl.h"

#include <string.h>

static const uint32_t FILLER = TOKEN + TOKENIZER_MARKS_AT + MARK_END;

static void begin(struct chain_writer *w, const struct rl *rl, const struct rl_part *p, size_t row)
{
    const struct rl_prompts *all = &rl->prompts;
    size_t prompt = p->picked[p->of_row[row]];
    chain_begin(w, rl->facts->version->attributes, rl->facts, all->history + all->first[prompt],
                all->first[prompt + 1] - all->first[prompt]);
    w->no_more_drops = true;
}

/* Where the symbol of a step lies, and the z that chose it. */
static size_t position_of(const struct rl *rl, const struct rl_part *p, size_t row, size_t step)
{
    return p->first[rl->prompts_a_part] + step * p->names.rows + row;
}

static size_t chosen_at(const struct rl *rl, const struct rl_part *p, size_t row, size_t step)
{
    return step ? position_of(rl, p, row, step - 1) : p->first[p->of_row[row] + 1] - 1U;
}

size_t rl_answer_at(const struct rl *rl, const struct rl_part *p, size_t row)
{
    return position_of(rl, p, row, p->chain_length[row] - 1U);
}

static size_t place_of(const struct chain_writer *w, uint32_t symbol)
{
    size_t at = 0;
    while (at + 1 < w->choices && w->choice[at] != symbol)
        at++;
    return at;
}

static uint32_t draw_symbol(const struct rl *rl, struct rl_part *p, const struct chain_writer *w,
                            const real *z, struct rng *rng)
{
    if (!chain_decides(w))
        return w->choice[0];
    double lp;
    double entropy;
    const struct choice choice = {w->choice, w->choices, 0};
    choice_logits(p->logits, p->query, rl->policy, z, w->choice, w->choices);
    choice_score(&lp, &entropy, p->logits, &choice, rl->settings->rl_temperature);
    return w->choice[choice_draw(p->logits, w->choices, rng)];
}

void rl_chains_draw(struct rl *rl, struct rl_part *p, struct rng *rng)
{
    size_t rows = p->names.rows;
    size_t d = rl->policy->shape.dim;
    size_t left = rows;
    size_t step = 0;
    for (size_t r = 0; r < rows; r++)
        begin(&p->writers[r], rl, p, r);
    policy_forward_prefixes(&p->work, rl->policy, &p->packed, p->input);
    for (; step < CHAIN_SYMBOLS && left; step++) {
        left = 0;
        for (size_t r = 0; r < rows; r++) {
            struct chain_writer *w = &p->writers[r];
            uint32_t *to = &p->input[position_of(rl, p, r, step)];
            *to = FILLER;
            if (!w->choices)
                continue;
            *to = draw_symbol(rl, p, w, p->work.trunk.z + chosen_at(rl, p, r, step) * d, rng);
            chain_take(w, *to);
            p->chain_length[r] = (uint32_t)step + 1;
            left += w->choices > 0;
        }
        policy_forward_step(&p->work, rl->policy, &p->packed, p->input, step);
    }
    p->packed.steps = step;
    p->packed.positions = position_of(rl, p, 0, step);
}

/* Calls fn with every decision of a row's chain, in order. */
typedef void decision_fn(void *self, const struct chain_writer *writer, uint32_t symbol, size_t row,
                         size_t step);

static void each_decision(const struct rl *rl, struct rl_part *p, size_t row, decision_fn *fn,
                          void *self)
{
    struct chain_writer *w = &p->writers[row];
    begin(w, rl, p, row);
    for (size_t t = 0; w->choices; t++) {
        uint32_t symbol = p->input[position_of(rl, p, row, t)];
        if (chain_decides(w))
            fn(self, w, symbol, row, t);
        chain_take(w, symbol);
    }
}

struct scoring {
    const struct rl *rl;
    struct rl_part *p;
    const struct policy *policy;
    const real *z; /* of all positions */
    double *lp, *entropy;
};

static void score(void *self, const struct chain_writer *w, uint32_t symbol, size_t row,
                  size_t step)
{
    struct scoring *s = self;
    const struct choice choice = {w->choice, w->choices, place_of(w, symbol)};
    size_t at = row * CHAIN_SYMBOLS + step;
    choice_logits(s->p->logits, s->p->query, s->policy,
                  s->z + chosen_at(s->rl, s->p, row, step) * s->policy->shape.dim, w->choice,
                  w->choices);
    choice_score(&s->lp[at], &s->entropy[at], s->p->logits, &choice,
                 s->rl->settings->rl_temperature);
    s->p->chain_decided[at] = 1;
}

void rl_chains_score(struct rl *rl, struct rl_part *p, bool by_reference)
{
    struct scoring s = {.rl = rl,
                        .p = p,
                        .policy = by_reference ? &rl->reference : rl->policy,
                        .z = (by_reference ? &p->reference_work : &p->work)->trunk.z,
                        .lp = by_reference ? p->chain_lp_ref : p->chain_lp,
                        .entropy = p->chain_entropy};
    if (by_reference)
        s.entropy = p->chain_g_entropy; /* not read: the place is free until the gradients come */
    memset(p->chain_decided, 0, p->names.rows * CHAIN_SYMBOLS);
    for (size_t r = 0; r < p->names.rows; r++)
        each_decision(rl, p, r, score, &s);
}

static void learn(void *self, const struct chain_writer *w, uint32_t symbol, size_t row,
                  size_t step)
{
    struct scoring *s = self;
    struct rl_part *p = s->p;
    struct params *grads = &s->rl->gradients[p - s->rl->parts];
    const struct choice choice = {w->choice, w->choices, place_of(w, symbol)};
    size_t at = row * CHAIN_SYMBOLS + step;
    size_t z = chosen_at(s->rl, p, row, step) * s->policy->shape.dim;
    double temperature = s->rl->settings->rl_temperature;
    double lp;
    double entropy;
    choice_logits(p->logits, p->query, s->policy, s->z + z, w->choice, w->choices);
    choice_score(&lp, &entropy, p->logits, &choice, temperature);
    choice_backward(grads, p->work.dz + z, p->logits, p->query, s->policy, s->z + z, &choice,
                    temperature, p->chain_g_lp[at], p->chain_g_entropy[at]);
}

void rl_chains_backward(struct rl *rl, struct rl_part *p)
{
    struct scoring s = {.rl = rl, .p = p, .policy = rl->policy, .z = p->work.trunk.z};
    for (size_t r = 0; r < p->names.rows; r++)
        each_decision(rl, p, r, learn, &s);
}

void rl_chains_layout(struct rl_part *p, size_t rows, const struct shape *shape,
                      struct arena *arena)
{
    size_t symbols = rows * CHAIN_SYMBOLS;
    double **of_symbols[] = {&p->chain_lp, &p->chain_entropy, &p->chain_lp_ref, &p->chain_g_lp,
                             &p->chain_g_entropy};
    for (size_t i = 0; i < COUNT(of_symbols); i++)
        *of_symbols[i] = arena_take(arena, symbols, sizeof(double));
    p->chain_decided = arena_take(arena, symbols, 1);
    p->chain_length = arena_take(arena, rows, sizeof *p->chain_length);
    p->writers = arena_take(arena, rows, sizeof *p->writers);
    p->logits = arena_take(arena, ATTRIBUTES_MAX + 2, sizeof *p->logits);
    p->query = arena_take(arena, shape->dim, sizeof *p->query);
}
