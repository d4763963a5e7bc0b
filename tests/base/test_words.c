#include "tests/test.h"

#include "base/arena.h"
#include "base/rng.h"
#include "base/text.h"
#include "base/topk.h"

/* The first failure stays: clean-up that fails too must not hide the cause. */
static void the_first_error_stays(void **state)
{
    struct err err = {0};
    (void)state;
    assert_false(err_set(&err, ERR_INPUT, "first %d", 1));
    err_set(&err, ERR_SYSTEM, "second");
    assert_string_equal(err.text, "first 1");
    err_prefix(&err, "file:%d", 7);
    assert_string_equal(err.text, "file:7: first 1");
    assert_int_equal(err.code, ERR_INPUT);
}

static void *lay_out(struct arena *arena)
{
    arena_take(arena, 3, 5);
    return arena_take(arena, 100, sizeof(double));
}

static void a_ruler_measures_what_a_block_takes(void **state)
{
    struct arena ruler = {0};
    struct arena block;
    struct err err = {0};
    (void)state;
    assert_null(lay_out(&ruler));
    assert_fine(arena_open(&block, ruler.used, &err), err);
    double *last = lay_out(&block);
    assert_int_equal(block.used, ruler.used);
    assert_int_equal((uintptr_t)last % ARENA_ALIGN, 0);
    assert_true(last[99] == 0);
    assert_null(arena_try(&block, 1, 1));
    assert_null(arena_try(&block, SIZE_MAX, SIZE_MAX));
    arena_close(&block);
}

static void utf8_refuses_what_the_standard_refuses(void **state)
{
    static const char *const good[] = {"", "plain", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    static const char *const bad[] = {"\x80",     "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\xe2\x82", "\xff"};
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(utf8_valid(bad[i], strlen(bad[i])));
}

static void percent_escapes_are_decoded_or_refused(void **state)
{
    char fine[] = "a%2Fb%20c";
    char zero[] = "a%00b";
    char broken[] = "a%2";
    char wrong[] = "%zz";
    (void)state;
    assert_int_equal(percent_decode(fine, strlen(fine)), 5);
    assert_memory_equal(fine, "a/b c", 5);
    assert_true(percent_decode(zero, strlen(zero)) == SIZE_MAX);
    assert_true(percent_decode(broken, strlen(broken)) == SIZE_MAX);
    assert_true(percent_decode(wrong, strlen(wrong)) == SIZE_MAX);
}

static void a_text_stops_at_its_limit_and_says_so(void **state)
{
    struct text text;
    (void)state;
    text_init(&text, 8);
    text_add(&text, "12345678", 8);
    assert_false(text.full);
    text_add(&text, "9", 1);
    assert_true(text.full);
    assert_string_equal(text.bytes, "12345678");
    text_release(&text);
    text_init(&text, 100);
    text_add_json(&text, "a\"b\\c\n");
    assert_string_equal(text.bytes, "\"a\\\"b\\\\c\\u000a\"");
    text_release(&text);
}

static void numbers_are_whole_or_refused(void **state)
{
    uint64_t value = 9;
    (void)state;
    assert_true(parse_u64(&value, "17", 1, 20));
    assert_int_equal(value, 17);
    assert_false(parse_u64(&value, "17x", 1, 20));
    assert_false(parse_u64(&value, "-1", 0, 20));
    assert_false(parse_u64(&value, "21", 1, 20));
    assert_false(parse_u64(&value, "", 1, 20));
    assert_false(parse_u64(&value, "99999999999999999999999", 0, UINT64_MAX));
    assert_int_equal(value, 17);
}

/* topk equals sorting everything, whatever the order of arrival. */
static void topk_is_the_head_of_the_sorted_list(void **state)
{
    struct rng rng = rng_stream(1, 2, 3);
    (void)state;
    for (int round = 0; round < 50; round++) {
        struct hit all[200];
        struct hit heap[10];
        struct topk topk = {.hits = heap, .max = 10};
        for (uint32_t i = 0; i < 200; i++) {
            all[i] = (struct hit){i, (float)rng_below(&rng, 40)}; /* many ties */
            topk_push(&topk, all[i]);
        }
        hits_sort(all, 200);
        topk_sort(&topk);
        for (size_t i = 0; i < 10; i++)
            assert_int_equal(heap[i].row, all[i].row);
    }
}

static void a_stream_is_the_same_for_everyone_who_names_it(void **state)
{
    struct rng a = rng_stream(7, 1, 2);
    struct rng b = rng_stream(7, 1, 2);
    struct rng c = rng_stream(7, 2, 1);
    double sum = 0;
    double squares = 0;
    (void)state;
    assert_true(rng_u64(&a) == rng_u64(&b));
    assert_true(rng_u64(&a) != rng_u64(&c));
    for (int i = 0; i < 100000; i++) {
        double x = rng_normal(&a);
        sum += x;
        squares += x * x;
    }
    assert_true(sum / 100000 < 0.02 && sum / 100000 > -0.02);
    assert_true(squares / 100000 < 1.03 && squares / 100000 > 0.97);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_error_stays),
        TEST(a_ruler_measures_what_a_block_takes),
        TEST(utf8_refuses_what_the_standard_refuses),
        TEST(percent_escapes_are_decoded_or_refused),
        TEST(a_text_stops_at_its_limit_and_says_so),
        TEST(numbers_are_whole_or_refused),
        TEST(topk_is_the_head_of_the_sorted_list),
        TEST(a_stream_is_the_same_for_everyone_who_names_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
