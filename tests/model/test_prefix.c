/*
 * Suffixes that share a prefix against the same with a copy of the prefix each: hidden states and
 * the gradients of all tensors, in double.
 */
#include "tests/test.h"

#include "tests/model/toy.h"

#include <math.h>

enum { SUFFIXES = 5, STEPS = 4, PREFIXES = 3, ROOM = 64, D = 16 };

static const uint32_t FIRST[PREFIXES + 1] = {0, 4, 5, 11};
static const uint32_t PREFIX_INPUT[11] = {0, 3, 5, 10, 7, TOKEN + 2, 1, TOKEN + 6, 6, 11, 2};
static const uint32_t PREFIX[SUFFIXES] = {0, 2, 0, 1, 2}; /* in no order */
static const uint32_t SUFFIX_INPUT[SUFFIXES][STEPS] = {{TOKEN + 1, 3, 7, 0},
                                                       {TOKEN + 1, 8, 1, 9},
                                                       {TOKEN, 3, 2, 2},
                                                       {4, 5, 6, TOKEN + 3},
                                                       {9, 1, 0, 11}};

struct bench {
    struct toy toy;
    struct policy_work work;
    struct params grads;
    struct arena arena;
};

static void bench_layout(struct bench *b, struct arena *arena)
{
    policy_layout(&b->work, &TOY_SHAPE, ROOM, 16, TOY_TILES, TOY_ITEMS, true, arena);
    params_layout(&b->grads, &TOY_SHAPE, arena);
}

static void start(struct bench *b)
{
    struct err err = {0};
    struct arena ruler = {0};
    *b = (struct bench){0};
    toy_open(&b->toy, 5, &KERNELS_REFERENCE);
    bench_layout(b, &ruler);
    assert_fine(arena_open(&b->arena, ruler.used, &err), err);
    bench_layout(b, &b->arena);
    policy_prepare(&b->work, &TOY_SHAPE);
}

static void end(struct bench *b)
{
    arena_close(&b->arena);
    toy_close(&b->toy);
}

static void clear(struct bench *b)
{
    for (size_t i = 0; i < PARAM_COUNT; i++)
        memset(*param_slot(&b->grads, &PARAMS[i]), 0,
               param_count(&PARAMS[i], &TOY_SHAPE) * sizeof(real));
    memset(b->work.dz, 0, ROOM * D * sizeof(real));
}

/* What pulls at z of a suffix's step: step STEPS pulls at the last position of the prefix. */
static double pull(size_t suffix, size_t step, size_t k)
{
    return sin((double)(1 + k + 17 * step + 131 * suffix));
}

/* A way to lay the suffixes out: at[s][t] is step t of suffix s, STEPS the end of its prefix. */
struct form {
    struct packed packed;
    uint32_t input[ROOM], first[SUFFIXES + 1];
    size_t at[SUFFIXES][STEPS + 1];
};

static void share(struct form *f)
{
    memcpy(f->input, PREFIX_INPUT, sizeof PREFIX_INPUT);
    for (size_t s = 0; s < SUFFIXES; s++) {
        for (size_t t = 0; t < STEPS; t++) {
            f->at[s][t] = FIRST[PREFIXES] + t * SUFFIXES + s;
            f->input[f->at[s][t]] = SUFFIX_INPUT[s][t];
        }
        f->at[s][STEPS] = FIRST[PREFIX[s] + 1] - 1;
    }
    f->packed = (struct packed){.positions = FIRST[PREFIXES] + SUFFIXES * STEPS,
                                .sequences = PREFIXES,
                                .first = FIRST,
                                .suffixes = SUFFIXES,
                                .steps = STEPS,
                                .prefix = PREFIX};
}

static void repeat(struct form *f)
{
    size_t at = 0;
    for (size_t s = 0; s < SUFFIXES; s++) {
        f->first[s] = (uint32_t)at;
        for (size_t i = FIRST[PREFIX[s]]; i < FIRST[PREFIX[s] + 1]; i++)
            f->input[at++] = PREFIX_INPUT[i];
        f->at[s][STEPS] = at - 1;
        for (size_t t = 0; t < STEPS; t++) {
            f->at[s][t] = at;
            f->input[at++] = SUFFIX_INPUT[s][t];
        }
    }
    f->first[SUFFIXES] = (uint32_t)at;
    f->packed = (struct packed){.positions = at, .sequences = SUFFIXES, .first = f->first};
}

