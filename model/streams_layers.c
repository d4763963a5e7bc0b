/*
 * streams_layers.c: the trunk over the rows of one step, as each of the threads goes through it.
 *
 *     x ─norm─► q k v │ turned, cached, attended │ + o ─norm─► gate, up │ + down │ ...   z │ say
 *
 * A bar is a meeting: what comes after it reads what others wrote before it.
 */
#include "model/streams_parts.h"

#include <math.h>
#include <string.h>

typedef void unit_fn(struct stream_seat *seat, size_t layer, size_t unit);

void stream_values(const struct streams *s, void *out, const float *in, size_t count)
{
    if (s->half)
        s->panels->to_bf16(out, in, count);
    else
        memcpy(out, in, count * sizeof *in);
}

void stream_product(const struct streams *s, float *out, const void *x, const void *weights,
                    const struct panel_product *product)
{
    if (s->half)
        s->panels->product_bf16(out, x, weights, product);
    else
        s->panels->product_f32(out, x, weights, product);
}

/* Units are claimed one by one, so a thread that is held up holds up little. */
static void phase(struct stream_seat *seat, size_t layer, size_t units, unit_fn *fn)
{
    struct streams *s = seat->streams;
    atomic_uint *next = &s->next[seat->phase++];
    for (;;) {
        size_t unit = atomic_fetch_add(next, 1);
        if (unit >= units)
            break;
        fn(seat, layer, unit);
    }
    meet(&s->meeting);
}

static size_t units_of(size_t count, size_t size)
{
    return (count + size - 1) / size;
}

/* One panel of a matrix, all rows: out [rows, PANEL]. */
static void panel_of(const struct streams *s, float *out, size_t out_stride, const void *x,
                     size_t x_stride, const struct matrix *m, size_t panel)
{
    const struct panel_product product = {.rows = s->rows,
                                          .ins = m->ins,
                                          .panels = 1,
                                          .x_stride = x_stride,
                                          .out_stride = out_stride,
                                          .panel_stride = m->stride};
    stream_product(s, out, x, value_at(s, m->weights, panel * m->stride), &product);
}

/* ---- norms ---- */

static void norm_row(const struct streams *s, void *out, const float *weight, size_t row)
{
    size_t d = s->policy->shape.dim;
    float normed[8192];
    float inv;
    s->kernels->rmsnorm_forward(normed, &inv, s->x + row * d, weight, 1, d,
                                (float)s->policy->shape.norm_eps);
    stream_values(s, out, normed, d);
}

static void norm_unit(struct stream_seat *seat, const float *weight, size_t unit)
{
    struct streams *s = seat->streams;
    for (size_t r = unit * ROWS_A_UNIT; r < (unit + 1) * ROWS_A_UNIT && r < s->rows; r++)
        norm_row(s, value_at(s, s->xs, r * s->x_stride), weight, r);
}

static void attn_norm_unit(struct stream_seat *seat, size_t layer, size_t unit)
{
    const struct policy *policy = seat->streams->policy;
    norm_unit(seat, policy->params.attn_norm + layer * policy->shape.dim, unit);
}

static void mlp_norm_unit(struct stream_seat *seat, size_t layer, size_t unit)
{
    const struct policy *policy = seat->streams->policy;
    norm_unit(seat, policy->params.mlp_norm + layer * policy->shape.dim, unit);
}

static void norm(struct stream_seat *seat, size_t layer, const float *weights, unit_fn *shared)
{
    struct streams *s = seat->streams;
    if (s->rows > ROWS_ALONE) {
        phase(seat, layer, units_of(s->rows, ROWS_A_UNIT), shared);
        return;
    }
    for (size_t r = 0; r < s->rows; r++)
        norm_row(s, value_at(s, seat->xs, r * s->x_stride), weights + layer * s->policy->shape.dim,
                 r);
}

/* Where the normed rows lie. */
static const void *normed(const struct stream_seat *seat)
{
    return seat->streams->rows > ROWS_ALONE ? seat->streams->xs : seat->xs;
}

/* ---- attention ---- */

static void qkv_unit(struct stream_seat *seat, size_t layer, size_t unit)
{
    struct streams *s = seat->streams;
    panel_of(s, s->qkv + unit * PANEL, s->qkv_stride, normed(seat), s->x_stride,
             &s->layers[layer].qkv, unit);
}

