#include "index/sparse.h"

#include "base/rng.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ITERATIONS = 4, EXTRA = 8 };

bool pairs_add(struct pairs *pairs, struct pair pair, struct err *err)
{
    if (pairs->count == pairs->room) {
        size_t room = pairs->room ? pairs->room * 2 : 4096;
        struct pair *list = realloc(pairs->list, room * sizeof *list);
        if (!list)
            return err_set(err, ERR_SYSTEM, "no memory for %zu pairs", room);
        pairs->list = list;
        pairs->room = room;
    }
    pairs->list[pairs->count++] = pair;
    return true;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a;
    const struct pair *y = b;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    if (x->column != y->column)
        return x->column < y->column ? -1 : 1;
    return x->value < y->value ? -1 : x->value > y->value; /* so that the sum has one order */
}

struct sparse *sparse_from_pairs(struct pairs *pairs, size_t rows, size_t columns, struct err *err)
{
    struct sparse *out = calloc(1, sizeof *out);
    if (out) {
        out->rows = rows;
        out->columns = columns;
        out->first = calloc(rows + 1, sizeof *out->first);
        out->column = calloc(pairs->count + 1, sizeof *out->column);
        out->value = calloc(pairs->count + 1, sizeof *out->value);
    }
    if (!out || !out->first || !out->column || !out->value) {
        sparse_free(out);
        err_set(err, ERR_SYSTEM, "no memory for a sparse matrix of %zu entries", pairs->count);
        return NULL;
    }
    if (pairs->count)
        qsort(pairs->list, pairs->count, sizeof *pairs->list, compare_pairs);
    for (size_t i = 0; i < pairs->count; i++) {
        const struct pair *pair = &pairs->list[i];
        bool same = i > 0 && pair->row == pair[-1].row && pair->column == pair[-1].column;
        if (!same) {
            out->column[out->entries++] = pair->column;
            out->first[pair->row + 1]++;
        }
        out->value[out->entries - 1] += pair->value;
    }
    for (size_t r = 0; r < rows; r++)
        out->first[r + 1] += out->first[r];
    return out;
}

void sparse_free(struct sparse *sparse)
{
    if (!sparse)
        return;
    free(sparse->first);
    free(sparse->column);
    free(sparse->value);
    free(sparse);
}

/* out [rows, dims] = matrix * x [columns, dims] */
static void multiply(float *out, const struct sparse *a, const float *x, size_t dims)
{
    memset(out, 0, a->rows * dims * sizeof *out);
    for (size_t r = 0; r < a->rows; r++)
        for (size_t e = a->first[r]; e < a->first[r + 1]; e++)
            cblas_saxpy((int)dims, a->value[e], x + a->column[e] * dims, 1, out + r * dims, 1);
}

/* out [columns, dims] = matrix^T * x [rows, dims] */
static void multiply_turned(float *out, const struct sparse *a, const float *x, size_t dims)
{
    memset(out, 0, a->columns * dims * sizeof *out);
    for (size_t r = 0; r < a->rows; r++)
        for (size_t e = a->first[r]; e < a->first[r + 1]; e++)
            cblas_saxpy((int)dims, a->value[e], x + r * dims, 1, out + a->column[e] * dims, 1);
}

/* Replaces the columns of x [rows, dims] by an orthonormal base of their span. */
static bool orthonormalise(float *x, size_t rows, size_t dims, float *tau, struct err *err)
{
    lapack_int code = LAPACKE_sgeqrf(LAPACK_ROW_MAJOR, (lapack_int)rows, (lapack_int)dims, x,
                                     (lapack_int)dims, tau);
    if (code == 0)
        code = LAPACKE_sorgqr(LAPACK_ROW_MAJOR, (lapack_int)rows, (lapack_int)dims,
                              (lapack_int)dims, x, (lapack_int)dims, tau);
    return code == 0 ||
           err_set(err, ERR_SYSTEM, "QR of [%zu, %zu] failed with code %d", rows, dims, (int)code);
}

