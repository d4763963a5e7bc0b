/*
 * bench_prefix.c: what sharing a prefix saves, forward and backward on one core, beside what
 * counting tokens predicts.
 *
 * usage: bench_prefix
 *
 * A line of JSON for each prefix, suffix and group: seconds with the prefix repeated before each of
 * the group's suffixes, seconds with it shared, their ratio, and (prefix + suffix) group / (prefix
 * + suffix group).  Suffix 0 is direct mode: a name hangs at the prefix's last hidden state and has
 * no positions of its own.  The trunk alone, at the default policy's size; the best of several
 * rounds, in turn.
 */
#include "base/files.h"
#include "model/trunk.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct shape SHAPE = {.dim = 128,
                                   .layers = 1,
                                   .heads = 4,
                                   .kv_heads = 4,
                                   .ffn = 352,
                                   .content = 16,
                                   .items = 16,
                                   .levels = 3,
                                   .tiles = 16,
                                   .vocab = 300,
                                   .rope_base = 10000,
                                   .norm_eps = 1e-5};
enum { POSITIONS_LEAST = 2000 }; /* in the shared form: many small prompts make one batch */

struct form {
    struct packed packed;
    uint32_t *first, *prefix; /* owned */
    struct trunk_work work;
    struct params grads;
    struct arena arena; /* owned */
    real *dz;           /* in the arena */
    double best_s;
};

static void lay_out(struct form *f, size_t length, struct arena *arena)
{
    trunk_layout(&f->work, &SHAPE, f->packed.positions, length, true, arena);
    params_layout(&f->grads, &SHAPE, arena);
    f->dz = arena_take(arena, f->packed.positions * SHAPE.dim, sizeof(real));
}

static bool form_open(struct form *f, size_t prompts, size_t prefix, size_t suffix, size_t group,
                      bool shared, struct err *err)
{
    size_t rows = prompts * group;
    size_t length = prefix + suffix;
    *f = (struct form){.best_s = 1e30};
    f->first = calloc(rows + 1, sizeof *f->first);
    f->prefix = calloc(rows, sizeof *f->prefix);
    if (!f->first || !f->prefix)
        return err_set(err, ERR_SYSTEM, "no memory for %zu rows", rows);
    size_t sequences = shared ? prompts : rows;
    for (size_t i = 0; i <= sequences; i++)
        f->first[i] = (uint32_t)(i * (shared ? prefix : length));
    for (size_t i = 0; i < rows; i++)
        f->prefix[i] = (uint32_t)(i / group);
    f->packed =
        (struct packed){.positions = shared ? prompts * prefix + rows * suffix : rows * length,
                        .sequences = sequences,
                        .first = f->first,
                        .suffixes = shared && suffix ? rows : 0,
                        .steps = shared ? suffix : 0,
                        .prefix = f->prefix};
    struct arena ruler = {0};
    lay_out(f, length, &ruler);
    if (!arena_open(&f->arena, ruler.used, err))
        return false;
    lay_out(f, length, &f->arena);
    trunk_prepare(&f->work, &SHAPE);
    struct rng rng = rng_stream(1, 2, 3);
    for (size_t i = 0; i < f->packed.positions * SHAPE.dim; i++) {
        f->work.x[i] = (real)rng_normal(&rng);
        f->dz[i] = (real)rng_normal(&rng);
    }
    return true;
}

static void form_close(struct form *f)
{
    arena_close(&f->arena);
    free(f->first);
    free(f->prefix);
}

static void run(struct form *f, const struct params *params)
{
    const struct dropout none = {0};
    double start = clock_s();
    trunk_forward(&f->work, &SHAPE, params, &f->packed, 0, f->packed.positions, none,
                  kernels_best());
    trunk_backward(&f->work, &f->grads, f->dz, &SHAPE, params, &f->packed, none, kernels_best());
    double seconds = clock_s() - start;
    f->best_s = seconds < f->best_s ? seconds : f->best_s;
}

static bool measure(const struct params *params, size_t prefix, size_t suffix, size_t group,
                    struct err *err)
{
    struct form repeated;
    struct form shared;
    size_t positions = prefix + suffix * group;
    size_t prompts = (POSITIONS_LEAST + positions - 1) / positions;
    if (!form_open(&repeated, prompts, prefix, suffix, group, false, err) ||
        !form_open(&shared, prompts, prefix, suffix, group, true, err))
        return false;
    double start = clock_s();
    for (int round = 0; round < 3 || (round < 12 && clock_s() - start < 2); round++) {
        run(&repeated, params);
        run(&shared, params);
    }
    double ratio = repeated.best_s / shared.best_s;
    double predicted = (double)((prefix + suffix) * group) / (double)positions;
    printf("{\"prefix\": %zu, \"suffix\": %zu, \"group\": %zu, \"repeated_s\": %.5f, \"shared_s\": "
           "%.5f, \"ratio\": %.3f, \"predicted\": %.3f, \"of_predicted\": %.3f}\n",
           prefix, suffix, group, repeated.best_s, shared.best_s, ratio, predicted,
           ratio / predicted);
    fflush(stdout);
    form_close(&repeated);
    form_close(&shared);
    return true;
}

int main(void)
{
    static const size_t prefixes[] = {20, 200, 2000};
    static const size_t suffixes[] = {0, 4, 40};
    static const size_t groups[] = {8, 16};
    static const unsigned char seen[16] = {1};
    struct params params;
    struct arena arena = {0};
    struct arena ruler = {0};
    struct err err = {0};
    openblas_set_num_threads(1);
    params_layout(&params, &SHAPE, &ruler);
    bool fine = arena_open(&arena, ruler.used, &err);
    if (fine) {
        params_layout(&params, &SHAPE, &arena);
        params_start(&params, &SHAPE, seen, 1);
    }
    for (size_t p = 0; fine && p < COUNT(prefixes); p++)
        for (size_t s = 0; fine && s < COUNT(suffixes); s++)
            for (size_t g = 0; fine && g < COUNT(groups); g++)
                fine = measure(&params, prefixes[p], suffixes[s], groups[g], &err);
    arena_close(&arena);
    if (!fine)
        fprintf(stderr, "bench_prefix: %s\n", err.text);
    return fine ? 0 : 1;
}
