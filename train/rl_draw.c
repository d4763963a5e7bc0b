/*
 * rl_draw.c: the rollouts of a part of a step.
 *
 *   names   pick prompts ─► forward ─► draw ─► hints where nobody hit ─┐
 *                ▲ other prompts for groups that say nothing ───────────┘─► anchors ─► scores
 *   lists   pick prompts ─► forward ─► a rank at a time ─► scores
 *   reasons pick prompts ─► forward ─► a symbol at a time ─► names ─► scores   (rl_chains.c)
 */
#include "train/rl.h"

#include <math.h>
#include <string.h>

/* Of a prompt that asks for one item; NO_ITEM: what came next was not liked. */
static uint32_t target_of(const struct rl *rl, const struct rl_part *p, size_t prompt)
{
    const size_t *first = rl->prompts.relevant_first + p->picked[prompt];
    return first[0] < first[1] ? rl->prompts.relevant[first[0]] : NO_ITEM;
}

size_t rl_tiles_shared(const struct rl *rl, uint32_t item, uint32_t target)
{
    const uint16_t *a = policy_codes(rl->policy, item);
    const uint16_t *b = policy_codes(rl->policy, target);
    size_t shared = 0;
    while (shared < rl->policy->shape.levels && a[shared] == b[shared])
        shared++;
    return shared;
}

/* Nothing without events, nothing that the prompt holds, nothing that its dialogue has named. */
static void mask_prompt(uint64_t *skip, const struct rl *rl, size_t prompt)
{
    const struct rl_prompts *all = &rl->prompts;
    memcpy(skip, rl->unseen, rl->words_a_mask * sizeof *skip);
    for (size_t k = all->first[prompt]; k < all->first[prompt + 1]; k++)
        if (!is_token(all->history[k]))
            bit_set(skip, all->history[k]);
    for (size_t k = all->seen ? all->seen_first[prompt] : 0;
         all->seen && k < all->seen_first[prompt + 1]; k++)
        if (all->seen[k] < rl->policy->shape.items)
            bit_set(skip, all->seen[k]);
}

static void pack_prompts(struct rl *rl, struct rl_part *p)
{
    const struct rl_prompts *all = &rl->prompts;
    size_t prompts = rl->prompts_a_part;
    size_t at = 0;
    p->first[0] = 0;
    for (size_t i = 0; i < prompts; i++) {
        size_t first = all->first[p->picked[i]];
        size_t count = all->first[p->picked[i] + 1] - first;
        uint64_t *skip = p->skip + i * rl->words_a_mask;
        memcpy(p->input + at, all->history + first, count * sizeof *p->input);
        at += count;
        p->first[i + 1] = (uint32_t)at;
        mask_prompt(skip, rl, p->picked[i]);
        trie_count_allowed(p->allowed_before + i * rl->words_a_mask, skip, rl->policy->shape.items);
    }
    p->packed = (struct packed){.positions = at, .sequences = prompts, .first = p->first};
    if (rl_rows_have_z(rl)) {
        p->packed.suffixes = p->names.rows / rl->ranks;
        p->packed.steps = rl->reasons ? CHAIN_SYMBOLS : rl->ranks;
        p->packed.prefix = p->of_row;
        p->packed.positions += p->packed.suffixes * p->packed.steps;
    }
    for (size_t n = 0; n < p->names.rows; n++)
        if (rl_kind(rl, n) != ROW_ROLLOUT) /* what the log says came next; anchors follow misses */
            p->names.item[n] =
                rl_kind(rl, n) == ROW_LOGGED ? all->logged[p->picked[p->context[n]]] : NO_ITEM;
}

/* z of every context, after a forward pass. */
static void read_z(real *z, const struct rl *rl, const struct rl_part *p,
                   const struct policy_work *work)
{
    size_t d = rl->policy->shape.dim;
    if (rl->lists) {
        memcpy(z, work->trunk.z + p->first[rl->prompts_a_part] * d,
               p->names.rows * d * sizeof(real));
        return;
    }
    for (size_t r = 0; rl->reasons && r < p->names.rows; r++)
        memcpy(z + r * d, work->trunk.z + rl_answer_at(rl, p, r) * d, d * sizeof(real));
    for (size_t i = 0; !rl->reasons && i < rl->prompts_a_part; i++)
        memcpy(z + i * d, work->trunk.z + (p->first[i + 1] - 1) * d, d * sizeof(real));
}

