/*
 * Fitting on cases made by hand: the weights that made the targets are found again, what says
 * nothing gets no weight, and newcomers take no more from the others than they may.
 */
#include "tests/test.h"

#include "base/rng.h"
#include "train/judge.h"

#include <math.h>

enum { CASES = 3000, CANDIDATES = 40 };

static float values[CASES][CANDIDATES][FEATURES];
static struct case_features features[CASES];
static struct judgement judgement;

/* Targets are drawn with p = softmax(1.5 find + 0.5 count); the rest is noise or constant. */
static int start(void **state)
{
    struct rng rng = rng_stream(3, 0, 0);
    (void)state;
    for (size_t c = 0; c < CASES; c++) {
        double p[CANDIDATES];
        double sum = 0;
        for (size_t i = 0; i < CANDIDATES; i++) {
            float *x = values[c][i];
            memset(x, 0, sizeof values[c][i]);
            x[FEATURE_FIND] = (float)rng_normal(&rng);
            x[FEATURE_COUNT] = (float)rng_normal(&rng);
            x[FEATURE_TEXT] = (float)rng_normal(&rng);
            x[FEATURE_WALK] = 0.7F; /* the same for all */
            x[FEATURE_NEW] = i % 10 == 9;
            p[i] = exp(1.5 * (double)x[FEATURE_FIND] + 0.5 * (double)x[FEATURE_COUNT]);
            sum += p[i];
        }
        double left = rng_uniform(&rng) * sum;
        size_t target = 0;
        while (target + 1 < CANDIDATES && (left -= p[target]) > 0)
            target++;
        features[c] = (struct case_features){CANDIDATES, c % 50 ? target : SIZE_MAX, values[c]};
    }
    judgement.features = features;
    return 0;
}

static void weights_are_found_again(void **state)
{
    struct fusion fusion = {0};
    (void)state;
    fusion_fit(&fusion, &judgement, CASES);
    assert_true(fabs(fusion.weight[FEATURE_FIND] - 1.5) < 0.1);
    assert_true(fabs(fusion.weight[FEATURE_COUNT] - 0.5) < 0.1);
    assert_true(fusion.weight[FEATURE_TEXT] < 0.08); /* noise: less than two standard errors */
    assert_true(fusion.weight[FEATURE_WALK] == 0 && fusion.weight[FEATURE_NAME] == 0);
    assert_true(fusion.weight[FEATURE_NEW] == 0);
    for (size_t f = 0; f < FEATURES; f++)
        assert_true(fusion.weight[f] >= 0);
}

static double known_hits(double boost)
{
    double hits = 0;
    for (size_t c = 0; c < CASES; c++) {
        size_t target = features[c].target;
        size_t above = 0;
        if (target == SIZE_MAX || values[c][target][FEATURE_NEW] > 0)
            continue;
        for (size_t i = 0; i < CANDIDATES; i++) {
            bool is_new = values[c][i][FEATURE_NEW] > 0;
            double score = (double)values[c][i][FEATURE_FIND];
            if (is_new && boost <= -1000)
                continue;
            above += score + (is_new ? boost : 0) > (double)values[c][target][FEATURE_FIND];
        }
        hits += above < 10;
    }
    return hits;
}

static void newcomers_take_what_they_may_and_no_more(void **state)
{
    const double weights[FEATURES] = {[FEATURE_FIND] = 1};
    double before = -1000;
    (void)state;
    for (double loss = 0.01; loss < 0.1; loss *= 2) {
        double boost = newcomers_fit(weights, loss, &judgement, CASES);
        double kept = known_hits(boost) / known_hits(-1000);
        assert_true(kept >= 1 - loss);
        assert_true(kept < 1 - loss + 0.01); /* and it is used */
        assert_true(boost > before);
        before = boost;
    }
}

/* Where no target is ever hit there is nothing to lose, and nothing is given away. */
static void without_a_measure_newcomers_get_nothing(void **state)
{
    const double weights[FEATURES] = {[FEATURE_FIND] = 1};
    struct case_features none[3] = {{CANDIDATES, SIZE_MAX, values[0]}, {0, SIZE_MAX, NULL}};
    const struct judgement empty = {.features = none};
    (void)state;
    assert_true(newcomers_fit(weights, 0.02, &empty, 2) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(weights_are_found_again),
        TEST(newcomers_take_what_they_may_and_no_more),
        TEST(without_a_measure_newcomers_get_nothing),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
