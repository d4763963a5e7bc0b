#include "model/lora.h"

#include <string.h>

#define AT(field) (offsetof(struct params, field) / sizeof(real *))

static const struct {
    size_t weight, a, b; /* in PARAMS */
} MATRICES[TRUNK_MATRICES] = {
    {AT(q), AT(q_a), AT(q_b)},          {AT(k), AT(k_a), AT(k_b)},
    {AT(v), AT(v_a), AT(v_b)},          {AT(o), AT(o_a), AT(o_b)},
    {AT(gate), AT(gate_a), AT(gate_b)}, {AT(up), AT(up_a), AT(up_b)},
    {AT(down), AT(down_a), AT(down_b)},
};

uint64_t trunk_matrices(void)
{
    uint64_t bits = 0;
    for (size_t m = 0; m < TRUNK_MATRICES; m++)
        bits |= (uint64_t)1 << MATRICES[m].weight;
    return bits;
}

uint64_t lora_params(void)
{
    uint64_t bits = 0;
    for (size_t m = 0; m < TRUNK_MATRICES; m++)
        bits |= (uint64_t)1 << MATRICES[m].a | (uint64_t)1 << MATRICES[m].b;
    return bits;
}

static real *of_layer(const struct params *params, size_t param, const struct shape *shape,
                      size_t layer)
{
    const struct param_spec *spec = &PARAMS[param];
    real *data = *param_slot((struct params *)(uintptr_t)params, spec);
    return data ? data + layer * (param_count(spec, shape) / shape->layers) : NULL;
}

void lora_merge(struct params *merged, const struct params *base, const struct params *adapters,
                const struct shape *s, size_t layer)
{
    for (size_t m = 0; m < TRUNK_MATRICES; m++) {
        size_t out = extent_of(PARAMS[MATRICES[m].weight].dims[1], s);
        size_t in = extent_of(PARAMS[MATRICES[m].weight].dims[2], s);
        real *to = of_layer(merged, MATRICES[m].weight, s, layer);
        memcpy(to, of_layer(base, MATRICES[m].weight, s, layer), out * in * sizeof(real));
        REAL_GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)out, (int)in, (int)s->lora_rank,
                  (real)s->lora_scale, of_layer(adapters, MATRICES[m].b, s, layer),
                  (int)s->lora_rank, of_layer(adapters, MATRICES[m].a, s, layer), (int)in, 1, to,
                  (int)in);
    }
}

static void scale_by(real *x, real scale, size_t count)
{
    for (size_t i = 0; i < count; i++)
        x[i] *= scale;
}

void trunk_matrix_backward(struct params *grads, real *scratch, const struct params *params,
                           const struct shape *s, enum trunk_matrix matrix, size_t layer,
                           const real *dy, const real *x, size_t rows)
{
    size_t out = extent_of(PARAMS[MATRICES[matrix].weight].dims[1], s);
    size_t in = extent_of(PARAMS[MATRICES[matrix].weight].dims[2], s);
    size_t rank = s->lora_rank;
    real *grad = of_layer(grads, MATRICES[matrix].weight, s, layer);
    if (!rank) {
        if (grad)
            product_tn(grad, dy, x, out, in, rows, 1);
        return;
    }
    real *xa = scratch;
    real *dyb = scratch + rows * rank;
    product_nt(xa, x, of_layer(params, MATRICES[matrix].a, s, layer), rows, rank, in, 0);
    product_nn(dyb, dy, of_layer(params, MATRICES[matrix].b, s, layer), rows, rank, out, 0);
    scale_by(scratch, (real)s->lora_scale, 2 * rows * rank);
    product_tn(of_layer(grads, MATRICES[matrix].b, s, layer), dy, xa, out, rank, rows, 1);
    product_tn(of_layer(grads, MATRICES[matrix].a, s, layer), dyb, x, rank, in, rows, 1);
}
