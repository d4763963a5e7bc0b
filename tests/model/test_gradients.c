/*
 * The whole policy in double: every parameter tensor's gradient against central differences of the
 * loss, with dropout on (its draws follow from the stream, so they are the same each time).
 */
#include "tests/test.h"

#include "tests/model/toy.h"

#include <math.h>

enum { POSITIONS = 9 };

static const uint32_t FIRST[] = {0, 4, 5, 9};
static const uint32_t INPUT[POSITIONS] = {0, 3, 5, 10, 7, 1, 1, 6, 11};
static const uint32_t TARGET[POSITIONS] = {3, 5, 10, 9, NO_ITEM, 0, 6, 11, 8};

struct bench {
    struct toy toy;
    struct policy_work work;
    struct params grads;
    struct arena arena;
    struct legal_tiles legal;
};

static void bench_layout(struct bench *b, struct arena *arena)
{
    policy_layout(&b->work, &TOY_SHAPE, POSITIONS + 3, 8, TOY_TILES, true, arena);
    params_layout(&b->grads, &TOY_SHAPE, arena);
}

static double loss_of(struct bench *b, bool keep)
{
    struct losses losses = {0};
    const struct examples examples = {{POSITIONS, 3, FIRST}, INPUT, TARGET};
    const struct loss_options options = {
        .dropout = 0.3,
        .own_drop = 0.25,
        .find_weight = 0.7,
        .name_weight = 0.4,
        .scale = 1.0 / 8,
        .rng = rng_stream(1, 2, 3),
        .legal = &b->legal,
    };
    policy_find_vectors(b->toy.find_vectors, &b->toy.policy, 0, TOY_ITEMS);
    for (size_t i = 0; i < PARAM_COUNT; i++)
        memset(*param_slot(&b->grads, &PARAMS[i]), 0,
               param_count(&PARAMS[i], &TOY_SHAPE) * sizeof(real));
    policy_learn(&b->work, &b->grads, &losses, &b->toy.policy, &examples, &options);
    if (keep) {
        policy_finish_gradients(&b->grads, &b->toy.policy, 0, 10); /* in two pieces */
        policy_finish_gradients(&b->grads, &b->toy.policy, 10, 16);
        policy_clear_unseen(&b->grads, &b->toy.policy);
    }
    return 0.7 * losses.find / 8 + 0.4 * losses.name / 8;
}

static void every_tensor_has_the_gradient_of_the_loss(void **state)
{
    struct err err = {0};
    static struct bench b;
    struct arena ruler = {0};
    (void)state;
    toy_open(&b.toy, 3, &KERNELS_REFERENCE);
    b.legal = toy_legal(NULL);
    bench_layout(&b, &ruler);
    assert_fine(arena_open(&b.arena, ruler.used, &err), err);
    bench_layout(&b, &b.arena);
    policy_prepare(&b.work, &TOY_SHAPE);
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        size_t count = param_count(&PARAMS[i], &TOY_SHAPE);
        size_t row = extent_of(PARAMS[i].dims[2], &TOY_SHAPE);
        double difference = 0;
        double length = 0;
        loss_of(&b, true);
        double *grad = malloc(count * sizeof *grad);
        assert_non_null(grad);
        memcpy(grad, *param_slot(&b.grads, &PARAMS[i]), count * sizeof *grad);
        for (size_t k = 0; k < count; k++) {
            double *at = *param_slot(&b.toy.policy.params, &PARAMS[i]) + k;
            double was = *at;
            if (PARAMS[i].own && !b.toy.seen[k / row]) {
                assert_true(grad[k] ==
                            0); /* an item without events keeps no embedding of its own */
                continue;
            }
            *at = was + 1e-5;
            double up = loss_of(&b, false);
            *at = was - 1e-5;
            double down = loss_of(&b, false);
            *at = was;
            double slope = (up - down) / 2e-5;
            difference += (slope - grad[k]) * (slope - grad[k]);
            length += slope * slope;
        }
        free(grad);
        if (!(sqrt(difference) <= 1e-6 * sqrt(length)) || length == 0)
            fail_msg("%s: |analytic - numeric| / |numeric| is %g, |numeric| %g", PARAMS[i].name,
                     sqrt(difference / (length > 0 ? length : 1)), sqrt(length));
    }
    arena_close(&b.arena);
    toy_close(&b.toy);
}

/* A forgotten or doubled line of the table would bind a tensor to the wrong pointer. */
static void the_table_follows_the_struct(void **state)
{
    (void)state;
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        assert_non_null(PARAMS[i].name);
        assert_int_equal(PARAMS[i].offset, i * sizeof(real *));
    }
}

/* Sequences packed together give what each gives alone. */
static void packing_changes_nothing(void **state)
{
    struct err err = {0};
    static struct bench b;
    struct arena ruler = {0};
    static real together[POSITIONS * 16];
    const struct loss_options options = {0};
    (void)state;
    toy_open(&b.toy, 4, &KERNELS_REFERENCE);
    bench_layout(&b, &ruler);
    assert_fine(arena_open(&b.arena, ruler.used, &err), err);
    bench_layout(&b, &b.arena);
    policy_prepare(&b.work, &TOY_SHAPE);
    const struct packed all = {POSITIONS, 3, FIRST};
    policy_forward(&b.work, &b.toy.policy, &all, INPUT, &options);
    memcpy(together, b.work.trunk.z, sizeof together);
    for (size_t s = 0; s < 3; s++) {
        const uint32_t first[2] = {0, FIRST[s + 1] - FIRST[s]};
        const struct packed one = {first[1], 1, first};
        policy_forward(&b.work, &b.toy.policy, &one, INPUT + FIRST[s], &options);
        for (size_t k = 0; k < first[1] * 16; k++)
            assert_true(fabs(b.work.trunk.z[k] - together[FIRST[s] * 16 + k]) < 1e-12);
    }
    arena_close(&b.arena);
    toy_close(&b.toy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_table_follows_the_struct),
        TEST(every_tensor_has_the_gradient_of_the_loss),
        TEST(packing_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
