/*
 * panels.h: matrix products with weights packed for reading once, in fp32 and bf16.
 *
 * A matrix [outs, ins] lies in panels of PANEL outputs, the last one filled up with zeros; in a
 * panel the inputs follow each other, each with its PANEL weights side by side.  bf16 weights lie
 * in pairs of inputs, as VDPBF16PS reads them; an odd last input is paired with a zero.
 *
 *     fp32   panel[i * PANEL + lane]
 *     bf16   panel[(i / 2 * PANEL + lane) * 2 + i % 2]
 *
 * A cache of keys is such a matrix with positions for outputs, one of values with positions for
 * inputs, so attention is two products, too.
 *
 * Sums are fp32 and run over the inputs in rising order whatever the number of rows, so a row's
 * result does not depend on its company.
 *
 * panels_best() picks by CPU: VDPBF16PS, AVX-512F, AVX2 (the last two widen bf16 to fp32), or the
 * reference.  A test holds every table against the reference.
 */
#ifndef MODEL_PANELS_H
#define MODEL_PANELS_H

#include <stddef.h>
#include <stdint.h>

enum { PANEL = 32 };

/* out[r, o] = sum_i x[r, i] w[o, i], of `panels` panels that lie `panel_stride` values apart. */
struct panel_product {
    size_t rows, ins, panels;
    size_t x_stride;     /* values from row to row; bf16: x has a zero after an odd last input */
    size_t out_stride;   /* values from row to row, at least panels * PANEL */
    size_t panel_stride; /* values from panel to panel */
};

struct panel_kernels {
    const char *name;
    void (*product_f32)(float *out, const float *x, const float *w, const struct panel_product *p);
    void (*product_bf16)(float *out, const uint16_t *x, const uint16_t *w,
                         const struct panel_product *p);
    /* Rounds to nearest, ties to even. */
    void (*to_bf16)(uint16_t *out, const float *in, size_t count);
};

/* Where weight (lane, i) lies in its panel. */
static inline size_t panel_at_f32(size_t lane, size_t i)
{
    return i * PANEL + lane;
}

static inline size_t panel_at_bf16(size_t lane, size_t i)
{
    return (i / 2 * PANEL + lane) * 2 + i % 2;
}

extern const struct panel_kernels PANELS_REFERENCE;
const struct panel_kernels *panels_best(void);
size_t panels_all(const struct panel_kernels **tables, size_t max); /* those this CPU can run */

#endif