static void forward(const struct rl *rl, struct rl_part *p, struct policy_work *work,
                    const struct policy *policy, real *z)
{
    const struct loss_options options = {0};
    policy_forward(work, policy, &p->packed, p->input, &options);
    read_z(z, rl, p, work);
}

/* The names of one rank, as sample_names() sees them. */
static struct sampled names_of_rank(const struct rl_part *p, size_t rows, size_t rank, size_t tiles)
{
    struct sampled names = p->names;
    size_t at = rank * rows;
    names.rows = rows; /* contexts count from 0 in these, too */
    names.legal += at;
    names.item += at;
    names.lp += at * tiles;
    names.entropy += at * tiles;
    names.decided += at * tiles;
    return names;
}

/*
 * One rank of every row: drawn under a mask that holds what is listed, and again while it is listed
 * already; what is still listed after DRAW_TRIES is drawn without what is listed.  The mask that a
 * name was drawn under is the one that it is scored under.
 */
static void draw_rank(struct rl *rl, struct rl_part *p, size_t rank, const real *z, struct rng *rng)
{
    enum { DRAW_TRIES = 8 };
    size_t rows = p->names.rows / rl->ranks;
    struct sampled names = names_of_rank(p, rows, rank, rl->policy->shape.levels + 1);
    uint32_t *item = names.item;
    size_t left = rows;
    names.forced = NULL;
    names.prompt = p->redrawn;
    names.item = p->drawn;
    for (size_t r = 0; r < rows; r++) {
        p->redrawn[r] = (uint32_t)r;
        p->mask[rank * rows + r].listed_count = 0;
    }
    for (size_t tries = 0; left; tries++) {
        size_t listed = 0;
        for (size_t i = 0; tries == DRAW_TRIES && i < left; i++)
            p->mask[rank * rows + p->redrawn[i]].listed_count = rank;
        names.rows = left;
        sample_names(&p->sample, &names, rl->policy, z, rng);
        for (size_t i = 0; i < left; i++) {
            uint32_t r = p->redrawn[i];
            item[r] = p->drawn[i];
            if (tries < DRAW_TRIES && numbers_hold(p->listed + r * rl->ranks, rank, item[r]))
                p->redrawn[listed++] = r;
        }
        left = listed;
    }
    for (size_t r = 0; r < rows; r++)
        p->listed[r * rl->ranks + rank] = item[r];
}

/* A rank at a time: what stands there is read before the next is named. */
static void draw_lists(struct rl *rl, struct rl_part *p, struct rng *rng)
{
    size_t rows = p->names.rows / rl->ranks;
    size_t start = p->first[rl->prompts_a_part];
    policy_forward_prefixes(&p->work, rl->policy, &p->packed, p->input);
    for (size_t k = 0; k < rl->ranks; k++) {
        uint32_t *input = p->input + start + k * rows;
        for (size_t r = 0; r < rows; r++) {
            uint32_t above = k ? p->names.item[rl_name_at(p, rl, r, k - 1)] : NO_ITEM;
            input[r] = above == NO_ITEM ? TOKEN + rl->policy->marks + MARK_LIST : above;
        }
        policy_forward_step(&p->work, rl->policy, &p->packed, p->input, k);
        draw_rank(rl, p, k, p->work.trunk.z + (start + k * rows) * rl->policy->shape.dim, rng);
    }
    read_z(p->z, rl, p, &p->work);
    /* once more, all ranks together: the way back needs every name's activations at once */
    sample_score(&p->sample, &p->names, rl->policy, p->z);
}

static bool hits(const struct rl *rl, const struct rl_part *p, size_t row)
{
    uint32_t target = target_of(rl, p, p->of_row[row]);
    return target != NO_ITEM && p->names.item[row] == target;
}

static bool all_missed(const struct rl *rl, const struct rl_part *p, size_t prompt)
{
    for (size_t r = 0; r < rl->drawn_a_prompt; r++)
        if (hits(rl, p, prompt * rl->rows_a_prompt + r))
            return false;
    return true;
}

