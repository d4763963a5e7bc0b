/* Alarms of post-training: each for its own cause, once, and none in a sound run. */
#include "tests/test.h"

#include "train/alarms.h"

static struct alarms run(double entropy_end, double silent, double displaced, double coverage_end)
{
    struct alarms a = {0};
    alarms_look(&a, 0.5, 0);
    for (size_t step = 1; step <= 5 * ALARM_STEPS; step++) {
        double done = (double)step / (5 * ALARM_STEPS);
        const struct objective_report r = {.entropy = 2 + done * (entropy_end - 2),
                                           .silent_groups = silent,
                                           .displaced = displaced};
        alarms_step(&a, &r, step);
    }
    alarms_look(&a, coverage_end, 5 * ALARM_STEPS);
    return a;
}

static size_t raised(const struct alarms *a)
{
    size_t count = 0;
    for (size_t i = 0; i < ALARMS; i++)
        count += a->raised[i];
    return count;
}

static void each_has_its_cause(void **state)
{
    (void)state;
    struct alarms sound = run(1.5, 0.4, 0.2, 0.45);
    assert_int_equal(raised(&sound), 0);
    struct alarms entropy = run(0.2, 0.4, 0.2, 0.5);
    assert_true(entropy.raised[ALARM_ENTROPY] && raised(&entropy) == 1);
    struct alarms silent = run(2, 0.9, 0.2, 0.5);
    assert_true(silent.raised[ALARM_SILENT] && raised(&silent) == 1);
    struct alarms displaced = run(2, 0.4, 0.6, 0.5);
    assert_true(displaced.raised[ALARM_DISPLACED] && raised(&displaced) == 1);
    struct alarms coverage = run(2, 0.4, 0.2, 0.3);
    assert_true(coverage.raised[ALARM_COVERAGE] && raised(&coverage) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(each_has_its_cause)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
