#include "tests/test.h"

#include "train/split.h"

/* Users as strings of p (positive), s (seen), x (excludes); times rise by 10 within a user. */
static struct histories make(const char *const *users, size_t count)
{
    struct histories h = {.users = count};
    h.user = calloc(count, sizeof *h.user);
    h.first = calloc(count + 1, sizeof *h.first);
    h.item = calloc(200, sizeof *h.item);
    h.time_ms = calloc(200, sizeof *h.time_ms);
    h.kind = calloc(200, 1);
    for (size_t u = 0; u < count; u++) {
        for (size_t i = 0; users[u][i]; i++, h.events++) {
            h.item[h.events] = (uint32_t)h.events;
            h.time_ms[h.events] = (int64_t)(u + 10 * i);
            h.kind[h.events] = users[u][i] == 'p'   ? EVENT_POSITIVE
                               : users[u][i] == 's' ? EVENT_SEEN
                                                    : EVENT_EXCLUDES;
        }
        h.first[u + 1] = h.events;
    }
    return h;
}

static void drop(struct histories *h)
{
    free(h->user);
    free(h->first);
    free(h->item);
    free(h->time_ms);
    free(h->kind);
}

static void leave_one_out_takes_the_last_two_positives(void **state)
{
    static const char *const users[] = {"ppspsp", "pp", "sss", "ppp"};
    struct err err = {0};
    struct split split;
    struct sequences sequences;
    struct histories h = make(users, 4);
    (void)state;
    assert_fine(split_make(&split, &h, "leave_one_out", &err), err);
    assert_int_equal(split.target[PART_TEST][0], 5);
    assert_int_equal(split.target[PART_VALIDATION][0], 3);
    assert_true(split.target[PART_TEST][1] == SIZE_MAX); /* too few to be judged: both train */
    assert_fine(split_sequences(&sequences, &h, &split, &err), err);
    assert_int_equal(sequences.first[1], 2);
    assert_int_equal(sequences.item[0], 0);
    assert_int_equal(sequences.item[1], 1);
    assert_int_equal(sequences.first[2] - sequences.first[1], 2);
    assert_int_equal(sequences.first[3] - sequences.first[2], 0);
    assert_int_equal(sequences.first[4] - sequences.first[3], 1);
    sequences_release(&sequences);
    split_release(&split);
    drop(&h);
}

/* Nothing at or after the cut trains; targets lie in their own stretch of time. */
static void by_time_nothing_of_the_future_trains(void **state)
{
    static const char *const users[] = {"pppppppppp", "pspspspsps", "ppppp", "spppppppppp"};
    struct err err = {0};
    struct split split;
    struct histories h = make(users, 4);
    int64_t latest_trained = -1;
    size_t validation = 0;
    (void)state;
    assert_fine(split_make(&split, &h, "time", &err), err);
    for (size_t u = 0; u < 4; u++)
        for (size_t e = h.first[u]; e < split.train_end[u]; e++)
            latest_trained = h.time_ms[e] > latest_trained ? h.time_ms[e] : latest_trained;
    for (size_t u = 0; u < 4; u++)
        for (int part = 0; part < 2; part++) {
            size_t target = split.target[part][u];
            if (target == SIZE_MAX)
                continue;
            validation += part == PART_VALIDATION;
            assert_true(h.time_ms[target] > latest_trained);
            assert_int_equal(h.kind[target], EVENT_POSITIVE);
            assert_true(target >= split.train_end[u]);
        }
    assert_true(validation > 0);
    split_release(&split);
    drop(&h);
}

static void an_unknown_split_is_refused(void **state)
{
    static const char *const users[] = {"p"};
    struct err err = {0};
    struct split split;
    struct histories h = make(users, 1);
    (void)state;
    assert_false(split_make(&split, &h, "random", &err));
    assert_says(err, "leave_one_out, time or none, found 'random'");
    assert_fine(split_make(&split, &h, "none", &(struct err){0}), err);
    assert_int_equal(split.train_end[0], 1);
    split_release(&split);
    drop(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(leave_one_out_takes_the_last_two_positives),
        TEST(by_time_nothing_of_the_future_trains),
        TEST(an_unknown_split_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
