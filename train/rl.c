#include "train/rl.h"

#include "evaluate/ranking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

static size_t contexts_of(const struct rl *rl)
{
    size_t rows = rl->prompts_a_part * rl->rows_a_prompt;
    return rl_rows_have_z(rl) ? rows * rl->ranks : rl->prompts_a_part;
}

static void masks_layout(struct rl *rl, struct rl_part *p, struct arena *arena)
{
    size_t words = rl->prompts_a_part * rl->words_a_mask;
    size_t contexts = contexts_of(rl);
    p->skip = arena_take(arena, words, sizeof *p->skip);
    p->allowed_before = arena_take(arena, words, sizeof *p->allowed_before);
    p->mask = arena_take(arena, contexts, sizeof *p->mask);
    p->legal = arena_take(arena, contexts, sizeof *p->legal);
}

static void part_layout(struct rl *rl, struct rl_part *p, const struct shape *s, size_t width,
                        struct arena *arena)
{
    size_t prompts = rl->prompts_a_part;
    size_t rows = prompts * rl->rows_a_prompt;
    size_t names = rows * rl->ranks;
    size_t tiles = names * (s->levels + 1);
    size_t steps = rl->reasons ? CHAIN_SYMBOLS : rl->lists ? rl->ranks : 0;
    size_t suffixes = rows * steps;
    size_t length = rl->prompt_max + steps;
    size_t positions = prompts * rl->prompt_max + suffixes;
    policy_layout(&p->work, s, positions, length, width, 1, true, arena);
    policy_layout(&p->reference_work, s, positions, length, width, 1, false, arena);
    sample_layout(&p->sample, s, names, width, arena);
    sample_layout(&p->reference_sample, s, names, width, arena);
    p->input = arena_take(arena, positions, sizeof *p->input);
    p->first = arena_take(arena, prompts + 1, sizeof *p->first);
    p->picked = arena_take(arena, prompts, sizeof *p->picked);
    p->talk = arena_take(arena, prompts, sizeof *p->talk);
    p->room = arena_take(arena, prompts, sizeof *p->room);
    p->of_row = arena_take(arena, rows, sizeof *p->of_row);
    p->context = arena_take(arena, names, sizeof *p->context);
    p->listed = arena_take(arena, names, sizeof *p->listed);
    p->redrawn = arena_take(arena, rows, sizeof *p->redrawn);
    p->drawn = arena_take(arena, rows, sizeof *p->drawn);
    p->forced = arena_take(arena, names, 1);
    p->hint = arena_take(arena, names, 1);
    p->again = arena_take(arena, prompts, 1);
    p->others = arena_take(arena, prompts, sizeof *p->others);
    p->missed = arena_take(arena, rows, sizeof *p->missed);
    masks_layout(rl, p, arena);
    if (rl->reasons)
        rl_chains_layout(p, rows, s, arena);
    real **of_contexts[] = {&p->z, &p->z_reference, &p->dz};
    for (size_t i = 0; i < COUNT(of_contexts); i++)
        *of_contexts[i] = arena_take(arena, contexts_of(rl) * s->dim, sizeof(real));
    p->g_lp = arena_take(arena, tiles, sizeof(real));
    p->g_entropy = arena_take(arena, tiles, sizeof(real));
    struct sampled *sets[] = {&p->names, &p->reference_names};
    for (size_t i = 0; i < COUNT(sets); i++) {
        sets[i]->lp = arena_take(arena, tiles, sizeof(real));
        sets[i]->entropy = arena_take(arena, tiles, sizeof(real));
        sets[i]->decided = arena_take(arena, tiles, 1);
    }
    p->names.item = arena_take(arena, names, sizeof *p->names.item);
}