/* Forward, a pull at every suffix's positions and its prefix's end, and back. */
static void run(struct bench *b, const struct form *f)
{
    const struct loss_options options = {0};
    clear(b);
    policy_forward(&b->work, &b->toy.policy, &f->packed, f->input, &options);
    for (size_t s = 0; s < SUFFIXES; s++)
        for (size_t t = 0; t <= STEPS; t++)
            for (size_t k = 0; k < D; k++)
                b->work.dz[f->at[s][t] * D + k] += pull(s, t, k);
    policy_backward(&b->work, &b->grads, &b->toy.policy, &f->packed, f->input, 0);
}

static void sharing_a_prefix_changes_nothing(void **state)
{
    static struct bench shared;
    static struct bench repeated;
    static struct form forms[2];
    (void)state;
    start(&shared);
    start(&repeated);
    share(&forms[0]);
    repeat(&forms[1]);
    run(&shared, &forms[0]);
    run(&repeated, &forms[1]);
    for (size_t s = 0; s < SUFFIXES; s++)
        for (size_t t = 0; t < STEPS; t++)
            for (size_t k = 0; k < D; k++)
                assert_true(fabs(shared.work.trunk.z[forms[0].at[s][t] * D + k] -
                                 repeated.work.trunk.z[forms[1].at[s][t] * D + k]) < 1e-12);
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        const real *a = *param_slot(&shared.grads, &PARAMS[i]);
        const real *b = *param_slot(&repeated.grads, &PARAMS[i]);
        double difference = 0;
        double length = 0;
        for (size_t k = 0; k < param_count(&PARAMS[i], &TOY_SHAPE); k++) {
            difference += (a[k] - b[k]) * (a[k] - b[k]);
            length += b[k] * b[k];
        }
        if (!(sqrt(difference) <= 1e-9 * sqrt(length)))
            fail_msg("%s: |shared - repeated| / |repeated| is %g", PARAMS[i].name,
                     sqrt(difference / length));
    }
    end(&shared);
    end(&repeated);
}

/* A step at a time, as lists are drawn, is the whole at once; and so is what flows back. */
static void a_step_at_a_time_is_the_whole(void **state)
{
    static struct bench whole;
    static struct bench steps;
    static struct form form;
    (void)state;
    start(&whole);
    start(&steps);
    const struct loss_options options = {0};
    share(&form);
    const struct packed packed = form.packed;
    const uint32_t *input = form.input;
    policy_forward(&whole.work, &whole.toy.policy, &packed, input, &options);
    policy_forward_prefixes(&steps.work, &steps.toy.policy, &packed, input);
    for (size_t t = 0; t < STEPS; t++)
        policy_forward_step(&steps.work, &steps.toy.policy, &packed, input, t);
    for (size_t i = 0; i < packed.positions * D; i++)
        assert_true(fabs(whole.work.trunk.z[i] - steps.work.trunk.z[i]) < 1e-12);
    clear(&whole);
    clear(&steps);
    for (size_t i = 0; i < packed.positions * D; i++)
        whole.work.dz[i] = steps.work.dz[i] = pull(i, 1, 2);
    policy_backward(&whole.work, &whole.grads, &whole.toy.policy, &packed, input, 0);
    policy_backward(&steps.work, &steps.grads, &steps.toy.policy, &packed, input, 0);
    for (size_t i = 0; i < PARAM_COUNT; i++)
        for (size_t k = 0; k < param_count(&PARAMS[i], &TOY_SHAPE); k++)
            assert_true(fabs((*param_slot(&whole.grads, &PARAMS[i]))[k] -
                             (*param_slot(&steps.grads, &PARAMS[i]))[k]) < 1e-9);
    end(&whole);
    end(&steps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sharing_a_prefix_changes_nothing),
        TEST(a_step_at_a_time_is_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
