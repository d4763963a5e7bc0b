/*
 * Post-training in reasoning mode: chains grow dense as GREAM's curriculum says, rollouts are
 * scored as they were drawn, an update makes what was paid for likelier, and the bytes are the same
 * on any number of threads.
 */
#include "tests/service/client.h"

#include "train/chains.h"

#include <math.h>

#define SMALL                                                                                      \
    " --rl-share 0.5 --dim 32 --ffn 64 --heads 2 --kv_heads 2 --check_users 60 --window 20 "       \
    "--state_every_steps 3 --warmup-steps 1 --judge_users 300 "
#define RL                                                                                         \
    "train --stage rl --rl-reasons true --algo srpo --rl-steps 4 --rl-prompts 16 "                 \
    "--rl-check-every 4 --promote false" SMALL

static char base[512];
static char reasoner[64]; /* a version that gives reasons */
static char plain[64];    /* the one it came from */

static int start(void **state)
{
    (void)state;
    home_copy(base, sizeof base, "chains");
    home_forget(base, true);
    tessera_fine(base, "index --rl-share 0.5");
    tessera_fine(base, "train --epochs 2" SMALL);
    home_newest(plain, base);
    tessera_fine(base, "train --stage reason --reason-steps 40 --rl-check-every 40 "
                       "--reason-learning-rate 0.003 --promote false" SMALL);
    home_newest(reasoner, base);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    scratch_drop(base);
    return 0;
}

static void density_grows_through_two_passes(void **state)
{
    enum { STEPS = 300 };
    double sum = 0;
    (void)state;
    for (size_t s = 0; s < STEPS; s++) {
        double density = chains_density(0.4, s, STEPS);
        if (s % 100 && s < 200)
            assert_true(density > chains_density(0.4, s - 1, STEPS));
        if (s >= 200)
            assert_true(density == 0.4);
        assert_true(density >= 0 && density <= 1);
        sum += density;
    }
    assert_true(fabs(sum / STEPS - 0.4) < 0.01);
    assert_true(chains_density(0.4, 100, STEPS) < 0.02); /* the second pass begins anew */
    assert_true(chains_density(0.4, 7, 0) == 0.4);
}

static void lines_of_an_argument_are_read(void **state)
{
    static char *texts[] = {"Drama", "from the 1990s", "brand OPI"};
    const struct attributes a = {.count = 3, .text = texts};
    static const uint32_t rows[] = {7, 9, NO_ITEM, 4};
    static const char *const good[] = {"because 1 2: Drama", "Because 4, 1: 'From the 1990s'.",
                                       "likes: drama; nothing; brand OPI", "next: Drama", "drop 4"};
    static const char *const bad[] = {"because 1 1: Drama",
                                      "because 1 3: Drama", /* 3 is gone */
                                      "because 1 5: Drama",
                                      "because 1 2: Comedy",
                                      "because 1 2 Drama",
                                      "next: Comedy",
                                      "likes: nothing",
                                      "drop 0",
                                      "drop x",
                                      "I think so",
                                      ""};
    struct chain c = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(chain_line_read(&c, good[i], rows, 4, &a));
    assert_int_equal(c.evidence_count, 2);
    assert_int_equal(c.evidence[1].item[0], 4);
    assert_int_equal(c.evidence[1].attribute, 1);
    assert_int_equal(c.likes_count, 2);
    assert_int_equal(c.likes[1].attribute, 2);
    assert_int_equal(c.drop[0], 4);
    c = (struct chain){0};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(chain_line_read(&c, bad[i], rows, 4, &a));
    assert_int_equal(c.evidence_count + c.likes_count + c.drop_count, 0);
}

/* A column of a step of rollouts.tsv. */
static double column(const char *home, size_t step, size_t place)
{
    char version[64];
    char path[PATH_SIZE];
    char line[400] = "";
    home_newest(version, home);
    snprintf(path, sizeof path, "%.400s/models/%s/rollouts.tsv", home, version);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (size_t i = 0; i <= step; i++)
        assert_non_null(fgets(line, sizeof line, file));
    fclose(file);
    char *rest = line;
    double value = 0;
    for (size_t i = 0; i <= place; i++)
        value = strtod(strsep(&rest, "\t"), NULL);
    return value;
}

enum { CLIPPED = 8, KL = 9, DISPLACED = 11 };

static void rollouts(char home[600], const char *more)
{
    char args[900];
    home_clone(home, 600, base, "rollouts");
    snprintf(args, sizeof args, RL " --init %s %s", reasoner, more);
    tessera_fine(home, args);
}

/* Drawn a symbol at a time, scored all at once: the second look at the same rows sees no change. */
static void what_is_drawn_is_what_is_scored(void **state)
{
    char home[600];
    (void)state;
    rollouts(home, "--num-iterations 2 --rl-learning-rate 1e-9");
    assert_true(column(home, 2, CLIPPED) == 0);
    assert_true(fabs(column(home, 2, KL)) < 1e-5);
    scratch_drop(home);
}

/* Of the choices that had an advantage most are likelier after the step that they were paid in; a
 * quarter to a third are not, by seed, at any rate: rows share words and tiles. */
static void what_is_paid_for_becomes_likelier(void **state)
{
    char home[600];
    (void)state;
    rollouts(home, "--num-iterations 2 --rl-learning-rate 0.001 --find-weight 0 --name-weight 0 "
                   "--say-weight 0 --task-weight 0 --reason-weight 0 --weight-decay 0 --beta 0");
    assert_true(column(home, 2, KL) > 1e-6);
    assert_true(column(home, 2, DISPLACED) < 0.4);
    scratch_drop(home);
}

static void the_same_bytes_on_any_number_of_threads(void **state)
{
    char want[2][SHA256_TEXT];
    char got[2][SHA256_TEXT];
    char home[600];
    (void)state;
    rollouts(home, "--rl-learning-rate 0.01 --threads 1");
    home_weights(want, home);
    scratch_drop(home);
    rollouts(home, "--rl-learning-rate 0.01 --threads 4");
    home_weights(got, home);
    assert_string_equal(want[0], got[0]);
    assert_string_equal(want[1], got[1]);
    scratch_drop(home);
}

static void what_cannot_be_is_said(void **state)
{
    static const struct {
        const char *args, *says;
    } cases[] = {
        {"--list-items 20", "a chain ends in one name"},
        {"--rescue prefix_hint", "nobody gave a chain"},
        {"--algo srpo+prdc", "nobody gave a chain"},
        {"--init PLAIN", "gives no reasons: train it with --stage reason first"},
    };
    char why[8000];
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char args[900];
        const char *of = strstr(cases[i].args, "PLAIN") ? plain : reasoner;
        snprintf(args, sizeof args, RL " %s --init %s", of == plain ? "" : cases[i].args, of);
        assert_int_not_equal(tessera(why, sizeof why, base, args), 0);
        if (!strstr(why, cases[i].says))
            fail_msg("%s: expected '%s' in '%s'", cases[i].args, cases[i].says, why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(density_grows_through_two_passes),        TEST(lines_of_an_argument_are_read),
        TEST(what_is_drawn_is_what_is_scored),         TEST(what_is_paid_for_becomes_likelier),
        TEST(the_same_bytes_on_any_number_of_threads), TEST(what_cannot_be_is_said),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
