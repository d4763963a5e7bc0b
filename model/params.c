#include "model/params.h"

#include "base/rng.h"

#include <math.h>
#include <string.h>

#define PARAM(field, name, a, b, c, start, trunk, decays, own)                                     \
    {                                                                                              \
        name, offsetof(struct params, field), {a, b, c}, start, trunk, decays, own                 \
    }
#define LAYER "model.layers.%zu."

/* clang-format off */
const struct param_spec PARAMS[PARAM_COUNT] = {
    PARAM(attn_norm,    LAYER "input_layernorm.weight",          LAYERS, ONE,   DIM,     START_ONES,      true,  false, false),
    PARAM(q,            LAYER "self_attn.q_proj.weight",         LAYERS, Q,     DIM,     START_MATRIX,    true,  true,  false),
    PARAM(k,            LAYER "self_attn.k_proj.weight",         LAYERS, KV,    DIM,     START_MATRIX,    true,  true,  false),
    PARAM(v,            LAYER "self_attn.v_proj.weight",         LAYERS, KV,    DIM,     START_MATRIX,    true,  true,  false),
    PARAM(o,            LAYER "self_attn.o_proj.weight",         LAYERS, DIM,   Q,       START_OUTPUT,    true,  true,  false),
    PARAM(mlp_norm,     LAYER "post_attention_layernorm.weight", LAYERS, ONE,   DIM,     START_ONES,      true,  false, false),
    PARAM(gate,         LAYER "mlp.gate_proj.weight",            LAYERS, FFN,   DIM,     START_MATRIX,    true,  true,  false),
    PARAM(up,           LAYER "mlp.up_proj.weight",              LAYERS, FFN,   DIM,     START_MATRIX,    true,  true,  false),
    PARAM(down,         LAYER "mlp.down_proj.weight",            LAYERS, DIM,   FFN,     START_OUTPUT,    true,  true,  false),
    PARAM(norm,         "model.norm.weight",                     ONE,    ONE,   DIM,     START_ONES,      true,  false, false),
    PARAM(text,         "model.embed_tokens.weight",             ONE,    VOCAB, DIM,     START_EMBEDDING, true,  true,  false),
    PARAM(tile_in,      "tile_in",                               LEVELS, TILES, DIM,     START_EMBEDDING, false, true,  false),
    PARAM(content_in,   "content_in",                            ONE,    DIM,   CONTENT, START_MATRIX,    false, true,  false),
    PARAM(find_query,   "find_query",                            ONE,    DIM,   DIM,     START_IDENTITY,  false, true,  false),
    PARAM(find_content, "find_content",                          ONE,    DIM,   CONTENT, START_EMBEDDING, false, true,  false),
    PARAM(own,          "own",                                   ONE,    ITEMS, DIM,     START_EMBEDDING, false, true,  true),
    PARAM(name_start,   "name_start",                            ONE,    DIM,   DIM,     START_MATRIX,    false, true,  false),
    PARAM(tile_out,     "tile_out",                              LEVELS, TILES, DIM,     START_EMBEDDING, false, true,  false),
    PARAM(tile_bias,    "tile_bias",                             ONE,    LEVELS, TILES,  START_ZERO,      false, false, false),
    PARAM(depth_up,     "depth_up",                              LEVELS, DIM,   DIM,     START_MATRIX,    false, true,  false),
    PARAM(depth_tile,   "depth_tile",                            LEVELS, TILES, DIM,     START_EMBEDDING, false, true,  false),
    PARAM(depth_down,   "depth_down",                            LEVELS, DIM,   DIM,     START_OUTPUT,    false, true,  false),
    PARAM(q_bias, LAYER "self_attn.q_proj.bias", LAYERS, ONE, Q_BIAS, START_ZERO, true, false, false),
    PARAM(k_bias, LAYER "self_attn.k_proj.bias", LAYERS, ONE, KV_BIAS, START_ZERO, true, false, false),
    PARAM(v_bias, LAYER "self_attn.v_proj.bias", LAYERS, ONE, KV_BIAS, START_ZERO, true, false, false),
    PARAM(q_norm, LAYER "self_attn.q_norm.weight", LAYERS, ONE, HEAD_NORM, START_ONES, true, false, false),
    PARAM(k_norm, LAYER "self_attn.k_norm.weight", LAYERS, ONE, HEAD_NORM, START_ONES, true, false, false),
    PARAM(text_out, "lm_head.weight", ONE, VOCAB_OUT, DIM, START_EMBEDDING, true, true, false),
    PARAM(q_a, LAYER "self_attn.q_proj.lora_A.weight", LAYERS, RANK, DIM, START_MATRIX, true, false, false),
    PARAM(q_b, LAYER "self_attn.q_proj.lora_B.weight", LAYERS, Q, RANK, START_ZERO, true, false, false),
    PARAM(k_a, LAYER "self_attn.k_proj.lora_A.weight", LAYERS, RANK, DIM, START_MATRIX, true, false, false),
    PARAM(k_b, LAYER "self_attn.k_proj.lora_B.weight", LAYERS, KV, RANK, START_ZERO, true, false, false),
    PARAM(v_a, LAYER "self_attn.v_proj.lora_A.weight", LAYERS, RANK, DIM, START_MATRIX, true, false, false),
    PARAM(v_b, LAYER "self_attn.v_proj.lora_B.weight", LAYERS, KV, RANK, START_ZERO, true, false, false),
    PARAM(o_a, LAYER "self_attn.o_proj.lora_A.weight", LAYERS, RANK, Q, START_MATRIX, true, false, false),
    PARAM(o_b, LAYER "self_attn.o_proj.lora_B.weight", LAYERS, DIM, RANK, START_ZERO, true, false, false),
    PARAM(gate_a, LAYER "mlp.gate_proj.lora_A.weight", LAYERS, RANK, DIM, START_MATRIX, true, false, false),
    PARAM(gate_b, LAYER "mlp.gate_proj.lora_B.weight", LAYERS, FFN, RANK, START_ZERO, true, false, false),
    PARAM(up_a, LAYER "mlp.up_proj.lora_A.weight", LAYERS, RANK, DIM, START_MATRIX, true, false, false),
    PARAM(up_b, LAYER "mlp.up_proj.lora_B.weight", LAYERS, FFN, RANK, START_ZERO, true, false, false),
    PARAM(down_a, LAYER "mlp.down_proj.lora_A.weight", LAYERS, RANK, FFN, START_MATRIX, true, false, false),
    PARAM(down_b, LAYER "mlp.down_proj.lora_B.weight", LAYERS, DIM, RANK, START_ZERO, true, false, false),
};
/* clang-format on */

