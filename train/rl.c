#include "train/rl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- prompts ---- */

static bool may_be_named(const struct version *v, uint32_t row)
{
    return row != NO_ITEM && row < v->index->items && v->policy.items.seen[row];
}

static bool was_there(const struct rl_prompts *p, size_t first, size_t last, uint32_t row)
{
    for (size_t i = first; i < last; i++)
        if (p->history[i] == row)
            return true;
    return false;
}

/* One prompt for each event that was kept: what came before it, and itself. */
static void add_user(struct rl_prompts *p, const struct row_data *data, const struct version *v,
                     size_t user, size_t history_max)
{
    const struct histories *h = data->histories;
    for (size_t target = data->split.train_end[user]; target < data->split.rl_end[user]; target++) {
        size_t first = p->first[p->count];
        size_t last = first;
        if (h->kind[target] != EVENT_POSITIVE)
            continue;
        for (size_t e = h->first[user]; e < target; e++)
            if (h->kind[e] == EVENT_POSITIVE && may_be_named(v, h->item[e]))
                p->history[last++] = h->item[e];
        if (last - first > history_max) {
            memmove(p->history + first, p->history + last - history_max,
                    history_max * sizeof *p->history);
            last = first + history_max;
        }
        if (last == first || !may_be_named(v, h->item[target]) ||
            was_there(p, first, last, h->item[target])) {
            p->dropped++;
            continue;
        }
        p->target[p->count++] = h->item[target];
        p->first[p->count] = last;
    }
}

bool rl_prompts_make(struct rl_prompts *p, const struct row_data *data, const struct version *v,
                     size_t history_max, struct err *err)
{
    const struct histories *h = data->histories;
    size_t targets = 0;
    size_t events = 0;
    *p = (struct rl_prompts){0};
    for (size_t u = 0; u < h->users; u++) {
        size_t kept = data->split.rl_end[u] - data->split.train_end[u];
        targets += kept;
        events += kept * (data->split.rl_end[u] - h->first[u]);
    }
    if (targets == 0)
        return err_set(err, ERR_INPUT,
                       "rl_share: expected events that were kept for post-training, found none: "
                       "index and train with --rl-share 0.2 first");
    p->history = calloc(events + 1, sizeof *p->history);
    p->first = calloc(targets + 1, sizeof *p->first);
    p->target = calloc(targets + 1, sizeof *p->target);
    if (!p->history || !p->first || !p->target)
        return err_set(err, ERR_SYSTEM, "no memory for %zu prompts", targets);
    for (size_t u = 0; u < h->users; u++)
        add_user(p, data, v, u, history_max);
    return p->count || err_set(err, ERR_INPUT,
                               "all %zu events that were kept for post-training "
                               "are of items that may not be named",
                               targets);
}

void rl_prompts_free(struct rl_prompts *p)
{
    free(p->history);
    free(p->first);
    free(p->target);
    *p = (struct rl_prompts){0};
}

/* ---- memory ---- */

static void part_layout(struct rl *rl, struct rl_part *p, const struct shape *s, size_t width,
                        struct arena *arena)
{
    size_t prompts = rl->prompts_a_part;
    size_t rows = prompts * rl->rows_a_prompt;
    size_t tiles = rows * (s->levels + 1);
    size_t positions = prompts * rl->settings->window;
    policy_layout(&p->work, s, positions, rl->settings->window, width, 1, true, arena);
    sample_layout(&p->sample, s, rows, width, arena);
    sample_layout(&p->reference_sample, s, rows, width, arena);
    p->input = arena_take(arena, positions, sizeof *p->input);
    p->first = arena_take(arena, prompts + 1, sizeof *p->first);
    p->last = arena_take(arena, prompts, sizeof *p->last);
    p->picked = arena_take(arena, prompts, sizeof *p->picked);
    p->prompt = arena_take(arena, rows, sizeof *p->prompt);
    p->given = arena_take(arena, rows, 1);
    p->skip = arena_take(arena, prompts * rl->words_a_mask, sizeof *p->skip);
    p->allowed_before = arena_take(arena, prompts * rl->words_a_mask, sizeof *p->allowed_before);
    p->mask = arena_take(arena, prompts, sizeof *p->mask);
    p->legal = arena_take(arena, prompts, sizeof *p->legal);
    real **of_prompts[] = {&p->z, &p->z_reference, &p->dz};
    for (size_t i = 0; i < COUNT(of_prompts); i++)
        *of_prompts[i] = arena_take(arena, prompts * s->dim, sizeof(real));
    p->g_lp = arena_take(arena, tiles, sizeof(real));
    p->g_entropy = arena_take(arena, tiles, sizeof(real));
    struct sampled *sets[] = {&p->rows, &p->reference_rows};
    for (size_t i = 0; i < COUNT(sets); i++) {
        sets[i]->lp = arena_take(arena, tiles, sizeof(real));
        sets[i]->entropy = arena_take(arena, tiles, sizeof(real));
        sets[i]->decided = arena_take(arena, tiles, 1);
    }
    p->rows.item = arena_take(arena, rows, sizeof *p->rows.item);
}

