/*
 * Stage dialogue on a small home: the same bytes on any number of threads and after kill -9, what
 * it makes answers dialogues and not users, and what evaluate says of it can be compared.
 */
#include "tests/service/client.h"

#include "recommend/version.h"

#define SMALL                                                                                      \
    " --count-dialogues true --dim 32 --ffn 64 --heads 2 --kv_heads 2 --check_users 20 "           \
    "--judge_users 100 --window 20 --state_every_steps 3 "
#define TALK                                                                                       \
    "train --stage dialogue --dialogue-steps 6 --rl-check-every 3 --list-items 8 "                 \
    "--dialogue-symbols 64 --dialogue-share 0.1 " SMALL
#define TURNS                                                                                      \
    "train --stage rl --algo turn_grpo --rl-source dialogues --reward rsvr --list-items 6 "        \
    "--rl-steps 4 --rl-prompts 16 --num-generations 4 --rl-check-every 2 --dialogue-symbols 64 "   \
    "--promote false" SMALL
#define JUDGE "evaluate --dialogues true --judge-share 0.1 --beam 4 --dialogue-symbols 64 " SMALL

static char base[512], first[64];

static int start(void **state)
{
    (void)state;
    home_copy(base, sizeof base, "talking");
    home_forget(base, true);
    tessera_fine(base, "index --count-dialogues true");
    tessera_fine(base, "train --epochs 1" SMALL);
    home_newest(first, base);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    scratch_drop(base);
    return 0;
}

static void the_same_bytes_on_any_number_of_threads_and_after_a_kill(void **state)
{
    char weights[2][SHA256_TEXT];
    (void)state;
    the_same_weights(weights, base, TALK "--promote false", "2", true);
}

/* What each step's rollouts came to, after a training in a copy of the home. */
static void rollouts_of(char *out, size_t room, const char *args)
{
    char home[600];
    char made[64];
    char path[900];
    struct err err = {0};
    size_t size;
    home_clone(home, sizeof home, base, "turns");
    tessera_fine(home, args);
    home_newest(made, home);
    snprintf(path, sizeof path, "%s/models/%s/rollouts.tsv", home, made);
    char *bytes = file_read(path, room - 1, &size, &err);
    assert_fine(bytes, err);
    memcpy(out, bytes, size + 1);
    free(bytes);
    scratch_drop(home);
}

/* Several turns of a dialogue are one rollout, the same on any number of threads; an objective that
 * does not pay rollouts of many turns refuses them. */
static void turns_of_a_dialogue_are_one_rollout(void **state)
{
    static char together[2][4096], alone[4096], one_by_one[4096];
    char why[4096];
    (void)state;
    rollouts_of(together[0], sizeof together[0], TURNS "--rl-turns 3 --threads 1");
    rollouts_of(together[1], sizeof together[1], TURNS "--rl-turns 3 --threads 4");
    assert_string_equal(together[0], together[1]);
    rollouts_of(alone, sizeof alone, TURNS "--rl-turns 1");
    rollouts_of(one_by_one, sizeof one_by_one, TURNS "--rl-turns 1 --threads 1");
    assert_string_equal(alone, one_by_one);
    assert_string_not_equal(together[0], alone);
    assert_int_equal(tessera(why, sizeof why, base, TURNS "--rl-turns 3 --algo rank_grpo"), 2);
    assert_non_null(strstr(why, "rl_turns: several turns of a dialogue are one rollout of --algo "
                                "turn_grpo"));
    assert_int_equal(tessera(why, sizeof why, base, TURNS "--rl-turns 5"), 2);
    assert_non_null(strstr(why, "expected 1 to 4, found 5: add --rl-prompts 20"));
    assert_int_equal(tessera(why, sizeof why, base, TURNS "--rl-turns 3 --filter zero_std"), 2);
    assert_non_null(strstr(why, "filter: a turn that is dropped"));
}

