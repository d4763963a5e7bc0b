/*
 * Names drawn as rollouts: they follow the distribution that is scored, agree with the decoder, and
 * their gradients are derivatives.  In double, so that finite differences tell.
 */
#include "tests/test.h"

#include "model/choice.h"
#include "model/sample.h"
#include "tests/model/toy.h"

#include <math.h>

enum { ROWS = 6, PROMPTS = 2, DECISIONS = ROWS * (TOY_LEVELS + 1) };

static struct toy toy;
static struct sample_work work;
static struct params grads;
static struct arena arena;
static unsigned char hidden[PROMPTS][TOY_ITEMS];
static struct legal_tiles legal[PROMPTS];
static const uint32_t PROMPT[ROWS] = {0, 0, 0, 1, 1, 1};
static uint32_t item[ROWS];
static real lp[DECISIONS], entropy[DECISIONS];
static unsigned char decided[DECISIONS];
static real z[PROMPTS * 16];

static struct sampled rows_of(real temperature)
{
    return (struct sampled){ROWS, PROMPT, legal, temperature, NULL, item, lp, entropy, decided};
}

static int start(void **state)
{
    struct err err = {0};
    struct arena ruler = {0};
    struct rng rng = rng_stream(4, 4, 4);
    (void)state;
    toy_open(&toy, 7, &KERNELS_REFERENCE);
    hidden[1][3] = hidden[1][9] = hidden[1][10] = 1;
    for (size_t p = 0; p < PROMPTS; p++)
        legal[p] = toy_legal(hidden[p]);
    for (int round = 0; round < 2; round++) {
        sample_layout(&work, &TOY_SHAPE, ROWS, TOY_TILES, round ? &arena : &ruler);
        params_layout(&grads, &TOY_SHAPE, round ? &arena : &ruler);
        if (!round && !arena_open(&arena, ruler.used, &err))
            return 1;
    }
    sample_prepare(&work, &TOY_SHAPE);
    for (size_t i = 0; i < PROMPTS * 16; i++)
        z[i] = rng_normal(&rng);
    return 0;
}

/* Sum over all legal items of exp(sum of lp) is 1, at any temperature. */
static void names_of_a_prompt_are_one_distribution(void **state)
{
    (void)state;
    for (int hot = 0; hot < 2; hot++) {
        double sum[PROMPTS] = {0};
        for (uint32_t i = 0; i < TOY_ITEMS; i++) {
            struct sampled rows = rows_of(hot ? 1.7 : 1);
            for (size_t r = 0; r < ROWS; r++)
                item[r] = i;
            sample_score(&work, &rows, &toy.policy, z);
            for (size_t p = 0; p < PROMPTS; p++) {
                double total = 0;
                for (size_t l = 0; l <= TOY_LEVELS; l++)
                    total += lp[3 * p * (TOY_LEVELS + 1) + l];
                assert_true(hidden[p][i] == (total == -INFINITY));
                sum[p] += exp(total);
            }
        }
        for (size_t p = 0; p < PROMPTS; p++)
            assert_true(fabs(sum[p] - 1) < 1e-9);
    }
}

/* What is drawn has the probability that is written beside it, and scoring it says the same. */
static void draws_follow_their_probabilities(void **state)
{
    static double drawn[PROMPTS][TOY_ITEMS];
    static double said[PROMPTS][TOY_ITEMS];
    const int rounds = 20000;
    struct rng rng = rng_stream(5, 5, 5);
    (void)state;
    for (int round = 0; round < rounds; round++) {
        struct sampled rows = rows_of(1);
        sample_names(&work, &rows, &toy.policy, z, &rng);
        for (size_t r = 0; r < ROWS; r++) {
            double total = 0;
            assert_true(item[r] < TOY_ITEMS && !hidden[PROMPT[r]][item[r]]);
            for (size_t l = 0; l <= TOY_LEVELS; l++)
                total += lp[r * (TOY_LEVELS + 1) + l];
            drawn[PROMPT[r]][item[r]]++;
            said[PROMPT[r]][item[r]] = exp(total);
        }
        if (round < 20) {
            real before[DECISIONS];
            memcpy(before, lp, sizeof lp);
            sample_score(&work, &rows, &toy.policy, z);
            for (size_t k = 0; k < DECISIONS; k++)
                assert_true(fabs(before[k] - lp[k]) < 1e-12);
        }
    }
    for (size_t p = 0; p < PROMPTS; p++)
        for (size_t i = 0; i < TOY_ITEMS; i++) {
            double share = drawn[p][i] / (3.0 * rounds);
            double noise = sqrt(said[p][i] * (1 - said[p][i]) / (3.0 * rounds));
            assert_true(fabs(share - said[p][i]) < 5 * noise + 1e-9);
        }
}