void rl_layout(struct rl *rl, const struct shape *s, size_t width, struct arena *arena)
{
    rl->drawn_a_prompt = rl->objective.settings.num_generations;
    rl->rows_a_prompt = rl->drawn_a_prompt + (rl->objective.needs & NEEDS_LOGGED ? 1 : 0);
    rl->prompts_a_part = (rl->settings->rl_prompts + GRADIENTS - 1) / GRADIENTS;
    rl->words_a_mask = s->items / 64 + 1;
    size_t rows = GRADIENTS * rl->prompts_a_part * rl->rows_a_prompt;
    for (size_t g = 0; g < GRADIENTS; g++)
        part_layout(rl, &rl->parts[g], s, width, arena);
    rollouts_layout(&rl->rollouts, GRADIENTS * rl->prompts_a_part, rows, rows,
                    rows * (s->levels + 1), arena);
    params_layout(&rl->reference.params, s, arena);
    rl->reference_find = arena_take(arena, s->items * s->dim, sizeof(real));
    rl->reference_nodes = arena_take(arena, rl->policy->items.nodes * s->dim, sizeof(real));
}

void rl_start(struct rl *rl, const struct shape *s)
{
    struct params kept = rl->reference.params;
    rl->reference = *rl->policy;
    rl->reference.params = kept;
    params_copy(&rl->reference.params, &rl->policy->params, s);
    rl->reference.find_vectors = rl->reference_find;
    rl->reference.items.node_vectors = rl->reference_nodes;
    policy_find_vectors(rl->reference_find, &rl->reference, 0, s->items);
    for (size_t l = 0; rl->reference.items.node && l < s->levels; l++)
        policy_node_vectors(rl->reference_nodes, &rl->reference, NULL, s->items,
                            rl->reference.find_vectors, l);
    for (size_t g = 0; g < GRADIENTS; g++) {
        struct rl_part *p = &rl->parts[g];
        policy_prepare(&p->work, s);
        sample_prepare(&p->sample, s);
        sample_prepare(&p->reference_sample, s);
        p->rows.prompt = p->reference_rows.prompt = p->prompt;
        p->rows.legal = p->reference_rows.legal = p->legal;
        p->rows.temperature = p->reference_rows.temperature = (real)rl->settings->rl_temperature;
        p->reference_rows.item = p->rows.item;
        p->rows.given = p->given;
    }
}

/* ---- a step ---- */

struct rl_stepping {
    struct rl *rl;
    size_t step;
    bool fresh; /* new names, or the same looked at again */
};

/* Prompts of a part of a step: all of them in an order that is drawn anew when they are through. */
static void pick_prompts(struct rl *rl, struct rl_part *p, size_t step, size_t part)
{
    size_t all = GRADIENTS * rl->prompts_a_part;
    struct rng rng = rng_stream(rl->settings->seed ^ 0x9e0, step, part);
    p->prompts = rl->prompts_a_part;
    for (size_t i = 0; i < p->prompts;
         i++) /* a stratum each: no prompt twice where there are many */
        p->picked[i] = (uint32_t)((part * rl->prompts_a_part + i) * rl->prompts.count / all +
                                  rng_below(&rng, (rl->prompts.count + all - 1) / all)) %
                       (uint32_t)rl->prompts.count;
}

