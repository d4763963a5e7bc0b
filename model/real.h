/*
 * real.h: the number that the policy computes in, and its three matrix products.
 *
 * float everywhere but in the double build, a second copy of this library in which the gradient
 * tests compare with finite differences.  Products go to OpenBLAS with one thread: parallelism is
 * over micro-batches (measured: threads inside one product collapse when a core is shared).
 *
 * bf16 and int8 products will stand beside these, behind the same three names.
 */
#ifndef MODEL_REAL_H
#define MODEL_REAL_H

#include <cblas.h>
#include <stddef.h>

#ifdef TESSERA_DOUBLE
typedef double real;
#define REAL_GEMM cblas_dgemm
#define REAL_GEMV cblas_dgemv
#define REAL_DOT cblas_ddot
#define REAL_EXP exp
#define REAL_LOG log
#define REAL(x) x
#else
typedef float real;
#define REAL_GEMM cblas_sgemm
#define REAL_GEMV cblas_sgemv
#define REAL_DOT cblas_sdot
#define REAL_EXP expf
#define REAL_LOG logf
#define REAL(x) x##F
#endif

/* c [m, n] = keep * c + a [m, k] * b [n, k]^T */
static inline void product_nt(real *c, const real *a, const real *b, size_t m, size_t n, size_t k,
                              real keep)
{
    REAL_GEMM(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, 1, a, (int)k, b,
              (int)k, keep, c, (int)n);
}

/* c [m, n] = keep * c + a [m, k] * b [k, n] */
static inline void product_nn(real *c, const real *a, const real *b, size_t m, size_t n, size_t k,
                              real keep)
{
    REAL_GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1, a, (int)k, b,
              (int)n, keep, c, (int)n);
}

/* c [m, n] = keep * c + a [k, m]^T * b [k, n] */
static inline void product_tn(real *c, const real *a, const real *b, size_t m, size_t n, size_t k,
                              real keep)
{
    REAL_GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1, a, (int)m, b,
              (int)n, keep, c, (int)n);
}

#endif