/* A name that begins as it is told: what is left is drawn as if its beginning had been drawn. */
static void forced_tiles_are_followed(void **state)
{
    static const unsigned char forced[ROWS] = {0, 1, 2, FORCED_WHOLLY, 2, 0};
    static const uint32_t target[ROWS] = {0, 5, 7, 11, 8, 0};
    struct rng rng = rng_stream(8, 8, 8);
    size_t other = 0;
    (void)state;
    for (int round = 0; round < 2000; round++) {
        real before[DECISIONS];
        struct sampled rows = rows_of(1);
        rows.forced = forced;
        memcpy(item, target, sizeof item);
        sample_names(&work, &rows, &toy.policy, z, &rng);
        memcpy(before, lp, sizeof lp);
        for (size_t r = 0; r < ROWS; r++) {
            const uint16_t *is = policy_codes(&toy.policy, item[r]);
            const uint16_t *told = policy_codes(&toy.policy, target[r]);
            for (size_t l = 0; l <= TOY_LEVELS && l < forced[r]; l++)
                assert_int_equal(is[l], told[l]);
            other += forced[r] && item[r] != target[r];
        }
        assert_int_equal(item[3], target[3]);
        sample_score(&work, &rows, &toy.policy, z);
        for (size_t k = 0; k < DECISIONS; k++)
            assert_true(fabs(before[k] - lp[k]) < 1e-12);
    }
    assert_true(other > 0);
}

static double value_of(const real *c_lp, const real *c_entropy)
{
    struct sampled rows = rows_of(1.3);
    double value = 0;
    sample_score(&work, &rows, &toy.policy, z);
    for (size_t k = 0; k < DECISIONS; k++)
        value += c_lp[k] * lp[k] + c_entropy[k] * entropy[k];
    return value;
}

static void near(const char *name, size_t at, double found, double expected)
{
    if (fabs(found - expected) > 1e-6 * (1 + fabs(expected)))
        fail_msg("%s[%zu]: expected %.9f, found %.9f", name, at, expected, found);
}

/* find's own vectors and what m is made of are constants of name's gradient. */
static void gradients_are_derivatives(void **state)
{
    static const double h = 1e-6;
    real c_lp[DECISIONS], c_entropy[DECISIONS], dz[PROMPTS * 16] = {0};
    struct rng rng = rng_stream(6, 6, 6);
    size_t checked = 0;
    (void)state;
    for (size_t r = 0; r < ROWS; r++)
        for (item[r] = (uint32_t)(2 * r + 1); hidden[PROMPT[r]][item[r]];)
            item[r]--;
    for (size_t k = 0; k < DECISIONS; k++) {
        c_lp[k] = rng_normal(&rng);
        c_entropy[k] = rng_normal(&rng);
    }
    value_of(c_lp, c_entropy);
    struct sampled rows = rows_of(1.3);
    sample_backward(&work, &grads, dz, &rows, &toy.policy, c_lp, c_entropy);
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        size_t count = param_count(&PARAMS[i], &TOY_SHAPE);
        real *data = *param_slot(&toy.policy.params, &PARAMS[i]);
        for (size_t k = 0; k < count; k += 1 + count / 60) {
            real kept = data[k];
            data[k] = kept + h;
            double above = value_of(c_lp, c_entropy);
            data[k] = kept - h;
            double below = value_of(c_lp, c_entropy);
            data[k] = kept;
            near(PARAMS[i].name, k, param_data(&grads, &PARAMS[i])[k], (above - below) / (2 * h));
            checked += fabs(above - below) > h * 1e-3;
        }
    }
    for (size_t k = 0; k < PROMPTS * 16; k++) {
        real kept = z[k];
        z[k] = kept + h;
        double above = value_of(c_lp, c_entropy);
        z[k] = kept - h;
        double below = value_of(c_lp, c_entropy);
        z[k] = kept;
        near("z", k, dz[k], (above - below) / (2 * h));
    }
    assert_true(checked > 100);
}

