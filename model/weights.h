/*
 * weights.h: numbers of other people's models, made into ours.
 *
 *     F32, F16, BF16         IEEE 754 binary32, binary16; the upper half of a binary32
 *     Q8_0                   32 values: f16 d, i8 q[32]                       x = d q
 *     Q4_0                   32 values: f16 d, 4 bits q[32]                   x = d (q - 8)
 *     Q4_1                   32 values: f16 d, f16 m, 4 bits q[32]            x = d q + m
 *
 * (blocks as in github.com/ggml-org/ggml, ggml-common.h: the low nibbles of the 16 bytes are values
 * 0 to 15, the high ones 16 to 31.)  All little-endian, at any alignment.
 */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "model/real.h"

#include <stdint.h>

enum weight_type {
    WEIGHT_F32,
    WEIGHT_F16,
    WEIGHT_BF16,
    WEIGHT_Q8_0,
    WEIGHT_Q4_0,
    WEIGHT_Q4_1,
    WEIGHT_TYPES
};
#define WEIGHT_NAMES "F32, F16, BF16, Q8_0, Q4_0 or Q4_1"

enum weight_type weight_type_of(const char *name); /* WEIGHT_TYPES: another one */
/* Bytes of `count` values; count is a multiple of the block, 32 for the Q types. */
size_t weight_size(enum weight_type type, size_t count);
void weights_read(real *to, enum weight_type type, const void *from, size_t count);

float weight_of_f16(uint16_t bits);

#endif