/* How many first tiles of the target a hint gives away: never none, never the whole name. */
static unsigned char hint_of(const struct rl *rl, struct rng *rng)
{
    const struct objective_settings *s = &rl->objective.settings;
    double tiles = (double)(rl->policy->shape.levels + 1);
    double share = s->hint_min + (s->hint_max - s->hint_min) * rng_uniform(rng);
    return (unsigned char)fmin(tiles - 1, fmax(1, round(share * tiles)));
}

/* Draws the rows of the prompts in p->again; the others stand. */
static void draw_again(struct rl *rl, struct rl_part *p, struct rng *rng)
{
    for (size_t r = 0; r < p->names.rows; r++) {
        bool drawn = p->again[p->of_row[r]] && rl_kind(rl, r) == ROW_ROLLOUT;
        p->forced[r] = drawn ? 0 : FORCED_WHOLLY;
        p->hint[r] = drawn ? 0 : p->hint[r];
    }
    sample_names(&p->sample, &p->names, rl->policy, p->z, rng);
}

/*
 * IGPO (arXiv 2509.10396) for names: where nobody found the target, some rows are drawn again with
 * its first tiles given; those that then hit stay, the others are what they were.  Leaves scores to
 * the caller.
 */
static void rescue(struct rl *rl, struct rl_part *p, struct rng *rng)
{
    size_t helped = (size_t)(rl->objective.settings.rescue_share * (double)rl->drawn_a_prompt);
    bool any = false;
    memcpy(p->missed, p->names.item, p->names.rows * sizeof *p->missed);
    memset(p->forced, FORCED_WHOLLY, p->names.rows);
    for (size_t i = 0; i < rl->prompts_a_part; i++) {
        bool help = p->again[i] && target_of(rl, p, i) != NO_ITEM && all_missed(rl, p, i);
        for (size_t r = 0; help && r < helped; r++) {
            size_t row = i * rl->rows_a_prompt + r;
            p->forced[row] = hint_of(rl, rng);
            p->names.item[row] = target_of(rl, p, i);
            any = true;
        }
    }
    if (!any)
        return;
    sample_names(&p->sample, &p->names, rl->policy, p->z, rng);
    for (size_t row = 0; row < p->names.rows; row++) {
        if (p->forced[row] == FORCED_WHOLLY)
            continue;
        if (hits(rl, p, row))
            p->hint[row] = p->forced[row];
        else
            p->names.item[row] = p->missed[row];
    }
}

/* What a name is worth, as far as names differ by it. */
static size_t worth(const struct rl *rl, const struct rl_part *p, size_t row)
{
    uint32_t item = p->names.item[row];
    if (hits(rl, p, row))
        return SIZE_MAX;
    uint32_t target = target_of(rl, p, p->of_row[row]);
    if (item == NO_ITEM || target == NO_ITEM || strcmp(rl->objective.settings.reward, "rsvr") != 0)
        return 0;
    return rl_tiles_shared(rl, item, target);
}

/* Whether all rows of a prompt are worth the same, so that none has an advantage. */
static bool says_nothing(const struct rl *rl, const struct rl_part *p, size_t prompt)
{
    size_t first = prompt * rl->rows_a_prompt;
    for (size_t r = 1; r < rl->drawn_a_prompt; r++)
        if (worth(rl, p, first + r) != worth(rl, p, first))
            return false;
    return true;
}

static void pick(uint32_t *out, struct rl *rl, struct rl_part *p, size_t part, size_t step,
                 size_t round)
{
    struct rng rng = rng_stream(rl->settings->seed ^ 0x9e0, step, part + round * GRADIENTS);
    prompts_pick(out, rl->prompts_a_part, &rl->past, &rl->objective.settings, part, GRADIENTS, step,
                 &rng, p->room);
}

/*
 * The first of the picked become talks: up to rl_turns prompts of its dialogue that follow each
 * other, it among them.
 */
