/*
 * lora.h: adapters of low rank beside the matrices of the trunk (Hu et al., ICLR 2022).
 *
 *     W = W_0 + s B A      A [rank, in], B [out, rank], s = alpha / rank      W_0 does not move
 *
 * Forward and the gradient of the input read W, so it is merged once a step and nothing else knows
 * of adapters; the gradients of A and B come from x and dy without that of W:
 *
 *     dA += s (dy B)^T x        dB += s dy^T (x A^T)
 *
 * Adapters stand in struct params (q_a, q_b, ...) and begin with B = 0.
 *
 * Threads   lora_merge() of different layers may run side by side.
 * Cost      merging: rank * weights multiplications; gradients: 4 rank (in + out) a position.
 */
#ifndef MODEL_LORA_H
#define MODEL_LORA_H

#include "model/params.h"

enum trunk_matrix {
    MATRIX_Q,
    MATRIX_K,
    MATRIX_V,
    MATRIX_O,
    MATRIX_GATE,
    MATRIX_UP,
    MATRIX_DOWN,
    TRUNK_MATRICES
};

/* A bit per param: the matrices of the trunk. */
uint64_t trunk_matrices(void);
/* A bit per param: the adapters. */
uint64_t lora_params(void);

/* W of one layer into merged, from W_0 in base; of a shape with adapters. */
void lora_merge(struct params *merged, const struct params *base, const struct params *adapters,
                const struct shape *shape, size_t layer);

/*
 * Adds the gradient of a matrix of one layer, y = W x, from dy [rows, out] and x [rows, in]: to its
 * adapters if the shape has any, else to itself, or nowhere where grads has no place for it (NULL).
 * scratch [2, rows, rank].
 */
void trunk_matrix_backward(struct params *grads, real *scratch, const struct params *params,
                           const struct shape *shape, enum trunk_matrix matrix, size_t layer,
                           const real *dy, const real *x, size_t rows);

#endif
