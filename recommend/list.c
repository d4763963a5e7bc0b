#include "recommend/list.h"

#include "recommend/experience.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static void work_layout(struct list_work *w, const struct snapshot *s, struct arena *arena)
{
    const struct shape *shape = &s->version->policy.shape;
    size_t width = s->version->trie.width + s->late_trie.width + 1;
    size_t positions = w->prompt_max + LIST_RANKS_MAX;
    /* a work that learns keeps all layers, which is what a cache of keys and values is */
    policy_layout(&w->policy, shape, positions, positions, width, 1, true, arena);
    decode_layout(&w->decode, shape, w->beam_max, width, arena);
    w->skip = arena_take(arena, w->rows_max / 64 + 1, sizeof *w->skip);
    w->allowed_before = arena_take(arena, w->rows_max / 64 + 1, sizeof *w->allowed_before);
    w->input = arena_take(arena, positions, sizeof *w->input);
    w->hits = arena_take(arena, w->beam_max, sizeof *w->hits);
    w->log_p = arena_take(arena, LIST_RANKS_MAX, sizeof *w->log_p);
}

size_t list_beam_room(size_t beam)
{
    size_t least = beam < EXPERIENCE_BEAM ? EXPERIENCE_BEAM : beam;
    size_t room = least + LIST_RANKS_MAX;
    room = room < VOTES_MAX ? VOTES_MAX : room;
    return room < DECODE_BEAM_MAX ? room : DECODE_BEAM_MAX;
}

bool list_work_open(struct list_work *w, const struct snapshot *s, size_t prompt_max, size_t beam,
                    struct err *err)
{
    struct arena ruler = {0};
    *w = (struct list_work){
        .rows_max = s->rows, .prompt_max = prompt_max, .beam_max = list_beam_room(beam)};
    if (w->prompt_max > LIST_PROMPT_MAX)
        w->prompt_max = LIST_PROMPT_MAX;
    work_layout(w, s, &ruler);
    if (!arena_open(&w->arena, ruler.used, err))
        return false;
    work_layout(w, s, &w->arena);
    policy_prepare(&w->policy, &s->version->policy.shape);
    decode_prepare(&w->decode, &s->version->policy.shape);
    return true;
}

void list_work_close(struct list_work *w)
{
    arena_close(&w->arena);
}

void list_skip(uint64_t *skip, const struct snapshot *s)
{
    memcpy(skip, s->hidden, (s->rows / 64 + 1) * sizeof *skip);
    snapshot_mask_newcomers(skip, s);
}

void list_begin(struct list_work *w, const struct snapshot *s)
{
    assert(s->rows <= w->rows_max);
    list_skip(w->skip, s);
}

/* What was considered for a rank. */
struct rank_choice {
    const struct policy *policy;
    const uint32_t *listed; /* [count] */
    size_t count;
    const struct list_pushes *pushes;
    bool any;
    double worth; /* of the best so far */
    struct hit best;
};

/* log p, what experience adds and what votes add; with draws of Gumbel's distribution the largest
 * is a draw from the softmax at that temperature. */
static void consider(struct rank_choice *c, struct hit hit, double push)
{
    const float *bias = c->policy->items.experience;
    const struct list_draws *draws = c->pushes->draws;
    double worth = (double)hit.score + push;
    if (hit.score == -INFINITY || numbers_hold(c->listed, c->count, hit.row))
        return;
    if (bias && hit.row < c->policy->items.count)
        worth += (double)bias[hit.row];
    if (draws)
        worth = worth / draws->temperature - log(-log(rng_uniform(draws->rng) + 1e-300) + 1e-300);
    if (c->any && worth <= c->worth)
        return;
    c->any = true;
    c->worth = worth;
    c->best = hit;
}

/* Rows with votes, wherever they stand in the beam. */
static void consider_votes(struct rank_choice *c, struct decode_work *decode, const real *z,
                           const struct legal_tiles *legal)
{
    const struct votes *votes = c->pushes->votes;
    float score[VOTES_MAX];
    name_score(score, votes->row, votes->count, decode, c->policy, z, legal);
    for (size_t i = 0; i < votes->count; i++)
        consider(c, (struct hit){votes->row[i], score[i]}, (double)votes->push[i]);
}

bool list_draw(struct hit *next, struct hit *hits, size_t beam, struct decode_work *decode,
               const struct policy *policy, const real *z, const struct trie_mask *mask,
               const uint32_t *listed, size_t count, const struct list_pushes *pushes)
{
    struct trie_mask left = *mask;
    const struct votes *votes = pushes->votes;
    if (policy->items.experience && beam < EXPERIENCE_BEAM)
        beam = EXPERIENCE_BEAM;
    size_t width = beam + count < decode->beam_max ? beam + count : decode->beam_max;
    left.listed_count = 0;
    for (int round = 0; round < 2; round++) {
        struct rank_choice choice = {policy, listed, count, pushes, .any = false};
        const struct legal_tiles legal = trie_legal(&left);
        size_t found = name_beam(hits, width, decode, policy, z, &legal);
        for (size_t i = 0; i < found; i++)
            if (!votes || votes_push(votes, hits[i].row) <= 0)
                consider(&choice, hits[i], 0);
        if (votes)
            consider_votes(&choice, decode, z, &legal);
        if (choice.any) {
            *next = choice.best;
            return true;
        }
        left.listed = listed; /* listed names alone: one beam more, without them */
        left.listed_count = count;
    }
    return false;
}

size_t list_make(uint32_t *rows, size_t n, struct list_work *w, const struct snapshot *s,
                 const uint32_t *prompt, size_t prompt_count, size_t beam)
{
    const struct policy *policy = &s->version->policy;
    size_t count = prompt_count < w->prompt_max ? prompt_count : w->prompt_max;
    const uint32_t first[2] = {0, (uint32_t)count};
    const uint32_t prefix[1] = {0};
    const struct packed packed = {.positions = count + n,
                                  .sequences = 1,
                                  .first = first,
                                  .suffixes = 1,
                                  .steps = n,
                                  .prefix = prefix};
    const struct trie_mask mask = {.base = &s->version->trie,
                                   .late = &s->late_trie,
                                   .skip = w->skip,
                                   .allowed_before = w->allowed_before};
    assert(n <= LIST_RANKS_MAX && beam <= w->beam_max);
    if (count == 0)
        return 0;
    memcpy(w->input, prompt + prompt_count - count, count * sizeof *w->input);
    trie_count_allowed(w->allowed_before, w->skip, s->rows);
    policy_forward_prefixes(&w->policy, policy, &packed, w->input);
    for (size_t k = 0; k < n; k++) {
        struct hit next;
        w->input[count + k] = k ? rows[k - 1] : TOKEN + policy->marks + MARK_LIST;
        policy_forward_step(&w->policy, policy, &packed, w->input, k);
        if (!list_draw(&next, w->hits, beam, &w->decode, policy,
                       w->policy.trunk.z + (count + k) * policy->shape.dim, &mask, rows, k,
                       &w->pushes))
            return k;
        rows[k] = next.row;
        w->log_p[k] = next.score;
    }
    return n;
}
