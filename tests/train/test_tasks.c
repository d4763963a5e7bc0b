/*
 * The sequences that align words and items, over a catalogue made by hand: what they ask for, that
 * they say what the item is called, and that held-out words are never said or read.
 */
#include "tests/test.h"

#include "train/tasks.h"

enum {
    CATALOGUE = 400,
    TITLE_WORDS = 6,
    TAG_WORDS = 2,
    WORDS = TITLE_WORDS + TAG_WORDS,
    USERS = 50,
    EVENTS = 8
};

static size_t first[2 * CATALOGUE + 1];
static size_t word_at[CATALOGUE * WORDS + 1];
static uint32_t token[CATALOGUE * WORDS];
static size_t user_first[USERS + 1];
static uint32_t events[USERS * EVENTS];
static unsigned char seen[CATALOGUE];
static struct item_words words;
static struct sequences sequences;
static struct tasks tasks;

/* Word k of item i is one token of its own, so that a token tells where it comes from. */
static uint32_t token_of(size_t item, size_t k)
{
    return (uint32_t)(TOKENIZER_LEAST + item * WORDS + k);
}

static int start(void **state)
{
    (void)state;
    for (size_t i = 0; i < CATALOGUE; i++) {
        first[2 * i + 1] = i * WORDS + TITLE_WORDS;
        first[2 * i + 2] = (i + 1) * WORDS;
        seen[i] = i % 10 != 0;
        for (size_t k = 0; k < WORDS; k++) {
            token[i * WORDS + k] = token_of(i, k);
            word_at[i * WORDS + k + 1] = i * WORDS + k + 1;
        }
    }
    for (size_t u = 0; u < USERS; u++) {
        user_first[u + 1] = (u + 1) * EVENTS;
        for (size_t e = 0; e < EVENTS; e++)
            events[u * EVENTS + e] = (uint32_t)((u * 7 + e * 10 + 1) % CATALOGUE);
    }
    words =
        (struct item_words){CATALOGUE, first, word_at, token, CATALOGUE * WORDS, CATALOGUE * WORDS};
    sequences = (struct sequences){USERS, USERS * EVENTS, user_first, events};
    tasks = (struct tasks){.words = &words,
                           .marks = TOKENIZER_MARKS_AT,
                           .sequences = &sequences,
                           .seen = seen,
                           .per_epoch = 400,
                           .item_weight = 0.5,
                           .word_weight = 0.1,
                           .seed = 7};
    return 0;
}

static bool is_mark(uint32_t symbol, enum mark mark)
{
    return symbol == TOKEN + TOKENIZER_MARKS_AT + mark;
}

static bool is_word(uint32_t symbol)
{
    return is_token(symbol) && symbol - TOKEN >= TOKENIZER_LEAST;
}

/* Every target stands where it belongs, weighs what was set, and nothing else is asked. */
static void what_is_asked_is_an_item_or_the_next_word(void **state)
{
    static struct task_sequence made[500];
    size_t items = 0;
    size_t said = 0;
    size_t histories = 0;
    (void)state;
    size_t count = tasks_make(made, 500, &tasks, 3);
    assert_true(count > 400);
    for (size_t n = 0; n < count; n++) {
        const struct task_sequence *t = &made[n];
        assert_true(t->length > 0 && t->length <= TASK_LENGTH);
        histories += !is_token(t->input[0]);
        for (size_t i = 0; i < t->length; i++) {
            if (t->target[i] == NO_ITEM) {
                assert_true(t->weight[i] == 0);
                continue;
            }
            if (is_token(t->target[i])) {
                bool last = i + 1 == t->length;
                assert_true(last ? is_mark(t->target[i], MARK_END)
                                 : t->target[i] == t->input[i + 1]);
                assert_true(t->weight[i] == 0.1F);
                said++;
            } else {
                assert_int_equal(i + 1, t->length);
                assert_true(t->weight[i] == 0.5F);
                assert_true(t->target[i] < CATALOGUE);
                items++;
            }
        }
    }
    assert_true(items > count / 2 && said > 100 && histories > 50);
}

/* A query is made of the target's own words, and never of those held out. */
static void queries_are_words_of_their_target(void **state)
{
    static struct task_sequence made[2000];
    size_t queries = 0;
    (void)state;
    size_t count = tasks_make(made, 2000, &tasks, 4);
    for (size_t n = 0; n < count; n++) {
        const struct task_sequence *t = &made[n];
        size_t at = t->length;
        for (size_t i = 0; i < t->length; i++)
            if (is_mark(t->input[i], MARK_QUERY))
                at = i;
        if (at == t->length)
            continue;
        uint32_t target = t->target[t->length - 1];
        assert_true(target < CATALOGUE && at + 1 < t->length);
        for (size_t i = at + 1; i < t->length; i++) {
            assert_true(is_word(t->input[i]));
            assert_int_equal((t->input[i] - TOKEN - TOKENIZER_LEAST) / WORDS, target);
        }
        queries++;
    }
    assert_true(queries > 400);
}

