#include "train/trainer.h"

#include "model/lora.h"
#include "recommend/snapshot.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_POSITIONS = 768, FIND_PIECE = 1024, FINISH_DIMS = 32, MEMBERS_MAX = 16 };

static void trainer_layout(struct trainer *t, size_t threads, struct arena *arena)
{
    const struct shape *s = &t->shape;
    size_t positions = t->batches.positions_max;
    params_layout(&t->policy.params, s, arena);
    if (s->lora_rank)
        params_layout_without(&t->base, ~trunk_matrices(), s, arena);
    struct params *learnt[] = {&t->first, &t->second, &t->average, &t->best};
    for (size_t i = 0; i < COUNT(learnt); i++)
        params_layout_without(learnt[i], t->still, s, arena);
    for (size_t g = 0; g < GRADIENTS; g++)
        params_layout_without(&t->gradient[g], t->still, s, arena);
    batches_layout(&t->batches, arena);
    t->find_content = arena_take(arena, t->find_max * s->content, sizeof(real));
    t->find_vectors = arena_take(arena, t->find_max * s->dim, sizeof(real));
    t->node_vectors = arena_take(arena, t->policy.items.nodes * s->dim, sizeof(real));
    for (size_t g = 0; g < GRADIENTS; g++)
        t->dfind[g] = arena_take(arena, t->find_max * s->dim, sizeof(real));
    t->seen_row = arena_take(arena, t->seen_count, sizeof(uint32_t));
    t->seen_before = arena_take(arena, s->items + 1, sizeof(uint32_t));
    t->unseen = arena_take(arena, s->items / 64 + 1, sizeof *t->unseen);
    t->allowed_before = arena_take(arena, s->items / 64 + 1, sizeof *t->allowed_before);
    t->find_place = arena_take(arena, s->items, sizeof(uint32_t));
    if (t->sampled) {
        t->find_row = arena_take(arena, t->find_max, sizeof(uint32_t));
        t->marks = arena_take(arena, s->items, sizeof(uint32_t));
        t->touched = arena_take(arena, t->find_max + GRADIENTS * positions, sizeof(uint32_t));
        t->log_inclusion = arena_take(arena, t->find_max, sizeof(real));
    }
    for (size_t w = 0; w < threads; w++)
        policy_layout(&t->works[w], s, t->piece_positions, t->batches.length_max, t->legal.width,
                      t->find_max, true, arena);
    for (size_t w = 0; w < threads; w++)
        t->firsts[w] = arena_take(arena, t->batches.sequences_max + 1, sizeof *t->firsts[w]);
}

/* All items with events, or room for the negatives, every target and what shares its name. */
static void size_find(struct trainer *t)
{
    size_t items = t->shape.items;
    for (size_t i = 0; i < items; i++)
        t->seen_count += t->policy.items.seen[i];
    t->sampled = items > t->settings->softmax_items;
    t->find_max = t->seen_count;
    if (!t->sampled)
        return;
    t->negatives = t->settings->negatives < t->seen_count ? t->settings->negatives : t->seen_count;
    size_t wanted = t->negatives + GRADIENTS * t->batches.positions_max * MEMBERS_MAX;
    t->find_max = wanted < t->seen_count ? wanted : t->seen_count;
}

/* Only items with events take part: find compares them, name's mask holds them. */
static void list_seen(struct trainer *t)
{
    size_t count = 0;
    memset(t->find_place, 0xff, t->shape.items * sizeof *t->find_place);
    for (uint32_t i = 0; i < t->shape.items; i++) {
        t->seen_before[i] = (uint32_t)count;
        if (t->policy.items.seen[i])
            t->seen_row[count++] = i;
        else
            bit_set(t->unseen, i);
    }
    t->seen_before[t->shape.items] = (uint32_t)count;
    trie_count_allowed(t->allowed_before, t->unseen, t->shape.items);
    t->mask.skip = t->unseen;
    t->mask.allowed_before = t->allowed_before;
    t->find = (struct find_set){.count = count,
                                .row = t->seen_row,
                                .before = t->seen_before,
                                .place = t->find_place,
                                .content = t->find_content,
                                .vectors = t->find_vectors};
    if (t->sampled) {
        t->find.count = 0;
        t->find.row = t->find_row;
        t->find.before = NULL;
        t->find.log_inclusion = t->log_inclusion;
        return;
    }
    for (size_t k = 0; k < count; k++)
        t->find_place[t->seen_row[k]] = (uint32_t)k;
}

