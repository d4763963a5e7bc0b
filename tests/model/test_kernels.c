/* Every table of kernels against the reference, tensor by tensor: |a - b| / |b|. */
#include "tests/test.h"

#include "base/rng.h"
#include "model/kernels/kernels.h"
#include "model/kernels/panels.h"

#include <math.h>

enum { ROWS = 37, DIM = 64, N = ROWS * DIM, LENGTH = 40 };

static float in[8][N];
static float want[4][N], got[4][N];
static float probs_want[2 * ROWS * LENGTH], probs_got[2 * ROWS * LENGTH];

static void fill(uint64_t seed, float scale)
{
    struct rng rng = rng_stream(seed, 0, 0);
    for (size_t k = 0; k < 8; k++)
        for (size_t i = 0; i < N; i++)
            in[k][i] = scale * (float)rng_normal(&rng);
}

static void close_to(const float *a, const float *b, size_t count, double tolerance,
                     const char *what)
{
    double difference = 0;
    double length = 0;
    for (size_t i = 0; i < count; i++) {
        difference += (double)(a[i] - b[i]) * (double)(a[i] - b[i]);
        length += (double)b[i] * (double)b[i];
    }
    if (!(sqrt(difference) <= tolerance * sqrt(length)))
        fail_msg("%s: |a - b| / |b| is %g", what, sqrt(difference / length));
}

static void run_all(float out[4][N], float *probs, const struct kernels *k, int which)
{
    float inv[ROWS];
    const struct attention attention = {.heads = 2,
                                        .kv_heads = 1,
                                        .head_dim = 32,
                                        .length_max = LENGTH,
                                        .prefix = 1,
                                        .prefix_count = 3,
                                        .first = 4,
                                        .stride = 2,
                                        .begin = 1,
                                        .end = (ROWS - 4) / 2,
                                        .positions = ROWS};
    const struct adamw adamw = {1e-3F, 0.9F, 0.98F, 1e-8F, 0.05F, 1.5F, 2.5F, 0.7F};
    memset(out, 0, sizeof(float) * 4 * N);
    switch (which) {
    case 0:
        k->rmsnorm_forward(out[0], inv, in[0], in[1], ROWS, DIM, 1e-5F);
        k->rmsnorm_backward(out[1], out[2], in[2], in[0], in[1], inv, ROWS, DIM);
        break;
    case 1:
        k->swiglu_forward(out[0], in[0], in[1], N);
        k->swiglu_backward(out[1], out[2], in[2], in[0], in[1], N);
        break;
    case 2:
        k->attention_forward(out[0], probs, in[0], in[1], in[2], &attention);
        k->attention_backward(out[1], out[2], out[3], in[3], probs, in[0], in[1], in[2],
                              &attention);
        break;
    case 3:
        memcpy(out[0], in[0], sizeof in[0]);
        for (size_t r = 0; r < ROWS; r++)
            out[1][r] = k->softmax(out[0] + r * DIM, DIM - r % 5, 0.5F);
        break;
    default:
        memcpy(out, in, sizeof(float) * 4 * N);
        for (size_t i = 0; i < N; i++)
            out[3][i] = out[3][i] * out[3][i];
        k->adamw(out[0], out[1], out[2], out[3], N, &adamw);
        break;
    }
}

static void every_table_equals_the_reference(void **state)
{
    const struct kernels *tables[4];
    size_t count = kernels_all(tables, 4);
    (void)state;
    assert_ptr_equal(tables[0], &KERNELS_REFERENCE);
    for (size_t t = 1; t < count; t++)
        for (int which = 0; which < 5; which++)
            for (int scale = 0; scale < 3; scale++) {
                static const float scales[] = {1, 0.01F, 20};
                char what[80];
                fill((uint64_t)which + 1, scales[scale]);
                run_all(want, probs_want, tables[0], which);
                run_all(got, probs_got, tables[t], which);
                for (size_t o = 0; o < 4; o++) {
                    snprintf(what, sizeof what, "%s, kernel %d, output %zu, scale %g",
                             tables[t]->name, which, o, (double)scales[scale]);
                    close_to(got[o], want[o], N, 1e-4, what);
                }
            }
}

/* Saturated inputs stay finite: no NaN leaves a softmax or a gate. */
static void large_numbers_stay_finite(void **state)
{
    const struct kernels *tables[4];
    size_t count = kernels_all(tables, 4);
    (void)state;
    for (size_t t = 0; t < count; t++) {
        float x[16] = {1e4F, -1e4F, 0, 88, -88, 300, -300};
        float y[16];
        float up[16];
        for (size_t i = 0; i < 16; i++)
            up[i] = 1;
        tables[t]->swiglu_forward(y, x, up, 16);
        for (size_t i = 0; i < 16; i++)
            assert_true(isfinite(y[i]));
        assert_true(fabsf(y[0] - 1e4F) < 1 && fabsf(y[1]) < 1e-3F);
        tables[t]->softmax(x, 16, 1);
        float sum = 0;
        for (size_t i = 0; i < 16; i++)
            sum += x[i];
        assert_true(fabsf(sum - 1) < 1e-5F);
    }
}

/* Rows, inputs and panels of every remainder, in rows that are further apart than they are long. */
static void every_table_of_panels_equals_the_reference(void **state)
{
    const struct panel_kernels *tables[4];
    size_t count = panels_all(tables, 4);
    static uint16_t x[N], w[N];
    (void)state;
    assert_ptr_equal(tables[0], &PANELS_REFERENCE);
    fill(9, 1);
    PANELS_REFERENCE.to_bf16(x, in[0], N);
    PANELS_REFERENCE.to_bf16(w, in[1], N);
    for (size_t t = 1; t < count; t++) {
        char what[80];
        uint16_t rounded[DIM];
        tables[t]->to_bf16(rounded, in[0], DIM - 3);
        assert_memory_equal(rounded, x, (DIM - 3) * sizeof *rounded);
        for (size_t rows = 1; rows <= 27; rows++) {
            const struct panel_product p = {.rows = rows,
                                            .ins = 2 + rows * 5 % 23 / 2 * 2,
                                            .panels = 1 + rows % 2,
                                            .x_stride = 26 + rows,
                                            .out_stride = 2 * PANEL + 3,
                                            .panel_stride = 26 * PANEL};
            memset(want, 0, sizeof want);
            memset(got, 0, sizeof got);
            tables[0]->product_f32(want[0], in[0], in[1], &p);
            tables[t]->product_f32(got[0], in[0], in[1], &p);
            tables[0]->product_bf16(want[1], x, w, &p);
            tables[t]->product_bf16(got[1], x, w, &p);
            for (size_t o = 0; o < 2; o++) {
                snprintf(what, sizeof what, "%s, %s, %zu rows", tables[t]->name,
                         o ? "bf16" : "fp32", rows);
                close_to(got[o], want[o], N, 1e-5, what);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_table_equals_the_reference),
        TEST(large_numbers_stay_finite),
        TEST(every_table_of_panels_equals_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
