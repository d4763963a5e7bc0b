/*
 * vector.vec.c: the kernels in a form that compilers turn into vector code.  float only; built with
 * VARIANT avx2 and avx512 (see CMakeLists.txt), one table each.
 *
 * No -ffast-math: sums that may be reordered say so with `omp simd reduction`.  The order then
 * depends on the vector width, so tables agree within rounding and each is the same on every run.
 */
#include "model/kernels/kernels.h"

#include <math.h>
#include <string.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

/*
 * exp(x) = 2^n * e^r with n = round(x / ln 2) and |r| <= ln 2 / 2; e^r by a polynomial of degree 6
 * with the coefficients of Cephes' expf (S. Moshier).  Adding 1.5 * 2^23 rounds to a whole number
 * and leaves it in the low bits, which saves both conversions.  Relative error below 2e-7 on [-87,
 * 88]; outside it saturates.
 */
static inline float fast_exp(float x)
{
    const float shift = 12582912.0F;
    x = x < -87.0F ? -87.0F : x;
    x = x > 88.0F ? 88.0F : x;
    float shifted = x * 1.44269504F + shift;
    float n = shifted - shift;
    float r = x - n * 0.693359375F;
    r = r + n * 2.12194440e-4F;
    float p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * (r * r) + r + 1;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23; /* the shift's own bits fall off the top */
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

static void rmsnorm_forward(float *restrict y, float *restrict inv, const float *restrict x,
                            const float *restrict w, size_t rows, size_t dim, float eps)
{
    for (size_t r = 0; r < rows; r++, x += dim, y += dim) {
        float squares = 0;
#pragma omp simd reduction(+ : squares)
        for (size_t c = 0; c < dim; c++)
            squares += x[c] * x[c];
        float s = 1 / sqrtf(squares / (float)dim + eps);
        inv[r] = s;
#pragma omp simd
        for (size_t c = 0; c < dim; c++)
            y[c] = x[c] * s * w[c];
    }
}

static void rmsnorm_backward(float *restrict dx, float *restrict dw, const float *restrict dy,
                             const float *restrict x, const float *restrict w,
                             const float *restrict inv, size_t rows, size_t dim)
{
    for (size_t r = 0; r < rows; r++, dx += dim, dy += dim, x += dim) {
        float s = inv[r];
        float pull = 0;
#pragma omp simd reduction(+ : pull)
        for (size_t c = 0; c < dim; c++)
            pull += dy[c] * w[c] * x[c];
        pull *= s * s * s / (float)dim;
#pragma omp simd
        for (size_t c = 0; c < dim; c++) {
            dx[c] += s * dy[c] * w[c] - pull * x[c];
            dw[c] += dy[c] * x[c] * s;
        }
    }
}

static void swiglu_forward(float *restrict y, const float *restrict gate, const float *restrict up,
                           size_t count)
{
#pragma omp simd
    for (size_t i = 0; i < count; i++)
        y[i] = gate[i] / (1 + fast_exp(-gate[i])) * up[i];
}

static void swiglu_backward(float *restrict dgate, float *restrict dup, const float *restrict dy,
                            const float *restrict gate, const float *restrict up, size_t count)
{
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        float s = 1 / (1 + fast_exp(-gate[i]));
        dup[i] = dy[i] * gate[i] * s;
        dgate[i] = dy[i] * up[i] * s * (1 + gate[i] * (1 - s));
    }
}

static inline float dot(const float *restrict a, const float *restrict b, size_t count)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t c = 0; c < count; c++)
        sum += a[c] * b[c];
    return sum;
}

static inline void add_scaled(float *restrict to, float scale, const float *restrict from,
                              size_t count)
{
#pragma omp simd
    for (size_t c = 0; c < count; c++)
        to[c] += scale * from[c];
}

static float softmax(float *restrict x, size_t count, float scale)
{
    float most = -INFINITY;
#pragma omp simd reduction(max : most)
    for (size_t i = 0; i < count; i++)
        most = x[i] > most ? x[i] : most;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < count; i++) {
        float e = fast_exp(x[i] - most);
        x[i] = e;
        sum += e;
    }
    scale /= sum;
