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
#include "model/backbone.h"
#include "model/streams.h"
#include "recommend/talks.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROMPT = 200, READ = 512, SLICE = 128, WRITE = 48, MANY = 16, RANKS = 10, ROUNDS = 3 };

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
    struct version version;
    struct snapshot snapshot;
    struct item_index index;
    uint16_t *codes; /* owned [items, levels + 1] */
    real *content;   /* owned [items, content] */
    real *vectors;   /* owned [items, dim] */
    uint64_t *bits;  /* owned: none set */
    struct streams *streams;
    uint32_t symbols[READ];
    struct arena arena;
};

static int compare_names(const void *a, const void *b)
{
    const uint16_t *x = a;
    const uint16_t *y = b;
    for (size_t l = 0; l < 4; l++)
        if (x[l] != y[l])
            return x[l] < y[l] ? -1 : 1;
    return 0;
}

/* Names that rise, the last tile telling equal ones apart. */
static bool make_names(struct bench *b, struct err *err)
{
    const struct shape *s = &b->policy.shape;
    size_t levels = s->levels + 1;
    struct rng rng = rng_stream(4, 5, 6);
    for (size_t i = 0; i < s->items; i++)
        for (size_t l = 0; l < s->levels; l++)
            b->codes[i * levels + l] = (uint16_t)rng_below(&rng, s->tiles);
    qsort(b->codes, s->items, levels * sizeof *b->codes, compare_names);
    for (size_t i = 1; i < s->items; i++) {
        uint16_t *own = b->codes + i * levels;
        bool same = memcmp(own, own - levels, s->levels * sizeof *own) == 0;
        own[s->levels] = same ? (uint16_t)(own[-1] + 1) : 0;
    }
    return trie_open(&b->version.trie, b->codes, NULL, s->items, levels, err);
}

static bool make_catalogue(struct bench *b, struct err *err)
{
    const struct shape *s = &b->policy.shape;
    struct rng rng = rng_stream(7, 8, 9);
    b->codes = calloc(s->items * (s->levels + 1), sizeof *b->codes);
    b->content = calloc(s->items * s->content, sizeof *b->content);
    b->vectors = calloc(s->items * s->dim, sizeof *b->vectors);
    b->bits = calloc(s->items / 64 + 1, sizeof *b->bits);
    if (!b->codes || !b->content || !b->vectors || !b->bits)
        return err_set(err, ERR_SYSTEM, "no memory for %zu items", s->items);
    for (size_t i = 0; i < s->items * s->content; i++)
        b->content[i] = (real)rng_normal(&rng);
    if (!make_names(b, err))
        return false;
    b->policy.items = (struct item_table){
        .count = s->items, .text_dims = s->content, .content = b->content, .codes = b->codes};
    policy_find_vectors(b->vectors, &b->policy, 0, s->items);
    b->policy.find_vectors = b->vectors;
    b->policy.marks = TOKENIZER_MARKS_AT;
    b->version.policy = b->policy;
    b->index.items = s->items;
    b->version.index = &b->index;
    b->version.unseen = b->bits;
    b->snapshot =
        (struct snapshot){.version = &b->version, .rows = s->items, .hidden = b->bits, .uses = 9};
    return true;
}

static bool make_policy(struct bench *b, const char *path, struct err *err)
{
    const struct shape *shape = &b->policy.shape;
    struct arena ruler = {0};
    struct backbone *backbone = NULL;
    unsigned char *seen = malloc(shape->items);
    if (path) {
        struct shape own = *shape;
        backbone = backbone_open(path, err);
        if (!backbone)
            return false;
        b->policy.shape = *backbone_shape(backbone);
        b->policy.shape.content = own.content;
        b->policy.shape.items = own.items;
        b->policy.shape.levels = own.levels;
        b->policy.shape.tiles = own.tiles;
    }
    params_layout(&b->policy.params, shape, &ruler);
    bool fine = seen && arena_open(&b->arena, ruler.used, err);
    if (fine) {
        memset(seen, 1, shape->items);
        params_layout(&b->policy.params, shape, &b->arena);
        params_start(&b->policy.params, shape, seen, 1);
        if (backbone)
            backbone_read(&b->policy.params, backbone);
    }
    backbone_close(backbone);
    free(seen);
    return fine;
}