static void pack_prompts(struct rl *rl, struct rl_part *p)
{
    size_t at = 0;
    p->first[0] = 0;
    for (size_t i = 0; i < p->prompts; i++) {
        size_t first = rl->prompts.first[p->picked[i]];
        size_t count = rl->prompts.first[p->picked[i] + 1] - first;
        uint64_t *skip = p->skip + i * rl->words_a_mask;
        uint32_t *before = p->allowed_before + i * rl->words_a_mask;
        memcpy(p->input + at, rl->prompts.history + first, count * sizeof *p->input);
        at += count;
        p->first[i + 1] = (uint32_t)at;
        p->last[i] = (uint32_t)at - 1;
        memcpy(skip, rl->unseen, rl->words_a_mask * sizeof *skip);
        for (size_t k = first; k < first + count; k++)
            bit_set(skip, rl->prompts.history[k]);
        trie_count_allowed(before, skip, rl->policy->shape.items);
        p->mask[i] = (struct trie_mask){rl->trie, rl->no_late, skip, before};
        p->legal[i] = trie_legal(&p->mask[i]);
    }
    p->packed = (struct packed){.positions = at, .sequences = p->prompts, .first = p->first};
    p->rows.rows = p->reference_rows.rows = p->prompts * rl->rows_a_prompt;
    for (size_t r = 0; r < p->rows.rows; r++)
        p->prompt[r] = (uint32_t)(r / rl->rows_a_prompt);
    for (size_t r = 0; r < p->rows.rows; r++) {
        p->given[r] = r % rl->rows_a_prompt >= rl->drawn_a_prompt;
        if (p->given[r]) /* what the log says came next */
            p->rows.item[r] = rl->prompts.target[p->picked[p->prompt[r]]];
    }
}

static void read_z(real *z, struct rl_part *p, const struct policy *policy)
{
    const struct loss_options options = {0};
    size_t d = policy->shape.dim;
    policy_forward(&p->work, policy, &p->packed, p->input, &options);
    for (size_t i = 0; i < p->prompts; i++)
        memcpy(z + i * d, p->work.trunk.z + p->last[i] * d, d * sizeof(real));
}

static void draw_piece(void *self, size_t piece, size_t worker)
{
    struct rl_stepping *s = self;
    struct rl *rl = s->rl;
    struct rl_part *p = &rl->parts[piece];
    bool compares = rl->objective.needs & NEEDS_REFERENCE;
    (void)worker;
    if (s->fresh) {
        pick_prompts(rl, p, s->step, piece);
        pack_prompts(rl, p);
        if (compares)
            read_z(p->z_reference, p, &rl->reference);
    }
    read_z(p->z, p, rl->policy);
    if (!s->fresh) {
        sample_score(&p->sample, &p->rows, rl->policy, p->z);
        return;
    }
    struct rng rng = rng_stream(rl->settings->seed ^ 0xd4a3, s->step, piece);
    sample_names(&p->sample, &p->rows, rl->policy, p->z, &rng);
    if (compares)
        sample_score(&p->reference_sample, &p->reference_rows, &rl->reference, p->z_reference);
}

/* Share of the target's tag words that a row has. */
static double alike(const struct item_words *w, uint32_t row, uint32_t target)
{
    size_t found = 0;
    size_t first = w->first[2 * (size_t)target + 1];
    size_t last = w->first[2 * (size_t)target + 2];
    for (size_t i = first; i < last; i++) {
        size_t size = w->word_at[i + 1] - w->word_at[i];
        bool same = false;
        for (size_t k = w->first[2 * (size_t)row + 1]; k < w->first[2 * (size_t)row + 2] && !same;
             k++)
            same = w->word_at[k + 1] - w->word_at[k] == size &&
                   memcmp(w->token + w->word_at[k], w->token + w->word_at[i],
                          size * sizeof *w->token) == 0;
        found += same;
    }
    return last > first ? (double)found / (double)(last - first) : 0;
}

static void judge_row(struct rl *rl, size_t row, uint32_t item, uint32_t target)
{
    struct rollouts *b = &rl->rollouts;
    size_t matched = 0;
    b->valid[row] = item != NO_ITEM;
    b->exact[row] = item == target;
    b->alike[row] = 0;
    if (item != NO_ITEM) {
        const uint16_t *a = policy_codes(rl->policy, item);
        const uint16_t *c = policy_codes(rl->policy, target);
        while (matched < b->levels && a[matched] == c[matched])
            matched++;
        b->alike[row] = alike(rl->words, item, target);
    }
    b->matched[row] = (double)matched;
}

