/*
 * Remap, reflect, adjust on a catalogue of five items whose scores were worked out by hand; what
 * is fitted is a maximum, and large sets give the same lists on any number of threads.
 */
#include "tests/test.h"

#include "base/rng.h"
#include "index/text_vectors.h"
#include "train/list_teacher.h"

#include <math.h>

enum { ITEMS = 5, DIMS = 2, RANKS = 4, NONE = -1 };

static const float VECTORS[ITEMS * DIMS] = {1, 0, 0, 1, 0.6F, 0.8F, 0.8F, 0.6F, -1, 0};
static const float EXTRA[DIMS] = {0.8F, 0.6F};

static struct thread_pool *pool;

static int start(void **state)
{
    struct err err = {0};
    (void)state;
    pool = thread_pool_new(2, &err);
    return pool ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    thread_pool_free(pool);
    return 0;
}

/* After item 0 the teacher names item 1 and something like item 3. */
static void ask(uint32_t item[RANKS], const struct list_teaching *teaching)
{
    static const size_t first[] = {0, 1};
    static const uint32_t prompt[] = {0};
    uint32_t teacher[TEACHER_RANKS];
    const struct list_questions q = {.count = 1,
                                     .prompt_first = first,
                                     .prompt = prompt,
                                     .teacher = teacher,
                                     .label_first = (const size_t[]){0, 0}};
    struct list_teaching_report report;
    struct err err = {0};
    memset(teacher, 0xff, sizeof teacher);
    teacher[0] = 1;
    teacher[1] = ITEMS;
    assert_fine(list_teaching_run(item, RANKS, &q, teaching, NULL, NULL, &report, pool, &err), err);
}

static struct list_teaching small(void)
{
    struct list_teaching t = list_teaching_default();
    t.items = ITEMS;
    t.dims = DIMS;
    t.vectors = VECTORS;
    t.extra = EXTRA;
    t.rounds = 0;
    return t;
}

static void expect_list(const uint32_t *item, const int *expected)
{
    for (size_t k = 0; k < RANKS; k++)
        assert_int_equal(item[k], (uint32_t)expected[k]);
}