void rl_layout(struct rl *rl, const struct shape *s, size_t width, struct arena *arena)
{
    rl->drawn_a_prompt = rl->objective.settings.num_generations;
    rl->rows_a_prompt = rl->drawn_a_prompt + (rl->objective.needs & NEEDS_LOGGED ? 1 : 0) +
                        (rl->objective.needs & NEEDS_ANCHORS ? 1 : 0);
    rl->prompts_a_part = rl_prompts_a_part(rl->settings);
    rl->words_a_mask = s->items / 64 + 1;
    for (size_t p = 0; p < rl->prompts.count; p++)
        if (rl->prompts.first[p + 1] - rl->prompts.first[p] > rl->prompt_max)
            rl->prompt_max = rl->prompts.first[p + 1] - rl->prompts.first[p];
    size_t rows = GRADIENTS * rl->prompts_a_part * rl->rows_a_prompt;
    size_t units = rows * rl->ranks;
    for (size_t g = 0; g < GRADIENTS; g++)
        part_layout(rl, &rl->parts[g], s, width, arena);
    rollouts_layout(&rl->rollouts, GRADIENTS * rl->prompts_a_part, rows, units,
                    units * (s->levels + 1 + (rl->reasons ? CHAIN_SYMBOLS : 0)), arena);
    prompts_layout(&rl->past, rl->prompts.count, arena);
    rl->asked = arena_take(arena, GRADIENTS * rl->prompts_a_part, sizeof *rl->asked);
    params_layout(&rl->reference.params, s, arena);
    rl->reference_find = arena_take(arena, s->items * s->dim, sizeof(real));
    rl->reference_nodes = arena_take(arena, rl->policy->items.nodes * s->dim, sizeof(real));
}

/* What may be named after a prompt.  Once: what the masks point to is filled at each step, and a
 * list's ranks say how much of the list is left out. */
static void set_masks(struct rl *rl, struct rl_part *p)
{
    size_t rows = rl->prompts_a_part * rl->rows_a_prompt;
    for (size_t c = 0; c < contexts_of(rl); c++) {
        bool own = rl_rows_have_z(rl);
        size_t row = own ? c % rows : 0;
        size_t rank = own ? c / rows : 0;
        size_t prompt = own ? p->of_row[row] : c;
        p->mask[c] =
            (struct trie_mask){.base = rl->trie,
                               .late = rl->no_late,
                               .skip = p->skip + prompt * rl->words_a_mask,
                               .allowed_before = p->allowed_before + prompt * rl->words_a_mask,
                               .listed = p->listed + row * rl->ranks,
                               .listed_count = rank};
        p->legal[c] = trie_legal(&p->mask[c]);
    }
}

static void part_start(struct rl *rl, struct rl_part *p, const struct shape *s)
{
    size_t rows = rl->prompts_a_part * rl->rows_a_prompt;
    policy_prepare(&p->work, s);
    policy_prepare(&p->reference_work, s);
    sample_prepare(&p->sample, s);
    sample_prepare(&p->reference_sample, s);
    for (size_t r = 0; r < rows; r++)
        p->of_row[r] = (uint32_t)(r / rl->rows_a_prompt);
    for (size_t n = 0; n < rows * rl->ranks; n++) {
        p->context[n] = rl_rows_have_z(rl) ? (uint32_t)n : p->of_row[n];
        p->hint[n] = p->forced[n] = 0;
    }
    p->names.rows = rows * rl->ranks;
    p->names.prompt = p->context;
    p->names.legal = p->legal;
    p->names.temperature = (real)rl->settings->rl_temperature;
    struct sampled theirs = p->reference_names;
    p->reference_names = p->names; /* the same names, judged by the reference */
    p->reference_names.lp = theirs.lp;
    p->reference_names.entropy = theirs.entropy;
    p->reference_names.decided = theirs.decided;
    p->names.forced = p->forced;
    set_masks(rl, p);
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
    for (size_t g = 0; g < GRADIENTS; g++)
        part_start(rl, &rl->parts[g], s);
}

/* ---- a step ---- */

struct rl_stepping {
    struct rl *rl;
    size_t step;
    bool fresh; /* new names, or the same looked at again */
};