#pragma omp simd
    for (size_t i = 0; i < count; i++)
        x[i] *= scale;
    return most + logf(sum);
}

static void attention_forward(float *restrict out, float *restrict probs, const float *restrict q,
                              const float *restrict k, const float *restrict v,
                              const struct attention *a)
{
    size_t dim = a->head_dim;
    size_t q_width = a->heads * dim;
    size_t kv_width = a->kv_heads * dim;
    float scale = 1 / sqrtf((float)dim);
    for (size_t h = 0; h < a->heads; h++) {
        size_t kv = h / (a->heads / a->kv_heads) * dim;
        for (size_t query = a->begin; query < a->end; query++) {
            size_t i = attention_query(a, query);
            const float *qi = q + i * q_width + h * dim;
            float *p = probs + (h * a->positions + i) * a->length_max;
            float *oi = out + i * q_width + h * dim;
            size_t count = a->prefix_count + query + 1;
            for (size_t j = 0; j < count; j++)
                p[j] = scale * dot(qi, k + attention_key(a, j) * kv_width + kv, dim);
            softmax(p, count, 1);
            memset(oi, 0, dim * sizeof *oi);
            for (size_t j = 0; j < count; j++)
                add_scaled(oi, p[j], v + attention_key(a, j) * kv_width + kv, dim);
        }
    }
}

/* sum_m p_m dp_m is out . dout, but `out` is not kept, so it is summed from the dp themselves. */
static void attention_backward(float *restrict dq, float *restrict dk, float *restrict dv,
                               const float *restrict dout, const float *restrict probs,
                               const float *restrict q, const float *restrict k,
                               const float *restrict v, const struct attention *a)
{
    size_t dim = a->head_dim;
    size_t q_width = a->heads * dim;
    size_t kv_width = a->kv_heads * dim;
    float scale = 1 / sqrtf((float)dim);
    for (size_t h = 0; h < a->heads; h++) {
        size_t kv = h / (a->heads / a->kv_heads) * dim;
        for (size_t query = a->begin; query < a->end; query++) {
            size_t i = attention_query(a, query);
            size_t at = i * q_width + h * dim;
            const float *p = probs + (h * a->positions + i) * a->length_max;
            size_t count = a->prefix_count + query + 1;
            float mean = 0;
            for (size_t j = 0; j < count; j++)
                mean += p[j] * dot(dout + at, v + attention_key(a, j) * kv_width + kv, dim);
            for (size_t j = 0; j < count; j++) {
                size_t row = attention_key(a, j) * kv_width + kv;
                float ds = p[j] * (dot(dout + at, v + row, dim) - mean) * scale;
                add_scaled(dv + row, p[j], dout + at, dim);
                add_scaled(dq + at, ds, k + row, dim);
                add_scaled(dk + row, ds, q + at, dim);
            }
        }
    }
}

static void adamw_step(float *restrict value, float *restrict grad, float *restrict m,
                       float *restrict v, size_t count, const struct adamw *s)
{
    struct adamw a = *s;
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        float g = grad[i] * a.grad_scale;
        float mi = a.beta1 * m[i] + (1 - a.beta1) * g;
        float vi = a.beta2 * v[i] + (1 - a.beta2) * g * g;
        m[i] = mi;
        v[i] = vi;
        value[i] -=
            a.rate * (mi * a.correct1 / (sqrtf(vi * a.correct2) + a.eps) + a.decay * value[i]);
        grad[i] = 0;
    }
}

extern const struct kernels JOIN(KERNELS_, VARIANT);
const struct kernels JOIN(KERNELS_, VARIANT) = {
    TEXT(VARIANT),     rmsnorm_forward,    rmsnorm_backward, swiglu_forward, swiglu_backward,
    attention_forward, attention_backward, softmax,          adamw_step,
};
