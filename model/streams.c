#include "model/streams_parts.h"

#include "model/tokenizer.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Below this many weights in the trunk a policy is small: the CPU's caches hold it. */
enum { LARGE_TRUNK = 4000000, PHASES_A_LAYER = 8, PHASES_MORE = 3, QUERIES_MOST = 48 };

static size_t up_to(size_t count, size_t multiple)
{
    return (count + multiple - 1) / multiple * multiple;
}

/* ---- weights ---- */

static void matrix_layout(struct matrix *m, const struct streams *s, size_t outs, size_t ins,
                          struct arena *arena)
{
    m->outs = outs;
    m->ins = ins;
    m->panels = (outs + PANEL - 1) / PANEL;
    m->stride = up_to(ins, 2) * PANEL;
    m->weights = arena_take(arena, m->panels * m->stride, s->value);
}

/* Rows [0, outs) of w become outputs [at, at + outs). */
static void matrix_fill(const struct matrix *m, const struct stream_seat *seat, const float *w,
                        size_t at, size_t outs)
{
    const struct streams *s = seat->streams;
    uint16_t *rounded = seat->xs;
    for (size_t o = 0; o < outs; o++, w += m->ins) {
        size_t lane = (at + o) % PANEL;
        void *panel = value_at(s, m->weights, (at + o) / PANEL * m->stride);
        if (!s->half) {
            for (size_t i = 0; i < m->ins; i++)
                ((float *)panel)[panel_at_f32(lane, i)] = w[i];
            continue;
        }
        s->panels->to_bf16(rounded, w, m->ins);
        for (size_t i = 0; i < m->ins; i++)
            ((uint16_t *)panel)[panel_at_bf16(lane, i)] = rounded[i];
    }
}

static void fill_layer(void *self, size_t l, size_t worker)
{
    const struct streams *s = self;
    const struct shape *shape = &s->policy->shape;
    const struct params *p = &s->policy->params;
    const struct stream_layer *layer = &s->layers[l];
    const struct stream_seat *seat = &s->seats[worker];
    size_t d = shape->dim;
    matrix_fill(&layer->qkv, seat, p->q + l * s->wide * d, 0, s->wide);
    matrix_fill(&layer->qkv, seat, p->k + l * s->kv * d, s->wide, s->kv);
    matrix_fill(&layer->qkv, seat, p->v + l * s->kv * d, s->wide + s->kv, s->kv);
    matrix_fill(&layer->o, seat, p->o + l * d * s->wide, 0, d);
    matrix_fill(&layer->gate, seat, p->gate + l * shape->ffn * d, 0, shape->ffn);
    matrix_fill(&layer->up, seat, p->up + l * shape->ffn * d, 0, shape->ffn);
    matrix_fill(&layer->down, seat, p->down + l * d * shape->ffn, 0, d);
}

static void fill(struct streams *s)
{
    const struct shape *shape = &s->policy->shape;
    size_t half = s->head / 2;
    thread_pool_run(s->pool, shape->layers, fill_layer, s);
    matrix_fill(&s->say, &s->seats[0], params_say(&s->policy->params, shape), 0, shape->vocab);
    for (size_t at = 0; at < s->options.positions; at++)
        for (size_t c = 0; c < half; c++) {
            double angle = (double)at * shape_turn(shape, c);
            s->cosine[at * half + c] = (float)cos(angle);
            s->sine[at * half + c] = (float)sin(angle);
        }
}

/* ---- opening ---- */

static void seat_layout(struct stream_seat *seat, const struct streams *s, struct arena *arena)
{
    size_t widest = s->act_stride > s->mixed_stride ? s->act_stride : s->mixed_stride;
    widest = widest > s->x_stride ? widest : s->x_stride;
    seat->xs = arena_take(arena, ROWS_ALONE * widest, s->value);
    seat->q = arena_take(arena, s->queries * s->head, s->value);
    seat->p = arena_take(arena, s->queries * s->positions, s->value);
    seat->head = arena_take(arena, 2 * s->head, sizeof(float));
    seat->score = arena_take(arena, s->queries * s->positions, sizeof(float));
    seat->mix = arena_take(arena, s->queries * s->head_panels * PANEL, sizeof(float));
    seat->gate = arena_take(arena, s->options.rows * PANEL, sizeof(float));
    seat->up = arena_take(arena, s->options.rows * PANEL, sizeof(float));
    seat->act = arena_take(arena, s->options.rows * PANEL, sizeof(float));
}

