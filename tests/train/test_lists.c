/*
 * Ranked lists, from imitation to Rank-GRPO: what is written holds nothing twice and nothing that
 * is masked, the same bytes come out on any number of threads and after kill -9, and each objective
 * that makes sense for lists takes its steps.
 */
#include "tests/service/client.h"

#include "recommend/list.h"

#include <sys/wait.h>

#define SMALL                                                                                      \
    " --split time --rl-share 0.5 --rl-events 4 --dim 32 --ffn 64 --heads 2 --kv_heads 2 "         \
    "--check_users 60 --window 20 --state_every_steps 3 "
#define LISTS                                                                                      \
    "train --list-items 8 --rl-steps 6 --rl-prompts 8 --rl-check-every 3 --promote false" SMALL

static char base[512]; /* a home with a version that imitates lists */
static char imitator[64];

static int start(void **state)
{
    (void)state;
    home_copy(base, sizeof base, "lists");
    home_forget(base, true);
    tessera_fine(base, "index --split time --rl-share 0.5 --rl-events 4");
    tessera_fine(base, "train --epochs 1" SMALL);
    tessera_fine(base, LISTS "--stage lists");
    home_newest(imitator, base);
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
    char args[900];
    (void)state;
    snprintf(args, sizeof args, LISTS "--stage rl --algo rank_grpo --init %s --num-iterations 2",
             imitator);
    the_same_weights(weights, base, args, "0.5", false);
}

static void objectives_take_steps_on_lists(void **state)
{
    static const char *const algos[] = {"rank_grpo",
                                        "rank_grpo --reward rank_exp --rank-gamma 3",
                                        "rank_grpo --reward rank_log --loss-agg-mode token-mean",
                                        "grpo --num-generations 6",
                                        "gspo",
                                        "rank_grpo+llds"};
    (void)state;
    for (size_t i = 0; i < sizeof algos / sizeof *algos; i++) {
        char home[600];
        char args[900];
        char path[PATH_SIZE];
        char name[64];
        char line[400];
        size_t lines = 0;
        home_clone(home, sizeof home, base, "objectives");
        snprintf(args, sizeof args, LISTS "--stage rl --init %s --algo %s", imitator, algos[i]);
        tessera_fine(home, args);
        home_newest(name, home);
        snprintf(path, sizeof path, "%.400s/models/%s/rollouts.tsv", home, name);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        while (fgets(line, sizeof line, file))
            lines++;
        fclose(file);
        assert_int_equal(lines, 7);
        scratch_drop(home);
    }
}

/* The rollouts of the newest version, step by step; "": it has none. */
static void read_rollouts(char *out, size_t room, const char *home)
{
    char path[PATH_SIZE];
    char name[64];
    home_newest(name, home);
    snprintf(path, sizeof path, "%.400s/models/%s/rollouts.tsv", home, name);
    FILE *file = fopen(path, "r");
    size_t size = file ? fread(out, 1, room - 1, file) : 0;
    out[size] = 0;
    if (file)
        fclose(file);
}

/* Dialogues are imitated, then paid for, alike on any number of threads; the control runs, too. */
static void lists_of_dialogues_are_paid_for(void **state)
{
    static const char *const stages[] = {"rl --algo rank_grpo --threads 1",
                                         "rl --algo rank_grpo --threads 3", "continue"};
    static const char *const small =
        SMALL "--list-items 8 --rl-prompts 8 --rl-check-every 2 --dialogue-symbols 40 "
              "--dialogue-share 0.1 --promote false";
    static char rollouts[3][4000];
    char home[600];
    char args[900];
    char name[64];
    char why[4000];
    size_t lines = 0;
    (void)state;
    home_clone(home, sizeof home, base, "dialogues");
    snprintf(args, sizeof args, "train --stage dialogue --dialogue-steps 2 %s", small);
    tessera_fine(home, args);
    home_newest(name, home);
    for (int i = 0; i < 3; i++) {
        char there[600];
        home_clone(there, sizeof there, home, "paid");
        snprintf(args, sizeof args,
                 "train --rl-source dialogues --rl-steps 4 --init %s %s --stage %s", name, small,
                 stages[i]);
        tessera_fine(there, args);
        read_rollouts(rollouts[i], sizeof rollouts[i], there);
        scratch_drop(there);
    }
    for (const char *at = rollouts[0]; *at; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 5);
    assert_string_equal(rollouts[0], rollouts[1]);
    assert_string_equal(rollouts[2], "");
    snprintf(args, sizeof args, "train --stage rl --rl-source dialogues --rl-reasons true %s",
             small);
    assert_int_equal(tessera(why, sizeof why, home, args), 2);
    assert_non_null(strstr(why, "a dialogue is answered by a list"));
    scratch_drop(home);
}