struct svd_work {
    float *q;      /* [rows, k] */
    float *b;      /* [columns, k] = A^T Q */
    float *gram;   /* [k, k] = B^T B */
    float *values; /* [k] */
    float *tau;    /* [k] */
};

/* With B = A^T Q and B^T B = W L W^T:  A ~ Q B^T,  U = Q W,  S = sqrt(L),  V = B W / S. */
static bool finish(float *left, float *right, const struct sparse *a, size_t dims,
                   struct svd_work *w, size_t k, struct err *err)
{
    size_t take = dims < k ? dims : k;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)k, (int)k, (int)a->columns, 1, w->b,
                (int)k, w->b, (int)k, 0, w->gram, (int)k);
    if (LAPACKE_ssyev(LAPACK_ROW_MAJOR, 'V', 'U', (lapack_int)k, w->gram, (lapack_int)k,
                      w->values) != 0)
        return err_set(err, ERR_SYSTEM, "eigenvalues of [%zu, %zu] did not converge", k, k);
    memset(left, 0, a->rows * dims * sizeof *left);
    memset(right, 0, a->columns * dims * sizeof *right);
    for (size_t d = 0; d < take; d++) {
        size_t from = k - 1 - d; /* ssyev orders by rising value */
        bool real = w->values[from] > 1e-6F * w->values[k - 1] && w->values[from] > 1e-10F;
        float scale = real ? sqrtf(w->values[from]) : 0; /* beyond the rank lies rounding */
        for (size_t r = 0; r < a->rows; r++)
            if (a->first[r + 1] > a->first[r]) /* an empty row has no direction */
                left[r * dims + d] =
                    scale * cblas_sdot((int)k, w->q + r * k, 1, w->gram + from, (int)k);
        for (size_t c = 0; c < a->columns && scale > 0; c++)
            right[c * dims + d] =
                cblas_sdot((int)k, w->b + c * k, 1, w->gram + from, (int)k) / scale;
    }
    return true;
}

static bool iterate(float *left, float *right, const struct sparse *a, size_t dims, uint64_t seed,
                    struct svd_work *w, size_t k, struct err *err)
{
    struct rng rng = rng_stream(seed, 0x5fd, 0);
    for (size_t i = 0; i < a->columns * k; i++)
        w->b[i] = (float)rng_normal(&rng);
    multiply(w->q, a, w->b, k);
    for (int i = 0; i < ITERATIONS; i++) {
        if (!orthonormalise(w->q, a->rows, k, w->tau, err))
            return false;
        multiply_turned(w->b, a, w->q, k);
        if (a->columns >= k && !orthonormalise(w->b, a->columns, k, w->tau, err))
            return false;
        multiply(w->q, a, w->b, k);
    }
    if (!orthonormalise(w->q, a->rows, k, w->tau, err))
        return false;
    multiply_turned(w->b, a, w->q, k);
    return finish(left, right, a, dims, w, k, err);
}

bool svd_sparse(float *left, float *right, const struct sparse *matrix, size_t dims, uint64_t seed,
                struct err *err)
{
    size_t least = matrix->rows < matrix->columns ? matrix->rows : matrix->columns;
    size_t k = dims + EXTRA < least ? dims + EXTRA : least;
    memset(left, 0, matrix->rows * dims * sizeof *left);
    memset(right, 0, matrix->columns * dims * sizeof *right);
    if (k == 0 || matrix->entries == 0)
        return true;
    struct svd_work work = {
        .q = calloc(matrix->rows * k, sizeof(float)),
        .b = calloc(matrix->columns * k, sizeof(float)),
        .gram = calloc(k * k, sizeof(float)),
        .values = calloc(k, sizeof(float)),
        .tau = calloc(k, sizeof(float)),
    };
    bool fine = work.q && work.b && work.gram && work.values && work.tau;
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for singular vectors of [%zu, %zu]", matrix->rows,
                matrix->columns);
    fine = fine && iterate(left, right, matrix, dims, seed, &work, k, err);
    free(work.q);
    free(work.b);
    free(work.gram);
    free(work.values);
    free(work.tau);
    return fine;
}