/* The parts' rows one after another: a group a prompt, a unit a row, a token a decision. */
static void gather_rollouts(struct rl *rl, bool fresh, size_t step)
{
    struct rollouts *b = &rl->rollouts;
    size_t tiles = rl->policy->shape.levels + 1;
    size_t row = 0;
    size_t token = 0;
    b->levels = rl->policy->shape.levels;
    b->groups = b->rows = b->units = 0;
    for (size_t g = 0; g < GRADIENTS; g++) {
        struct rl_part *p = &rl->parts[g];
        for (size_t r = 0; r < p->rows.rows; r++, row++) {
            uint32_t item = p->rows.item[r];
            if (r % rl->rows_a_prompt == 0)
                b->group_row[b->groups++] = row;
            b->row_unit[row] = row;
            b->unit_token[row] = token;
            b->kind[row] = p->given[r] ? ROW_LOGGED : ROW_ROLLOUT;
            if (fresh)
                judge_row(rl, row, item, rl->prompts.target[p->picked[p->prompt[r]]]);
            for (size_t l = 0; l < tiles && item != NO_ITEM; l++) {
                size_t at = r * tiles + l;
                if (!p->rows.decided[at])
                    continue;
                b->tile[token] = policy_codes(rl->policy, item)[l];
                b->hint[token] = 0;
                b->lp[token] = (double)p->rows.lp[at];
                b->entropy[token] = (double)p->rows.entropy[at];
                if (fresh) {
                    b->lp_old[token] = b->lp[token];
                    b->lp_ref[token] = (double)p->reference_rows.lp[at];
                }
                token++;
            }
        }
    }
    b->rows = b->units = row;
    b->tokens = token;
    b->group_row[b->groups] = b->row_unit[row] = row;
    b->unit_token[row] = token;
    b->rng = rng_stream(rl->settings->seed ^ 0xf117e4, step, 0);
}

static void hand_back(struct rl *rl)
{
    const struct rollouts *b = &rl->rollouts;
    size_t tiles = rl->policy->shape.levels + 1;
    size_t token = 0;
    double weight = rl->settings->rl_weight;
    for (size_t g = 0; g < GRADIENTS; g++) {
        struct rl_part *p = &rl->parts[g];
        memset(p->g_lp, 0, p->rows.rows * tiles * sizeof *p->g_lp);
        memset(p->g_entropy, 0, p->rows.rows * tiles * sizeof *p->g_entropy);
        for (size_t r = 0; r < p->rows.rows; r++)
            for (size_t l = 0; l < tiles && p->rows.item[r] != NO_ITEM; l++)
                if (p->rows.decided[r * tiles + l]) {
                    p->g_lp[r * tiles + l] = (real)(weight * b->g_lp[token]);
                    p->g_entropy[r * tiles + l] = (real)(weight * b->g_entropy[token]);
                    token++;
                }
    }
}

static void learn_piece(void *self, size_t piece, size_t worker)
{
    struct rl_stepping *s = self;
    struct rl *rl = s->rl;
    struct rl_part *p = &rl->parts[piece];
    size_t d = rl->policy->shape.dim;
    (void)worker;
    memset(p->dz, 0, p->prompts * d * sizeof *p->dz);
    sample_backward(&p->sample, &rl->gradients[piece], p->dz, &p->rows, rl->policy, p->g_lp,
                    p->g_entropy);
    memset(p->work.dz, 0, p->packed.positions * d * sizeof *p->work.dz);
    for (size_t i = 0; i < p->prompts; i++)
        memcpy(p->work.dz + p->last[i] * d, p->dz + i * d, d * sizeof *p->dz);
    policy_backward(&p->work, &rl->gradients[piece], rl->policy, &p->packed, p->input, 0);
}

void rl_step(struct rl *rl, size_t step, struct rl_report *report)
{
    struct rl_stepping s = {rl, step, step % rl->objective.settings.num_iterations == 0};
    const struct rollouts *b = &rl->rollouts;
    *report = (struct rl_report){0};
    thread_pool_run(rl->pool, GRADIENTS, draw_piece, &s);
    gather_rollouts(rl, s.fresh, step);
    if (s.fresh)
        objective_prepare(&rl->objective, &rl->rollouts, &report->objective);
    report->loss = objective_gradient(&rl->objective, &rl->rollouts, &report->objective);
    for (size_t r = 0; r < b->rows; r++)
        if (b->kind[r] == ROW_ROLLOUT) {
            report->hit_rate += b->exact[r];
            report->prefix += b->matched[r] / (double)b->levels;
            report->rows++;
        }
    report->hit_rate /= (double)report->rows;
    report->prefix /= (double)report->rows;
    hand_back(rl);
    thread_pool_run(rl->pool, GRADIENTS, learn_piece, &s);
}