/* Content and tiles say nothing. */
static void set_up_sasrec(struct trainer *t)
{
    for (size_t i = 0; i < PARAM_COUNT; i++)
        if ((t->optimiser.frozen >> i & 1) && PARAMS[i].start != START_IDENTITY)
            memset(*param_slot(&t->policy.params, &PARAMS[i]), 0,
                   param_count(&PARAMS[i], &t->shape) * sizeof(real));
}

/* What of a pretrained trunk stays as it is. */
static void set_up_trunk(struct trainer *t)
{
    const struct train_settings *settings = t->settings;
    t->piece_positions = t->batches.positions_max;
    if (t->policy.marks == TOKENIZER_MARKS_AT)
        return;
    size_t least = t->batches.length_max;
    size_t most = least > PIECE_POSITIONS ? least : PIECE_POSITIONS;
    t->piece_positions = most < t->piece_positions ? most : t->piece_positions;
    t->shape.lora_rank = settings->lora_rank;
    if (settings->lora_rank)
        t->shape.lora_scale = settings->lora_alpha / (double)settings->lora_rank;
    t->policy.shape = t->shape;
    t->optimiser.words = t->policy.marks;
    t->optimiser.trunk_rate = settings->lora_rank ? 0 : settings->trunk_rate;
    if (t->optimiser.trunk_rate > 0)
        return;
    t->still = trunk_matrices();
    t->policy.frozen_words = t->policy.marks;
}

static uint64_t param_bit(size_t offset)
{
    return (uint64_t)1 << (offset / sizeof(real *));
}

static void set_up(struct trainer *t)
{
    const struct shape *s = &t->shape;
    list_seen(t);
    for (size_t i = 0; i < s->items; i++)
        t->events_total += t->events[i];
    /* a pretrained trunk and all beside it come with trainer_continue() */
    params_start_some(&t->policy.params,
                      t->policy.marks == TOKENIZER_MARKS_AT ? UINT64_MAX : lora_params(), s,
                      t->policy.items.seen, t->settings->seed);
    t->policy.items.node_vectors = t->node_vectors;
    if (t->sasrec)
        set_up_sasrec(t);
    params_copy(&t->average, &t->policy.params, s);
}

bool trainer_open(struct trainer *t, const struct train_settings *settings,
                  const struct version *version, const struct sequences *sequences,
                  const struct tasks *tasks, struct thread_pool *pool, struct err *err)
{
    size_t threads = thread_pool_count(pool);
    struct arena ruler = {0};
    *t = (struct trainer){.settings = settings,
                          .shape = version->policy.shape,
                          .plain = version->policy.shape,
                          .policy = version->policy,
                          .events = version->index->events,
                          .pool = pool};
    t->works = calloc(threads, sizeof *t->works);
    t->firsts = calloc(threads, sizeof *t->firsts);
    if (!t->works || !t->firsts)
        return err_set(err, ERR_SYSTEM, "no memory for %zu threads", threads);
    t->mask = (struct trie_mask){.base = &version->trie, .late = &t->no_late};
    t->legal = trie_legal(&t->mask);
    if (!batches_open(&t->batches, settings, sequences, tasks, err))
        return false;
    size_find(t);
    t->optimiser = (struct optimiser){.settings = settings,
                                      .shape = &t->shape,
                                      .kernels = version->policy.kernels,
                                      .params = &t->policy.params,
                                      .first = &t->first,
                                      .second = &t->second,
                                      .average = &t->average,
                                      .gradients = t->gradient,
                                      .parts = GRADIENTS,
                                      .trunk_rate = 1};
    set_up_trunk(t);
    t->optimiser.frozen = t->still;
    t->sasrec = strcmp(settings->preset, "sasrec") == 0;
    if (t->sasrec)
        t->optimiser.frozen = t->still | param_bit(offsetof(struct params, content_in)) |
                              param_bit(offsetof(struct params, tile_in)) |
                              param_bit(offsetof(struct params, find_content)) |
                              param_bit(offsetof(struct params, find_query));
    size_t touched = t->find_max + GRADIENTS * t->batches.positions_max;
    trainer_layout(t, threads, &ruler);
    if (!optimiser_open(&t->optimiser, t->sampled ? touched : 0, err) ||
        !arena_open(&t->arena, ruler.used, err))
        return false;
    trainer_layout(t, threads, &t->arena);
    for (size_t w = 0; w < threads; w++)
        policy_prepare(&t->works[w], &t->shape);
    set_up(t);
    t->steps = strcmp(settings->stage, "sft") == 0 ? settings->epochs * t->batches.steps_per_epoch
                                                   : settings->rl_steps;
    return true;
}

static void rl_arena(struct trainer *t, struct arena *arena)
{
    t->all_find = arena_take(arena, t->shape.items * t->shape.dim, sizeof(real));
    rl_layout(t->rl, &t->shape, t->legal.width, arena);
}