static void layout(struct streams *s, struct arena *arena)
{
    const struct shape *shape = &s->policy->shape;
    const struct streams_options *o = &s->options;
    size_t d = shape->dim;
    struct stream_layer ruler;
    s->layers = arena_take(arena, shape->layers, sizeof *s->layers);
    for (size_t l = 0; l < shape->layers; l++) {
        struct stream_layer *layer = s->layers ? &s->layers[l] : &ruler;
        matrix_layout(&layer->qkv, s, s->wide + 2 * s->kv, d, arena);
        matrix_layout(&layer->o, s, d, s->wide, arena);
        matrix_layout(&layer->gate, s, shape->ffn, d, arena);
        matrix_layout(&layer->up, s, shape->ffn, d, arena);
        matrix_layout(&layer->down, s, d, shape->ffn, arena);
    }
    matrix_layout(&s->say, s, shape->vocab, d, arena);
    s->cosine = arena_take(arena, o->positions * s->head / 2, sizeof(float));
    s->sine = arena_take(arena, o->positions * s->head / 2, sizeof(float));
    s->cache = arena_take(arena, o->streams * s->stream_cache, s->value);
    s->length = arena_take(arena, o->streams, sizeof *s->length);
    s->places = arena_take(arena, o->streams * o->positions, sizeof *s->places);
    s->runs = arena_take(arena, o->streams, sizeof *s->runs);
    s->symbols = arena_take(arena, o->rows, sizeof *s->symbols);
    s->run_of = arena_take(arena, o->rows, sizeof *s->run_of);
    s->place = arena_take(arena, o->rows, sizeof *s->place);
    s->x = arena_take(arena, o->rows * d, sizeof(float));
    s->qkv = arena_take(arena, o->rows * s->qkv_stride, sizeof(float));
    s->xs = arena_take(arena, o->rows * s->x_stride, s->value);
    s->mixed = arena_take(arena, o->rows * s->mixed_stride, s->value);
    s->act = arena_take(arena, o->rows * s->act_stride, s->value);
    s->z = arena_take(arena, o->streams * d, sizeof(float));
    s->zs = arena_take(arena, o->streams * s->x_stride, s->value);
    s->speaks_at = arena_take(arena, o->streams, sizeof *s->speaks_at);
    s->logits = arena_take(arena, o->streams * up_to(shape->vocab, PANEL), sizeof(float));
    s->next = arena_take(arena, s->phases, sizeof *s->next);
    s->seats = arena_take(arena, o->threads, sizeof *s->seats);
    for (size_t t = 0; t < o->threads; t++) {
        struct stream_seat seat_ruler;
        seat_layout(s->seats ? &s->seats[t] : &seat_ruler, s, arena);
    }
}

static void measure(struct streams *s)
{
    const struct shape *shape = &s->policy->shape;
    size_t d = shape->dim;
    s->head = shape_head(shape);
    s->wide = shape->heads * s->head;
    s->kv = shape->kv_heads * s->head;
    s->group = shape->heads / shape->kv_heads;
    s->queries = s->group > QUERIES_MOST ? s->group : QUERIES_MOST / s->group * s->group;
    size_t trunk = shape->layers * (2 * d * s->wide + 2 * d * s->kv + 3 * d * shape->ffn);
    bool large = trunk > LARGE_TRUNK;
    s->half = s->options.weights == STREAM_AUTO ? large : s->options.weights == STREAM_BF16;
    s->value = s->half ? sizeof(uint16_t) : sizeof(float);
    if (s->options.threads == 0 && !large)
        s->options.threads = 1;
    s->positions = up_to(s->options.positions, PANEL);
    s->head_panels = (s->head + PANEL - 1) / PANEL;
    s->x_stride = up_to(d, PANEL);
    s->qkv_stride = up_to(s->wide + 2 * s->kv, PANEL);
    s->mixed_stride = up_to(s->wide, PANEL);
    s->act_stride = up_to(shape->ffn, PANEL);
    s->k_head = s->positions * s->head;
    s->v_head = s->positions * s->head_panels * PANEL;
    s->layer_cache = shape->kv_heads * (s->k_head + s->v_head);
    s->stream_cache = shape->layers * s->layer_cache;
    s->phases = shape->layers * PHASES_A_LAYER + PHASES_MORE;
}

