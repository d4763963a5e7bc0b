#include "model/kernels/kernels.h"

#ifndef TESSERA_DOUBLE
extern const struct kernels KERNELS_avx2;
extern const struct kernels KERNELS_avx512;
#endif

size_t kernels_all(const struct kernels **tables, size_t max)
{
    size_t count = 0;
    if (count < max)
        tables[count++] = &KERNELS_REFERENCE;
#ifndef TESSERA_DOUBLE
    __builtin_cpu_init();
    if (count < max && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        tables[count++] = &KERNELS_avx2;
    if (count < max && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        tables[count++] = &KERNELS_avx512;
#endif
    return count;
}

const struct kernels *kernels_best(void)
{
    const struct kernels *tables[4];
    return tables[kernels_all(tables, 4) - 1];
}