bool trainer_continue(struct trainer *t, const struct params *params, struct rl *rl,
                      struct err *err)
{
    struct arena ruler = {0};
    params_copy(&t->policy.params, params, &t->plain);
    if (t->shape.lora_rank)
        params_copy(&t->base, params, &t->plain);
    params_copy(&t->average, &t->policy.params, &t->shape);
    params_copy(&t->best, &t->policy.params, &t->shape);
    t->rl = rl;
    if (!rl)
        return true;
    rl->settings = t->settings;
    rl->policy = &t->policy;
    rl->trie = t->mask.base;
    rl->no_late = &t->no_late;
    rl->unseen = t->unseen;
    rl->pool = t->pool;
    rl->gradients = t->gradient;
    rl_arena(t, &ruler);
    if (!arena_open(&t->rl_arena, ruler.used, err))
        return false;
    rl_arena(t, &t->rl_arena);
    t->policy.find_vectors = t->all_find;
    rl_start(rl, &t->shape);
    return true;
}

void trainer_export(const struct trainer *t, struct params *to, const struct params *from)
{
    params_copy(to, &t->policy.params, &t->plain); /* what stays */
    params_copy(to, from, &t->plain);
    for (size_t l = 0; t->shape.lora_rank && l < t->shape.layers; l++)
        lora_merge(to, &t->base, from, &t->shape, l);
}

void trainer_close(struct trainer *t)
{
    free(t->works);
    free(t->firsts);
    batches_close(&t->batches);
    optimiser_close(&t->optimiser);
    arena_close(&t->arena);
    arena_close(&t->rl_arena);
}

size_t trainer_epoch(const struct trainer *t)
{
    return t->step / t->batches.steps_per_epoch;
}

/* ---- the set that find compares ---- */

static int compare_rows(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool mark(struct trainer *t, uint32_t row)
{
    bool fresh = t->marks[row] != (uint32_t)t->step + 1;
    t->marks[row] = (uint32_t)t->step + 1;
    return fresh;
}

/* The rows that share the quantised name of `row`; of a large collision those around it. */
static void collision_of(uint32_t *first, uint32_t *last, const struct trainer *t, uint32_t row)
{
    const struct trie *trie = t->mask.base;
    size_t level = t->shape.levels - 1;
    *first = row - trie->codes[(size_t)row * trie->levels + level + 1];
    *last = trie->next[level * trie->items + row];
    if (*last - *first <= MEMBERS_MAX)
        return;
    if (row > *first + MEMBERS_MAX / 2)
        *first = row - MEMBERS_MAX / 2;
    if (*last > *first + MEMBERS_MAX)
        *last = *first + MEMBERS_MAX;
}

static void mark_collision(struct trainer *t, uint32_t row)
{
    uint32_t first;
    uint32_t last;
    collision_of(&first, &last, t, row);
    for (uint32_t r = first; r < last; r++)
        if (t->policy.items.seen[r] && mark(t, r))
            t->find_row[t->find.count++] = r;
}

/*
 * The chance that a row is in the set: 1 - (not drawn) * (nobody of its name is a target), with
 * targets taken as draws from the events.
 */
static void note_inclusion(struct trainer *t, double targets)
{
    double missed = 1 - (double)t->negatives / (double)t->seen_count;
    for (size_t k = 0; k < t->find.count; k++) {
        uint32_t first;
        uint32_t last;
        double events = 0;
        collision_of(&first, &last, t, t->find_row[k]);
        for (uint32_t r = first; r < last; r++)
            events += t->events[r];
        double untargeted = exp(-targets * events / t->events_total);
        t->log_inclusion[k] = (real)log(fmax(1e-9, 1 - missed * untargeted));
    }
}

static void draw_find(struct trainer *t, size_t targets)
{
    struct rng rng = rng_stream(t->settings->seed, 0x5e7, t->step);
    for (size_t k = 0; k < t->find.count; k++) /* of the step before */
        t->find_place[t->find_row[k]] = UINT32_MAX;
    t->find.count = 0;
    for (size_t g = 0; g < GRADIENTS; g++)
        for (size_t i = 0; i < t->batches.parts[g].examples.packed.positions; i++) {
            uint32_t target = t->batches.parts[g].target[i];
            if (target != NO_ITEM && !is_token(target))
                mark_collision(t, target);
        }
    for (size_t n = 0; n < t->negatives && t->find.count < t->find_max; n++) {
        uint32_t row = t->seen_row[rng_below(&rng, t->seen_count)];
        if (mark(t, row))
            t->find_row[t->find.count++] = row;
    }
    qsort(t->find_row, t->find.count, sizeof *t->find_row, compare_rows);
    for (size_t k = 0; k < t->find.count; k++)
        t->find_place[t->find_row[k]] = (uint32_t)k;
    note_inclusion(t, (double)targets);
}

/* The rows that this step changes: what find compares and what is read. */
static void touch_rows(struct trainer *t)
{
    size_t count = t->find.count;
    memcpy(t->touched, t->find_row, count * sizeof *t->touched);
    for (size_t g = 0; g < GRADIENTS; g++)
        for (size_t i = 0; i < t->batches.parts[g].examples.packed.positions; i++)
            if (!is_token(t->batches.parts[g].input[i]))
                t->touched[count++] = t->batches.parts[g].input[i];
    qsort(t->touched, count, sizeof *t->touched, compare_rows);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || t->touched[i] != t->touched[kept - 1])
            t->touched[kept++] = t->touched[i];
    optimiser_touch(&t->optimiser, offsetof(struct params, own) / sizeof(real *), t->touched, kept);
}

