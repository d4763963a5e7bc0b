/*
 * rng.h: random numbers that depend on a key and a counter, never on who asks first.
 *
 * A stream is named by up to three numbers (seed, step, row ...).  Training draws its masks from
 * the stream of their step and row, so that a run resumed after a crash, or run on other thread
 * counts, draws the same numbers.  The generator is SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state;
};

struct rng rng_stream(uint64_t seed, uint64_t a, uint64_t b);
uint64_t rng_u64(struct rng *rng);
double rng_uniform(struct rng *rng);             /* [0, 1) */
double rng_normal(struct rng *rng);              /* mean 0, deviation 1 */
size_t rng_below(struct rng *rng, size_t count); /* [0, count); count > 0 */
void rng_shuffle(struct rng *rng, uint32_t *values, size_t count);
uint64_t rng_mix(uint64_t value); /* a 64-bit hash of one number */

#endif