size_t extent_of(enum extent extent, const struct shape *shape)
{
    switch (extent) {
    case ONE:
        return 1;
    case DIM:
        return shape->dim;
    case KV:
        return shape_head(shape) * shape->kv_heads;
    case FFN:
        return shape->ffn;
    case LAYERS:
        return shape->layers;
    case LEVELS:
        return shape->levels;
    case TILES:
        return shape->tiles;
    case ITEMS:
        return shape->items;
    case CONTENT:
        return shape->content;
    case VOCAB:
        return shape->vocab;
    case Q:
        return shape_head(shape) * shape->heads;
    case Q_BIAS:
        return shape->qkv_bias ? extent_of(Q, shape) : 0;
    case KV_BIAS:
        return shape->qkv_bias ? extent_of(KV, shape) : 0;
    case HEAD_NORM:
        return shape->qk_norm ? shape_head(shape) : 0;
    case VOCAB_OUT:
        return shape->untied ? shape->vocab : 0;
    case RANK:
        return shape->lora_rank;
    }
    return 0;
}

real *params_say(const struct params *params, const struct shape *shape)
{
    return shape->untied ? params->text_out : params->text;
}

size_t param_count(const struct param_spec *spec, const struct shape *shape)
{
    size_t count = 1;
    for (size_t d = 0; d < COUNT(spec->dims); d++)
        count *= extent_of(spec->dims[d], shape);
    return count;
}

real **param_slot(struct params *params, const struct param_spec *spec)
{
    return (real **)((char *)params + spec->offset);
}

const real *param_data(const struct params *params, const struct param_spec *spec)
{
    return *(real *const *)((const char *)params + spec->offset);
}

void params_layout_without(struct params *params, uint64_t left_out, const struct shape *shape,
                           struct arena *arena)
{
    for (size_t i = 0; i < PARAM_COUNT; i++)
        *param_slot(params, &PARAMS[i]) =
            left_out >> i & 1 ? NULL
                              : arena_take(arena, param_count(&PARAMS[i], shape), sizeof(real));
}

void params_layout(struct params *params, const struct shape *shape, struct arena *arena)
{
    params_layout_without(params, 0, shape, arena);
}

size_t params_total(const struct shape *shape)
{
    size_t total = 0;
    for (size_t i = 0; i < PARAM_COUNT; i++)
        total += param_count(&PARAMS[i], shape);
    return total;
}

void params_copy(struct params *to, const struct params *from, const struct shape *shape)
{
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        real *data = *param_slot(to, &PARAMS[i]);
        if (data && param_data(from, &PARAMS[i]))
            memcpy(data, param_data(from, &PARAMS[i]),
                   param_count(&PARAMS[i], shape) * sizeof(real));
    }
}

/* Matrices start at 1/sqrt(in); those that write into the residual stream at 1/sqrt(2 layers) of
 * it. */
static double start_scale(const struct param_spec *spec, const struct shape *shape)
{
    double in = (double)extent_of(spec->dims[2], shape);
    if (spec->start == START_MATRIX)
        return 1 / sqrt(in);
    if (spec->start == START_OUTPUT)
        return 1 / sqrt(in * 2 * (double)shape->layers);
    return 0.05;
}

void params_start(struct params *params, const struct shape *shape, const unsigned char *seen,
                  uint64_t seed)
{
    params_start_some(params, UINT64_MAX, shape, seen, seed);
}

void params_start_some(struct params *params, uint64_t which, const struct shape *shape,
                       const unsigned char *seen, uint64_t seed)
{
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        if (!(which >> i & 1))
            continue;
        const struct param_spec *spec = &PARAMS[i];
        real *data = *param_slot(params, spec);
        size_t count = param_count(spec, shape);
        size_t row = extent_of(spec->dims[2], shape);
        double scale = start_scale(spec, shape);
        struct rng rng = rng_stream(seed, 0x1417, i);
        for (size_t at = 0; at < count; at++) {
            double value = spec->start == START_ONES       ? 1
                           : spec->start == START_ZERO     ? 0
                           : spec->start == START_IDENTITY ? at / row == at % row
                                                           : scale * rng_normal(&rng);
            data[at] = (real)(spec->own && !seen[at / row] ? 0 : value);
        }
    }
}
