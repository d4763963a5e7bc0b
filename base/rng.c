#include "base/rng.h"

#include <math.h>

uint64_t rng_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct rng rng_stream(uint64_t seed, uint64_t a, uint64_t b)
{
    uint64_t state = rng_mix(seed + 0x9e3779b97f4a7c15u);
    state = rng_mix(state ^ (a + 0x9e3779b97f4a7c15u));
    state = rng_mix(state ^ (b + 0x7f4a7c159e3779b9u));
    return (struct rng){state};
}

uint64_t rng_u64(struct rng *rng)
{
    rng->state += 0x9e3779b97f4a7c15u;
    return rng_mix(rng->state);
}

double rng_uniform(struct rng *rng)
{
    return (double)(rng_u64(rng) >> 11) * 0x1p-53;
}

double rng_normal(struct rng *rng)
{
    double u = 1 - rng_uniform(rng);
    double v = rng_uniform(rng);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

size_t rng_below(struct rng *rng, size_t count)
{
    __extension__ typedef unsigned __int128 u128;
    return (size_t)(((u128)rng_u64(rng) * count) >> 64);
}

void rng_shuffle(struct rng *rng, uint32_t *values, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = rng_below(rng, i);
        uint32_t other = values[i - 1];
        values[i - 1] = values[j];
        values[j] = other;
    }
}
