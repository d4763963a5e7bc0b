/* batch.h: a drawn batch of rollouts, and objectives by name, for tests of parts. */
#ifndef TESTS_OBJECTIVE_BATCH_H
#define TESTS_OBJECTIVE_BATCH_H

#include "tests/test.h"

#include "objective/objective.h"

#include <math.h>

enum { GROUPS = 3, ROWS = 6, RANKS = 3, TILES = 4 };

static struct rollouts b;
static struct arena arena;

static inline void lay_out(struct arena *a, size_t groups, size_t rows, size_t units, size_t tokens)
{
    rollouts_layout(&b, groups, rows, units, tokens, a);
}

/* groups of `rows` rows of `units` units of `tokens` tokens; everything else drawn by the seed. */
static inline void make(size_t groups, size_t rows, size_t units, size_t tokens, uint64_t seed)
{
    struct err err = {0};
    struct arena ruler = {0};
    arena_close(&arena);
    size_t all_rows = groups * rows;
    size_t all_units = all_rows * units;
    size_t all = all_units * tokens;
    b = (struct rollouts){.levels = 4};
    lay_out(&ruler, groups, all_rows, all_units, all);
    assert_fine(arena_open(&arena, ruler.used, &err), err);
    lay_out(&arena, groups, all_rows, all_units, all);
    b.groups = groups;
    b.rows = all_rows;
    b.units = all_units;
    b.tokens = all;
    b.rng = rng_stream(seed, 1, 2);
    struct rng rng = rng_stream(seed, 3, 4);
    for (size_t g = 0; g <= groups; g++)
        b.group_row[g] = g * rows;
    for (size_t r = 0; r <= all_rows; r++)
        b.row_unit[r] = r * units;
    for (size_t u = 0; u <= all_units; u++)
        b.unit_token[u] = u * tokens;
    for (size_t r = 0; r < all_rows; r++) {
        b.kind[r] = ROW_ROLLOUT;
        b.valid[r] = 1;
    }
    for (size_t u = 0; u < all_units; u++) {
        b.exact[u] = rng_uniform(&rng) < 0.3;
        b.matched[u] = b.exact[u] > 0 ? 4 : (double)rng_below(&rng, 4);
        b.alike[u] = rng_uniform(&rng);
    }
    for (size_t t = 0; t < all; t++) {
        b.tile[t] = (uint32_t)rng_below(&rng, 2);
        b.lp_old[t] = -0.1 - 2 * rng_uniform(&rng);
        b.lp[t] = b.lp_old[t] + 0.2 * rng_normal(&rng);
        b.lp_ref[t] = b.lp_old[t] + 0.1 * rng_normal(&rng);
        b.entropy[t] = 0.5 + rng_uniform(&rng);
    }
}

static inline struct objective open_with(const char *algo, const char *more)
{
    struct err err = {0};
    struct objective o;
    struct objective_settings s;
    struct text warnings;
    const struct settings table = {OBJECTIVE_SETTINGS, OBJECTIVE_SETTINGS_COUNT, &s};
    settings_start(&table, 1);
    snprintf(s.algo, sizeof s.algo, "%s", algo);
    assert_fine(objective_expand(&s, &err), err);
    for (const char *at = more; *at; at += strspn(at, " ")) {
        char pair[200];
        size_t size = strcspn(at, " ");
        snprintf(pair, sizeof pair, "%.*s", (int)size, at);
        char *equals = strchr(pair, '=');
        *equals = 0;
        assert_fine(settings_put(&table, 1, pair, equals + 1, &err), err);
        at += size;
    }
    text_init(&warnings, 4096);
    assert_fine(objective_open(&o, &s, &warnings, &err), err);
    text_release(&warnings);
    return o;
}

static inline void near(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("expected %.8f, found %.8f", expected, found);
}

#endif
