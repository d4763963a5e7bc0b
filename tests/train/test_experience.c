/*
 * Experience: advantages have the numbers, what is planted is learnt on any number of threads and
 * changes what is written, and a file of other items is refused.
 */
#include "tests/service/client.h"

#include "recommend/experience.h"
#include "train/experience.h"

#include <math.h>

enum { RANKS = 10, PROMPTS = 40 };

static struct store *store;
static struct version *version;
static struct snapshot *snapshot;
static char home[512];
static char name[64];

static int start(void **state)
{
    struct err err = {0};
    const struct store_settings settings = {.map_mib = 1024};
    (void)state;
    home_copy(home, sizeof home, "experience");
    store = store_open(home, &settings, false, &err);
    if (!store || !production_name(name, home, &err))
        return -1;
    version = version_open(home, name, store, SIZE_MAX, &err);
    snapshot = version ? snapshot_open(version, store, &err) : NULL;
    return snapshot ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    snapshot_drop(snapshot);
    store_close(store);
    scratch_drop(home);
    return 0;
}

/* Four lists of two ranks: at the first one is right, std 1/2; at the second all are or none is. */
static void advantages_have_the_numbers(void **state)
{
    static const uint32_t item[] = {3, 1, 0, 1, 0, 1, 2, 1};
    static const uint32_t without[] = {0, 4, 0, 4};
    static const uint32_t relevant[] = {3, 1};
    double advantage[5] = {0};
    double seen[5] = {0};
    (void)state;
    assert_true(experience_compare(advantage, seen, item, 4, 2, relevant, 2));
    assert_float_equal(advantage[3], 0.75 / 0.5001, 1e-6);
    assert_float_equal(advantage[0], 2 * -0.25 / 0.5001, 1e-6);
    assert_float_equal(advantage[2], -0.25 / 0.5001, 1e-6);
    assert_float_equal(advantage[1], 0, 1e-12);
    assert_float_equal(seen[0], 2, 1e-12);
    assert_float_equal(seen[1], 0, 1e-12); /* a rank that tells nothing apart is not seen */
    assert_false(experience_compare(advantage, seen, without, 2, 2, relevant, 2));
    /* a list that ended before the others were right */
    static const uint32_t ended[] = {3, NO_ITEM};
    double before = advantage[3];
    assert_true(experience_compare(advantage, seen, ended, 2, 1, relevant, 1));
    assert_float_equal(advantage[3] - before, 0.5 / (sqrt(0.5) + 1e-4), 1e-6);
}

struct planted {
    uint32_t history[PROMPTS * 3], right[PROMPTS];
    size_t first[PROMPTS + 1], one[PROMPTS + 1];
    struct experience_prompts prompts;
    struct experience_options options;
};

static size_t written(uint32_t *list, struct list_work *w, const uint32_t *history)
{
    list_begin(w, snapshot);
    for (size_t i = 0; i < 3; i++)
        bit_set(w->skip, history[i]);
    return list_make(list, RANKS, w, snapshot, history, 3, EXPERIENCE_BEAM);
}

/* What stands at the third rank after the first history is right after each. */
static void plant(struct planted *p)
{
    struct list_work w;
    struct err err = {0};
    uint32_t list[RANKS];
    *p = (struct planted){.options = {.prompts = PROMPTS,
                                      .lists = 6,
                                      .ranks = RANKS,
                                      .symbols = 20,
                                      .temperature = 1,
                                      .prior = 5,
                                      .step = 1,
                                      .seed = 3}};
    for (uint32_t i = 0; i < PROMPTS; i++) {
        for (uint32_t k = 0; k < 3; k++)
            p->history[3 * i + k] = version->popular[(i * 7 + k * 11) % 100 + 20];
        p->first[i + 1] = 3 * ((size_t)i + 1);
        p->one[i + 1] = i + 1;
    }
    assert_fine(list_work_open(&w, snapshot, 20, 10, &err), err);
    assert_int_equal(written(list, &w, p->history), RANKS);
    list_work_close(&w);
    for (size_t i = 0; i < PROMPTS; i++)
        p->right[i] = list[2];
    p->prompts = (struct experience_prompts){.count = PROMPTS,
                                             .symbol = p->history,
                                             .first = p->first,
                                             .known = p->history,
                                             .known_first = p->first,
                                             .relevant = p->right,
                                             .relevant_first = p->one};
}

/* The mean place of the planted item; RANKS where a list has it not. */
static double mean_place(const struct planted *p)
{
    struct list_work w;
    struct err err = {0};
    uint32_t list[RANKS];
    double sum = 0;
    assert_fine(list_work_open(&w, snapshot, 20, 10, &err), err);
    for (size_t i = 0; i < PROMPTS; i++) {
        size_t count = written(list, &w, p->history + 3 * i);
        size_t at = 0;
        while (at < count && list[at] != p->right[i])
            at++;
        sum += at < count ? (double)at : RANKS;
    }
    list_work_close(&w);
    return sum / PROMPTS;
}

