#include "model/weights.h"

#include "base/err.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 32 };

static const struct {
    const char *name;
    size_t block, size;
} TYPES[WEIGHT_TYPES] = {{"F32", 1, 4},       {"F16", 1, 2},       {"BF16", 1, 2},
                         {"Q8_0", BLOCK, 34}, {"Q4_0", BLOCK, 18}, {"Q4_1", BLOCK, 20}};

enum weight_type weight_type_of(const char *name)
{
    size_t type = 0;
    while (type < WEIGHT_TYPES && strcmp(name, TYPES[type].name) != 0)
        type++;
    return (enum weight_type)type;
}

size_t weight_size(enum weight_type type, size_t count)
{
    return count / TYPES[type].block * TYPES[type].size;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float weight_of_f16(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
    uint32_t exponent = bits >> 10 & 31;
    uint32_t fraction = bits & 1023;
    if (exponent == 0) /* zero or subnormal: fraction * 2^-24 */
        return copysignf((float)fraction * 0x1p-24F, float_of(sign | 0x3f800000));
    if (exponent == 31)
        return float_of(sign | 0x7f800000 | fraction << 13);
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

static uint16_t u16_at(const unsigned char *at)
{
    uint16_t bits;
    memcpy(&bits, at, sizeof bits);
    return bits;
}

static void read_q8(real *to, const unsigned char *block)
{
    real d = (real)weight_of_f16(u16_at(block));
    for (size_t i = 0; i < BLOCK; i++)
        to[i] = d * (real)(int8_t)block[2 + i];
}

static void read_q4(real *to, const unsigned char *bytes, real d, real m)
{
    for (size_t i = 0; i < BLOCK / 2; i++) {
        to[i] = d * (real)(bytes[i] & 15) + m;
        to[i + BLOCK / 2] = d * (real)(bytes[i] >> 4) + m;
    }
}

static void read_block(real *to, enum weight_type type, const unsigned char *block)
{
    real d = (real)weight_of_f16(u16_at(block));
    if (type == WEIGHT_Q8_0)
        read_q8(to, block);
    else if (type == WEIGHT_Q4_0)
        read_q4(to, block + 2, d, -8 * d);
    else
        read_q4(to, block + 4, d, (real)weight_of_f16(u16_at(block + 2)));
}

void weights_read(real *to, enum weight_type type, const void *from, size_t count)
{
    const unsigned char *at = from;
    if (TYPES[type].block > 1) {
        for (size_t i = 0; i < count; i += BLOCK, at += TYPES[type].size)
            read_block(to + i, type, at);
        return;
    }
    for (size_t i = 0; i < count; i++, at += TYPES[type].size) {
        uint32_t bits;
        if (type == WEIGHT_F32) {
            memcpy(&bits, at, sizeof bits);
            to[i] = (real)float_of(bits);
        } else if (type == WEIGHT_BF16) {
            to[i] = (real)float_of((uint32_t)u16_at(at) << 16);
        } else {
            to[i] = (real)weight_of_f16(u16_at(at));
        }
    }
}
