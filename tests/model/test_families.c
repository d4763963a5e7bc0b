/*
 * Trunks of other families (biases, norms of heads, heads wider than dim / heads, a text head of
 * their own, stretched rope) in double: every parameter tensor's gradient against central
 * differences, over packed words with a shared prefix, and turns against Llama 3's formula.
 */
#include "tests/test.h"

#include "base/rng.h"
#include "model/config.h"
#include "model/lora.h"
#include "model/policy.h"

#include <math.h>

enum { POSITIONS = 12, VOCAB_SIZE = 7, WORDS = 4 };

#define T(n) (TOKEN + (n))

/* two sequences of 4 and 4; two suffixes of 2 steps go on from the first and the second */
static const uint32_t FIRST[] = {0, 4, 8};
static const uint32_t PREFIX[] = {0, 1};
static const uint32_t INPUT[POSITIONS] = {T(0), T(3), T(5), T(2), T(6), T(2),
                                          T(1), T(6), T(4), T(1), T(0), T(5)};
static const uint32_t TARGET[POSITIONS] = {T(3), T(5), T(2), NO_ITEM, T(2), T(0),
                                           T(6), T(5), T(5), T(1),    T(4), T(2)};
static const real WEIGHT[POSITIONS] = {1, 1, 0.5, 1, 1, 2, 0.25, 1, 1, 0.5, 1, 1};

static const struct shape BASE = {
    .dim = 16,
    .layers = 2,
    .heads = 2,
    .kv_heads = 1,
    .ffn = 12,
    .content = 3,
    .items = 1,
    .levels = 1,
    .tiles = 1,
    .vocab = VOCAB_SIZE,
    .rope_base = 10000,
    .norm_eps = 1e-5,
};

struct bench {
    struct policy policy;
    struct params base; /* of adapters */
    struct policy_work work;
    struct params grads;
    struct arena arena;
};

static void lay_out(struct bench *b, struct arena *arena)
{
    const struct shape *s = &b->policy.shape;
    policy_layout(&b->work, s, POSITIONS, 8, 1, 1, true, arena);
    params_layout(&b->policy.params, s, arena);
    params_layout_without(&b->grads, s->lora_rank ? trunk_matrices() : 0, s, arena);
    params_layout(&b->base, s, arena);
}

static void start(struct bench *b, const struct shape *shape)
{
    struct err err = {0};
    struct arena ruler = {0};
    const unsigned char seen = 1;
    struct rng rng = rng_stream(5, 1, 1);
    *b = (struct bench){.policy = {.shape = *shape, .kernels = &KERNELS_REFERENCE}};
    assert_fine(shape_check(shape, "shape", &err), err);
    lay_out(b, &ruler);
    assert_fine(arena_open(&b->arena, ruler.used, &err), err);
    lay_out(b, &b->arena);
    policy_prepare(&b->work, shape);
    params_start(&b->policy.params, shape, &seen, 4);
    for (size_t i = 0; i < PARAM_COUNT; i++)
        for (size_t k = 0; k < param_count(&PARAMS[i], shape); k++)
            (*param_slot(&b->policy.params, &PARAMS[i]))[k] += 0.3 * rng_normal(&rng);
    params_copy(&b->base, &b->policy.params, shape);
}

static double loss_of(struct bench *b)
{
    struct losses losses = {0};
    const struct examples examples = {{.positions = POSITIONS,
                                       .sequences = 2,
                                       .first = FIRST,
                                       .suffixes = 2,
                                       .steps = 2,
                                       .prefix = PREFIX},
                                      INPUT,
                                      TARGET,
                                      WEIGHT};
    const struct loss_options options = {
        .dropout = 0.2, .say_weight = 1, .scale = 1.0 / 8, .rng = rng_stream(1, 2, 3)};
    for (size_t i = 0; i < PARAM_COUNT; i++)
        if (*param_slot(&b->grads, &PARAMS[i]))
            memset(*param_slot(&b->grads, &PARAMS[i]), 0,
                   param_count(&PARAMS[i], &b->policy.shape) * sizeof(real));
    for (size_t l = 0; b->policy.shape.lora_rank && l < b->policy.shape.layers; l++)
        lora_merge(&b->policy.params, &b->base, &b->policy.params, &b->policy.shape, l);
    policy_learn(&b->work, &b->grads, NULL, &losses, &b->policy, &examples, &options);
    return losses.say / 8;
}

static void check_tensor(struct bench *b, size_t i)
{
    size_t count = param_count(&PARAMS[i], &b->policy.shape);
    double difference = 0;
    double length = 0;
    loss_of(b);
    double *grad = malloc(count * sizeof *grad);
    assert_non_null(grad);
    memcpy(grad, *param_slot(&b->grads, &PARAMS[i]), count * sizeof *grad);
    for (size_t k = 0; k < count; k++) {
        double *at = *param_slot(&b->policy.params, &PARAMS[i]) + k;
        double was = *at;
        *at = was + 1e-5;
        double up = loss_of(b);
        *at = was - 1e-5;
        double down = loss_of(b);
        *at = was;
        double slope = (up - down) / 2e-5;
        difference += (slope - grad[k]) * (slope - grad[k]);
        length += slope * slope;
    }
    free(grad);
    /* a bias of k moves all scores of a query alike: softmax does not see it */
    double least = strstr(PARAMS[i].name, "k_proj.bias") ? 1e-9 : 0;
    if (!(sqrt(difference) <= 1e-6 * sqrt(length) + least) || length == 0)
        fail_msg("%s: |analytic - numeric| / |numeric| is %g, |numeric| %g", PARAMS[i].name,
                 sqrt(difference / (length > 0 ? length : 1)), sqrt(length));
}

