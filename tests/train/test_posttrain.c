/*
 * Post-training as its user meets it: it goes on from a version, learns from events that supervised
 * training never saw, writes what it does, gives the same bytes on any number of threads and after
 * kill -9, and says clearly what it cannot do.
 */
#include "tests/service/client.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMALL                                                                                      \
    " --rl-share 0.5 --dim 32 --ffn 64 --heads 2 --kv_heads 2 --check_users 60 --window 20 "       \
    "--state_every_steps 3 --warmup-steps 1 --rl-learning-rate 0.003 "
#define RL                                                                                         \
    "train --stage rl --algo srpo+vade --rl-steps 12 --rl-prompts 16 --rl-check-every 6 "          \
    "--promote false" SMALL

static char base[512]; /* a home with an index and a version that kept events for post-training */

static int start(void **state)
{
    (void)state;
    home_copy(base, sizeof base, "posttrain");
    home_forget(base, true);
    tessera_fine(base, "index --rl-share 0.5");
    tessera_fine(base, "train --epochs 2" SMALL);
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
    char want[2][SHA256_TEXT];
    char before[2][SHA256_TEXT];
    (void)state;
    home_weights(before, base);
    the_same_weights(want, base, RL " --num-iterations 2", "0.6", false);
    assert_string_not_equal(before[0], want[0]);
}

static size_t lines_of(const char *path)
{
    char line[400];
    size_t count = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        count++;
    fclose(file);
    return count;
}

/* Each preset and some modifiers take a few steps; what they did stands in rollouts.tsv. */
static void every_preset_takes_steps(void **state)
{
    static const char *const algos[] = {"srpo",
                                        "grpo",
                                        "dr_grpo",
                                        "dapo",
                                        "gspo",
                                        "turn_grpo",
                                        "rloo",
                                        "reinforce",
                                        "cispo",
                                        "sapo",
                                        "rec",
                                        "rec_ring",
                                        "opmd",
                                        "red_weight",
                                        "asymre",
                                        "disco_b",
                                        "copg",
                                        "disco",
                                        "reg_grpo",
                                        "srpo+llds+tree_td",
                                        "grpo+e_grpo+d3s",
                                        "srpo+gigpo+gtpo",
                                        "srpo+vade",
                                        "spo",
                                        "grpo+vas",
                                        "srpo+igpo",
                                        "srpo+prdc+igpo",
                                        "asymre+feedback"};
    (void)state;
    for (size_t i = 0; i < sizeof algos / sizeof *algos; i++) {
        char home[600];
        char args[700];
        char version[64];
        char path[PATH_SIZE];
        home_clone(home, sizeof home, base, "presets");
        snprintf(args, sizeof args,
                 "train --stage rl --algo %s --rl-steps 2 --rl-prompts 8 --rl-check-every 2 "
                 "--num-generations 6 --promote false" SMALL,
                 algos[i]);
        tessera_fine(home, args);
        home_newest(version, home);
        snprintf(path, sizeof path, "%.400s/models/%s/rollouts.tsv", home, version);
        assert_int_equal(lines_of(path), 3);
        scratch_drop(home);
    }
}

/* A column of the first step. */
static double first_step(const char *args, size_t column)
{
    char home[600];
    char command[700];
    char version[64];
    char path[PATH_SIZE];
    char line[400];
    double value = 0;
    home_clone(home, sizeof home, base, "column");
    snprintf(command, sizeof command,
             "train --stage rl --rl-steps 1 --rl-prompts 32 --rl-check-every 1 --promote false "
             "%.200s" SMALL,
             args);
    tessera_fine(home, command);
    home_newest(version, home);
    snprintf(path, sizeof path, "%.400s/models/%s/rollouts.tsv", home, version);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (int i = 0; i < 2; i++)
        assert_non_null(fgets(line, sizeof line, file));
    fclose(file);
    char *rest = line;
    for (size_t i = 0; i <= column; i++)
        value = strtod(strsep(&rest, "\t"), NULL);
    scratch_drop(home);
    return value;
}

/* Hints bring hits where there were none; other prompts take the places of silent ones. */
static void silent_groups_are_helped_or_replaced(void **state)
{
    enum { HITS = 3, SILENT = 6 };
    static const char plain[] = "--algo srpo --max-num-gen-batches 1";
    static const char hinted[] = "--algo srpo+igpo --max-num-gen-batches 1";
    (void)state;
    assert_true(first_step(hinted, HITS) > 1.5 * first_step(plain, HITS));
    assert_true(first_step("--algo srpo --max-num-gen-batches 8", SILENT) <
                0.7 * first_step(plain, SILENT));
}