static void draw_piece(void *self, size_t piece, size_t worker)
{
    struct rl_stepping *s = self;
    (void)worker;
    rl_draw(s->rl, piece, s->step, s->fresh);
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

/* By the best of what is relevant. */
static void judge_unit(struct rl *rl, size_t unit, uint32_t item, size_t prompt)
{
    struct rollouts *b = &rl->rollouts;
    const struct rl_prompts *p = &rl->prompts;
    b->exact[unit] = b->alike[unit] = b->matched[unit] = 0;
    for (size_t i = p->relevant_first[prompt]; item != NO_ITEM && i < p->relevant_first[prompt + 1];
         i++) {
        uint32_t target = p->relevant[i];
        b->exact[unit] = fmax(b->exact[unit], item == target);
        b->matched[unit] = fmax(b->matched[unit], (double)rl_tiles_shared(rl, item, target));
        if (rl->objective.count[STAGE_SHAPE])
            b->alike[unit] = fmax(b->alike[unit], alike(rl->words, item, target));
    }
}

/* The decisions of a row's chain become tokens, before those of its name. */
static void gather_chain(struct rl *rl, const struct rl_part *p, size_t row, bool fresh)
{
    struct rollouts *b = &rl->rollouts;
    size_t start = p->first[rl->prompts_a_part];
    for (size_t t = 0; t < CHAIN_SYMBOLS; t++) {
        size_t at = row * CHAIN_SYMBOLS + t;
        if (!p->chain_decided[at])
            continue;
        b->tile[b->tokens] = p->input[start + t * p->names.rows + row];
        b->hint[b->tokens] = 0;
        b->lp[b->tokens] = p->chain_lp[at];
        b->entropy[b->tokens] = p->chain_entropy[at];
        if (fresh) {
            b->lp_old[b->tokens] = b->lp[b->tokens];
            b->lp_ref[b->tokens] = p->chain_lp_ref[at];
        }
        b->tokens++;
    }
}

/* The decisions of one name become tokens. */
static void gather_tokens(struct rl *rl, const struct rl_part *p, size_t name, bool fresh)
{
    struct rollouts *b = &rl->rollouts;
    size_t tiles = rl->policy->shape.levels + 1;
    uint32_t item = p->names.item[name];
    for (size_t l = 0; l < tiles && item != NO_ITEM; l++) {
        size_t at = name * tiles + l;
        if (!p->names.decided[at])
            continue;
        b->tile[b->tokens] = policy_codes(rl->policy, item)[l];
        b->hint[b->tokens] = l < p->hint[name];
        b->lp[b->tokens] = (double)p->names.lp[at];
        b->entropy[b->tokens] = (double)p->names.entropy[at];
        if (fresh) {
            b->lp_old[b->tokens] = b->lp[b->tokens];
            b->lp_ref[b->tokens] = (double)p->reference_names.lp[at];
        }
        b->tokens++;
    }
}

static void gather_row(struct rl *rl, const struct rl_part *p, size_t row, bool fresh)
{
    struct rollouts *b = &rl->rollouts;
    if (row % rl->rows_a_prompt == 0) {
        rl->asked[b->groups] = p->picked[p->of_row[row]];
        b->expected[b->groups] = prompts_expected(&rl->past, rl->asked[b->groups]);
        b->talk[b->groups] = p->talk[p->of_row[row]];
        b->group_row[b->groups++] = b->rows;
    }
    b->row_unit[b->rows] = b->units;
    b->kind[b->rows] = rl_kind(rl, row);
    b->valid[b->rows] = 1;
    for (size_t k = 0; k < rl->ranks; k++) {
        size_t name = rl_name_at(p, rl, row, k);
        b->unit_token[b->units] = b->tokens;
        b->valid[b->rows] &= p->names.item[name] != NO_ITEM;
        if (fresh)
            judge_unit(rl, b->units, p->names.item[name], p->picked[p->of_row[row]]);
        if (rl->reasons)
            gather_chain(rl, p, row, fresh);
        gather_tokens(rl, p, name, fresh);
        b->units++;
    }
    b->rows++;
}

/* The parts' rows one after another: a group a prompt, a unit a name, a token a decision. */
static void gather_rollouts(struct rl *rl, bool fresh, size_t step)
{
    struct rollouts *b = &rl->rollouts;
    b->levels = rl->policy->shape.levels;
    b->groups = b->rows = b->units = b->tokens = 0;
    for (size_t g = 0; g < GRADIENTS; g++)
        for (size_t r = 0; r < rl->parts[g].names.rows / rl->ranks; r++)
            gather_row(rl, &rl->parts[g], r, fresh);
    b->group_row[b->groups] = b->rows;
    b->row_unit[b->rows] = b->units;
    b->unit_token[b->units] = b->tokens;
    b->rng = rng_stream(rl->settings->seed ^ 0xf117e4, step, 0);
}

/* Gradients of tokens, back to where the names of a part lie. */
static size_t hand_back_row(struct rl *rl, struct rl_part *p, size_t row, size_t token)
{
    const struct rollouts *b = &rl->rollouts;
    size_t tiles = rl->policy->shape.levels + 1;
    double weight = rl->settings->rl_weight;
    for (size_t at = row * CHAIN_SYMBOLS; rl->reasons && at < (row + 1) * CHAIN_SYMBOLS; at++)
        if (p->chain_decided[at]) {
            p->chain_g_lp[at] = weight * b->g_lp[token];
            p->chain_g_entropy[at] = weight * b->g_entropy[token];
            token++;
        }
    for (size_t k = 0; k < rl->ranks; k++) {
        size_t name = rl_name_at(p, rl, row, k);
        for (size_t l = 0; l < tiles && p->names.item[name] != NO_ITEM; l++)
            if (p->names.decided[name * tiles + l]) {
                p->g_lp[name * tiles + l] = (real)(weight * b->g_lp[token]);
                p->g_entropy[name * tiles + l] = (real)(weight * b->g_entropy[token]);
                token++;
            }
    }
    return token;
}

static void hand_back(struct rl *rl)
{
    size_t tiles = rl->policy->shape.levels + 1;
    size_t token = 0;
    for (size_t g = 0; g < GRADIENTS; g++) {
        struct rl_part *p = &rl->parts[g];
        memset(p->g_lp, 0, p->names.rows * tiles * sizeof *p->g_lp);
        memset(p->g_entropy, 0, p->names.rows * tiles * sizeof *p->g_entropy);
        for (size_t r = 0; r < p->names.rows / rl->ranks; r++)
            token = hand_back_row(rl, p, r, token);
    }
}

static void learn_piece(void *self, size_t piece, size_t worker)
{
    struct rl_stepping *s = self;
    struct rl *rl = s->rl;
    struct rl_part *p = &rl->parts[piece];
    size_t d = rl->policy->shape.dim;
    (void)worker;
    memset(p->dz, 0, contexts_of(rl) * d * sizeof *p->dz);
    sample_backward(&p->sample, &rl->gradients[piece], p->dz, &p->names, rl->policy, p->g_lp,
                    p->g_entropy);
    memset(p->work.dz, 0, p->packed.positions * d * sizeof *p->work.dz);
    if (rl->lists)
        memcpy(p->work.dz + p->first[rl->prompts_a_part] * d, p->dz,
               p->names.rows * d * sizeof *p->dz);
    for (size_t r = 0; rl->reasons && r < p->names.rows; r++)
        memcpy(p->work.dz + rl_answer_at(rl, p, r) * d, p->dz + r * d, d * sizeof *p->dz);
    for (size_t i = 0; !rl_rows_have_z(rl) && i < rl->prompts_a_part; i++)
        memcpy(p->work.dz + (p->first[i + 1] - 1) * d, p->dz + i * d, d * sizeof *p->dz);
    if (rl->reasons)
        rl_chains_backward(rl, p);
    policy_backward(&p->work, &rl->gradients[piece], rl->policy, &p->packed, p->input, 0);
}

static void report_rows(struct rl_report *report, const struct rl *rl)
{
    const struct rollouts *b = &rl->rollouts;
    const struct rl_prompts *p = &rl->prompts;
    size_t units = 0;
    for (size_t r = 0; r < b->rows; r++) {
        size_t in_part = rl->prompts_a_part * rl->rows_a_prompt;
        size_t row = r % in_part;
        const struct rl_part *part = &rl->parts[r / in_part];
        const uint32_t *list = rl->lists ? part->listed + row * rl->ranks : &part->names.item[row];
        const size_t *relevant = p->relevant_first + part->picked[part->of_row[row]];
        if (b->kind[r] != ROW_ROLLOUT || relevant[0] == relevant[1])
            continue;
        for (size_t u = b->row_unit[r]; u < b->row_unit[r + 1]; u++, units++) {
            report->hit_rate += b->exact[u];
            report->prefix += b->matched[u] / (double)b->levels;
        }
        report->ndcg += list_measure(list, rl->ranks, p->relevant + relevant[0],
                                     relevant[1] - relevant[0], rl->ranks)
                            .ndcg;
        report->rows++;
    }
    report->hit_rate /= fmax(1, (double)units);
    report->prefix /= fmax(1, (double)units);
    report->ndcg /= fmax(1, (double)report->rows);
}

void rl_step(struct rl *rl, size_t step, struct rl_report *report)
{
    struct rl_stepping s = {rl, step, step % rl->objective.settings.num_iterations == 0};
    *report = (struct rl_report){0};
    thread_pool_run(rl->pool, GRADIENTS, draw_piece, &s);
    gather_rollouts(rl, s.fresh, step);
    if (s.fresh) {
        objective_prepare(&rl->objective, &rl->rollouts, &report->objective);
        if (rl->objective.needs & NEEDS_PAST)
            prompts_observe(&rl->past, &rl->objective.settings, &rl->rollouts, rl->asked, step);
    }
    report->loss = objective_gradient(&rl->objective, &rl->rollouts, &report->objective);
    report_rows(report, rl);
    hand_back(rl);
    thread_pool_run(rl->pool, GRADIENTS, learn_piece, &s);
}