/* Content and vectors of a piece of the set. */
static void find_piece(void *self, size_t piece, size_t worker)
{
    struct trainer *t = self;
    const struct shape *s = &t->shape;
    size_t first = piece * FIND_PIECE;
    size_t last = first + FIND_PIECE < t->find.count ? first + FIND_PIECE : t->find.count;
    (void)worker;
    for (size_t k = first; k < last; k++)
        memcpy(t->find_content + k * s->content, policy_content(&t->policy, t->find.row[k]),
               s->content * sizeof(real));
    policy_find_content(t->find_vectors + first * s->dim, &t->policy,
                        t->find_content + first * s->content, last - first);
    for (size_t k = first; k < last; k++)
        for (size_t d = 0; d < s->dim; d++)
            t->find_vectors[k * s->dim + d] +=
                t->policy.params.own[(size_t)t->find.row[k] * s->dim + d];
}

static size_t find_pieces(const struct trainer *t)
{
    return (t->find.count + FIND_PIECE - 1) / FIND_PIECE;
}

static void node_piece(void *self, size_t level, size_t worker)
{
    struct trainer *t = self;
    (void)worker;
    policy_node_vectors(t->node_vectors, &t->policy, t->find.row, t->find.count, t->find_vectors,
                        level);
}

static void sum_find_piece(void *self, size_t piece, size_t worker)
{
    struct trainer *t = self;
    size_t dim = t->shape.dim;
    size_t first = piece * FIND_PIECE * dim;
    size_t last = (piece + 1) * FIND_PIECE * dim;
    (void)worker;
    if (last > t->find.count * dim)
        last = t->find.count * dim;
    for (size_t g = 1; g < GRADIENTS; g++)
        for (size_t i = first; i < last; i++) {
            t->dfind[0][i] += t->dfind[g][i];
            t->dfind[g][i] = 0;
        }
}

static void finish_piece(void *self, size_t piece, size_t worker)
{
    struct trainer *t = self;
    size_t first = piece * FINISH_DIMS;
    size_t last = first + FINISH_DIMS < t->shape.dim ? first + FINISH_DIMS : t->shape.dim;
    (void)worker;
    policy_finish_gradients(&t->gradient[0], t->dfind[0], &t->policy, &t->find, first, last);
}

/* The own rows get the find vectors' gradient beside that of the input. */
static void settle_piece(void *self, size_t piece, size_t worker)
{
    struct trainer *t = self;
    size_t dim = t->shape.dim;
    size_t first = piece * FIND_PIECE;
    size_t last = first + FIND_PIECE < t->find.count ? first + FIND_PIECE : t->find.count;
    (void)worker;
    for (size_t k = first; k < last; k++) {
        real *from = t->dfind[0] + k * dim;
        real *to = t->gradient[0].own + t->find.row[k] * dim;
        for (size_t d = 0; d < dim; d++)
            to[d] += from[d];
        memset(from, 0, dim * sizeof(real));
    }
}

/* ---- a step ---- */

struct stepping {
    struct trainer *t;
    real scale;
};

/* Some sequences of a part, as many as a work takes; returns the first that is left. */
static size_t take_some(struct examples *some, uint32_t *first, const struct trainer *t,
                        const struct examples *all, size_t from)
{
    const uint32_t *at = all->packed.first;
    size_t to = from;
    while (to < all->packed.sequences && at[to + 1] - at[from] <= t->piece_positions)
        to++;
    assert(to > from);
    for (size_t s = from; s <= to; s++)
        first[s - from] = at[s] - at[from];
    *some =
        (struct examples){{.positions = at[to] - at[from], .sequences = to - from, .first = first},
                          all->input + at[from],
                          all->target + at[from],
                          all->weight + at[from]};
    return to;
}

