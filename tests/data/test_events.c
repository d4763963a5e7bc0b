#include "tests/test.h"

#include "data/catalogue.h"
#include "data/histories.h"

#include <math.h>

static const struct store_settings SETTINGS = {.map_mib = 16, .sync = true};
static struct event_settings rules;

static int start(void **state)
{
    const struct settings table = {EVENT_SETTINGS, EVENT_SETTINGS_COUNT, &rules};
    (void)state;
    settings_start(&table, 1);
    return 0;
}

static void add(const struct store_txn *txn, const char *key, const char *user, const char *item,
                const char *type, double value, int64_t time_ms, enum event_result want)
{
    struct err err = {0};
    enum event_result result;
    bool joined;
    struct event event = {{0}, user, item, type, value, time_ms, "", 0, ""};
    event_key(event.key, key, strlen(key));
    assert_fine(events_append(&result, &joined, txn, &event, &err), err);
    assert_int_equal(result, want);
}

/* By time within a user, arrival breaking ties; a repeated key is not stored; unknown items wait.
 */
static void events_lie_in_order_and_once(void **state)
{
    struct err err = {0};
    struct store_txn txn;
    struct stored_event events[10];
    uint32_t user;
    char home[512];
    (void)state;
    snprintf(home, sizeof home, "%s", scratch_folder("events"));
    struct store *store = store_open(home, &SETTINGS, true, &err);
    assert_fine(store, err);
    enum put_result put;
    uint32_t number;
    json_t *record = json_object();
    assert_fine(store_begin(&txn, store, true, &err), err);
    assert_fine(catalogue_put(&put, &number, &txn, "x", record, &err), err);
    assert_fine(catalogue_put(&put, &number, &txn, "y", record, &err), err);
    add(&txn, "1", "ann", "x", "like", NAN, 2000, EVENT_ACCEPTED);
    add(&txn, "2", "ann", "y", "rating", 3, 1000, EVENT_ACCEPTED);
    add(&txn, "3", "ann", "ghost", "like", NAN, 2000, EVENT_ACCEPTED);
    add(&txn, "1", "ann", "y", "like", NAN, 9000, EVENT_DUPLICATE);
    add(&txn, "4", "bob", "x", "dislike", NAN, -5, EVENT_ACCEPTED);
    add(&txn, "5", "ann", "x", "impression", NAN, 1500, EVENT_ACCEPTED);
    assert_int_equal(store_sequence(&txn), 5);
    assert_true(user_find(&user, &txn, "ann", &err));
    assert_int_equal(events_of_user(events, 10, &txn, user, UINT64_MAX, &err), 4);
    assert_int_equal(events[0].time_ms, 1000);
    assert_int_equal(events[2].sequence, 1);
    assert_int_equal(events[3].sequence, 3);
    assert_int_equal(events_of_user(events, 1, &txn, user, UINT64_MAX, &err), 1);
    assert_int_equal(events[0].sequence, 3);
    assert_int_equal(events_of_user(events, 10, &txn, user, 2, &err), 2); /* up to here */
    assert_fine(store_commit(&txn, &err), err);

    struct histories *h = histories_load(store, &rules, 0, &err);
    assert_fine(h, err);
    assert_int_equal(h->users, 2);
    assert_int_equal(h->events, 3); /* ghost is unjoined, the impression ignored */
    assert_int_equal(h->unjoined, 1);
    assert_int_equal(h->kind[0], EVENT_SEEN);
    assert_int_equal(h->kind[1], EVENT_POSITIVE);
    assert_int_equal(h->kind[2], EVENT_EXCLUDES);
    histories_free(h);

    assert_fine(store_begin(&txn, store, true, &err), err);
    assert_fine(catalogue_put(&put, &number, &txn, "ghost", record, &err), err);
    assert_fine(store_commit(&txn, &err), err);
    h = histories_load(store, &rules, 0, &err);
    assert_int_equal(h->events, 4); /* it joined when the item came */
    assert_int_equal(h->unjoined, 0);
    histories_free(h);
    json_decref(record);
    store_close(store);
    scratch_drop(home);
}

static void what_an_event_means_is_a_setting(void **state)
{
    (void)state;
    assert_int_equal(event_kind(&rules, "rating", 7), EVENT_POSITIVE);
    assert_int_equal(event_kind(&rules, "rating", 6.9), EVENT_SEEN);
    assert_int_equal(event_kind(&rules, "hide", NAN), EVENT_EXCLUDES);
    assert_int_equal(event_kind(&rules, "lik", NAN), EVENT_SEEN);
    assert_int_equal(event_kind(&rules, "search", NAN), EVENT_IGNORED);
    rules.positive_rating = 3;
    assert_int_equal(event_kind(&rules, "rating", 3), EVENT_POSITIVE);
}

static void ids_have_one_spelling(void **state)
{
    struct err err = {0};
    char a[ID_SIZE_MAX + 1];
    char b[ID_SIZE_MAX + 1];
    char long_id[300];
    (void)state;
    assert_fine(id_normalise(a, "caf\xc3\xa9", 5, "id", &err), err);
    assert_fine(id_normalise(b, "cafe\xcc\x81", 6, "id", &err), err);
    assert_string_equal(a, b);
    static const struct {
        const char *bytes;
        size_t size;
        const char *says;
    } bad[] = {
        {"", 0, "1 to 256"}, {"a\nb", 3, "control"}, {"\xff", 1, "UTF-8"}, {"a\0b", 3, "control"}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct err why = {0};
        assert_false(id_normalise(a, bad[i].bytes, bad[i].size, "id", &why));
        assert_says(why, bad[i].says);
    }
    memset(long_id, 'x', sizeof long_id);
    struct err why = {0};
    assert_false(id_normalise(a, long_id, 257, "id", &why));
    assert_says(why, "found 257");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_lie_in_order_and_once),
        TEST(what_an_event_means_is_a_setting),
        TEST(ids_have_one_spelling),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
