/* The nearest thing in the log to a proposal: by item and by state, under its first tile. */
#include "tests/test.h"

#include "train/rl_anchors.h"

enum { TOY_ITEMS = 6, TOY_DIMS = 4, TOY_TILES = 2 };

/* Items 0 to 2 under tile 0, 3 to 5 under tile 1; 1 is likest to 0, 4 and 5 are alike. */
static const real TOY_CONTENT[TOY_ITEMS * TOY_DIMS] = {1, 0, 0, 0, 1, 0.2F, 0, 0, 0, 1, 0, 0,
                                                       0, 0, 1, 0, 0, 0,    1, 1, 0, 0, 1, 1.1F};
static const uint16_t TOY_CODES[TOY_ITEMS * 2] = {0, 0, 0, 1, 0, 2, 1, 0, 1, 1, 1, 2};

static struct policy toy(void)
{
    return (struct policy){
        .shape = {.items = TOY_ITEMS, .content = TOY_DIMS, .tiles = TOY_TILES, .levels = 1},
        .items = {.count = TOY_ITEMS, .content = TOY_CONTENT, .codes = TOY_CODES}};
}

static void the_nearest_pair_is_found(void **state)
{
    /* user 0: 0 then 4; user 1: 2 then 5, then 1; user 2: one event, no pair */
    uint32_t item[] = {0, 4, 2, 5, 1, 3};
    size_t first[] = {0, 2, 5, 6};
    const struct sequences s = {.users = 3, .events = 6, .item = item, .first = first};
    const struct policy policy = toy();
    struct anchors a;
    struct err err = {0};
    const uint64_t none = 0;
    const uint64_t without_1 = 1U << 1;
    const uint32_t like_0[] = {0};
    const uint32_t like_2[] = {3, 2, 2, 2}; /* the last three count */
    (void)state;
    assert_fine(anchors_make(&a, &policy, &s, &err), err);
    assert_int_equal(a.count, 3);
    /* by state, where the items are about as near */
    assert_int_equal(anchors_find(&a, &policy, 2, like_0, 1, 3, &none), 4);
    assert_int_equal(anchors_find(&a, &policy, 2, like_2, 4, 3, &none), 5);
    /* by item, where states do not count */
    assert_int_equal(anchors_find(&a, &policy, 0, like_2, 4, 4, &none), 4);
    assert_int_equal(anchors_find(&a, &policy, 0, like_0, 1, 5, &none), 5);
    /* under the first tile alone; what is masked is no anchor */
    assert_int_equal(anchors_find(&a, &policy, 2, like_0, 1, 0, &none), 1);
    assert_int_equal(anchors_find(&a, &policy, 2, like_0, 1, 0, &without_1), NO_ITEM);
    anchors_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(the_nearest_pair_is_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
