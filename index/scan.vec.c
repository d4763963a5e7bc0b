/*
 * scan.vec.c: scores[i] = vectors[i] . query, four rows at a time so that the query stays in
 * registers and the adds overlap.  Built with VARIANT plain, avx2 and avx512 (see CMakeLists.txt).
 */
#include "index/scan.h"

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)

void JOIN(scan, VARIANT)(float *restrict scores, const float *restrict vectors,
                         const float *restrict query, size_t items, size_t dims)
{
    size_t i = 0;
    for (; i + 4 <= items; i += 4) {
        const float *row = vectors + i * dims;
        float a = 0;
        float b = 0;
        float c = 0;
        float d = 0;
#pragma omp simd reduction(+ : a, b, c, d)
        for (size_t k = 0; k < dims; k++) {
            a += row[k] * query[k];
            b += row[dims + k] * query[k];
            c += row[2 * dims + k] * query[k];
            d += row[3 * dims + k] * query[k];
        }
        scores[i] = a;
        scores[i + 1] = b;
        scores[i + 2] = c;
        scores[i + 3] = d;
    }
    for (; i < items; i++) {
        float a = 0;
#pragma omp simd reduction(+ : a)
        for (size_t k = 0; k < dims; k++)
            a += vectors[i * dims + k] * query[k];
        scores[i] = a;
    }
}
