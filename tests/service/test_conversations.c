#include "tests/test.h"

#include "service/conversations.h"

enum { ENTRIES = 4, RANKS = 30 };

static struct conversations *table;
static struct shown shown;

static int open_table(void **state)
{
    struct err err = {0};
    (void)state;
    table = conversations_new(ENTRIES, 100, &err);
    return table ? 0 : -1;
}

static int close_table(void **state)
{
    (void)state;
    conversations_free(table);
    return 0;
}

static void note(const struct conversation_key *key, uint64_t asked, uint32_t first, double now_s)
{
    uint32_t numbers[RANKS];
    for (uint32_t i = 0; i < RANKS; i++)
        numbers[i] = first + i;
    conversations_note(table, key, asked, numbers, RANKS, now_s);
}

/* Items of the newest lists stay, and only whole lists; a list is found by what it answered. */
static void the_newest_lists_stay(void **state)
{
    struct conversation_key key = conversation_key(NULL, "a");
    uint64_t asked = 0;
    uint64_t before[40];
    (void)state;
    for (uint32_t t = 0; t < 40; t++) {
        before[t] = asked;
        asked = conversation_asked(asked, "older");
        note(&key, asked, t * RANKS, 1);
    }
    conversations_shown(&shown, table, &key, 2);
    assert_int_equal(shown.count, SHOWN_MAX);
    assert_int_equal(shown.lists, SHOWN_MAX / RANKS);
    for (uint32_t t = 1; t < 40; t++) { /* what stood before message t is what t - 1 was given */
        const struct shown_list *list = shown_for(&shown, before[t]);
        assert_int_equal(list != NULL, (40 - t + 1) * RANKS <= SHOWN_MAX);
        if (list)
            assert_int_equal(shown.numbers[list->first], (t - 1) * RANKS);
    }
    assert_int_equal(shown.numbers[SHOWN_MAX - 1], 40 * RANKS - 1);
    const struct shown_list *last = shown_before(&shown, asked); /* the same is asked again */
    assert_int_equal(shown.numbers[last->first], 38 * RANKS);
    assert_null(shown_for(&shown, 0));
}

/* More short lists than are told apart: their items are known all the same. */
static void short_lists_are_items_at_least(void **state)
{
    struct conversation_key key = conversation_key(NULL, "b");
    (void)state;
    for (uint32_t t = 0; t < SHOWN_LISTS_MAX + 10; t++)
        conversations_note(table, &key, t + 1, &t, 1, 1);
    conversations_shown(&shown, table, &key, 1);
    assert_int_equal(shown.count, SHOWN_LISTS_MAX + 10);
    assert_int_equal(shown.lists, SHOWN_LISTS_MAX);
    assert_null(shown_for(&shown, 10));
    assert_int_equal(shown.numbers[shown_for(&shown, 11)->first], 10);
}

static void what_is_old_is_forgotten_and_keys_share_nothing(void **state)
{
    struct conversation_key mine = conversation_key("k1", "c");
    struct conversation_key theirs = conversation_key("k2", "c");
    struct conversation_key nobody = conversation_key("k1", "");
    (void)state;
    note(&mine, 1, 0, 10);
    note(&nobody, 1, 0, 10);
    conversations_shown(&shown, table, &theirs, 11);
    assert_int_equal(shown.count, 0);
    conversations_shown(&shown, table, &nobody, 11);
    assert_int_equal(shown.count, 0);
    conversations_shown(&shown, table, &mine, 110);
    assert_int_equal(shown.count, RANKS);
    conversations_shown(&shown, table, &mine, 211); /* untouched for longer than age_s */
    assert_int_equal(shown.count, 0);
}

/* Who opens many pushes out its own. */
static void one_key_cannot_push_out_others(void **state)
{
    struct conversation_key other = conversation_key("other", "d");
    (void)state;
    note(&other, 1, 0, 300);
    for (int i = 0; i < 20; i++) {
        char id[20];
        snprintf(id, sizeof id, "many-%d", i);
        struct conversation_key key = conversation_key("greedy", id);
        note(&key, 1, 0, 301 + i);
    }
    conversations_shown(&shown, table, &other, 330);
    assert_int_equal(shown.count, RANKS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_newest_lists_stay),
        TEST(short_lists_are_items_at_least),
        TEST(what_is_old_is_forgotten_and_keys_share_nothing),
        TEST(one_key_cannot_push_out_others),
    };
    return cmocka_run_group_tests(tests, open_table, close_table);
}