/* What was not liked is a row of the log that is worth nothing; who asks for targets never sees it.
 */
static void dislikes_are_worth_nothing(void **state)
{
    static const char *const algos[] = {"srpo", "opmd+feedback"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char home[600];
        char args[700];
        char log[16000];
        home_clone(home, sizeof home, base, "dislikes");
        snprintf(args, sizeof args,
                 "train --stage rl --algo %s --rl-steps 2 --rl-prompts 16 --rl-check-every 2 "
                 "--promote false" SMALL,
                 algos[i]);
        assert_int_equal(tessera(log, sizeof log, home, args), 0);
        const char *found = strstr(log, "disliked=");
        assert_non_null(found);
        assert_true((strtoul(found + 9, NULL, 10) > 20) == (i == 1));
        scratch_drop(home);
    }
}

/* New users of items that everybody knows: five events each, beginning with user `from`. */
static void import_new(const char *home, size_t from, size_t users)
{
    static const char *const items[] = {"tt0133093", "tt1300854", "tt1375666", "tt0468569",
                                        "tt1345836"};
    char path[700];
    char args[900];
    snprintf(path, sizeof path, "%s/new.csv", home);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "user,item,timestamp,rating\n");
    for (size_t u = from; u < from + users; u++)
        for (size_t e = 0; e < 5; e++)
            fprintf(file, "new-%zu,%s,%zu,9\n", u, items[(u + e) % 5], 1500000000 + 5 * u + e);
    fclose(file);
    snprintf(args, sizeof args, "import --interactions %s", path);
    tessera_fine(home, args);
}

/* Nobody, then somebody with too few events to keep any: clear words, no harm. */
static void a_log_of_nobody_and_of_one(void **state)
{
    static const char rest[] = " --rl-share 1 --dim 32 --ffn 64 --heads 2 --kv_heads 2 --window 20";
    char home[512];
    char args[700];
    char why[8000];
    (void)state;
    snprintf(home, sizeof home, "%s", scratch_folder("one-user"));
    tessera_fine(home, "import --items " SAMPLE "/items.jsonl.zst");
    tessera_fine(home, "index --rl-share 1");
    snprintf(args, sizeof args, "train --stage srpo%s", rest);
    assert_int_equal(tessera(why, sizeof why, home, args), 2);
    assert_non_null(strstr(why, "no version is in production"));
    import_new(home, 0, 1);
    tessera_fine(home, "index --rl-share 1");
    snprintf(args, sizeof args, "train --epochs 1%s", rest);
    tessera_fine(home, args);
    snprintf(args, sizeof args, "train --stage srpo --rl-steps 2%s", rest);
    assert_int_equal(tessera(why, sizeof why, home, args), 2);
    assert_non_null(strstr(why, "expected events that were kept for post-training, found none"));
    tessera_fine(home, "verify");
    scratch_drop(home);
}

/* What came after the index is paid for; whoever watches trains again when there is enough of it.
 */
static void newer_events_are_learned_from(void **state)
{
    static const char rest[] =
        " --rl-source newer --rl-steps 2 --rl-prompts 8 --rl-check-every 2 --promote false" SMALL;
    char home[600];
    char args[900];
    char why[8000];
    char base_version[64];
    char first[64];
    char second[64];
    (void)state;
    home_clone(home, sizeof home, base, "newer");
    home_newest(base_version, home);
    snprintf(args, sizeof args, "train --stage srpo%s", rest);
    assert_int_equal(tessera(why, sizeof why, home, args), 2);
    assert_non_null(strstr(why, "expected events that are newer than the index, found none"));
    import_new(home, 0, 20);
    assert_int_equal(tessera(why, sizeof why, home, args), 0);
    assert_non_null(
        strstr(why, "train.prompts count=80 dropped=20")); /* the first has no history */
    home_newest(first, home);
    assert_string_not_equal(first, base_version);
    /* as it watches: 100 events are enough, at once; 50 more are not, 100 are */
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        snprintf(args, sizeof args,
                 "exec " TESSERA " --home %s train --stage srpo --watch --watch-events 100 --seed 2"
                 "%s >%s/watch.log 2>&1",
                 home, rest, home);
        execl("/bin/sh", "sh", "-c", args, (char *)NULL);
        _exit(127);
    }
    for (size_t round = 0; round < 2; round++) {
        for (int i = 0; i < 1200; i++) {
            home_newest(second, home);
            if (strcmp(second, first) != 0)
                break;
            usleep(100000);
        }
        assert_string_not_equal(second, first);
        memcpy(first, second, sizeof first);
        if (round == 0)
            import_new(home, 20, 25);
    }
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    tessera_fine(home, "verify");
    assert_int_equal(tessera(why, sizeof why, home, "train --stage srpo --watch" SMALL), 2);
    assert_non_null(strstr(why, "watch: expected a stage of post-training with rl_source newer"));
    scratch_drop(home);
}