static void pick_talks(const struct rl *rl, struct rl_part *p, size_t part)
{
    const struct rl_prompts *all = &rl->prompts;
    size_t turns = rl->settings->rl_turns;
    size_t at = 0;
    memcpy(p->others, p->picked, rl->prompts_a_part * sizeof *p->picked);
    for (uint32_t head = 0; at < rl->prompts_a_part; head++) {
        size_t first = p->others[head];
        size_t end = first + 1;
        while (end < all->count && all->dialogue[end] == all->dialogue[first] &&
               end - first < turns)
            end++;
        while (first > 0 && all->dialogue[first - 1] == all->dialogue[end - 1] &&
               end - first < turns)
            first--;
        size_t room = rl->prompts_a_part - at;
        if (end - first > room) { /* the last talk is cut, not what was picked */
            first = p->others[head];
            end = end - first > room ? first + room : end;
        }
        for (; first < end; first++, at++) {
            p->picked[at] = (uint32_t)first;
            p->talk[at] = (uint32_t)(part * rl->prompts_a_part) + head + 1; /* of all parts */
        }
    }
}

/* Other prompts in the places of those that say nothing; false: all say something. */
static bool refill(struct rl *rl, struct rl_part *p, size_t part, size_t step, size_t round)
{
    bool any = false;
    pick(p->others, rl, p, part, step, round);
    for (size_t i = 0; i < rl->prompts_a_part; i++) {
        p->again[i] = says_nothing(rl, p, i);
        if (p->again[i])
            p->picked[i] = p->others[i];
        any = any || p->again[i];
    }
    return any;
}

static void draw_names(struct rl *rl, struct rl_part *p, size_t part, size_t step, struct rng *rng)
{
    size_t rounds = rl->objective.settings.max_num_gen_batches;
    memset(p->again, 1, rl->prompts_a_part);
    for (size_t round = 0; round == 0 || (round < rounds && refill(rl, p, part, step, round));
         round++) {
        pack_prompts(rl, p);
        forward(rl, p, &p->work, rl->policy, p->z);
        draw_again(rl, p, rng);
        if (*rl->objective.settings.rescue)
            rescue(rl, p, rng);
    }
}

/* The anchor of each group that missed: of its first miss. */
static void find_anchors(struct rl *rl, struct rl_part *p)
{
    const struct rl_prompts *all = &rl->prompts;
    for (size_t i = 0; i < rl->prompts_a_part; i++) {
        size_t first = i * rl->rows_a_prompt;
        size_t miss = 0;
        while (miss < rl->drawn_a_prompt &&
               (p->names.item[first + miss] == NO_ITEM || hits(rl, p, first + miss)))
            miss++;
        if (miss == rl->drawn_a_prompt)
            continue;
        size_t history = all->first[p->picked[i]];
        p->names.item[first + rl->rows_a_prompt - 1] =
            anchors_find(&rl->anchors, rl->policy, rl->objective.settings.prdc_beta,
                         all->history + history, all->first[p->picked[i] + 1] - history,
                         p->names.item[first + miss], p->skip + i * rl->words_a_mask);
    }
}

void rl_draw(struct rl *rl, size_t part, size_t step, bool fresh)
{
    struct rl_part *p = &rl->parts[part];
    if (!fresh) {
        forward(rl, p, &p->work, rl->policy, p->z);
        sample_score(&p->sample, &p->names, rl->policy, p->z);
        if (rl->reasons)
            rl_chains_score(rl, p, false);
        return;
    }
    struct rng rng = rng_stream(rl->settings->seed ^ 0xd4a3, step, part);
    pick(p->picked, rl, p, part, step, 0);
    if (rl->settings->rl_turns > 1)
        pick_talks(rl, p, part);
    if (rl->lists) {
        pack_prompts(rl, p);
        draw_lists(rl, p, &rng);
    } else if (rl->reasons) {
        pack_prompts(rl, p);
        rl_chains_draw(rl, p, &rng);
        read_z(p->z, rl, p, &p->work);
        sample_names(&p->sample, &p->names, rl->policy, p->z, &rng);
        rl_chains_score(rl, p, false);
    } else {
        draw_names(rl, p, part, step, &rng);
        bool anchored = rl->objective.needs & NEEDS_ANCHORS;
        if (anchored)
            find_anchors(rl, p);
        if (anchored || *rl->objective.settings.rescue) /* names that were not drawn last */
            sample_score(&p->sample, &p->names, rl->policy, p->z);
    }
    if (rl->objective.needs & NEEDS_REFERENCE) {
        forward(rl, p, &p->reference_work, &rl->reference, p->z_reference);
        sample_score(&p->reference_sample, &p->reference_names, &rl->reference, p->z_reference);
        if (rl->reasons)
            rl_chains_score(rl, p, true);
    }
}
