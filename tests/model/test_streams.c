/*
 * Streams against policy_forward() of each sequence alone: for every family of trunks, in fp32 and
 * bf16, however sequences are sliced and whoever else is in a step.
 */
#include "tests/test.h"

#include "model/streams.h"
#include "model/tokenizer.h"

#include <math.h>

enum {
    ROWS = 5,
    NAME_LEVELS = 2,
    NAME_TILES = 3,
    CONTENT_DIMS = 4,
    VOCAB_SIZE = 70,
    LENGTH = 41,
    STREAMS = 4
};

static const uint16_t CODES[ROWS * (NAME_LEVELS + 1)] = {0, 0, 0, 0, 1, 0, 1, 0,
                                                         0, 1, 2, 0, 2, 2, 0};

static const struct shape BASE = {
    .dim = 48,
    .layers = 3,
    .heads = 4,
    .kv_heads = 2,
    .ffn = 75,
    .content = CONTENT_DIMS,
    .items = ROWS,
    .levels = NAME_LEVELS,
    .tiles = NAME_TILES,
    .vocab = VOCAB_SIZE,
    .rope_base = 10000,
    .norm_eps = 1e-5,
};

struct bench {
    struct policy policy;
    struct policy_work work;
    real content[ROWS * CONTENT_DIMS];
    uint32_t symbols[STREAMS][LENGTH];
    real *want; /* [STREAMS, LENGTH, dim] */
    struct arena arena;
};

static void lay_out(struct bench *b, struct arena *arena)
{
    const struct shape *s = &b->policy.shape;
    policy_layout(&b->work, s, LENGTH, LENGTH, 1, 1, false, arena);
    params_layout(&b->policy.params, s, arena);
    b->want = arena_take(arena, STREAMS * LENGTH * s->dim, sizeof *b->want);
}

static void fill(struct bench *b, struct rng *rng)
{
    static const unsigned char seen[ROWS] = {1, 1, 0, 1, 1};
    const struct shape *s = &b->policy.shape;
    params_start(&b->policy.params, s, seen, 4);
    for (size_t i = 0; i < PARAM_COUNT; i++)
        for (size_t k = 0; k < param_count(&PARAMS[i], s); k++)
            (*param_slot(&b->policy.params, &PARAMS[i]))[k] += (real)(0.1 * rng_normal(rng));
    for (size_t i = 0; i < ROWS * CONTENT_DIMS; i++)
        b->content[i] = (real)rng_normal(rng);
    b->policy.items = (struct item_table){
        .count = ROWS, .text_dims = 2, .content = b->content, .codes = CODES, .seen = seen};
}

static void bench_open(struct bench *b, const struct shape *shape)
{
    struct err err = {0};
    struct arena ruler = {0};
    struct rng rng = rng_stream(5, 1, 1);
    const struct loss_options options = {0};
    const uint32_t first[2] = {0, LENGTH};
    const struct packed packed = {.positions = LENGTH, .sequences = 1, .first = first};
    *b = (struct bench){.policy = {.shape = *shape, .kernels = kernels_best(), .marks = 3}};
    assert_fine(shape_check(shape, "shape", &err), err);
    lay_out(b, &ruler);
    assert_fine(arena_open(&b->arena, ruler.used, &err), err);
    lay_out(b, &b->arena);
    policy_prepare(&b->work, shape);
    fill(b, &rng);
    for (size_t i = 0; i < STREAMS; i++) {
        for (size_t k = 0; k < LENGTH; k++)
            b->symbols[i][k] = k == 20 * (i % 2) + 3 ? TOKEN + 3 + MARK_LIST
                               : rng_below(&rng, 3)  ? TOKEN + (uint32_t)rng_below(&rng, VOCAB_SIZE)
                                                     : (uint32_t)rng_below(&rng, ROWS);
        policy_forward(&b->work, &b->policy, &packed, b->symbols[i], &options);
        memcpy(b->want + i * LENGTH * shape->dim, b->work.trunk.z,
               LENGTH * shape->dim * sizeof(real));
    }
}

static struct streams *opened(const struct bench *b, size_t threads, enum stream_weights weights)
{
    struct err err = {0};
    const struct streams_options options = {.streams = STREAMS,
                                            .positions = LENGTH,
                                            .rows = 40,
                                            .threads = threads,
                                            .weights = weights};
    struct streams *s = streams_open(&b->policy, &options, &err);
    assert_fine(s != NULL, err);
    return s;
}

/* |z - want| / |want| at the last symbol of each input of a step, the worst. */
static double worst(const struct bench *b, const struct streams *s,
                    const struct stream_input *inputs, size_t count)
{
    size_t d = b->policy.shape.dim;
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        size_t stream = inputs[i].stream;
        const float *z = streams_z(s, i);
        const float *want = b->want + (stream * LENGTH + streams_length(s, stream) - 1) * d;
        double difference = 0;
        double length = 0;
        for (size_t c = 0; c < d; c++) {
            difference += pow((double)(z[c] - want[c]), 2);
            length += pow((double)want[c], 2);
        }
        most = fmax(most, sqrt(difference / length));
    }
    return most;
}

