/*
 * sparse.h: sparse matrices by rows, and their largest singular vectors.
 *
 * svd_sparse() is the randomised method with subspace iteration of Halko, Martinsson and Tropp
 * (SIAM Review 2011, algorithms 4.4 and 5.1): the answer depends on the seed only through rounding
 * once the iteration has converged.
 *
 * Memory    a matrix owns its arrays; sparse_free().
 * Cost      svd: (2 * ITERATIONS + 2) * 2 * entries * dims, and dense QR of [rows, dims].
 */
#ifndef INDEX_SPARSE_H
#define INDEX_SPARSE_H

#include "base/err.h"

#include <stdint.h>

struct sparse {
    size_t rows, columns, entries;
    size_t *first;    /* [rows + 1] */
    uint32_t *column; /* [entries] rising within a row */
    float *value;     /* [entries] */
};

struct pair { /* an entry before it has its place; equal (row, column) are summed */
    uint32_t row, column;
    float value;
};

struct pairs {
    struct pair *list; /* owned */
    size_t count, room;
};

bool pairs_add(struct pairs *pairs, struct pair pair, struct err *err) MUST_CHECK;
struct sparse *sparse_from_pairs(struct pairs *pairs, size_t rows, size_t columns,
                                 struct err *err) MUST_CHECK;
void sparse_free(struct sparse *sparse); /* NULL is fine */

/*
 * left [rows, dims] = U * diag(S), right [columns, dims] = V of the best rank-dims approximation;
 * dims is cut to what the matrix can give, the rest of the columns are zero.
 */
bool svd_sparse(float *left, float *right, const struct sparse *matrix, size_t dims, uint64_t seed,
                struct err *err) MUST_CHECK;

#endif
