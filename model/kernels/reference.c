/*
 * reference.c: the kernels as their formulas stand.  Read these; the fast ones must equal them.
 */
#include "model/kernels/kernels.h"

#include <math.h>

static void rmsnorm_forward(real *y, real *inv, const real *x, const real *w, size_t rows,
                            size_t dim, real eps)
{
    for (size_t r = 0; r < rows; r++, x += dim, y += dim) {
        real squares = 0;
        for (size_t c = 0; c < dim; c++)
            squares += x[c] * x[c];
        inv[r] = (real)(1 / sqrt((double)(squares / (real)dim + eps)));
        for (size_t c = 0; c < dim; c++)
            y[c] = x[c] * inv[r] * w[c];
    }
}

/* The second term of dx is the row pulling back on its own length. */
static void rmsnorm_backward(real *dx, real *dw, const real *dy, const real *x, const real *w,
                             const real *inv, size_t rows, size_t dim)
{
    for (size_t r = 0; r < rows; r++, dx += dim, dy += dim, x += dim) {
        real s = inv[r];
        real pull = 0;
        for (size_t c = 0; c < dim; c++)
            pull += dy[c] * w[c] * x[c];
        pull *= s * s * s / (real)dim;
        for (size_t c = 0; c < dim; c++) {
            dx[c] += s * dy[c] * w[c] - pull * x[c];
            dw[c] += dy[c] * x[c] * s;
        }
    }
}

static real sigmoid(real x)
{
    return (real)(1 / (1 + exp((double)-x)));
}

static void swiglu_forward(real *y, const real *gate, const real *up, size_t count)
{
    for (size_t i = 0; i < count; i++)
        y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

static void swiglu_backward(real *dgate, real *dup, const real *dy, const real *gate,
                            const real *up, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        real s = sigmoid(gate[i]);
        dup[i] = dy[i] * gate[i] * s;
        dgate[i] = dy[i] * up[i] * s * (1 + gate[i] * (1 - s));
    }
}

static void attention_forward(real *out, real *probs, const real *q, const real *k, const real *v,
                              const struct attention *a)
{
    size_t q_width = a->heads * a->head_dim;
    size_t kv_width = a->kv_heads * a->head_dim;
    real scale = (real)(1 / sqrt((double)a->head_dim));
    for (size_t h = 0; h < a->heads; h++) {
        size_t kv = h / (a->heads / a->kv_heads) * a->head_dim;
        for (size_t query = a->begin; query < a->end; query++) {
            size_t i = attention_query(a, query);
            const real *qi = q + i * q_width + h * a->head_dim;
            real *p = probs + (h * a->positions + i) * a->length_max;
            real *oi = out + i * q_width + h * a->head_dim;
            size_t count = a->prefix_count + query + 1;
            real most = -INFINITY;
            for (size_t j = 0; j < count; j++) {
                const real *kj = k + attention_key(a, j) * kv_width + kv;
                real dot = 0;
                for (size_t c = 0; c < a->head_dim; c++)
                    dot += qi[c] * kj[c];
                p[j] = dot * scale;
                most = p[j] > most ? p[j] : most;
            }
            real sum = 0;
            for (size_t j = 0; j < count; j++)
                sum += p[j] = (real)exp((double)(p[j] - most));
            for (size_t c = 0; c < a->head_dim; c++)
                oi[c] = 0;
            for (size_t j = 0; j < count; j++) {
                const real *vj = v + attention_key(a, j) * kv_width + kv;
                p[j] /= sum;
                for (size_t c = 0; c < a->head_dim; c++)
                    oi[c] += p[j] * vj[c];
            }
        }
    }
}

/* With dp_j = dout . v_j:   ds_j = p_j (dp_j - sum_m p_m dp_m)   dq += scale ds_j k_j   dk_j +=
 * scale ds_j q */
static void attention_backward(real *dq, real *dk, real *dv, const real *dout, const real *probs,
                               const real *q, const real *k, const real *v,
                               const struct attention *a)
{
    size_t q_width = a->heads * a->head_dim;
    size_t kv_width = a->kv_heads * a->head_dim;
    real scale = (real)(1 / sqrt((double)a->head_dim));
    for (size_t h = 0; h < a->heads; h++) {
        size_t kv = h / (a->heads / a->kv_heads) * a->head_dim;
        for (size_t query = a->begin; query < a->end; query++) {
            size_t i = attention_query(a, query);
            size_t at = i * q_width + h * a->head_dim;
            const real *p = probs + (h * a->positions + i) * a->length_max;
            const real *doi = dout + at;
            size_t count = a->prefix_count + query + 1;
            real mean = 0;
            for (size_t c = 0; c < a->head_dim; c++) {
                real oc = 0;
                for (size_t j = 0; j < count; j++)
                    oc += p[j] * v[attention_key(a, j) * kv_width + kv + c];
                mean += oc * doi[c];
            }
            for (size_t j = 0; j < count; j++) {
                size_t row = attention_key(a, j) * kv_width + kv;
                real dp = 0;
                for (size_t c = 0; c < a->head_dim; c++) {
                    dp += doi[c] * v[row + c];
                    dv[row + c] += p[j] * doi[c];
                }
                real ds = p[j] * (dp - mean) * scale;
                for (size_t c = 0; c < a->head_dim; c++) {
                    dq[at + c] += ds * k[row + c];
                    dk[row + c] += ds * q[at + c];
                }
            }
        }
    }
}

static real softmax(real *x, size_t count, real scale)
{
    real most = -INFINITY;
    for (size_t i = 0; i < count; i++)
        most = x[i] > most ? x[i] : most;
    real sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] = (real)exp((double)(x[i] - most));
    for (size_t i = 0; i < count; i++)
        x[i] *= scale / sum;
    return most + (real)log((double)sum);
}

static void adamw_step(real *value, real *grad, real *m, real *v, size_t count,
                       const struct adamw *s)
{
    for (size_t i = 0; i < count; i++) {
        real g = grad[i] * s->grad_scale;
        m[i] = s->beta1 * m[i] + (1 - s->beta1) * g;
        v[i] = s->beta2 * v[i] + (1 - s->beta2) * g * g;
        real step = m[i] * s->correct1 / ((real)sqrt((double)(v[i] * s->correct2)) + s->eps);
        value[i] -= s->rate * (step + s->decay * value[i]);
        grad[i] = 0;
    }
}

const struct kernels KERNELS_REFERENCE = {
    "reference",       rmsnorm_forward,    rmsnorm_backward, swiglu_forward, swiglu_backward,
    attention_forward, attention_backward, softmax,          adamw_step,
};
