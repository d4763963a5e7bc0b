/* Many talks at once: each gets the list that it would get alone. */
#include "tests/recommend/trained.h"
#include "tests/service/client.h"

#include "recommend/talks.h"

#include <math.h>

enum { TALKS = 5, PROMPT = 6 };

static struct talks *opened(size_t streams)
{
    struct err err = {0};
    const struct talks_options options = {
        .streams = streams, .positions = 300, .threads = 1, .beam = 10};
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

/* The list rule has one definition: talks write what list_make() writes. */
static void a_talk_lists_as_list_make_does(void **state)
{
    struct err err = {0};
    struct list_work w;
    (void)state;
    struct talks *talks = opened(1);
    assert_fine(list_work_open(&w, snapshot, 100, 10, &err), err);
    for (size_t i = 0; i < 20; i++) {
        struct talk talk;
        uint32_t prompt[PROMPT];
        uint32_t want[LIST_RANKS_MAX];
        begin(&talk, prompt, i);
        talk.n = 10;
        list_begin(&w, snapshot);
        assert_true(talks_add(talks, &talk));
        while (talks_step(talks))
            ;
        assert_int_equal(list_make(want, 10, &w, snapshot, prompt, PROMPT, 10), talk.listed);
        assert_memory_equal(talk.rows, want, talk.listed * sizeof *want);
        for (size_t k = 0; k < talk.listed; k++)
            assert_true(fabs(talk.log_p[k] - (double)w.log_p[k]) < 1e-3);
    }
    list_work_close(&w);
    talks_close(talks);
}

/* Nothing twice, nothing masked, all that is legal; late in a round the mask leaves a few. */
static void a_list_holds_what_it_may(void **state)
{
    size_t words = snapshot->rows / 64 + 1;
    uint64_t *skip = calloc(words, sizeof *skip);
    uint64_t *all = calloc(words, sizeof *all);
    (void)state;
    assert_true(skip && all);
    struct talks *talks = opened(1);
    for (size_t i = 0; i < 12; i++) {
        struct talk talk;
        uint32_t prompt[PROMPT];
        size_t left = 0;
        begin(&talk, prompt, i);
        talk.n = LIST_RANKS_MAX;
        talk.skip = skip;
        list_skip(all, snapshot);
        for (size_t r = 0; r < snapshot->rows; r++) {
            if (i % 3 == 0 && r % 500 != 1)
                bit_set(skip, r);
            left += !bit_get(skip, r) && !bit_get(all, r);
        }
        assert_true(talks_add(talks, &talk));
        while (talks_step(talks))
            ;
        assert_int_equal(talk.listed, left < LIST_RANKS_MAX ? left : LIST_RANKS_MAX);
        for (size_t k = 0; k < talk.listed; k++) {
            assert_false(bit_get(skip, talk.rows[k]) || bit_get(all, talk.rows[k]));
            assert_false(numbers_hold(talk.rows, k, talk.rows[k]));
        }
        memset(skip, 0, words * sizeof *skip);
    }
    free(skip);
    free(all);
    talks_close(talks);
}

/* A long prompt is read in slices: the others get a rank in each step meanwhile, and a short prompt
 * that comes after it does not wait for its end. */
static void nobody_waits_for_a_long_prompt(void **state)
{
    enum { LONG = 900 };
    struct talk listing, late, slow;
    uint32_t prompts[2][PROMPT];
    uint32_t long_prompt[LONG];
    struct err err = {0};
    const struct talks_options options = {.streams = 3, .positions = 1200, .threads = 1, .beam = 5};
    struct talks *talks = talks_open(snapshot, &options, &err);
    (void)state;
    assert_fine(talks != NULL, err);
    for (uint32_t k = 0; k < LONG; k++)
        long_prompt[k] = k % 100;
    begin(&listing, prompts[0], 1);
    begin(&late, prompts[1], 2);
    slow = (struct talk){.prompt = long_prompt, .prompt_count = LONG, .n = 2};
    listing.n = 12;
    late.n = 3;
    assert_true(talks_add(talks, &listing));
    assert_int_equal(talks_step(talks), 1);
    assert_true(talks_add(talks, &slow));
    for (size_t step = 0; step < 3; step++) {
        talks_step(talks);
        assert_int_equal(listing.listed, 2 + step);
        assert_int_equal(slow.state, TALK_READING);
    }
    assert_true(talks_add(talks, &late));
    talks_step(talks);
    assert_int_equal(late.listed, 1);
    assert_int_equal(slow.state, TALK_READING);
    for (size_t step = 0; talks_step(talks); step++)
        assert_true(step < LONG / TALK_SLICE + 5);
    assert_int_equal(slow.listed, 2);
    talks_close(talks);
}

/* Whoever is removed costs nothing from the next step on, and leaves its stream. */
static void a_talk_that_is_removed_is_over(void **state)
{
    struct talk gone, stays, next;
    uint32_t prompts[3][PROMPT];
    struct talks *talks = opened(2);
    (void)state;
    begin(&gone, prompts[0], 3);
    begin(&stays, prompts[1], 4);
    begin(&next, prompts[2], 5);
    assert_true(talks_add(talks, &gone) && talks_add(talks, &stays));
    assert_int_equal(talks_step(talks), 2);
    assert_false(talks_add(talks, &next));
    talks_remove(talks, &gone);
    assert_true(talks_add(talks, &next));
    talks_remove(talks, &gone);
    while (talks_step(talks))
        ;
    assert_int_equal(gone.listed, 1);
    assert_int_equal(stays.listed, stays.n);
    assert_int_equal(next.listed, next.n);
    talks_close(talks);
}

static void check_words(const struct talk *talk, uint32_t marks)
{
    size_t names = 0;
    assert_true(talk->said_count > 0 && talk->said_count <= talk->words_max);
    for (size_t i = 0; i < talk->said_count; i++) {
        bool after_mark = i > 0 && talk->said[i - 1] == TOKEN + marks + MARK_ITEM;
        assert_int_equal(!is_token(talk->said[i]), after_mark);
        if (after_mark) {
            assert_true(numbers_hold(talk->rows, talk->listed, talk->said[i]));
            assert_false(numbers_hold(talk->said, i, talk->said[i]));
            names++;
        } else {
            uint32_t mark = talk->said[i] - TOKEN - marks;
            assert_true(mark >= MARKS || mark == MARK_ITEM);
        }
    }
    assert_true(talk->said[talk->said_count - 1] != TOKEN + marks + MARK_ITEM);
    assert_true(names <= talk->listed);
}

/* A policy whose marks lie elsewhere speaks; with random weights it says anything, but never what
 * it may not. */
static void words_name_listed_items_alone(void **state)
{
    enum { SPEAKERS = 30, MARKS_AT = 300 };
    static struct talk talks_of[2][SPEAKERS];
    uint32_t prompts[SPEAKERS][PROMPT];
    static struct version version;
    static struct snapshot speaks;
    struct snapshot *kept = snapshot;
    (void)state;
    memcpy(&version, snapshot->version, sizeof version);
    memcpy(&speaks, snapshot, sizeof speaks);
    version.policy.marks = MARKS_AT;
    speaks.version = &version;
    atomic_store(&speaks.uses, 100);
    snapshot = &speaks;
    struct talks *one = opened(1);
    struct talks *many = opened(8);
    snapshot = kept;
    assert_true(talks_speak(many));
    size_t added = 0;
    for (size_t step = 0; step < 1000; step++) {
        while (added < SPEAKERS) {
            struct talk *talk = &talks_of[0][added];
            begin(talk, prompts[added], added);
            talk->n = 1 + added % 5;
            talk->words_max = 2 + added * 5;
            talk->seed = added;
            talk->temperature = (double)(added % 4) / 2;
            talks_of[1][added] = *talk;
            if (!talks_add(many, talk))
                break;
            added++;
        }
        if (talks_step(many) == 0 && added == SPEAKERS)
            break;
    }
    for (size_t i = 0; i < SPEAKERS; i++) {
        struct talk *alone = &talks_of[1][i];
        const struct talk *talk = &talks_of[0][i];
        assert_int_equal(talk->state, TALK_DONE);
        check_words(talk, MARKS_AT);
        assert_true(talks_add(one, alone));
        while (talks_step(one))
            ;
        assert_int_equal(alone->said_count, talk->said_count);
        assert_memory_equal(alone->said, talk->said, talk->said_count * sizeof *talk->said);
    }
    talks_close(one);
    talks_close(many);
}

static void what_cannot_be_is_refused(void **state)
{
    struct err err = {0};
    struct talks_options options = {.streams = 65, .positions = 300, .beam = 10};
    (void)state;
    assert_null(talks_open(snapshot, &options, &err));
    assert_says(err, "1 to 64 streams, found 65");
    err = (struct err){0};
    options.streams = 2;
    options.positions = 100;
    assert_null(talks_open(snapshot, &options, &err));
    assert_says(err, "positions, found 100");
    err = (struct err){0};
    options.positions = 300;
    options.beam = 0;
    assert_null(talks_open(snapshot, &options, &err));
    assert_says(err, "beam of 1 to 512, found 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(talks_do_not_disturb_each_other), TEST(a_talk_lists_as_list_make_does),
        TEST(a_list_holds_what_it_may),        TEST(nobody_waits_for_a_long_prompt),
        TEST(a_talk_that_is_removed_is_over),  TEST(words_name_listed_items_alone),
        TEST(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, trained_open, trained_close);
}
