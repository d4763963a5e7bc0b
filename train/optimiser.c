#include "train/optimiser.h"

#include "model/lora.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SPAN = 1 << 15 };

static void add_spans(struct optimiser *o, size_t param, size_t begin, size_t end, double rate)
{
    for (; rate > 0 && begin < end; begin += SPAN)
        o->spans[o->lasting++] =
            (struct span){param, begin, end - begin < SPAN ? end - begin : SPAN, (real)rate};
}

/* How many values of a param, from its first on, go by the trunk's rate. */
static size_t slow_values(const struct optimiser *o, size_t param, size_t all)
{
    const struct param_spec *spec = &PARAMS[param];
    if (!spec->trunk || (lora_params() >> param & 1))
        return 0;
    bool words = spec->dims[1] == VOCAB || spec->dims[1] == VOCAB_OUT;
    size_t slow = words ? o->words * o->shape->dim : all;
    return slow < all ? slow : all;
}

bool optimiser_open(struct optimiser *o, size_t touched_max, struct err *err)
{
    o->room = touched_max;
    for (size_t i = 0; i < PARAM_COUNT; i++)
        o->room += param_count(&PARAMS[i], o->shape) / SPAN + 2;
    o->spans = calloc(o->room + 1, sizeof *o->spans);
    o->norms = calloc(o->room + 1, sizeof *o->norms);
    if (!o->spans || !o->norms)
        return err_set(err, ERR_SYSTEM, "no memory for %zu spans", o->room);
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        if ((touched_max && PARAMS[i].own) || (o->frozen >> i & 1))
            continue;
        size_t all = param_count(&PARAMS[i], o->shape);
        size_t slow = slow_values(o, i, all);
        add_spans(o, i, 0, slow, o->trunk_rate);
        add_spans(o, i, slow, all, 1);
    }
    o->count = o->lasting;
    return true;
}

void optimiser_close(struct optimiser *o)
{
    free(o->spans);
    free(o->norms);
}

void optimiser_begin(struct optimiser *o)
{
    o->count = o->lasting;
}

void optimiser_touch(struct optimiser *o, size_t param, const uint32_t *row, size_t count)
{
    size_t dim = o->shape->dim;
    assert(o->spans);
    for (size_t k = 0; k < count; k++) {
        struct span *last = o->count > o->lasting ? &o->spans[o->count - 1] : NULL;
        if (last && last->param == param && last->begin + last->count == row[k] * dim &&
            last->count < SPAN) {
            last->count += dim;
            continue;
        }
        assert(o->count < o->room);
        o->spans[o->count++] = (struct span){param, row[k] * dim, dim, 1};
    }
}

static real *span_of(struct params *params, const struct span *span)
{
    return *param_slot(params, &PARAMS[span->param]) + span->begin;
}

static void sum_piece(void *self, size_t piece, size_t worker)
{
    struct optimiser *o = self;
    const struct span *span = &o->spans[piece];
    (void)worker;
    real *to = span_of(&o->gradients[0], span);
    for (size_t g = 1; g < o->parts; g++) {
        real *from = span_of(&o->gradients[g], span);
        for (size_t i = 0; i < span->count; i++) {
            to[i] += from[i];
            from[i] = 0;
        }
    }
}

void optimiser_sum(struct optimiser *o, struct thread_pool *pool)
{
    thread_pool_run(pool, o->count, sum_piece, o);
}

static void norm_piece(void *self, size_t piece, size_t worker)
{
    struct optimiser *o = self;
    const struct span *span = &o->spans[piece];
    const real *grad = span_of(&o->gradients[0], span);
    real sums[16] = {0}; /* sixteen chains: one would wait for each addition */
    (void)worker;
    for (size_t i = 0; i < span->count; i++)
        sums[i % 16] += grad[i] * grad[i];
    o->norms[piece] = 0;
    for (size_t k = 0; k < 16; k++)
        o->norms[piece] += (double)sums[k];
}

static void adam_piece(void *self, size_t piece, size_t worker)
{
    struct optimiser *o = self;
    const struct span *span = &o->spans[piece];
    struct adamw adamw = o->adamw;
    real *value = span_of(o->params, span);
    real *average = span_of(o->average, span);
    (void)worker;
    adamw.rate *= span->rate;
    if (!PARAMS[span->param].decays)
        adamw.decay = 0;
    o->kernels->adamw(value, span_of(&o->gradients[0], span), span_of(o->first, span),
                      span_of(o->second, span), span->count, &adamw);
    if (piece >= o->lasting || o->keep <= 0) { /* a row touched now and then would lag behind */
        memcpy(average, value, span->count * sizeof(real));
        return;
    }
    for (size_t i = 0; i < span->count; i++)
        average[i] += (1 - o->keep) * (value[i] - average[i]);
}

double optimiser_step(struct optimiser *o, size_t step, double rate, struct thread_pool *pool)
{
    const struct train_settings *s = o->settings;
    double n = (double)step + 1;
    double squares = 0;
    thread_pool_run(pool, o->count, norm_piece, o);
    for (size_t i = 0; i < o->count; i++)
        squares += o->norms[i];
    double length = sqrt(squares);
    o->keep = (real)fmin(s->average_decay, n / (n + 10));
    o->adamw = (struct adamw){
        .rate = (real)rate,
        .beta1 = REAL(0.9),
        .beta2 = (real)s->adam_beta2,
        .eps = REAL(1e-8),
        .decay = (real)s->weight_decay,
        .correct1 = (real)(1 / (1 - pow(0.9, n))),
        .correct2 = (real)(1 / (1 - pow(s->adam_beta2, n))),
        .grad_scale = length > s->clip_norm ? (real)(s->clip_norm / length) : 1,
    };
    thread_pool_run(pool, o->count, adam_piece, o);
    return length;
}