static bool bench_open(struct bench *b, const struct shape *shape, const char *path,
                       struct err *err)
{
    struct rng rng = rng_stream(1, 2, 3);
    const struct streams_options options = {.streams = MANY, .positions = 768, .rows = 256};
    *b = (struct bench){.policy = {.shape = *shape, .kernels = kernels_best()}};
    if (!make_policy(b, path, err) || !make_catalogue(b, err))
        return false;
    for (size_t i = 0; i < READ; i++)
        b->symbols[i] = TOKEN + (uint32_t)rng_below(&rng, b->policy.shape.vocab);
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

struct listing {
    double rank_ms, list_ms, many_ms, step_ms;
};

/* One talk, then as many as there are streams. */
static bool list(struct listing *out, struct bench *b, struct err *err)
{
    static struct talk talk[MANY];
    const struct talks_options options = {.streams = MANY, .positions = 512, .beam = 50};
    struct talks *talks = talks_open(&b->snapshot, &options, err);
    *out = (struct listing){1e30, 1e30, 1e30, 1e30};
    for (size_t round = 0; talks && round < ROUNDS; round++)
        for (size_t many = 1; many <= MANY; many += MANY - 1) {
            double start = clock_s();
            double longest = 0;
            double rank = 0;
            for (size_t i = 0; i < many; i++) {
                talk[i] =
                    (struct talk){.prompt = b->symbols + i, .prompt_count = PROMPT, .n = RANKS};
                talks_add(talks, &talk[i]);
            }
            for (size_t left = many; left;) {
                double step = clock_s();
                left = talks_step(talks);
                longest = clock_s() - step > longest ? clock_s() - step : longest;
                rank = rank == 0 && talk[0].listed ? clock_s() - start : rank;
            }
            double took = (clock_s() - start) * 1e3;
            if (many == 1 && took < out->list_ms) {
                out->list_ms = took;
                out->rank_ms = rank * 1e3;
            } else if (many > 1 && took < out->many_ms) {
                out->many_ms = took;
                out->step_ms = longest * 1e3;
            }
        }
    talks_close(talks);
    return talks != NULL;
}

static void bench_close(struct bench *b)
{
    streams_close(b->streams);
    trie_close(&b->version.trie);
    free(b->codes);
    free(b->content);
    free(b->vectors);
    free(b->bits);
    arena_close(&b->arena);
}

int main(int argc, char **argv)
{
    static struct bench b;
    struct err err = {0};
    struct listing listing;
    const char *which = argc > 1 ? argv[1] : "smollm2";
    bool small = strcmp(which, "small") == 0;
    bool path = !small && strcmp(which, "smollm2") != 0;
    openblas_set_num_threads(1);
    if (!bench_open(&b, small ? &SMALL : &SMOLLM2, path ? which : NULL, &err)) {
        fprintf(stderr, "bench_streams: %s\n", err.text);
        return 1;
    }
    size_t mib = streams_bytes(b.streams) >> 20;
    bool half = streams_half(b.streams);
    double reads = read_per_s(&b);
    double first = first_token_ms(&b);
    double one = write_per_s(&b, 1);
    double many = write_per_s(&b, MANY);
    streams_close(b.streams);
    b.streams = NULL;
    if (!list(&listing, &b, &err)) {
        fprintf(stderr, "bench_streams: %s\n", err.text);
        return 1;
    }
    printf("{\"policy\":\"%s\",\"weights\":\"%s\",\"mib\":%zu,\"prefill_per_s\":%.1f,"
           "\"decode_1_per_s\":%.1f,\"decode_16_per_s\":%.1f,\"first_token_ms\":%.2f,"
           "\"first_rank_ms\":%.2f,\"list_ms\":%.2f,\"lists_16_ms\":%.2f,"
           "\"longest_step_16_ms\":%.2f}\n",
           small ? "small" : "smollm2", half ? "bf16" : "fp32", mib, reads, one, many, first,
           listing.rank_ms, listing.list_ms, listing.many_ms, listing.step_ms);
    bench_close(&b);
    return 0;
}