static void assert_link(const char *home, const char *link, const char *name)
{
    struct err err = {0};
    char found[64];
    assert_fine(version_link(found, home, link, &err), err);
    assert_string_equal(found, name);
}

static void it_answers_dialogues_and_users_keep_theirs(void **state)
{
    char home[600];
    char made[64];
    char args[200];
    char why[4096];
    struct err err = {0};
    (void)state;
    home_clone(home, sizeof home, base, "chat");
    assert_int_equal(tessera(why, sizeof why, home, TALK "--promote false"), 0);
    /* looks see check_users of the dialogues that choose, the fit of votes judge_users */
    size_t checks = 0;
    size_t judged = 0;
    const char *said = strstr(why, " checks=");
    assert_non_null(said);
    assert_int_equal(sscanf(said, " checks=%zu judged=%zu", &checks, &judged), 2);
    assert_true(checks >= 20 && judged > 3 * checks);
    assert_non_null(strstr(why, "votes.fit weight=0.5"));
    home_newest(made, home);
    assert_string_not_equal(made, first);
    assert_false(version_link(why, home, "production/chat", &err));
    snprintf(args, sizeof args, "promote --chat true --version %s", made);
    tessera_fine(home, args);
    assert_link(home, "production/chat", made);
    assert_link(home, "production/recommend", first);
    assert_int_not_equal(tessera(why, sizeof why, home, "promote --chat true --version none"), 0);
    assert_non_null(strstr(why, "there is no version none"));
    assert_int_not_equal(tessera(why, sizeof why, home, "promote --chat true"), 0);
    assert_link(home, "production/chat", made);
    /* lists that remap, reflect and adjust have made, which say what is right better than before */
    assert_int_equal(tessera(why, sizeof why, home, TALK "--list-teacher rra --promote false"), 0);
    double before = 0;
    double after = 0;
    said = strstr(why, "likelihood_before=");
    assert_non_null(said);
    assert_int_equal(sscanf(said, "likelihood_before=%lf likelihood=%lf", &before, &after), 2);
    assert_true(after > before);
    scratch_drop(home);
}

static size_t lines_of(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "r");
    size_t count = 0;
    assert_non_null(file);
    while (fgets(line, size, file))
        count++;
    fclose(file);
    return count;
}

static void what_is_judged_can_be_compared(void **state)
{
    char args[2048];
    char why[4096];
    char path[600];
    char line[4096];
    (void)state;
    snprintf(args, sizeof args, JUDGE "--of %s --scores %s/a.tsv --test true --dialogue-runs %s/r",
             first, base, base);
    tessera_fine(base, args);
    snprintf(path, sizeof path, "%s/a.tsv", base);
    assert_true(lines_of(path, line, sizeof line) > 50); /* a tenth of 1,342 dialogues */
    snprintf(path, sizeof path, "%s/r", base);
    assert_int_equal(lines_of(path, line, sizeof line), 2);
    assert_non_null(strstr(line, first));
    snprintf(args, sizeof args,
             JUDGE "--of %s --scores %s/b.tsv --test true --dialogue-runs '' --among %s", first,
             base, SAMPLE "/redial_items.txt");
    tessera_fine(base, args);
    snprintf(args, sizeof args, "compare --scores %s/a.tsv --against %s/b.tsv", base, base);
    tessera_fine(base, args);
    write_file(base, "ids", "tt0133093\nnone\n");
    snprintf(args, sizeof args, JUDGE "--of %s --among %s/ids", first, base);
    assert_int_not_equal(tessera(why, sizeof why, base, args), 0);
    assert_non_null(strstr(why, "ids:2: no item of the version has the id 'none'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_bytes_on_any_number_of_threads_and_after_a_kill),
        TEST(turns_of_a_dialogue_are_one_rollout),
        TEST(it_answers_dialogues_and_users_keep_theirs),
        TEST(what_is_judged_can_be_compared),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
