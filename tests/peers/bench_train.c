/*
 * bench_train.c: positions/s of our trainer, beside what the cores can do.
 *
 * usage: bench_train HOME DIM LAYERS HEADS FFN STEPS [WINDOWS_FILE]
 *
 * Prints one JSON line: positions/s, the useful flop of a position (attention counted at the mean
 * length), the fp32 peak of this machine measured by a register-only FMA loop on as many threads,
 * and the share of it.  WINDOWS_FILE gets the window lengths of each step, so that a peer can run
 * the same.
 */
#include "base/files.h"
#include "train/rows.h"
#include "train/trainer.h"

#include <cblas.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FMA_ROUNDS = 40000000, CHAINS = 12 };

typedef float lanes __attribute__((vector_size(32)));

/* Two FMAs of 8 lanes a cycle on every AVX2 and AVX-512 core we know: chains enough to keep both
 * busy. */
__attribute__((target("avx2,fma"))) static void fma_loop(void *self, size_t piece, size_t worker)
{
    volatile float *out = self;
    lanes x[CHAINS];
    (void)worker;
    for (size_t c = 0; c < CHAINS; c++)
        x[c] = (lanes){0, 1, 2, 3, 4, 5, 6, 7} * (0.1F + (float)c);
    const lanes a = (lanes){0} + 0.999999F;
    const lanes b = (lanes){0} + 1e-6F;
    for (size_t i = 0; i < FMA_ROUNDS / 4; i++)
        for (size_t c = 0; c < CHAINS; c++)
            x[c] = x[c] * a + b;
    lanes sum = {0};
    for (size_t c = 0; c < CHAINS; c++)
        sum += x[c];
    out[piece] = sum[0];
}

static double peak_flops(struct thread_pool *pool)
{
    float out[64];
    double best = 0;
    size_t threads = thread_pool_count(pool);
    for (int round = 0; round < 5; round++) {
        double start = clock_s();
        thread_pool_run(pool, threads, fma_loop, out);
        double flops = (double)threads * (FMA_ROUNDS / 4) * CHAINS * 8 * 2 / (clock_s() - start);
        best = flops > best ? flops : best;
    }
    return best;
}

static void write_windows(const char *path, const struct trainer *t)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return;
    for (size_t i = 0; i < t->batches.window_count; i++)
        fprintf(file, "%u\n", t->batches.windows[i].length);
    fclose(file);
}

int main(int argc, char **argv)
{
    static struct event_settings events;
    static struct index_settings index;
    static struct train_settings train;
    struct err err = {0};
    struct row_data data = {0};
    struct trainer trainer = {0};
    if (argc < 7 || sodium_init() < 0) {
        fprintf(stderr, "usage: bench_train HOME DIM LAYERS HEADS FFN STEPS [WINDOWS_FILE]\n");
        return 2;
    }
    openblas_set_num_threads(1);
    const struct settings tables[] = {{EVENT_SETTINGS, EVENT_SETTINGS_COUNT, &events},
                                      {INDEX_SETTINGS, INDEX_SETTINGS_COUNT, &index},
                                      {TRAIN_SETTINGS, TRAIN_SETTINGS_COUNT, &train}};
    static const char *const names[] = {"dim", "layers", "heads", "ffn"};
    settings_start(tables, COUNT(tables));
    for (size_t i = 0; i < COUNT(names); i++)
        if (!settings_put(tables, COUNT(tables), names[i], argv[2 + i], &err))
            goto failed;
    train.kv_heads = train.heads;
    size_t steps = strtoul(argv[6], NULL, 10);
    const struct store_settings store_settings = {.map_mib = 4096, .sync = true};
    struct store *store = store_open(argv[1], &store_settings, false, &err);
    struct thread_pool *pool = store ? thread_pool_new(0, &err) : NULL;
    const struct job job = {argv[1], store, pool, &events, &index, &train};
    if (!pool || !rows_load(&data, &job, &err))
        goto failed;
    const struct item_index *items = data.index;
    char path[PATH_SIZE];
    if (!path_make(path, &err, "%s/indexes/current/tokenizer.json", argv[1]))
        goto failed;
    struct tokenizer *tokenizer = tokenizer_read(path, &err);
    if (!tokenizer)
        goto failed;
    const struct shape shape = {
        .dim = train.dim,
        .layers = train.layers,
        .heads = train.heads,
        .kv_heads = train.kv_heads,
        .ffn = train.ffn,
        .content = items->quantiser.dims,
        .items = items->items,
        .levels = items->quantiser.levels,
        .tiles = items->quantiser.tiles,
        .vocab = tokenizer_size(tokenizer),
        .rope_base = 10000,
        .norm_eps = 1e-5,
    };
    struct version *version = version_from(data.index, tokenizer, NULL, &shape, NULL, store, &err);
    struct snapshot *snapshot = version ? snapshot_open(version, store, &err) : NULL;
    if (!snapshot || !rows_name(&data, snapshot, &err) ||
        !trainer_open(&trainer, &train, version, &data.sequences, NULL, pool, &err))
        goto failed;
    if (argc > 7)
        write_windows(argv[7], &trainer);
    double length = 0;
    double positions = 0;
    for (size_t i = 0; i < trainer.batches.window_count; i++) {
        positions += trainer.batches.windows[i].length;
        length +=
            (double)trainer.batches.windows[i].length * (trainer.batches.windows[i].length + 1) / 2;
    }
    struct step_report report;
    for (int i = 0; i < 3; i++) /* pages and caches */
        trainer_step(&trainer, &report);
    size_t done = 0;
    double peak = peak_flops(pool);
    double start = clock_s();
    for (size_t i = 0; i < steps; i++) {
        trainer_step(&trainer, &report);
        done += report.targets;
    }
    double speed = (double)done / (clock_s() - start);
    double flop = trainer_flop_per_position(&trainer) +
                  3 * 4 * (double)shape.dim * (double)shape.layers * length / positions;
    double after = peak_flops(pool);
    peak = after > peak ? after : peak;
    printf("{\"positions_per_s\": %.1f, \"flop_per_position\": %.0f, \"gflops\": %.2f, "
           "\"peak_gflops\": %.2f, \"share\": %.4f, "
           "\"find_loss\": %.4f, \"batch\": %zu, \"items\": %zu, \"content\": %zu, \"levels\": "
           "%zu, \"tiles\": %zu}\n",
           speed, flop, speed * flop / 1e9, peak / 1e9, speed * flop / peak, report.find_loss,
           train.batch, shape.items, shape.content, shape.levels, shape.tiles);
    return 0;
failed:
    fprintf(stderr, "bench_train: %s\n", err.text);
    return 1;
}
