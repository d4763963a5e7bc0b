#include "tests/test.h"

#include "tests/model/toy.h"

#include <math.h>

struct bench {
    struct toy toy;
    struct decode_work work;
    struct arena arena;
    real z[16];
};

static struct bench b;

static int start(void **state)
{
    struct err err = {0};
    struct arena ruler = {0};
    struct rng rng = rng_stream(8, 0, 0);
    (void)state;
    toy_open(&b.toy, 5, kernels_best());
    decode_layout(&b.work, &TOY_SHAPE, 32, TOY_TILES, &ruler);
    if (!arena_open(&b.arena, ruler.used, &err))
        return 1;
    decode_layout(&b.work, &TOY_SHAPE, 32, TOY_TILES, &b.arena);
    decode_prepare(&b.work, &TOY_SHAPE);
    for (size_t i = 0; i < 16; i++)
        b.z[i] = (real)rng_normal(&rng);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_close(&b.arena);
    toy_close(&b.toy);
    return 0;
}

/* The names of all items are one distribution, under the full mask and under any other. */
static void names_sum_to_one_under_any_mask(void **state)
{
    static unsigned char hidden[TOY_ITEMS];
    uint32_t rows[TOY_ITEMS];
    float score[TOY_ITEMS];
    (void)state;
    for (unsigned mask = 0; mask < 200; mask++) {
        double sum = 0;
        for (uint32_t i = 0; i < TOY_ITEMS; i++) {
            rows[i] = i;
            hidden[i] = mask > 0 && rng_mix(mask * 100 + i) % 3 == 0;
        }
        const struct legal_tiles legal = toy_legal(hidden);
        name_score(score, rows, TOY_ITEMS, &b.work, &b.toy.policy, b.z, &legal);
        for (size_t i = 0; i < TOY_ITEMS; i++) {
            assert_true(hidden[i] ? score[i] == -INFINITY : score[i] <= 1e-6F);
            sum += exp((double)score[i]);
        }
        assert_true(fabs(sum - 1) < 1e-5);
    }
}

/* A beam as wide as the catalogue is exhaustive: the scores of name_score, sorted. */
static void a_wide_beam_is_exact(void **state)
{
    static unsigned char hidden[TOY_ITEMS] = {[2] = 1, [8] = 1};
    struct hit hits[32];
    uint32_t rows[TOY_ITEMS];
    float score[TOY_ITEMS];
    (void)state;
    const struct legal_tiles legal = toy_legal(hidden);
    size_t count = name_beam(hits, 32, &b.work, &b.toy.policy, b.z, &legal);
    assert_int_equal(count, TOY_ITEMS - 2);
    for (uint32_t i = 0; i < TOY_ITEMS; i++)
        rows[i] = i;
    name_score(score, rows, TOY_ITEMS, &b.work, &b.toy.policy, b.z, &legal);
    for (size_t i = 0; i < count; i++) {
        assert_true(fabsf(hits[i].score - score[hits[i].row]) < 1e-5F);
        if (i > 0)
            assert_true(hit_better(hits[i - 1], hits[i]));
    }
}

/*
 * Newcomers among themselves: a tile's score is the log of the sum over those under it, so when
 * depth changes nothing a name's probability is its share of exp(h . f) among all of them.
 */
static void newcomers_are_named_by_what_lies_under_a_tile(void **state)
{
    static unsigned char hidden[TOY_ITEMS] = {1, 0, 0, 1, 1, 0, 0, 0, 1, 0, 1, 0};
    struct policy policy = b.toy.policy;
    uint64_t skip = 0;
    uint32_t rows[TOY_ITEMS];
    float score[TOY_ITEMS];
    double h[16] = {0};
    double share[TOY_ITEMS];
    double sum = 0;
    (void)state;
    for (uint32_t i = 0; i < TOY_ITEMS; i++) {
        skip |= (uint64_t)hidden[i] << i;
        rows[i] = i;
    }
    policy.items.skip = &skip;
    const struct legal_tiles legal = toy_legal(hidden);
    size_t count = TOY_LEVELS * 16 * 16;
    real kept[TOY_LEVELS * 16 * 16];
    memcpy(kept, policy.params.depth_down, count * sizeof *kept);
    memset(policy.params.depth_down, 0, count * sizeof *kept);
    name_score(score, rows, TOY_ITEMS, &b.work, &policy, b.z, &legal);
    memcpy(policy.params.depth_down, kept, count * sizeof *kept);
    for (size_t k = 0; k < 16; k++)
        for (size_t d = 0; d < 16; d++)
            h[k] += (double)(policy.params.name_start[k * 16 + d] * b.z[d]);
    for (size_t i = 0; i < TOY_ITEMS; i++) {
        share[i] = 0;
        for (size_t k = 0; k < 16; k++)
            share[i] += h[k] * (double)b.toy.find_vectors[i * 16 + k];
        share[i] = hidden[i] ? 0 : exp(share[i]);
        sum += share[i];
    }
    for (size_t i = 0; i < TOY_ITEMS; i++)
        assert_true(hidden[i] ? score[i] == -INFINITY
                              : fabs((double)score[i] - log(share[i] / sum)) < 1e-4);
}

/* Constraints fail closed: nothing legal, nothing named. */
static void an_empty_mask_names_nothing(void **state)
{
    static unsigned char hidden[TOY_ITEMS];
    struct hit hits[4];
    (void)state;
    memset(hidden, 1, sizeof hidden);
    const struct legal_tiles legal = toy_legal(hidden);
    assert_int_equal(name_beam(hits, 4, &b.work, &b.toy.policy, b.z, &legal), 0);
}

/* The loss of a target is minus the score the decoder gives it: training and serving agree. */
static void the_loss_is_minus_the_score(void **state)
{
    struct err err = {0};
    struct policy_work work;
    struct params grads;
    struct arena ruler = {0};
    struct arena arena;
    const uint32_t first[] = {0, 2};
    const uint32_t input[] = {1, 7};
    const uint32_t target[] = {NO_ITEM, 9};
    static real dfind[TOY_ITEMS * 16];
    struct losses losses = {0};
    const struct legal_tiles legal = toy_legal(NULL);
    (void)state;
    for (int round = 0; round < 2; round++) {
        struct arena *a = round ? &arena : &ruler;
        policy_layout(&work, &TOY_SHAPE, 2, 8, TOY_TILES, TOY_ITEMS, true, a);
        params_layout(&grads, &TOY_SHAPE, a);
        if (!round)
            assert_fine(arena_open(&arena, ruler.used, &err), err);
    }
    policy_prepare(&work, &TOY_SHAPE);
    const struct examples examples = {{2, 1, first}, input, target, NULL};
    const struct find_set find = {
        .count = TOY_ITEMS, .content = b.toy.content, .vectors = b.toy.find_vectors};
    const struct loss_options options = {
        .find_weight = 1, .name_weight = 1, .scale = 1, .legal = &legal, .find = &find};
    policy_learn(&work, &grads, dfind, &losses, &b.toy.policy, &examples, &options);
    float score;
    name_score(&score, &target[1], 1, &b.work, &b.toy.policy, work.trunk.z + 16, &legal);
    assert_true(fabs(losses.name + (double)score) < 1e-4);
    assert_int_equal(losses.items, 1);
    arena_close(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_sum_to_one_under_any_mask),
        TEST(a_wide_beam_is_exact),
        TEST(newcomers_are_named_by_what_lies_under_a_tile),
        TEST(an_empty_mask_names_nothing),
        TEST(the_loss_is_minus_the_score),
    };
    return cmocka_run_group_tests(tests, start, end);
}