/* out [head] = a head as it came out of its product, with its bias, normed and turned. */
static void shape_head_of(struct stream_seat *seat, float *out, const float *in, const float *bias,
                          const float *weight, size_t place)
{
    const struct streams *s = seat->streams;
    size_t half = s->head / 2;
    float *biased = seat->head + s->head;
    for (size_t c = 0; c < s->head; c++)
        biased[c] = in[c] + (bias ? bias[c] : 0);
    if (weight) {
        float inv;
        s->kernels->rmsnorm_forward(out, &inv, biased, weight, 1, s->head,
                                    (float)s->policy->shape.norm_eps);
        memcpy(biased, out, s->head * sizeof *out);
    }
    const float *cosine = s->cosine + place * half;
    const float *sine = s->sine + place * half;
    for (size_t c = 0; c < half; c++) {
        out[c] = biased[c] * cosine[c] - biased[c + half] * sine[c];
        out[c + half] = biased[c + half] * cosine[c] + biased[c] * sine[c];
    }
}

static const float *layer_part(const float *all, bool there, size_t layer, size_t width, size_t at)
{
    return there ? all + layer * width + at : NULL;
}

static void *keys_of(const struct streams *s, size_t stream, size_t layer, size_t kv_head)
{
    return value_at(s, s->cache,
                    stream * s->stream_cache + layer * s->layer_cache +
                        kv_head * (s->k_head + s->v_head));
}

static void put_key(const struct streams *s, void *keys, const float *k, size_t position)
{
    void *panel = value_at(s, keys, position / PANEL * PANEL * s->head);
    size_t lane = position % PANEL;
    uint16_t rounded[HEAD_MAX];
    if (!s->half) {
        for (size_t c = 0; c < s->head; c++)
            ((float *)panel)[panel_at_f32(lane, c)] = k[c];
        return;
    }
    s->panels->to_bf16(rounded, k, s->head);
    for (size_t c = 0; c < s->head; c++)
        ((uint16_t *)panel)[panel_at_bf16(lane, c)] = rounded[c];
}

static void put_value(const struct streams *s, void *values, const float *v, size_t position)
{
    uint16_t rounded[HEAD_MAX];
    if (s->half)
        s->panels->to_bf16(rounded, v, s->head);
    for (size_t c = 0; c < s->head; c++) {
        void *panel = value_at(s, values, c / PANEL * PANEL * s->positions);
        if (s->half)
            ((uint16_t *)panel)[panel_at_bf16(c % PANEL, position)] = rounded[c];
        else
            ((float *)panel)[panel_at_f32(c % PANEL, position)] = v[c];
    }
}

/* Key and value of one row, one head, into the cache. */
static void remember(struct stream_seat *seat, size_t layer, size_t row, size_t kv_head)
{
    struct streams *s = seat->streams;
    const struct shape *shape = &s->policy->shape;
    const struct params *p = &s->policy->params;
    const struct stream_run *run = &s->runs[s->run_of[row]];
    size_t position = run->begin + row - run->first;
    size_t at = kv_head * s->head;
    const float *k = s->qkv + row * s->qkv_stride + s->wide + at;
    const float *v = k + s->kv;
    const float *bias = layer_part(p->v_bias, shape->qkv_bias, layer, s->kv, at);
    void *keys = keys_of(s, run->stream, layer, kv_head);
    shape_head_of(seat, seat->head, k, layer_part(p->k_bias, shape->qkv_bias, layer, s->kv, at),
                  layer_part(p->k_norm, shape->qk_norm, layer, s->head, 0), s->place[row]);
    put_key(s, keys, seat->head, position);
    for (size_t c = 0; c < s->head; c++)
        seat->head[c] = v[c] + (bias ? bias[c] : 0);
    put_value(s, value_at(s, keys, s->k_head), seat->head, position);
}

static void remember_unit(struct stream_seat *seat, size_t layer, size_t unit)
{
    struct streams *s = seat->streams;
    for (size_t r = unit * ROWS_A_UNIT; r < (unit + 1) * ROWS_A_UNIT && r < s->rows; r++)
        for (size_t g = 0; g < s->policy->shape.kv_heads; g++)
            remember(seat, layer, r, g);
}

