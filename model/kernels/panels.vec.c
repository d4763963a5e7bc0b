/*
 * panels.vec.c: products over panels in vector registers; built with VARIANT avx2, avx512 and
 * avx512bf16 (see CMakeLists.txt), one table each.
 *
 * A tile of rows by one panel stays in registers while the inputs go by: each weight is loaded once
 * for all rows of the tile.  The tile's size is what the register file holds.
 */
#include "model/kernels/panels.h"

#include <immintrin.h>
#include <string.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

#ifdef __AVX512F__
enum { BYTES = 64, TILE = 12 };
#else
enum { BYTES = 32, TILE = 2 };
#endif
enum { VECS = PANEL * 4 / BYTES };

typedef float vec __attribute__((vector_size(BYTES), aligned(4), may_alias));
typedef uint32_t words __attribute__((vector_size(BYTES), aligned(4), may_alias));

#define UNROLL _Pragma("GCC unroll 16")
#define TILE_FN static inline __attribute__((always_inline)) void

TILE_FN store(float *out, size_t stride, vec sum[TILE][VECS], const size_t rows)
{
    UNROLL for (size_t r = 0; r < rows; r++) UNROLL for (size_t c = 0; c < VECS; c++)
        memcpy(out + r * stride + c * (BYTES / 4), &sum[r][c], BYTES);
}

TILE_FN tile_f32(float *out, const float *x, const float *w, const struct panel_product *p,
                 const size_t rows)
{
    vec sum[TILE][VECS];
    const size_t stride = p->x_stride;
    UNROLL for (size_t r = 0; r < rows; r++) UNROLL for (size_t c = 0; c < VECS; c++) sum[r][c] =
        (vec){0};
    for (size_t i = 0; i < p->ins; i++, w += PANEL, x++)
        UNROLL for (size_t c = 0; c < VECS; c++)
        {
            const vec weight = *(const vec *)(w + c * (BYTES / 4));
            UNROLL for (size_t r = 0; r < rows; r++) sum[r][c] += x[r * stride] * weight;
        }
    store(out, p->out_stride, sum, rows);
}

#ifndef __AVX512BF16__
static inline float as_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
#endif

TILE_FN tile_bf16(float *out, const uint16_t *x, const uint16_t *w, const struct panel_product *p,
                  const size_t rows)
{
    vec sum[TILE][VECS];
    const size_t stride = p->x_stride;
    UNROLL for (size_t r = 0; r < rows; r++) UNROLL for (size_t c = 0; c < VECS; c++) sum[r][c] =
        (vec){0};
    for (size_t i = 0; i < p->ins; i += 2, w += 2 * PANEL, x += 2) {
        words weight[VECS];
        UNROLL for (size_t c = 0; c < VECS; c++) weight[c] = *(const words *)(w + c * (BYTES / 2));
        UNROLL for (size_t r = 0; r < rows; r++)
        {
            uint32_t pair;
            memcpy(&pair, x + r * stride, sizeof pair);
#ifdef __AVX512BF16__
            const __m512bh both = (__m512bh)_mm512_set1_epi32((int)pair);
            UNROLL for (size_t c = 0; c < VECS; c++) sum[r][c] =
                (vec)_mm512_dpbf16_ps((__m512)sum[r][c], both, (__m512bh)weight[c]);
#else
            const float low = as_float(pair << 16);
            const float high = as_float(pair & 0xffff0000);
            UNROLL for (size_t c = 0; c < VECS; c++)
            {
                sum[r][c] += low * (vec)(weight[c] << 16);
                sum[r][c] += high * (vec)(weight[c] & 0xffff0000);
            }
#endif
        }
    }
    store(out, p->out_stride, sum, rows);
}

/* One panel, all rows: whole tiles, then what is left, its size a constant again. */
#define PRODUCT(type, tile)                                                                        \
    static void JOIN(panel_, type)(float *out, const type *x, const type *w,                       \
                                   const struct panel_product *p)                                  \
    {                                                                                              \
        size_t left = p->rows;                                                                     \
        for (; left >= TILE; left -= TILE) {                                                       \
            tile(out, x, w, p, TILE);                                                              \
            x += TILE * p->x_stride;                                                               \
            out += TILE * p->out_stride;                                                           \
        }                                                                                          \
        switch (left) {                                                                            \
            REST(tile)                                                                             \
        default:                                                                                   \
            break;                                                                                 \
        }                                                                                          \
    }                                                                                              \
    static void JOIN(product_, type)(float *out, const type *x, const type *w,                     \
                                     const struct panel_product *p)                                \
    {                                                                                              \
        for (size_t k = 0; k < p->panels; k++)                                                     \
            JOIN(panel_, type)(out + k * PANEL, x, w + k * p->panel_stride, p);                    \
    }

#define CASE(tile, rows)                                                                           \
    case rows:                                                                                     \
        tile(out, x, w, p, rows);                                                                  \
        break;
#ifdef __AVX512F__
#define REST(tile)                                                                                 \
    CASE(tile, 1)                                                                                  \
    CASE(tile, 2)                                                                                  \
    CASE(tile, 3)                                                                                  \
    CASE(tile, 4)                                                                                  \
    CASE(tile, 5)                                                                                  \
    CASE(tile, 6) CASE(tile, 7) CASE(tile, 8) CASE(tile, 9) CASE(tile, 10) CASE(tile, 11)
#else
#define REST(tile) CASE(tile, 1)
#endif

PRODUCT(float, tile_f32)
PRODUCT(uint16_t, tile_bf16)

static void to_bf16(uint16_t *restrict out, const float *restrict in, size_t count)
{
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &in[i], sizeof bits);
        out[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

extern const struct panel_kernels JOIN(PANELS_, VARIANT);
const struct panel_kernels JOIN(PANELS_, VARIANT) = {TEXT(VARIANT), product_float, product_uint16_t,
                                                     to_bf16};
