/* Many talks at once: each gets the list that it would get alone. */
#include "tests/service/client.h"
#include "tests/test.h"

#include "recommend/talks.h"

enum { TALKS = 5, PROMPT = 6 };

static struct store *store;
static struct snapshot *snapshot;

static int start(void **state)
{
    struct err err = {0};
    char name[64];
    const struct store_settings settings = {.map_mib = 1024};
    (void)state;
    store = store_open(SCRATCH "/trained", &settings, false, &err);
    if (!store || !production_name(name, SCRATCH "/trained", &err))
        return -1;
    struct version *version = version_open(SCRATCH "/trained", name, store, SIZE_MAX, &err);
    snapshot = version ? snapshot_open(version, store, &err) : NULL;
    return snapshot ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    snapshot_drop(snapshot);
    store_close(store);
    return 0;
}

static struct talks *opened(size_t streams)
{
    struct err err = {0};
    const struct talks_options options = {
        .streams = streams, .positions = 200, .threads = 1, .beam = 10};
    struct talks *talks = talks_open(snapshot, &options, &err);
    assert_fine(talks != NULL, err);
    return talks;
}

static void begin(struct talk *talk, uint32_t prompt[PROMPT], size_t number)
{
    for (uint32_t k = 0; k < PROMPT; k++)
        prompt[k] = (uint32_t)(number * 31 + k * k * 7) % 100;
    *talk = (struct talk){.prompt = prompt, .prompt_count = PROMPT, .n = 3 + 2 * number};
}

static void talks_do_not_disturb_each_other(void **state)
{
    static struct talk alone[TALKS];
    static struct talk together[TALKS];
    uint32_t prompts[TALKS][PROMPT];
    (void)state;
    struct talks *one = opened(1);
    struct talks *many = opened(TALKS);
    for (size_t i = 0; i < TALKS; i++) {
        begin(&alone[i], prompts[i], i);
        begin(&together[i], prompts[i], i);
        assert_true(talks_add(one, &alone[i]));
        assert_true(talks_add(many, &together[i]));
        assert_true(i > 0 || !talks_add(one, &alone[i]));
        while (talks_step(one))
            ;
    }
    while (talks_step(many))
        ;
    for (size_t i = 0; i < TALKS; i++) {
        assert_int_equal(together[i].state, TALK_DONE);
        assert_int_equal(together[i].listed, together[i].n);
        assert_memory_equal(alone[i].rows, together[i].rows, alone[i].n * sizeof alone[i].rows[0]);
        for (size_t k = 0; k < together[i].n; k++)
            assert_true(together[i].log_p[k] <= 0);
    }
    talks_close(one);
    talks_close(many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(talks_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
