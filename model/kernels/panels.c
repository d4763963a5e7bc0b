#include "model/kernels/panels.h"

#include <string.h>

extern const struct panel_kernels PANELS_avx2;
extern const struct panel_kernels PANELS_avx512;
extern const struct panel_kernels PANELS_avx512bf16;

size_t panels_all(const struct panel_kernels **tables, size_t max)
{
    size_t count = 0;
    if (count < max)
        tables[count++] = &PANELS_REFERENCE;
    __builtin_cpu_init();
    if (count < max && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        tables[count++] = &PANELS_avx2;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl"))
        return count;
    if (count < max)
        tables[count++] = &PANELS_avx512;
    if (count < max && __builtin_cpu_supports("avx512bf16"))
        tables[count++] = &PANELS_avx512bf16;
    return count;
}

const struct panel_kernels *panels_best(void)
{
    const struct panel_kernels *tables[4];
    return tables[panels_all(tables, 4) - 1];
}

/* ---- the reference ---- */

static float widened(uint16_t value)
{
    uint32_t bits = (uint32_t)value << 16;
    float wide;
    memcpy(&wide, &bits, sizeof wide);
    return wide;
}

static void product_f32(float *out, const float *x, const float *w, const struct panel_product *p)
{
    for (size_t r = 0; r < p->rows; r++)
        for (size_t o = 0; o < p->panels * PANEL; o++) {
            const float *panel = w + o / PANEL * p->panel_stride;
            float sum = 0;
            for (size_t i = 0; i < p->ins; i++)
                sum += x[r * p->x_stride + i] * panel[panel_at_f32(o % PANEL, i)];
            out[r * p->out_stride + o] = sum;
        }
}

static void product_bf16(float *out, const uint16_t *x, const uint16_t *w,
                         const struct panel_product *p)
{
    for (size_t r = 0; r < p->rows; r++)
        for (size_t o = 0; o < p->panels * PANEL; o++) {
            const uint16_t *panel = w + o / PANEL * p->panel_stride;
            float sum = 0;
            for (size_t i = 0; i < p->ins; i++)
                sum +=
                    widened(x[r * p->x_stride + i]) * widened(panel[panel_at_bf16(o % PANEL, i)]);
            out[r * p->out_stride + o] = sum;
        }
}

static void to_bf16(uint16_t *out, const float *in, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &in[i], sizeof bits);
        out[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

const struct panel_kernels PANELS_REFERENCE = {"reference", product_f32, product_bf16, to_bf16};