/* Logits are the text head's of z: rounded to bf16 in a half policy, and so is its head. */
static void check_logits(struct bench *b, struct streams *s, size_t input, double tolerance)
{
    const struct shape *shape = &b->policy.shape;
    const real *say = params_say(&b->policy.params, shape);
    const float *z = streams_z(s, input);
    const float *logits = streams_logits(s, input);
    double difference = 0;
    double length = 0;
    for (size_t t = 0; t < shape->vocab; t++) {
        double logit = 0;
        for (size_t c = 0; c < shape->dim; c++)
            logit += (double)z[c] * (double)say[t * shape->dim + c];
        difference += pow(logit - (double)logits[t], 2);
        length += logit * logit;
    }
    assert_true(sqrt(difference / length) <= tolerance);
}

/* All streams to their end, in slices of random size, whoever is in a step. */
static double run(struct bench *b, struct streams *s, uint64_t seed, bool half)
{
    struct rng rng = rng_stream(seed, 0, 0);
    double most = 0;
    for (size_t i = 0; i < STREAMS; i++)
        streams_cut(s, i, 0);
    for (size_t left = STREAMS; left;) {
        struct stream_input inputs[STREAMS];
        size_t count = 0;
        left = 0;
        for (size_t i = 0; i < STREAMS; i++) {
            size_t at = streams_length(s, i);
            size_t slice = seed % 2 ? 1 : 1 + rng_below(&rng, 10);
            left += at < LENGTH;
            if (at == LENGTH || rng_below(&rng, 4) == 0)
                continue;
            if (slice > LENGTH - at)
                slice = LENGTH - at;
            inputs[count++] =
                (struct stream_input){i, b->symbols[i] + at, slice, rng_below(&rng, 2) == 0};
        }
        streams_step(s, inputs, count);
        most = fmax(most, worst(b, s, inputs, count));
        for (size_t i = 0; i < count; i++)
            if (inputs[i].says)
                check_logits(b, s, i, half ? 0.01 : 1e-5);
    }
    return most;
}

static void check_family(const struct shape *shape)
{
    static struct bench b;
    bench_open(&b, shape);
    for (int half = 0; half < 2; half++)
        for (size_t threads = 1; threads <= 2; threads++) {
            struct streams *s = opened(&b, threads, half ? STREAM_BF16 : STREAM_F32);
            assert_int_equal(streams_half(s), half);
            for (uint64_t seed = 0; seed < 3; seed++) {
                double most = run(&b, s, seed, half);
                if (most > (half ? 0.06 : 1e-4))
                    fail_msg("|z - want| / |want| is %g, half %d, seed %d", most, half, (int)seed);
            }
            streams_close(s);
        }
    arena_close(&b.arena);
}

static void a_llama_with_shared_heads_of_k(void **state)
{
    (void)state;
    check_family(&BASE);
}

static void qwen2_with_biases(void **state)
{
    struct shape shape = BASE;
    (void)state;
    shape.qkv_bias = true;
    shape.kv_heads = 4;
    check_family(&shape);
}

static void qwen3_with_normed_wide_heads_and_a_text_head_of_its_own(void **state)
{
    struct shape shape = BASE;
    (void)state;
    shape.qk_norm = true;
    shape.head_size = 38;
    shape.kv_heads = 1;
    shape.untied = true;
    check_family(&shape);
}

/* What a stream gives does not depend on its company, its slices or the threads, to the bit. */
static void a_stream_does_not_see_the_others(void **state)
{
    static struct bench b;
    float want[48];
    (void)state;
    bench_open(&b, &BASE);
    for (int half = 0; half < 2; half++)
        for (size_t threads = 1; threads <= 2; threads++) {
            struct streams *s = opened(&b, threads, half ? STREAM_BF16 : STREAM_F32);
            if (threads == 1) {
                const struct stream_input alone = {2, b.symbols[2], 37, false};
                streams_step(s, &alone, 1);
                memcpy(want, streams_z(s, 0), sizeof want);
                streams_cut(s, 2, 0);
            }
            for (size_t k = 0; k < 37; k++) {
                struct stream_input inputs[2] = {{2, b.symbols[2] + k, 1, k % 3 == 0},
                                                 {1, b.symbols[1] + k, 1, false}};
                streams_step(s, inputs, 1 + k % 2);
                if (k % 2 == 0)
                    continue;
                streams_cut(s, 1, 0);
            }
            const struct stream_input last = {2, b.symbols[2] + 37, 1, false};
            streams_cut(s, 2, 36);
            const struct stream_input again = {2, b.symbols[2] + 36, 1, false};
            streams_step(s, &again, 1);
            assert_memory_equal(streams_z(s, 0), want, sizeof want);
            streams_step(s, &last, 1);
            streams_close(s);
        }
    arena_close(&b.arena);
}

static void what_cannot_be_is_refused(void **state)
{
    static struct bench b;
    struct err err = {0};
    struct shape shape = BASE;
    const struct streams_options options = {.streams = 2, .positions = 4, .rows = 1};
    (void)state;
    bench_open(&b, &shape);
    assert_null(streams_open(&b.policy, &options, &err));
    assert_says(err, "a row a stream");
    b.policy.shape.lora_rank = 2;
    err = (struct err){0};
    assert_null(streams_open(&b.policy, &options, &err));
    assert_says(err, "without adapters");
    arena_close(&b.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_llama_with_shared_heads_of_k),
        TEST(qwen2_with_biases),
        TEST(qwen3_with_normed_wide_heads_and_a_text_head_of_its_own),
        TEST(a_stream_does_not_see_the_others),
        TEST(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