static bool check(const struct policy *policy, const struct streams_options *o, struct err *err)
{
    if (policy->shape.lora_rank)
        return err_set(err, ERR_INPUT,
                       "streams: expected a policy without adapters, found rank %zu: merge them",
                       policy->shape.lora_rank);
    if (o->streams < 1 || o->positions < 1 || o->rows < o->streams)
        return err_set(err, ERR_INPUT,
                       "streams: expected at least one stream, one position and a row a stream, "
                       "found %zu, %zu and %zu",
                       o->streams, o->positions, o->rows);
    return true;
}

struct streams *streams_open(const struct policy *policy, const struct streams_options *options,
                             struct err *err)
{
    struct arena ruler = {0};
    if (!check(policy, options, err))
        return NULL;
    struct streams *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(err, ERR_SYSTEM, "no memory for streams");
        return NULL;
    }
    s->policy = policy;
    s->options = *options;
    s->panels = panels_best();
    s->kernels = policy->kernels;
    measure(s);
    s->pool = thread_pool_new(s->options.threads, err);
    s->options.threads = s->pool ? thread_pool_count(s->pool) : 0;
    layout(s, &ruler);
    if (!s->pool || !arena_open(&s->arena, ruler.used, err)) {
        streams_close(s);
        return NULL;
    }
    layout(s, &s->arena);
    for (size_t t = 0; t < s->options.threads; t++)
        s->seats[t].streams = s;
    s->meeting.count = (unsigned)s->options.threads;
    fill(s);
    return s;
}

void streams_close(struct streams *s)
{
    if (!s)
        return;
    thread_pool_free(s->pool);
    arena_close(&s->arena);
    free(s);
}

size_t streams_bytes(const struct streams *s)
{
    return s->arena.size;
}

bool streams_half(const struct streams *s)
{
    return s->half;
}

struct thread_pool *streams_pool(struct streams *s)
{
    return s->pool;
}

size_t streams_length(const struct streams *s, size_t stream)
{
    return s->length[stream];
}

void streams_cut(struct streams *s, size_t stream, size_t length)
{
    assert(length <= s->length[stream]);
    s->length[stream] = length;
}

/* ---- a step ---- */

static void work_piece(void *self, size_t piece, size_t worker)
{
    struct streams *s = self;
    (void)worker;
    stream_work(&s->seats[piece]);
}

static void note_places(struct streams *s, const struct stream_input *in, size_t length)
{
    const uint32_t list_mark = TOKEN + s->policy->marks + MARK_LIST;
    struct place *places = s->places + in->stream * s->options.positions;
    for (size_t r = 0; r < in->count; r++) {
        size_t at = length + r;
        places[at] = place_after(at ? &places[at - 1] : NULL, in->symbols[r], list_mark);
        s->place[s->rows + r] = places[at].at;
    }
}

static void begin(struct streams *s, const struct stream_input *inputs, size_t count)
{
    s->run_count = count;
    s->rows = 0;
    s->speakers = 0;
    for (size_t i = 0; i < count; i++) {
        const struct stream_input *in = &inputs[i];
        size_t length = s->length[in->stream];
        assert(in->stream < s->options.streams && in->count > 0 &&
               s->rows + in->count <= s->options.rows &&
               length + in->count <= s->options.positions);
        s->runs[i] = (struct stream_run){in->stream, s->rows, in->count, length, in->says};
        if (in->says)
            s->speaks_at[i] = (uint32_t)s->speakers++;
        memcpy(s->symbols + s->rows, in->symbols, in->count * sizeof *s->symbols);
        for (size_t r = 0; r < in->count; r++)
            s->run_of[s->rows + r] = (uint32_t)i;
        note_places(s, in, length);
        s->rows += in->count;
        s->length[in->stream] += in->count;
    }
    for (size_t i = 0; i < s->phases; i++)
        atomic_store_explicit(&s->next[i], 0, memory_order_relaxed);
}

void streams_step(struct streams *s, const struct stream_input *inputs, size_t count)
{
    assert(count <= s->options.streams);
    if (count == 0)
        return;
    begin(s, inputs, count);
    thread_pool_run(s->pool, s->options.threads, work_piece, s);
}

const float *streams_z(const struct streams *s, size_t input)
{
    assert(input < s->run_count);
    return s->z + input * s->policy->shape.dim;
}

float *streams_logits(struct streams *s, size_t input)
{
    assert(input < s->run_count && s->runs[input].says);
    return s->logits + s->speaks_at[input] * s->say.panels * PANEL;
}