/* Three rows of a prompt give z the sum of what each would give alone. */
static void rows_of_a_prompt_sum_into_its_z(void **state)
{
    real c_lp[DECISIONS], none[DECISIONS] = {0}, together[PROMPTS * 16] = {0};
    real apart[PROMPTS * 16] = {0};
    struct rng rng = rng_stream(7, 7, 7);
    (void)state;
    for (size_t k = 0; k < DECISIONS; k++)
        c_lp[k] = rng_normal(&rng);
    struct sampled rows = rows_of(1);
    sample_score(&work, &rows, &toy.policy, z);
    sample_backward(&work, &grads, together, &rows, &toy.policy, c_lp, none);
    for (size_t r = 0; r < ROWS; r++) {
        struct sampled single = {1, PROMPT + r, legal, 1, NULL, item + r, lp, entropy, decided};
        sample_score(&work, &single, &toy.policy, z);
        sample_backward(&work, &grads, apart, &single, &toy.policy, c_lp + r * (TOY_LEVELS + 1),
                        none);
    }
    for (size_t k = 0; k < PROMPTS * 16; k++)
        assert_true(fabs(together[k] - apart[k]) < 1e-9);
}

/* A prompt for which nothing is legal names nothing and gives no gradient. */
static void nothing_legal_names_nothing(void **state)
{
    static unsigned char all[TOY_ITEMS];
    real c[DECISIONS], dz[PROMPTS * 16] = {0};
    struct rng rng = rng_stream(8, 8, 8);
    (void)state;
    memset(all, 1, sizeof all);
    legal[1] = toy_legal(all);
    for (size_t k = 0; k < DECISIONS; k++)
        c[k] = 1;
    struct sampled rows = rows_of(1);
    sample_names(&work, &rows, &toy.policy, z, &rng);
    for (size_t r = 0; r < ROWS; r++)
        assert_true((item[r] == NO_ITEM) == (PROMPT[r] == 1));
    sample_backward(&work, &grads, dz, &rows, &toy.policy, c, c);
    for (size_t k = 0; k < 16; k++)
        assert_true(dz[16 + k] == 0 && isfinite(dz[k]));
    legal[1] = toy_legal(hidden[1]);
}

/* ---- a choice among few symbols ---- */

static double choice_value(const struct choice *c, const real *at, double g_lp, double g_entropy)
{
    real logits[8];
    real query[16];
    double one;
    double spread;
    choice_logits(logits, query, &toy.policy, at, c->symbols, c->count);
    choice_score(&one, &spread, logits, c, 1.3);
    return g_lp * one + g_entropy * spread;
}

static void derivatives_of_choice(const char *name, const struct choice *c, real *data,
                                  const real *found, size_t count)
{
    static const double h = 1e-6;
    for (size_t k = 0; k < count; k++) {
        real kept = data[k];
        data[k] = kept + h;
        double above = choice_value(c, z, 0.7, -0.4);
        data[k] = kept - h;
        double below = choice_value(c, z, 0.7, -0.4);
        data[k] = kept;
        near(name, k, found[k], (above - below) / (2 * h));
    }
}

static void choices_are_a_distribution_with_its_derivatives(void **state)
{
    static const uint32_t tokens[] = {TOKEN + 1, TOKEN + 4, TOKEN + 6};
    static const uint32_t items[] = {0, 5, 7, 11};
    const struct choice choices[] = {{tokens, 3, 1}, {items, 4, 2}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct choice *c = &choices[i];
        real dz[16] = {0};
        real logits[8];
        real query[16];
        double lp_of;
        double spread;
        double sum = 0;
        for (size_t k = 0; k < c->count; k++) {
            const struct choice other = {c->symbols, c->count, k};
            sum += exp(choice_value(&other, z, 1, 0));
        }
        near("sum", i, sum, 1);
        for (size_t k = 0; k < PARAM_COUNT; k++)
            memset(*param_slot(&grads, &PARAMS[k]), 0,
                   param_count(&PARAMS[k], &TOY_SHAPE) * sizeof(real));
        choice_logits(logits, query, &toy.policy, z, c->symbols, c->count);
        choice_score(&lp_of, &spread, logits, c, 1.3);
        choice_backward(&grads, dz, logits, query, &toy.policy, z, c, 1.3, 0.7, -0.4);
        derivatives_of_choice("z", c, z, dz, 16);
        derivatives_of_choice("text", c, toy.policy.params.text, grads.text, TOY_VOCAB * 16);
        derivatives_of_choice("find_query", c, toy.policy.params.find_query, grads.find_query,
                              16 * 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_of_a_prompt_are_one_distribution),
        TEST(draws_follow_their_probabilities),
        TEST(forced_tiles_are_followed),
        TEST(gradients_are_derivatives),
        TEST(rows_of_a_prompt_sum_into_its_z),
        TEST(nothing_legal_names_nothing),
        TEST(choices_are_a_distribution_with_its_derivatives),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