/* Turned queries of rows [from, from + rows), of the heads that share a head of k. */
static void gather_queries(struct stream_seat *seat, size_t layer, size_t from, size_t rows,
                           size_t kv_head)
{
    struct streams *s = seat->streams;
    const struct shape *shape = &s->policy->shape;
    const struct params *p = &s->policy->params;
    float scale = 1 / sqrtf((float)s->head);
    for (size_t i = 0; i < rows * s->group; i++) {
        size_t row = from + i / s->group;
        size_t at = (kv_head * s->group + i % s->group) * s->head;
        shape_head_of(seat, seat->head, s->qkv + row * s->qkv_stride + at,
                      layer_part(p->q_bias, shape->qkv_bias, layer, s->wide, at),
                      layer_part(p->q_norm, shape->qk_norm, layer, s->head, 0), s->place[row]);
        for (size_t c = 0; c < s->head; c++)
            seat->head[c] *= scale;
        stream_values(s, value_at(s, seat->q, i * s->head), seat->head, s->head);
    }
}

/* Scores to probabilities: each query sees as far as its own position, `seen` is the furthest. */
static void weigh(struct stream_seat *seat, size_t first_position, size_t queries, size_t seen)
{
    struct streams *s = seat->streams;
    for (size_t i = 0; i < queries; i++) {
        float *score = seat->score + i * s->positions;
        size_t count = first_position + i / s->group + 1;
        s->kernels->softmax(score, count, 1);
        memset(score + count, 0, (seen - count) * sizeof *score);
        stream_values(s, value_at(s, seat->p, i * s->positions), score, seen);
    }
}

static void attend(struct stream_seat *seat, size_t layer, const struct stream_run *run,
                   size_t from, size_t rows, size_t kv_head)
{
    struct streams *s = seat->streams;
    void *keys = keys_of(s, run->stream, layer, kv_head);
    size_t first = run->begin + from - run->first;
    size_t seen = (first + rows + 1) / 2 * 2; /* an even number, as pairs are */
    size_t mix_stride = s->head_panels * PANEL;
    struct panel_product product = {.rows = rows * s->group,
                                    .ins = s->head,
                                    .panels = units_of(first + rows, PANEL),
                                    .x_stride = s->head,
                                    .out_stride = s->positions,
                                    .panel_stride = PANEL * s->head};
    gather_queries(seat, layer, from, rows, kv_head);
    stream_product(s, seat->score, seat->q, keys, &product);
    weigh(seat, first, rows * s->group, seen);
    product.ins = seen;
    product.panels = s->head_panels;
    product.x_stride = s->positions;
    product.out_stride = mix_stride;
    product.panel_stride = PANEL * s->positions;
    stream_product(s, seat->mix, seat->p, value_at(s, keys, s->k_head), &product);
    for (size_t i = 0; i < rows * s->group; i++)
        stream_values(s,
                      value_at(s, s->mixed,
                               (from + i / s->group) * s->mixed_stride +
                                   (kv_head * s->group + i % s->group) * s->head),
                      seat->mix + i * mix_stride, s->head);
}

/* A unit is a head of k and some rows of one run, the units of a run one after another. */
static void attend_unit(struct stream_seat *seat, size_t layer, size_t unit)
{
    struct streams *s = seat->streams;
    size_t kv_heads = s->policy->shape.kv_heads;
    size_t size = s->queries / s->group;
    for (size_t i = 0; i < s->run_count; i++) {
        const struct stream_run *run = &s->runs[i];
        size_t units = units_of(run->count, size) * kv_heads;
        if (unit >= units) {
            unit -= units;
            continue;
        }
        size_t from = unit / kv_heads * size;
        size_t rows = run->count - from < size ? run->count - from : size;
        if (s->rows == s->run_count) /* nobody else reads them */
            remember(seat, layer, run->first, unit % kv_heads);
        attend(seat, layer, run, run->first + from, rows, unit % kv_heads);
        return;
    }
}

static size_t attend_units(const struct streams *s)
{
    size_t units = 0;
    for (size_t i = 0; i < s->run_count; i++)
        units += units_of(s->runs[i].count, s->queries / s->group) * s->policy->shape.kv_heads;
    return units;
}

/* ---- what comes back to x ---- */

static void add_panel(struct stream_seat *seat, const struct matrix *m, const void *x,
                      size_t x_stride, size_t panel)
{
    struct streams *s = seat->streams;
    size_t d = s->policy->shape.dim;
    size_t width = d - panel * PANEL < PANEL ? d - panel * PANEL : PANEL;
    panel_of(s, seat->gate, PANEL, x, x_stride, m, panel);
    for (size_t r = 0; r < s->rows; r++)
        for (size_t c = 0; c < width; c++)
            s->x[r * d + panel * PANEL + c] += seat->gate[r * PANEL + c];
}