static void merge_piece(void *self, size_t layer, size_t worker)
{
    struct trainer *t = self;
    (void)worker;
    lora_merge(&t->policy.params, &t->base, &t->policy.params, &t->shape, layer);
}

static void learn_piece(void *self, size_t piece, size_t worker)
{
    struct stepping *s = self;
    struct trainer *t = s->t;
    const struct train_settings *settings = t->settings;
    struct loss_options options = {
        .dropout = (real)settings->dropout,
        .own_drop = (real)settings->own_drop,
        .find_weight = (real)settings->find_weight,
        .name_weight = (real)settings->name_weight,
        .say_weight = 1, /* each token's weight says it */
        .name_teach = (real)settings->name_teach,
        .smoothing = (real)settings->smoothing,
        .scale = s->scale,
        .legal = &t->legal,
        .find = &t->find,
    };
    t->losses[piece] = (struct losses){0};
    const struct examples *all = &t->batches.parts[piece].examples;
    for (size_t from = 0, turn = 0; from < all->packed.sequences; turn++) {
        struct examples some;
        from = take_some(&some, t->firsts[worker], t, all, from);
        options.rng = rng_stream(settings->seed, t->step, piece + turn * GRADIENTS);
        policy_learn(&t->works[worker], &t->gradient[piece], t->dfind[piece], &t->losses[piece],
                     &t->policy, &some, &options);
    }
}

static double rate_at(const struct trainer *t)
{
    const struct train_settings *s = t->settings;
    double total = (double)t->steps;
    double step = (double)t->step + 1;
    double warmup = fmin((double)s->warmup_steps, total / 4); /* a short stage is not all of it */
    if (step < warmup)
        return s->learning_rate * step / warmup;
    return s->learning_rate *
           (0.1 + 0.9 * 0.5 * (1 + cos(3.14159265358979 * fmin(1, step / total))));
}

void trainer_step(struct trainer *t, struct step_report *report)
{
    size_t targets = batches_fill(&t->batches, t->step);
    struct stepping s = {.t = t, .scale = 1 / (real)targets};
    *report = (struct step_report){.rate = rate_at(t), .targets = targets};
    optimiser_begin(&t->optimiser);
    if (t->shape.lora_rank)
        thread_pool_run(t->pool, t->shape.layers, merge_piece, t);
    if (t->sampled) {
        draw_find(t, targets);
        touch_rows(t);
    }
    thread_pool_run(t->pool, find_pieces(t), find_piece, t);
    if (t->policy.items.node)
        thread_pool_run(t->pool, t->shape.levels, node_piece, t);
    thread_pool_run(t->pool, GRADIENTS, learn_piece, &s);
    if (t->rl) {
        for (size_t k = 0; k < t->find.count; k++)
            memcpy(t->all_find + (size_t)t->find.row[k] * t->shape.dim,
                   t->find_vectors + k * t->shape.dim, t->shape.dim * sizeof(real));
        rl_step(t->rl, t->step, &report->rl);
    }
    optimiser_sum(&t->optimiser, t->pool);
    thread_pool_run(t->pool, find_pieces(t), sum_find_piece, t);
    thread_pool_run(t->pool, (t->shape.dim + FINISH_DIMS - 1) / FINISH_DIMS, finish_piece, t);
    thread_pool_run(t->pool, find_pieces(t), settle_piece, t);
    report->gradient_norm = optimiser_step(&t->optimiser, t->step, report->rate, t->pool);
    size_t tokens = 0;
    for (size_t g = 0; g < GRADIENTS; g++) {
        report->find_loss += t->losses[g].find / (double)targets;
        report->name_loss += t->losses[g].name / (double)targets;
        report->say_loss += t->losses[g].say;
        tokens += t->losses[g].tokens;
    }
    report->say_loss /= tokens ? (double)tokens : 1;
    t->step++;
}

double trainer_flop_per_position(const struct trainer *t)
{
    const struct shape *s = &t->shape;
    double d = (double)s->dim;
    double kv = (double)extent_of(KV, s);
    double wide = (double)extent_of(Q, s);
    double trunk = (double)s->layers * (2 * wide * d + 2 * kv * d + 3 * (double)s->ffn * d);
    double find = (double)t->find_max * d + d * d;
    double name = d * d + (double)s->levels * ((double)s->tiles * d + 2 * d * d);
    double input = (double)s->content * d;
    return 6 * (trunk + find + name + input);
}