static size_t check_family(const struct shape *shape)
{
    static struct bench b;
    size_t checked = 0;
    start(&b, shape);
    for (size_t i = 0; i < PARAM_COUNT; i++)
        if (PARAMS[i].trunk && *param_slot(&b.grads, &PARAMS[i]) &&
            param_count(&PARAMS[i], shape)) {
            check_tensor(&b, i);
            checked++;
        }
    arena_close(&b.arena);
    return checked;
}

static void qwen2_has_biases_and_their_gradients(void **state)
{
    struct shape shape = BASE;
    (void)state;
    shape.qkv_bias = true;
    assert_int_equal(check_family(&shape), 11 + 3);
}

static void qwen3_norms_heads_that_are_wider_than_their_share(void **state)
{
    struct shape shape = BASE;
    (void)state;
    shape.qk_norm = true;
    shape.head_size = 12;
    assert_int_equal(check_family(&shape), 11 + 2);
}

static void an_untied_llama_with_stretched_rope_has_a_text_head_of_its_own(void **state)
{
    struct shape shape = BASE;
    (void)state;
    shape.untied = true;
    shape.rope_scaling = (struct rope_scaling){4, 1, 4, 16};
    assert_int_equal(check_family(&shape), 11 + 1);
}

/* A Qwen3 whose heads make up its width, and are not the 128 that a reader would take them for. */
static void a_config_says_what_the_shape_was(void **state)
{
    struct shape shape = BASE;
    struct shape again = BASE;
    struct err err = {0};
    (void)state;
    shape.qk_norm = true;
    json_t *config = config_json(&shape);
    assert_fine(config_shape(&again, config, &err), err);
    assert_int_equal(shape_head(&again), shape_head(&shape));
    assert_true(again.qk_norm);
    json_decref(config);
}

static void heads_that_are_too_wide_are_refused(void **state)
{
    struct shape shape = BASE;
    struct err err = {0};
    (void)state;
    assert_true(shape_check(&shape, "x", &err));
    shape.dim = 2048;
    shape.heads = shape.kv_heads = 1;
    assert_false(shape_check(&shape, "x", &err));
    assert_says(err, "heads of at most 1024, found 2048");
}

/* Through merged weights, with gradients that never see the whole matrix. */
static void adapters_have_the_gradient_of_what_they_add(void **state)
{
    struct shape shape = BASE;
    (void)state;
    shape.lora_rank = 3;
    shape.lora_scale = 0.7;
    shape.heads = 4;
    shape.kv_heads = 2;
    assert_int_equal(check_family(&shape), 11 - TRUNK_MATRICES + 2 * TRUNK_MATRICES);
}

/* B begins at 0: until the first step a merged matrix is the base. */
static void fresh_adapters_add_nothing(void **state)
{
    struct shape shape = BASE;
    static struct bench b;
    const unsigned char seen = 1;
    (void)state;
    shape.lora_rank = 2;
    shape.lora_scale = 2;
    start(&b, &shape);
    params_start(&b.policy.params, &shape, &seen, 9);
    for (size_t l = 0; l < shape.layers; l++)
        lora_merge(&b.policy.params, &b.base, &b.policy.params, &shape, l);
    assert_memory_equal(b.policy.params.gate, b.base.gate,
                        shape.layers * shape.ffn * shape.dim * sizeof(real));
    assert_true(b.policy.params.gate_a[0] != 0);
    arena_close(&b.arena);
}

/* Words below the mark get nothing, the others what they got before. */
static void frozen_words_get_no_gradient(void **state)
{
    static struct bench b;
    static real whole[VOCAB_SIZE * 16];
    (void)state;
    start(&b, &BASE);
    loss_of(&b);
    memcpy(whole, b.grads.text, sizeof whole);
    b.policy.frozen_words = WORDS;
    loss_of(&b);
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        assert_true(i < WORDS * 16 ? b.grads.text[i] == 0
                                   : fabs(b.grads.text[i] - whole[i]) < 1e-12);
    assert_true(whole[0] != 0);
    arena_close(&b.arena);
}

/* Fast turns stay, slow ones are stretched, those between are mixed. */
static void rope_is_scaled_as_in_llama_3(void **state)
{
    struct shape shape = BASE;
    (void)state;
    shape.head_size = 64;
    double plain[32];
    for (size_t c = 0; c < 32; c++) {
        plain[c] = shape_turn(&shape, c);
        assert_true(fabs(plain[c] - pow(10000, -(double)c / 32)) < 1e-15);
    }
    shape.rope_scaling = (struct rope_scaling){8, 1, 4, 128};
    for (size_t c = 0; c < 32; c++) {
        double turn = shape_turn(&shape, c);
        double wave = 2 * acos(-1) / plain[c];
        double smooth = (128 / wave - 1) / 3;
        double want = wave < 32    ? plain[c]
                      : wave > 128 ? plain[c] / 8
                                   : (1 - smooth) * plain[c] / 8 + smooth * plain[c];
        assert_true(fabs(turn - want) <= 1e-12 * want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(qwen2_has_biases_and_their_gradients),
        TEST(qwen3_norms_heads_that_are_wider_than_their_share),
        TEST(an_untied_llama_with_stretched_rope_has_a_text_head_of_its_own),
        TEST(a_config_says_what_the_shape_was),
        TEST(heads_that_are_too_wide_are_refused),
        TEST(adapters_have_the_gradient_of_what_they_add),
        TEST(fresh_adapters_add_nothing),
        TEST(frozen_words_get_no_gradient),
        TEST(rope_is_scaled_as_in_llama_3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
