/*
 * bench_streams.c: how fast sequences are read and written with a cache each.
 *
 * usage: bench_streams [smollm2|small]
 *
 * One line of JSON: tokens/s read (a prompt of 512, in slices of 128), tokens/s written by 1 and by
 * 16 streams behind 200 symbols each (text head included; the next token is the likeliest), and the
 * milliseconds from a prompt of 200 to its first token and to a full list of 10, by
 * recommend/talks. Weights are random: they cost the same.  smollm2 has the shape of SmolLM2-135M
 * (bf16), small that of the default policy (fp32); the list is of a made-up catalogue of 7,637
 * items.  The best of several rounds.
 */
#include "base/files.h"
#include "base/rng.h"
#include "model/streams.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROMPT = 200, READ = 512, SLICE = 128, WRITE = 48, MANY = 16, ROUNDS = 3 };

static const struct shape SMOLLM2 = {.dim = 576,
                                     .layers = 30,
                                     .heads = 9,
                                     .kv_heads = 3,
                                     .ffn = 1536,
                                     .content = 64,
                                     .items = 7637,
                                     .levels = 3,
                                     .tiles = 64,
                                     .vocab = 49152,
                                     .rope_base = 100000,
                                     .norm_eps = 1e-5};
static const struct shape SMALL = {.dim = 128,
                                   .layers = 1,
                                   .heads = 4,
                                   .kv_heads = 4,
                                   .ffn = 352,
                                   .content = 64,
                                   .items = 7637,
                                   .levels = 3,
                                   .tiles = 64,
                                   .vocab = 8192,
                                   .rope_base = 10000,
                                   .norm_eps = 1e-5};

struct bench {
    struct policy policy;
    struct streams *streams;
    uint32_t symbols[READ];
    struct arena arena;
};

static bool bench_open(struct bench *b, const struct shape *shape, struct err *err)
{
    struct arena ruler = {0};
    struct rng rng = rng_stream(1, 2, 3);
    unsigned char *seen = malloc(shape->items);
    const struct streams_options options = {.streams = MANY, .positions = 768, .rows = 256};
    *b = (struct bench){.policy = {.shape = *shape, .kernels = kernels_best()}};
    params_layout(&b->policy.params, shape, &ruler);
    if (!seen || !arena_open(&b->arena, ruler.used, err))
        return false;
    memset(seen, 1, shape->items);
    params_layout(&b->policy.params, shape, &b->arena);
    params_start(&b->policy.params, shape, seen, 1);
    free(seen);
    for (size_t i = 0; i < READ; i++)
        b->symbols[i] = TOKEN + (uint32_t)rng_below(&rng, shape->vocab);
    b->streams = streams_open(&b->policy, &options, err);
    return b->streams != NULL;
}

static void read_prompt(struct bench *b, size_t stream, size_t count, bool says)
{
    streams_cut(b->streams, stream, 0);
    for (size_t at = 0; at < count; at += SLICE) {
        size_t slice = count - at < SLICE ? count - at : SLICE;
        const struct stream_input input = {stream, b->symbols + at, slice,
                                           says && at + slice == count};
        streams_step(b->streams, &input, 1);
    }
}

static uint32_t likeliest(const float *logits, size_t vocab)
{
    size_t best = 0;
    for (size_t t = 1; t < vocab; t++)
        if (logits[t] > logits[best])
            best = t;
    return TOKEN + (uint32_t)best;
}

static double read_per_s(struct bench *b)
{
    double best = 1e30;
    for (size_t round = 0; round < ROUNDS; round++) {
        double start = clock_s();
        read_prompt(b, 0, READ, false);
        double took = clock_s() - start;
        best = took < best ? took : best;
    }
    return READ / best;
}

static double first_token_ms(struct bench *b)
{
    double best = 1e30;
    for (size_t round = 0; round < ROUNDS; round++) {
        double start = clock_s();
        read_prompt(b, 0, PROMPT, true);
        likeliest(streams_logits(b->streams, 0), b->policy.shape.vocab);
        double took = clock_s() - start;
        best = took < best ? took : best;
    }
    return best * 1e3;
}

static double write_per_s(struct bench *b, size_t streams)
{
    double best = 1e30;
    uint32_t last[MANY];
    struct stream_input inputs[MANY];
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t s = 0; s < streams; s++) {
            read_prompt(b, s, PROMPT, false);
            last[s] = b->symbols[s];
            inputs[s] = (struct stream_input){s, &last[s], 1, true};
        }
        double start = clock_s();
        for (size_t step = 0; step < WRITE; step++) {
            streams_step(b->streams, inputs, streams);
            for (size_t s = 0; s < streams; s++)
                last[s] = likeliest(streams_logits(b->streams, s), b->policy.shape.vocab);
        }
        double took = clock_s() - start;
        best = took < best ? took : best;
    }
    return (double)(WRITE * streams) / best;
}

int main(int argc, char **argv)
{
    static struct bench b;
    struct err err = {0};
    bool small = argc > 1 && strcmp(argv[1], "small") == 0;
    openblas_set_num_threads(1);
    if (!bench_open(&b, small ? &SMALL : &SMOLLM2, &err)) {
        fprintf(stderr, "bench_streams: %s\n", err.text);
        return 1;
    }
    double reads = read_per_s(&b);
    double first = first_token_ms(&b);
    double one = write_per_s(&b, 1);
    double many = write_per_s(&b, MANY);
    printf("{\"policy\":\"%s\",\"weights\":\"%s\",\"mib\":%zu,\"prefill_per_s\":%.1f,"
           "\"decode_1_per_s\":%.1f,\"decode_16_per_s\":%.1f,\"first_token_ms\":%.2f}\n",
           small ? "small" : "smollm2", streams_half(b.streams) ? "bf16" : "fp32",
           streams_bytes(b.streams) >> 20, reads, one, many, first);
    streams_close(b.streams);
    arena_close(&b.arena);
    return 0;
}