/* q = (1, 0) + (0, 1) + .7071 (.8, .6): scores 1.424 + 1, 2.079, 2.107, -1.566 of items 1 to 4. */
static void remapping_has_the_numbers(void **state)
{
    struct list_teaching t = small();
    const uint64_t skip = 1 << 3;
    (void)state;
    uint32_t free_list[RANKS] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    ask(free_list, &t);
    expect_list(free_list, (const int[]){1, 3, 2, 4});
    uint32_t given[RANKS] = {2, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    ask(given, &t);
    expect_list(given, (const int[]){2, 1, 3, 4});
    t.skip = &skip;
    uint32_t skipped[RANKS] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    ask(skipped, &t);
    expect_list(skipped, (const int[]){1, 2, 4, NONE});
    t.talk_weight = 4; /* (4, 0) of what was said: item 3 before item 1 */
    t.skip = NULL;
    uint32_t talked[RANKS] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    ask(talked, &t);
    expect_list(talked, (const int[]){3, 2, 1, 4});
}

/* Of the best three the log knows item 2 alone: 2.079 + 1 before 2.424 - .5 and 2.107 - .5. */
static void reflecting_has_the_numbers(void **state)
{
    static size_t first[ITEMS + 1] = {0, 2, 2, 2, 2, 2};
    static uint32_t column[] = {2, 4};
    static float value[] = {5, 1};
    const struct sparse votes = {ITEMS, ITEMS, 2, first, column, value};
    struct list_teaching t = small();
    uint32_t list[RANKS] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    (void)state;
    t.votes = &votes;
    t.judged = 3;
    ask(list, &t);
    expect_list(list, (const int[]){2, 1, 3, 4});
}

enum { MANY = 300, CATALOGUE = 40, WIDTH = 6 };

struct many {
    float vectors[CATALOGUE * WIDTH];
    size_t first[MANY + 1], label_first[MANY + 1];
    uint32_t prompt[MANY], label[MANY], teacher[MANY * TEACHER_RANKS];
    struct list_questions q;
    struct list_teaching t;
};

/* What was right is item 7 more often than any score says. */
static void make_many(struct many *m)
{
    struct rng rng = rng_stream(3, 1, 4);
    *m = (struct many){.t = list_teaching_default()};
    memset(m->teacher, 0xff, sizeof m->teacher);
    for (size_t i = 0; i < CATALOGUE; i++) {
        for (size_t d = 0; d < WIDTH; d++)
            m->vectors[i * WIDTH + d] = (float)rng_normal(&rng);
        vector_to_unit(m->vectors + i * WIDTH, WIDTH);
    }
    for (uint32_t x = 0; x < MANY; x++) {
        m->first[x + 1] = m->label_first[x + 1] = x + 1;
        m->prompt[x] = (uint32_t)rng_below(&rng, CATALOGUE / 2);
        m->teacher[x * TEACHER_RANKS] = 20 + (uint32_t)rng_below(&rng, CATALOGUE / 2);
        m->label[x] = x % 3 ? 20 + (uint32_t)rng_below(&rng, CATALOGUE / 2) : 27;
    }
    m->q = (struct list_questions){.count = MANY,
                                   .prompt_first = m->first,
                                   .prompt = m->prompt,
                                   .teacher = m->teacher,
                                   .label_first = m->label_first,
                                   .label = m->label};
    m->t.items = CATALOGUE;
    m->t.dims = WIDTH;
    m->t.vectors = m->vectors;
    m->t.rounds = 100;
}

/* The objective, written down once more. */
static double objective(const struct many *m, const float *w, const float *b)
{
    double value = 0;
    for (size_t x = 0; x < MANY; x++) {
        double total = 0;
        double mine = 0;
        for (size_t i = 0; i < CATALOGUE; i++) {
            uint32_t teacher = m->teacher[x * TEACHER_RANKS];
            double s = i == teacher;
            for (size_t d = 0; d < WIDTH; d++)
                s += (double)(m->vectors[i * WIDTH + d] * (m->vectors[m->prompt[x] * WIDTH + d] +
                                                           m->vectors[teacher * WIDTH + d]));
            s = (double)w[i] * s + (double)b[i];
            total += i == m->prompt[x] ? 0 : exp(s);
            mine = i == m->label[x] ? s : mine;
        }
        value += mine - log(total);
    }
    for (size_t i = 0; i < CATALOGUE; i++)
        value -= 0.01 * (double)((w[i] - 1) * (w[i] - 1) + b[i] * b[i]);
    return value;
}

static void adjusting_finds_the_maximum(void **state)
{
    static struct many m;
    float w[CATALOGUE];
    float b[CATALOGUE];
    uint32_t item[MANY * RANKS];
    struct list_teaching_report report;
    struct err err = {0};
    size_t begins = 0;
    (void)state;
    make_many(&m);
    memset(item, 0xff, sizeof item);
    assert_fine(list_teaching_run(item, RANKS, &m.q, &m.t, w, b, &report, pool, &err), err);
    assert_int_equal(report.labels, MANY);
    assert_true(report.likelihood > report.likelihood_before + 0.3);
    for (size_t i = 0; i < 2 * CATALOGUE; i++) {
        float *at = i < CATALOGUE ? w + i : b + i - CATALOGUE;
        float was = *at;
        *at = was + 0.01F;
        double up = objective(&m, w, b);
        *at = was - 0.01F;
        double down = objective(&m, w, b);
        *at = was;
        assert_true(fabs(up - down) / 0.02 < 0.5); /* at the start: 85 for b of item 27 */
    }
    for (size_t x = 0; x < MANY; x++)
        begins += item[x * RANKS] == 27;
    assert_true(begins > MANY / 2);
}

/* A teacher that begins every list with what is popular, and it is never right. */
static void adjusting_takes_away_what_the_teacher_always_says(void **state)
{
    enum { LOUD = 39 };
    static struct many m;
    static uint32_t item[2][MANY * RANKS];
    struct list_teaching_report report;
    struct err err = {0};
    size_t begins[2] = {0, 0};
    size_t right[2] = {0, 0};
    (void)state;
    make_many(&m);
    for (size_t x = 0; x < MANY; x++) {
        m.label[x] = 20 + (uint32_t)(x % 10);
        m.teacher[x * TEACHER_RANKS] = LOUD;
        m.teacher[x * TEACHER_RANKS + 1] = m.label[x];
    }
    memset(item, 0xff, sizeof item);
    for (int fitted = 0; fitted < 2; fitted++) {
        m.t.rounds = fitted ? 100 : 0;
        assert_fine(
            list_teaching_run(item[fitted], RANKS, &m.q, &m.t, NULL, NULL, &report, pool, &err),
            err);
        for (size_t x = 0; x < MANY; x++) {
            begins[fitted] += item[fitted][x * RANKS] == LOUD;
            right[fitted] += item[fitted][x * RANKS] == m.label[x];
        }
    }
    assert_true(begins[0] > MANY / 2);
    assert_int_equal(begins[1], 0);
    if (!(right[1] > MANY * 9 / 10 && right[1] > right[0]))
        fail_msg("right at the first rank: %zu before, %zu after of %d", right[0], right[1], MANY);
}

static void the_same_lists_on_any_number_of_threads(void **state)
{
    static struct many m;
    static uint32_t item[2][MANY * RANKS];
    struct list_teaching_report report;
    struct err err = {0};
    (void)state;
    make_many(&m);
    m.t.rounds = 5;
    struct thread_pool *one = thread_pool_new(1, &err);
    assert_non_null(one);
    memset(item, 0xff, sizeof item);
    assert_fine(list_teaching_run(item[0], RANKS, &m.q, &m.t, NULL, NULL, &report, pool, &err),
                err);
    assert_fine(list_teaching_run(item[1], RANKS, &m.q, &m.t, NULL, NULL, &report, one, &err), err);
    assert_memory_equal(item[0], item[1], sizeof item[0]);
    thread_pool_free(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(remapping_has_the_numbers),
        TEST(reflecting_has_the_numbers),
        TEST(adjusting_finds_the_maximum),
        TEST(adjusting_takes_away_what_the_teacher_always_says),
        TEST(the_same_lists_on_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