/* As serving writes them: distinct, nothing masked, as many as there are. */
static void a_list_holds_nothing_twice_and_nothing_masked(void **state)
{
    struct err err = {0};
    const struct store_settings settings = {.map_mib = 1024};
    struct list_work w;
    uint32_t list[LIST_RANKS_MAX];
    (void)state;
    struct store *store = store_open(base, &settings, false, &err);
    assert_fine(store != NULL, err);
    struct version *version = version_open(base, imitator, store, SIZE_MAX, &err);
    assert_fine(version != NULL, err);
    size_t items = version->index->items;
    struct snapshot *snapshot = snapshot_open(version, store, &err);
    assert_fine(snapshot && list_work_open(&w, snapshot, 20, 10, &err), err);
    for (uint32_t round = 0; round < 12; round++) {
        const uint32_t history[3] = {round, round * 7 % 100, round + 40};
        list_begin(&w, snapshot);
        for (size_t i = 0; i < 3; i++)
            bit_set(w.skip, history[i]);
        size_t left = 0; /* in some rounds the mask leaves a few */
        for (size_t r = 0; r < items; r++) {
            if (round % 3 == 0 && r % 500 != 1)
                bit_set(w.skip, r);
            left += !bit_get(w.skip, r);
        }
        size_t count = list_make(list, LIST_RANKS_MAX, &w, snapshot, history, 3, 10);
        assert_int_equal(count, left < LIST_RANKS_MAX ? left : LIST_RANKS_MAX);
        for (size_t i = 0; i < count; i++) {
            assert_false(bit_get(w.skip, list[i]));
            for (size_t k = 0; k < i; k++)
                assert_int_not_equal(list[i], list[k]);
        }
    }
    assert_int_equal(list_make(list, 5, &w, snapshot, NULL, 0, 10), 0);
    list_work_close(&w);
    snapshot_drop(snapshot);
    store_close(store);
}

static void runs_are_compared_user_by_user(void **state)
{
    char args[1200];
    char why[8000];
    (void)state;
    snprintf(args, sizeof args, "evaluate --lists" SMALL "--of %s --scores %s/a.tsv", imitator,
             base);
    tessera_fine(base, args);
    snprintf(args, sizeof args,
             TESSERA " compare --scores %s/a.tsv --against %s/a.tsv | grep -qF '+0.0000 [+0.0000, "
                     "+0.0000]'",
             base, base);
    assert_int_equal(system(args), 0);
    snprintf(args, sizeof args, "compare --scores %s/a.tsv", base);
    assert_int_equal(tessera(why, sizeof why, base, args), 2);
    assert_non_null(strstr(why, "--scores and --against"));
}

/* The policy stays as it is; what was learnt is published if, and only if, a round was kept. */
static void experience_leaves_the_policy_alone(void **state)
{
    char home[600];
    char args[900];
    char why[8000];
    char name[64];
    char path[PATH_SIZE];
    char before[2][SHA256_TEXT];
    char after[2][SHA256_TEXT];
    (void)state;
    home_clone(home, sizeof home, base, "experience");
    home_weights(before, home); /* the imitator is the newest */
    snprintf(args, sizeof args,
             "train --stage experience --list-items 8 --init %s --experience-rounds 2 "
             "--experience-prompts 20 --experience-lists 4 --promote false" SMALL,
             imitator);
    assert_int_equal(tessera(why, sizeof why, home, args), 0);
    assert_non_null(strstr(why, "train.experience round=2 prompts=20 "));
    home_newest(name, home);
    assert_string_not_equal(name, imitator);
    home_weights(after, home);
    assert_string_equal(before[0], after[0]);
    assert_string_equal(before[1], after[1]);
    snprintf(path, sizeof path, "%.400s/models/%s/experience.safetensors", home, name);
    assert_int_equal(access(path, F_OK) == 0, strstr(why, " kept=1") != NULL);
    snprintf(args, sizeof args, "evaluate --lists" SMALL "--of %s", name);
    tessera_fine(home, args);
    assert_int_equal(
        tessera(why, sizeof why, home, "train --stage experience --rl-source nowhere" SMALL), 2);
    assert_non_null(strstr(why, "expected kept, newer or dialogues, found 'nowhere'"));
    scratch_drop(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_bytes_on_any_number_of_threads_and_after_a_kill),
        TEST(objectives_take_steps_on_lists),
        TEST(lists_of_dialogues_are_paid_for),
        TEST(a_list_holds_nothing_twice_and_nothing_masked),
        TEST(runs_are_compared_user_by_user),
        TEST(experience_leaves_the_policy_alone),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
