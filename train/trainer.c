#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Examples of one part of a step. */
struct slice {
    struct examples examples;
    uint32_t *input, *target, *first;
};

/* A run of values of one tensor: what one piece of the optimiser takes. */
struct span {
    size_t param, begin, count;
};

enum { SPAN = 1 << 15, FIND_PIECE = 1024, FINISH_DIMS = 32 };

static size_t part_windows(const struct train_settings *s)
{
    return (s->batch + GRADIENTS - 1) / GRADIENTS;
}

/* Sequences become windows from the newest end, so that short ends fall on the oldest events. */
static bool cut_windows(struct trainer *t, const struct sequences *sequences, struct err *err)
{
    size_t room = sequences->events + 1;
    t->windows = calloc(room, sizeof *t->windows);
    if (!t->windows)
        return err_set(err, ERR_SYSTEM, "no memory for %zu windows", room);
    for (size_t u = 0; u < sequences->users; u++) {
        size_t begin = sequences->first[u];
        size_t end = sequences->first[u + 1]; /* the last item is only a target */
        while (end > begin + 1) {
            size_t length = end - 1 - begin;
            if (length > t->settings->window)
                length = t->settings->window;
            t->windows[t->window_count++] = (struct window){end - 1 - length, (uint32_t)length};
            end -= length;
        }
    }
    if (t->window_count == 0)
        return err_set(
            err, ERR_INPUT,
            "nothing to learn from: no user has two positive training events (see positive_rating "
            "and positive_types in `tessera help train`)");
    t->order = calloc(t->window_count, sizeof *t->order);
    t->steps_per_epoch = (t->window_count + t->settings->batch - 1) / t->settings->batch;
    return t->order || err_set(err, ERR_SYSTEM, "no memory for %zu windows", t->window_count);
}

static void trainer_layout(struct trainer *t, size_t threads, size_t width, struct arena *arena)
{
    const struct shape *s = &t->shape;
    size_t positions = part_windows(t->settings) * t->settings->window;
    params_layout(&t->policy.params, s, arena);
    params_layout(&t->first, s, arena);
    params_layout(&t->second, s, arena);
    params_layout(&t->best, s, arena);
    for (size_t g = 0; g < GRADIENTS; g++)
        params_layout(&t->gradient[g], s, arena);
    t->find_vectors = arena_take(arena, s->items * s->dim, sizeof(real));
    for (size_t g = 0; g < GRADIENTS; g++) {
        t->parts[g].input = arena_take(arena, positions, sizeof(uint32_t));
        t->parts[g].target = arena_take(arena, positions, sizeof(uint32_t));
        t->parts[g].first = arena_take(arena, part_windows(t->settings) + 1, sizeof(uint32_t));
    }
    for (size_t w = 0; w < threads; w++)
        policy_layout(&t->works[w], s, positions, t->settings->window, width, true, arena);
}

static bool cut_spans(struct trainer *t, struct err *err)
{
    size_t count = 0;
    for (size_t i = 0; i < PARAM_COUNT; i++)
        count += param_count(&PARAMS[i], &t->shape) / SPAN + 1;
    t->spans = calloc(count, sizeof *t->spans);
    t->norms = calloc(count, sizeof *t->norms);
    if (!t->spans || !t->norms)
        return err_set(err, ERR_SYSTEM, "no memory for %zu spans", count);
    for (size_t i = 0; i < PARAM_COUNT; i++)
        for (size_t begin = 0, all = param_count(&PARAMS[i], &t->shape); begin < all; begin += SPAN)
            t->spans[t->span_count++] =
                (struct span){i, begin, all - begin < SPAN ? all - begin : SPAN};
    return true;
}

bool trainer_open(struct trainer *t, const struct train_settings *settings,
                  const struct version *version, const struct sequences *sequences,
                  struct thread_pool *pool, struct err *err)
{
    size_t threads = thread_pool_count(pool);
    struct arena ruler = {0};
    *t = (struct trainer){.settings = settings,
                          .shape = version->policy.shape,
                          .policy = version->policy,
                          .item = sequences->item,
                          .pool = pool};
    t->works = calloc(threads, sizeof *t->works);
    t->parts = calloc(GRADIENTS, sizeof *t->parts);
    if (!t->works || !t->parts)
        return err_set(err, ERR_SYSTEM, "no memory for %zu threads", threads);
    t->mask = (struct trie_mask){&version->trie, &t->no_late, NULL};
    t->legal = trie_legal(&t->mask);
    trainer_layout(t, threads, t->legal.width, &ruler);
    if (!cut_windows(t, sequences, err) || !cut_spans(t, err) ||
        !arena_open(&t->arena, ruler.used, err))
        return false;
    trainer_layout(t, threads, t->legal.width, &t->arena);
    for (size_t w = 0; w < threads; w++)
        policy_prepare(&t->works[w], &t->shape);
    t->policy.find_vectors = t->find_vectors;
    params_start(&t->policy.params, &t->shape, t->policy.items.seen, settings->seed);
    return true;
}