static void o_unit(struct stream_seat *seat, size_t layer, size_t unit)
{
    struct streams *s = seat->streams;
    add_panel(seat, &s->layers[layer].o, s->mixed, s->mixed_stride, unit);
}

static void down_unit(struct stream_seat *seat, size_t layer, size_t unit)
{
    struct streams *s = seat->streams;
    add_panel(seat, &s->layers[layer].down, s->act, s->act_stride, unit);
}

static void gate_unit(struct stream_seat *seat, size_t layer, size_t unit)
{
    struct streams *s = seat->streams;
    panel_of(s, seat->gate, PANEL, normed(seat), s->x_stride, &s->layers[layer].gate, unit);
    panel_of(s, seat->up, PANEL, normed(seat), s->x_stride, &s->layers[layer].up, unit);
    s->kernels->swiglu_forward(seat->act, seat->gate, seat->up, s->rows * PANEL);
    for (size_t r = 0; r < s->rows; r++)
        stream_values(s, value_at(s, s->act, r * s->act_stride + unit * PANEL),
                      seat->act + r * PANEL, PANEL);
}

/* ---- first and last ---- */

static void input_unit(struct stream_seat *seat, size_t layer, size_t unit)
{
    struct streams *s = seat->streams;
    (void)layer;
    for (size_t r = unit * ROWS_A_UNIT; r < (unit + 1) * ROWS_A_UNIT && r < s->rows; r++)
        policy_input(s->x + r * s->policy->shape.dim, s->policy, s->symbols[r]);
}

static void z_unit(struct stream_seat *seat, size_t layer, size_t unit)
{
    struct streams *s = seat->streams;
    const struct stream_run *run = &s->runs[unit];
    size_t d = s->policy->shape.dim;
    float inv;
    (void)layer;
    s->kernels->rmsnorm_forward(s->z + unit * d, &inv, s->x + (run->first + run->count - 1) * d,
                                s->policy->params.norm, 1, d, (float)s->policy->shape.norm_eps);
    if (run->says)
        stream_values(s, value_at(s, s->zs, s->speaks_at[unit] * s->x_stride), s->z + unit * d, d);
}

static void say_unit(struct stream_seat *seat, size_t layer, size_t unit)
{
    struct streams *s = seat->streams;
    const struct matrix *m = &s->say;
    size_t panel = unit * HEAD_PANELS_A_UNIT;
    size_t left = m->panels - panel;
    const struct panel_product product = {.rows = s->speakers,
                                          .ins = m->ins,
                                          .panels =
                                              left < HEAD_PANELS_A_UNIT ? left : HEAD_PANELS_A_UNIT,
                                          .x_stride = s->x_stride,
                                          .out_stride = m->panels * PANEL,
                                          .panel_stride = m->stride};
    (void)layer;
    stream_product(s, s->logits + panel * PANEL, s->zs, value_at(s, m->weights, panel * m->stride),
                   &product);
}

void stream_work(struct stream_seat *seat)
{
    struct streams *s = seat->streams;
    const struct params *p = &s->policy->params;
    seat->phase = 0;
    phase(seat, 0, units_of(s->rows, ROWS_A_UNIT), input_unit);
    for (size_t l = 0; l < s->policy->shape.layers; l++) {
        const struct stream_layer *layer = &s->layers[l];
        norm(seat, l, p->attn_norm, attn_norm_unit);
        phase(seat, l, layer->qkv.panels, qkv_unit);
        if (s->rows > s->run_count)
            phase(seat, l, units_of(s->rows, ROWS_A_UNIT), remember_unit);
        phase(seat, l, attend_units(s), attend_unit);
        phase(seat, l, layer->o.panels, o_unit);
        norm(seat, l, p->mlp_norm, mlp_norm_unit);
        phase(seat, l, layer->gate.panels, gate_unit);
        phase(seat, l, layer->down.panels, down_unit);
    }
    phase(seat, 0, s->run_count, z_unit);
    if (s->speakers)
        phase(seat, 0, units_of(s->say.panels, HEAD_PANELS_A_UNIT), say_unit);
}