static void held_words_are_never_met(void **state)
{
    static struct task_sequence made[500];
    static bool held[CATALOGUE * WORDS];
    size_t places[HELD_WORDS];
    size_t holders = 0;
    (void)state;
    for (size_t i = 0; i < CATALOGUE; i++) {
        size_t count = held_words(places, &words, i);
        holders += count > 0;
        assert_true(count == 0 || count == 3); /* half of six */
        for (size_t k = 0; k < count; k++) {
            assert_true(places[k] < TITLE_WORDS && (k == 0 || places[k] > places[k - 1]));
            held[i * WORDS + places[k]] = true;
        }
    }
    assert_true(holders > CATALOGUE / 60 && holders < CATALOGUE / 8);
    for (size_t step = 0; step < 40; step++) {
        size_t count = tasks_make(made, 500, &tasks, step);
        for (size_t n = 0; n < count; n++)
            for (size_t i = 0; i < made[n].length; i++) {
                uint32_t symbols[] = {made[n].input[i], made[n].target[i]};
                for (size_t k = 0; k < 2; k++)
                    assert_false(is_word(symbols[k]) && held[symbols[k] - TOKEN - TOKENIZER_LEAST]);
            }
    }
}

/* The same step gives the same sequences, another step others. */
static void a_step_is_drawn_by_its_name(void **state)
{
    static struct task_sequence a[100];
    static struct task_sequence b[100];
    (void)state;
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    size_t count = tasks_make(a, 100, &tasks, 9);
    assert_int_equal(count, tasks_make(b, 100, &tasks, 9));
    for (size_t n = 0; n < count; n++) {
        assert_int_equal(a[n].length, b[n].length);
        assert_memory_equal(a[n].input, b[n].input, a[n].length * sizeof(uint32_t));
    }
    tasks_make(b, 100, &tasks, 10);
    size_t same = 0;
    for (size_t n = 0; n < 50; n++)
        same += a[n].length == b[n].length &&
                memcmp(a[n].input, b[n].input, a[n].length * sizeof(uint32_t)) == 0;
    assert_true(same < 10);
}

/* A token for each item's line, then one for each user's. */
enum { TOLD_AT = TOKENIZER_LEAST + CATALOGUE * WORDS };

static void what_was_told_leads_to_whom_it_was_told_of(void **state)
{
    static struct task_sequence made[4000];
    static size_t item_first[CATALOGUE + 1];
    static size_t told_user_first[USERS + 1];
    static size_t at[CATALOGUE + USERS + 1];
    static uint32_t told_token[CATALOGUE + USERS];
    size_t of_items = 0;
    size_t of_users = 0;
    size_t preferences = 0;
    (void)state;
    for (size_t i = 0; i < CATALOGUE + USERS; i++) {
        told_token[i] = (uint32_t)(TOLD_AT + i);
        at[i + 1] = i + 1;
    }
    for (size_t i = 0; i <= CATALOGUE; i++)
        item_first[i] = i;
    for (size_t u = 0; u <= USERS; u++)
        told_user_first[u] = CATALOGUE + u;
    const struct told told = {
        {item_first, CATALOGUE}, {told_user_first, USERS}, at, told_token, CATALOGUE + USERS};
    tasks.told = &told;
    size_t count = tasks_make(made, 4000, &tasks, 5);
    tasks.told = NULL;
    for (size_t n = 0; n < count; n++) {
        const struct task_sequence *t = &made[n];
        uint32_t target = t->target[t->length - 1];
        for (size_t i = 0; i < t->length; i++) {
            if (!is_token(t->input[i]) || t->input[i] < TOKEN + TOLD_AT)
                continue;
            size_t line = t->input[i] - TOKEN - TOLD_AT;
            if (line < CATALOGUE) {
                assert_int_equal(target, line);
                of_items++;
                continue;
            }
            const uint32_t *hers = events + (line - CATALOGUE) * EVENTS;
            if (is_mark(target, MARK_END)) { /* said after all of her events but the last */
                assert_int_equal(t->input[0], hers[0]);
                assert_int_equal(t->input[EVENTS - 2], hers[EVENTS - 2]);
                assert_true(is_mark(t->input[EVENTS - 1], MARK_LIKES));
                preferences++;
            } else {
                assert_int_equal(target, hers[EVENTS - 1]);
                of_users++;
            }
        }
    }
    assert_true(of_items > 200 && of_users > 50 && preferences > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_asked_is_an_item_or_the_next_word),
        TEST(queries_are_words_of_their_target),
        TEST(held_words_are_never_met),
        TEST(a_step_is_drawn_by_its_name),
        TEST(what_was_told_leads_to_whom_it_was_told_of),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