void trainer_close(struct trainer *t)
{
    free(t->works);
    free(t->parts);
    free(t->spans);
    free(t->norms);
    free(t->windows);
    free(t->order);
    arena_close(&t->arena);
}

size_t trainer_epoch(const struct trainer *t)
{
    return t->step / t->steps_per_epoch;
}

static int compare_lengths(const void *a, const void *b, void *self)
{
    const struct trainer *t = self;
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    if (t->windows[x].length != t->windows[y].length)
        return t->windows[x].length > t->windows[y].length ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void take_window(struct slice *p, const struct trainer *t, struct window window)
{
    size_t at = p->examples.packed.positions;
    memcpy(p->input + at, t->item + window.first, window.length * sizeof(uint32_t));
    memcpy(p->target + at, t->item + window.first + 1, window.length * sizeof(uint32_t));
    p->examples.packed.positions += window.length;
    p->first[++p->examples.packed.sequences] = (uint32_t)p->examples.packed.positions;
}

/*
 * The batch of this step: the longest window first, each to the part with the fewest positions (of
 * those with room), so that the parts take about the same time.
 */
static size_t fill_parts(struct trainer *t)
{
    size_t begin = t->step % t->steps_per_epoch * t->settings->batch;
    size_t end =
        begin + t->settings->batch < t->window_count ? begin + t->settings->batch : t->window_count;
    size_t total = 0;
    for (size_t i = 0; i < t->window_count; i++)
        t->order[i] = (uint32_t)i;
    struct rng rng = rng_stream(t->settings->seed, 0x0e90c4, trainer_epoch(t));
    rng_shuffle(&rng, t->order, t->window_count);
    qsort_r(t->order + begin, end - begin, sizeof *t->order, compare_lengths, t);
    for (size_t g = 0; g < GRADIENTS; g++) {
        struct slice *p = &t->parts[g];
        p->first[0] = 0;
        p->examples = (struct examples){{0, 0, p->first}, p->input, p->target};
    }
    for (size_t i = begin; i < end; i++) {
        size_t best = SIZE_MAX;
        for (size_t g = 0; g < GRADIENTS; g++)
            if (t->parts[g].examples.packed.sequences < part_windows(t->settings) &&
                (best == SIZE_MAX ||
                 t->parts[g].examples.packed.positions < t->parts[best].examples.packed.positions))
                best = g;
        take_window(&t->parts[best], t, t->windows[t->order[i]]);
        total += t->windows[t->order[i]].length;
    }
    return total;
}

static void find_piece(void *self, size_t piece, size_t worker)
{
    struct trainer *t = self;
    size_t first = piece * FIND_PIECE;
    size_t last = first + FIND_PIECE < t->shape.items ? first + FIND_PIECE : t->shape.items;
    (void)worker;
    policy_find_vectors(t->find_vectors + first * t->shape.dim, &t->policy, first, last);
}

struct stepping {
    struct trainer *t;
    real scale;
    struct adamw adamw;
    double *norms; /* [spans] */
    real shrink;
};

static void learn_piece(void *self, size_t piece, size_t worker)
{
    struct stepping *s = self;
    struct trainer *t = s->t;
    const struct train_settings *settings = t->settings;
    const struct loss_options options = {
        .dropout = (real)settings->dropout,
        .own_drop = (real)settings->own_drop,
        .find_weight = (real)settings->find_weight,
        .name_weight = (real)settings->name_weight,
        .scale = s->scale,
        .rng = rng_stream(settings->seed, t->step, piece),
        .legal = &t->legal,
    };
    t->losses[piece] = (struct losses){0};
    if (t->parts[piece].examples.packed.positions)
        policy_learn(&t->works[worker], &t->gradient[piece], &t->losses[piece], &t->policy,
                     &t->parts[piece].examples, &options);
}

static void sum_piece(void *self, size_t piece, size_t worker)
{
    struct stepping *s = self;
    const struct span *span = &s->t->spans[piece];
    real *to = *param_slot(&s->t->gradient[0], &PARAMS[span->param]) + span->begin;
    (void)worker;
    for (size_t g = 1; g < GRADIENTS; g++) {
        real *from = *param_slot(&s->t->gradient[g], &PARAMS[span->param]) + span->begin;
        for (size_t i = 0; i < span->count; i++) {
            to[i] += from[i];
            from[i] = 0;
        }
    }
}

static void finish_piece(void *self, size_t piece, size_t worker)
{
    struct trainer *t = self;
    size_t first = piece * FINISH_DIMS;
    size_t last = first + FINISH_DIMS < t->shape.dim ? first + FINISH_DIMS : t->shape.dim;
    (void)worker;
    policy_finish_gradients(&t->gradient[0], &t->policy, first, last);
}

static void norm_piece(void *self, size_t piece, size_t worker)
{
    struct stepping *s = self;
    const struct span *span = &s->t->spans[piece];
    const real *grad = *param_slot(&s->t->gradient[0], &PARAMS[span->param]) + span->begin;
    real sums[16] = {0}; /* sixteen chains: one would wait for each addition */
    (void)worker;
    for (size_t i = 0; i < span->count; i++)
        sums[i % 16] += grad[i] * grad[i];
    s->norms[piece] = 0;
    for (size_t k = 0; k < 16; k++)
        s->norms[piece] += (double)sums[k];
}

static void adam_piece(void *self, size_t piece, size_t worker)
{
    struct stepping *s = self;
    struct trainer *t = s->t;
    const struct span *span = &t->spans[piece];
    const struct param_spec *spec = &PARAMS[span->param];
    struct adamw adamw = s->adamw;
    real *grad = *param_slot(&t->gradient[0], spec) + span->begin;
    (void)worker;
    if (!spec->decays)
        adamw.decay = 0;
    adamw.grad_scale = s->shrink;
    t->policy.kernels->adamw(*param_slot(&t->policy.params, spec) + span->begin, grad,
                             *param_slot(&t->first, spec) + span->begin,
                             *param_slot(&t->second, spec) + span->begin, span->count, &adamw);
}

static double rate_at(const struct trainer *t)
{
    const struct train_settings *s = t->settings;
    double total = (double)(s->epochs * t->steps_per_epoch);
    double step = (double)t->step + 1;
    if (step < (double)s->warmup_steps)
        return s->learning_rate * step / (double)s->warmup_steps;
    return s->learning_rate *
           (0.1 + 0.9 * 0.5 * (1 + cos(3.14159265358979 * fmin(1, step / total))));
}

void trainer_step(struct trainer *t, struct step_report *report)
{
    const struct train_settings *settings = t->settings;
    size_t positions = fill_parts(t);
    double step = (double)t->step + 1;
    struct stepping s = {.t = t, .scale = 1 / (real)positions, .shrink = 1};
    *report = (struct step_report){.rate = rate_at(t), .positions = positions};
    s.adamw = (struct adamw){
        .rate = (real)report->rate,
        .beta1 = REAL(0.9),
        .beta2 = (real)settings->adam_beta2,
        .eps = REAL(1e-8),
        .decay = (real)settings->weight_decay,
        .correct1 = (real)(1 / (1 - pow(0.9, step))),
        .correct2 = (real)(1 / (1 - pow(settings->adam_beta2, step))),
        .grad_scale = 1,
    };
    s.norms = t->norms;
    thread_pool_run(t->pool, (t->shape.items + FIND_PIECE - 1) / FIND_PIECE, find_piece, t);
    thread_pool_run(t->pool, GRADIENTS, learn_piece, &s);
    thread_pool_run(t->pool, t->span_count, sum_piece, &s);
    thread_pool_run(t->pool, (t->shape.dim + FINISH_DIMS - 1) / FINISH_DIMS, finish_piece, t);
    policy_clear_unseen(&t->gradient[0], &t->policy);
    thread_pool_run(t->pool, t->span_count, norm_piece, &s);
    double squares = 0;
    for (size_t i = 0; i < t->span_count; i++)
        squares += t->norms[i];
    report->gradient_norm = sqrt(squares);
    if (report->gradient_norm > settings->clip_norm)
        s.shrink = (real)(settings->clip_norm / report->gradient_norm);
    thread_pool_run(t->pool, t->span_count, adam_piece, &s);
    for (size_t g = 0; g < GRADIENTS; g++) {
        report->find_loss += t->losses[g].find / (double)positions;
        report->name_loss += t->losses[g].name / (double)positions;
    }
    t->step++;
}

double trainer_flop_per_position(const struct shape *s)
{
    double d = (double)s->dim;
    double kv = d / (double)s->heads * (double)s->kv_heads;
    double trunk = (double)s->layers * (2 * d * d + 2 * kv * d + 3 * (double)s->ffn * d);
    double find = (double)s->items * d + d * d;
    double name = d * d + (double)s->levels * ((double)s->tiles * d + 2 * d * d);
    double input = (double)s->content * d;
    return 6 * (trunk + find + name + input);
}