static void a_preset_is_a_stage(void **state)
{
    char home[600];
    char long_way[2][SHA256_TEXT];
    char short_way[2][SHA256_TEXT];
    static const char rest[] =
        " --rl-steps 3 --rl-prompts 8 --rl-check-every 3 --promote false" SMALL;
    (void)state;
    for (int round = 0; round < 2; round++) {
        char args[700];
        home_clone(home, sizeof home, base, "stage");
        snprintf(args, sizeof args, "train --stage %s%s",
                 round ? "rloo+vade" : "rl --algo rloo+vade", rest);
        tessera_fine(home, args);
        home_weights(round ? short_way : long_way, home);
        scratch_drop(home);
    }
    assert_string_equal(long_way[0], short_way[0]);
}

/* The control goes on with the same events, and as many updates, by the supervised losses. */
static void the_control_goes_on(void **state)
{
    char home[600];
    char before[64];
    char after[64];
    char path[PATH_SIZE];
    char line[512];
    size_t steps = 0;
    (void)state;
    home_clone(home, sizeof home, base, "control");
    home_newest(before, home);
    tessera_fine(home,
                 "train --stage continue --rl-steps 6 --rl-check-every 3 --promote false" SMALL);
    home_newest(after, home);
    assert_string_not_equal(before, after);
    snprintf(path, sizeof path, "%.500s/models/%s/training.tsv", home, after);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        steps += line[0] != 's'; /* the head */
    fclose(file);
    assert_int_equal(steps, 6);
    scratch_drop(home);
}

static void what_cannot_be_is_said(void **state)
{
    static const struct {
        const char *args, *says;
    } cases[] = {
        {"--algo srpoo", "algo: expected a preset, found 'srpoo'"},
        {"--algo gspo+salt", "average away"},
        {"--init 0009-none", "0009-none"},
        {"--dim 64", "init: version"},
        {"--stage later",
         "stage: expected sft, lists, reason, dialogue, experience, rl or continue, found 'later'"},
        {"--preset sasrec", "goes on from a policy"},
        {"--algo rank_grpo", "adv_scope: rank is for lists: add --list-items 20"},
        {"--list-items 20", "rl_events: expected users with 3 or more kept items"},
        {"--algo rpo --list-items 20", "is an item, not a list"},
        {"--algo srpo+igpo --list-items 20 --adv_scope sequence", "not of a list"},
        {"--selector best", "selector: expected one of: vade spo vas; found 'best'"},
        {"--hint-min 0.9", "hint_min: expected at most hint_max (0.6), found 0.9"},
        {"--stage lists", "stage: lists needs their length: add --list-items 20"},
        {"--rl-share 0.1", "rl_share"},
        {"--stage srpo --algo opmd+feedback",
         "algo: stage 'srpo' is a method already: expected --stage srpo alone"},
        {"--passk 10", "passk: expected less than num_generations (10), found 10"},
        {"--epsilon nan", "epsilon"},
    };
    char why[8000];
    char home[600];
    (void)state;
    home_clone(home, sizeof home, base, "errors");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char args[700];
        snprintf(args, sizeof args, "train --stage rl" SMALL "%s", cases[i].args);
        assert_int_not_equal(tessera(why, sizeof why, home, args), 0);
        if (!strstr(why, cases[i].says))
            fail_msg("%s: expected '%s' in '%s'", cases[i].args, cases[i].says, why);
    }
    tessera_fine(home, "verify");
    scratch_drop(home);
    /* a home that kept nothing */
    home_copy(home, sizeof home, "kept-nothing");
    assert_int_equal(
        tessera(why, sizeof why, home, "train --stage rl --dim 32 --heads 2 --kv_heads 2 --ffn 64"),
        2);
    assert_non_null(strstr(why, "rl_share: expected events that were kept for post-training"));
    scratch_drop(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_bytes_on_any_number_of_threads_and_after_a_kill),
        TEST(every_preset_takes_steps),
        TEST(silent_groups_are_helped_or_replaced),
        TEST(dislikes_are_worth_nothing),
        TEST(a_log_of_nobody_and_of_one),
        TEST(newer_events_are_learned_from),
        TEST(a_preset_is_a_stage),
        TEST(the_control_goes_on),
        TEST(what_cannot_be_is_said),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
