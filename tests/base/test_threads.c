#include "tests/test.h"

#include "base/threads.h"

struct sums {
    double out[1000];
    size_t worker_most;
};

static void piece(void *self, size_t at, size_t worker)
{
    struct sums *sums = self;
    double sum = 0;
    for (size_t i = 1; i <= 1000; i++)
        sum += 1.0 / (double)(i + at);
    sums->out[at] = sum;
    if (worker > 100)
        sums->worker_most = worker; /* must never be: would race and fail below */
}

/* The same bits on 1, 2, 4 and 7 threads, run many times over one pool. */
static void results_do_not_depend_on_the_number_of_threads(void **state)
{
    static struct sums want;
    static struct sums got;
    static const size_t counts[] = {1, 2, 4, 7};
    (void)state;
    for (size_t c = 0; c < COUNT(counts); c++) {
        struct err err = {0};
        struct thread_pool *pool = thread_pool_new(counts[c], &err);
        assert_fine(pool, err);
        assert_int_equal(thread_pool_count(pool), counts[c]);
        for (int round = 0; round < 20; round++) {
            memset(&got, 0, sizeof got);
            thread_pool_run(pool, 1000, piece, &got);
            if (c == 0 && round == 0)
                want = got;
            assert_memory_equal(&want, &got, sizeof got);
        }
        thread_pool_run(pool, 0, piece, &got);
        thread_pool_free(pool);
    }
}

enum { MEETERS = 3, ROUNDS = 2000 };

struct meeters {
    struct meeting meeting;
    size_t at[MEETERS];
    size_t apart; /* times that somebody was not where the others were */
};

static void meeter(void *self, size_t own, size_t worker)
{
    struct meeters *m = self;
    (void)worker;
    for (size_t round = 1; round <= ROUNDS; round++) {
        m->at[own] = round;
        meet(&m->meeting);
        for (size_t i = 0; i < MEETERS; i++)
            if (m->at[i] != round && own == 0)
                m->apart++;
        meet(&m->meeting);
    }
}

/* Nobody goes on before all have arrived, and what they wrote is seen. */
static void a_meeting_waits_for_all(void **state)
{
    static struct meeters m = {.meeting = {.count = MEETERS}};
    struct err err = {0};
    struct thread_pool *pool = thread_pool_new(MEETERS, &err);
    (void)state;
    assert_fine(pool, err);
    thread_pool_run(pool, MEETERS, meeter, &m);
    assert_int_equal(m.apart, 0);
    thread_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(results_do_not_depend_on_the_number_of_threads),
                                       TEST(a_meeting_waits_for_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