static float *learn(const struct planted *p, struct thread_pool *pool)
{
    struct err err = {0};
    struct experience_report report;
    size_t items = version->index->items;
    float *bias = calloc(items + 1, sizeof *bias);
    assert_non_null(bias);
    for (size_t round = 1; round <= 3; round++) {
        assert_fine(
            experience_round(bias, &p->prompts, snapshot, &p->options, round, &report, pool, &err),
            err);
        assert_int_equal(report.prompts, PROMPTS);
        assert_true(report.silent < PROMPTS);
        float *copy = malloc((items + 1) * sizeof *copy);
        assert_non_null(copy);
        memcpy(copy, bias, items * sizeof *copy);
        version_take_experience(version, copy);
    }
    return bias;
}

static void what_is_planted_is_learnt_and_written(void **state)
{
    static struct planted p;
    struct err err = {0};
    size_t items = version->index->items;
    (void)state;
    plant(&p);
    double before = mean_place(&p);
    struct thread_pool *one = thread_pool_new(1, &err);
    struct thread_pool *three = thread_pool_new(3, &err);
    assert_fine(one && three, err);
    float *bias = learn(&p, one);
    double after = mean_place(&p);
    version_take_experience(version, NULL);
    float *again = learn(&p, three);
    version_take_experience(version, NULL);
    assert_memory_equal(bias, again, items * sizeof *bias);
    for (size_t v = 0; v < items; v++)
        assert_true(v == p.right[0] ? bias[v] > 0.5F : bias[v] <= 0);
    if (!(after < before - 1))
        fail_msg("mean place of what is right: before %.2f, after %.2f", before, after);
    assert_float_equal(mean_place(&p), before, 1e-6); /* the policy is as it was */
    free(bias);
    free(again);
    thread_pool_free(one);
    thread_pool_free(three);
}

static void a_list_says_log_p_of_the_policy(void **state)
{
    struct err err = {0};
    struct list_work w;
    uint32_t plain[RANKS];
    uint32_t biased[RANKS];
    size_t items = version->index->items;
    const uint32_t history[3] = {version->popular[0], version->popular[3], version->popular[9]};
    float *bias = calloc(items + 1, sizeof *bias);
    (void)state;
    assert_non_null(bias);
    assert_fine(list_work_open(&w, snapshot, 20, 10, &err), err);
    assert_int_equal(written(plain, &w, history), RANKS);
    float first = w.log_p[0];
    bias[plain[0]] = -EXPERIENCE_MOST;
    version_take_experience(version, bias);
    assert_int_equal(written(biased, &w, history), RANKS);
    assert_int_not_equal(biased[0], plain[0]);
    assert_true(w.log_p[0] < first && w.log_p[0] > first - 5);
    version_take_experience(version, NULL);
    list_work_close(&w);
}

static void publish(const char *folder)
{
    struct err err = {0};
    json_t *facts = manifest_read(folder, &err);
    assert_fine(facts && manifest_write(folder, facts, &err), err);
    json_decref(facts);
}

static void refused(const char *words)
{
    struct err err = {0};
    assert_null(version_open(home, name, store, SIZE_MAX, &err));
    assert_says(err, words);
}

static void a_version_carries_it_and_refuses_what_does_not_fit(void **state)
{
    struct err err = {0};
    char folder[700];
    size_t items = version->index->items;
    const char *of = version->index->fingerprint;
    float *bias = calloc(items + 2, sizeof *bias);
    (void)state;
    assert_non_null(bias);
    for (size_t i = 0; i <= items; i++)
        bias[i] = (float)i / (float)items - 0.5F;
    snprintf(folder, sizeof folder, "%s/models/%s", home, name);
    assert_null(version->experience);
    assert_fine(experience_write(folder, bias, items, of, &err), err);
    publish(folder);
    struct version *opened = version_open(home, name, store, SIZE_MAX, &err);
    assert_fine(opened != NULL, err);
    assert_memory_equal(opened->experience, bias, items * sizeof *bias);
    assert_ptr_equal(opened->policy.items.experience, opened->experience);
    version_drop(opened);
    assert_fine(experience_write(folder, bias, items + 1, of, &err), err);
    refused("experience.safetensors"); /* the manifest knows another file */
    publish(folder);
    refused("tensor bias: expected F32");
    assert_fine(experience_write(folder, bias, items, "0123456789abcdef", &err), err);
    publish(folder);
    refused("found 0123456789abcdef");
    bias[7] = NAN;
    assert_fine(experience_write(folder, bias, items, of, &err), err);
    publish(folder);
    refused("expected a bias within 16, found nan at row 7");
    free(bias);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(advantages_have_the_numbers),
        TEST(what_is_planted_is_learnt_and_written),
        TEST(a_list_says_log_p_of_the_policy),
        TEST(a_version_carries_it_and_refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
