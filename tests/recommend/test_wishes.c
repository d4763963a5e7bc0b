/*
 * What follows from wishes: what a mask leaves; ids, undoing and what has to go when too little is
 * left; and bytes that mean nobody well.  How well they are read: test_follow_ups.c.
 */
#include "tests/recommend/worlds.h"

#include "base/rng.h"

static bool in_category(const struct world *w, uint32_t row, const char *name)
{
    return snapshot_in_category(&w->snapshot, row, snapshot_category(&w->snapshot, name));
}

static void a_mask_leaves_what_was_wished_for(void **state)
{
    static struct wishes wishes;
    struct list list = list_named("a");
    uint64_t skip[ROWS_MAX / 64 + 1] = {0};
    size_t left = 0;
    (void)state;
    read_text(&wishes, &list,
              "thrillers or comedies, no horror, nothing before 1980, nothing like Heat and I have "
              "seen the fourth");
    size_t said = wishes_mask(skip, films.book, &wishes);
    for (uint32_t r = 0; r < films.snapshot.rows; r++) {
        int year = titles_year(films.titles, r);
        bool kept = !bit_get(skip, r);
        bool should = (in_category(&films, r, "Thriller") || in_category(&films, r, "Comedy")) &&
                      !in_category(&films, r, "Horror") && year >= 1980 &&
                      r / 2 != list.row[2] / 2 && r != list.row[3];
        assert_int_equal(kept, should);
        left += kept;
    }
    assert_int_equal(said, left);
    assert_true(left >= 3);
    memset(skip, 0, sizeof skip);
    read_text(&wishes, &list, "a romantic comedy");
    wishes_mask(skip, films.book, &wishes);
    for (uint32_t r = 0; r < films.snapshot.rows; r++)
        assert_int_equal(!bit_get(skip, r),
                         in_category(&films, r, "Comedy") && in_category(&films, r, "Romance"));
}

static void what_was_shown_stays_away_unless_asked_for(void **state)
{
    static struct wishes wishes;
    struct list list = list_named("a");
    uint64_t skip[ROWS_MAX / 64 + 1] = {0};
    (void)state;
    read_text(&wishes, &list, "show me the second again");
    wishes_skip_shown(skip, &wishes, list.row, list.count);
    for (size_t i = 0; i < list.count; i++)
        assert_int_equal(bit_get(skip, list.row[i]), i != 1);
}

/* Ways to say it that were taken for their opposite, or for a part of it. */
static void what_is_wanted_and_what_is_not(void **state)
{
    static const struct {
        const char *says, *wishes;
    } said[] = {
        {"no horror only comedies", "no Horror, only Comedy"},
        {"no horror give me comedies", "no Horror, Comedy"},
        {"not horror something funny", "no Horror, Comedy"},
        {"less drama more action", "no Drama, Action"},
        {"no horror or something with war", "no Horror, no War"},
        {"no horror, war or romance", "no Horror, no War, no Romance"},
        {"i dont know maybe a comedy", "Comedy"},
        {"not sure, a western?", "Western"},
        {"I can't get enough of horror", "Horror"},
        {"I never get tired of comedies", "Comedy"},
        {"nothing that isn't a comedy", "only Comedy"},
        {"Don't you have any comedies?", "Comedy"},
        {"Isn't there a comedy?", "Comedy"},
        {"Hi can you help me find a comedy movie", "Comedy"},
        {"Could you help me find some thrillers from the 90s?", "Thriller, 1990 to 1999"},
        {"Do you know a good western?", "Western"},
        {"Let me see some comedies", "Comedy"},
        {"Tell me some good thrillers", "Thriller"},
        {"tired of comedies", "no Comedy"},
        {"comedies from the 80s/90s", "Comedy, 1980 to 1999"},
        {"80s & 90s", "1980 to 1999"},
        {"late 90s early 2000s", "1997 to 2003"},
        {"from 1990 to now", "from 1990 on"},
        {"from the 80s till today", "from 1980 on"},
        {"1990+", "from 1990 on"},
        {"not the 80s, the 90s", "nothing from 1980 to 1989, 1990 to 1999"},
        {"not from the 80s or 90s", "nothing from 1980 to 1999"},
    };
    static struct wishes wishes;
    struct list list = list_named("a");
    struct text text;
    (void)state;
    text_init(&text, 4096);
    for (size_t i = 0; i < COUNT(said); i++) {
        text_reset(&text);
        read_text(&wishes, &list, said[i].says);
        for (size_t k = 0; k < wishes.count; k++) {
            text_addf(&text, "%s", k ? ", " : "");
            wish_say(&text, &wishes.wish[k], films.book);
        }
        if (!text.bytes || strcmp(text.bytes, said[i].wishes) != 0)
            fail_msg("%s: %s, not %s", said[i].says, text.bytes ? text.bytes : "", said[i].wishes);
    }
    text_release(&text);
}

/* "Too old" says what is wanted with a negation before it and without. */
static void too_old_is_newer_however_it_is_said(void **state)
{
    static const char *const says[] = {"these are too old", "I don't want anything too old",
                                       "nothing that's too old"};
    static struct wishes wishes;
    struct list list = list_named("a");
    (void)state;
    for (size_t i = 0; i < COUNT(says); i++) {
        read_text(&wishes, &list, says[i]);
        assert_int_equal(wishes.count, 1);
        assert_int_equal(wishes.wish[0].kind, WISH_YEARS);
        assert_int_equal(wishes.wish[0].to, YEAR_LAST);
    }
}

static void the_weakest_wish_goes_first(void **state)
{
    static struct wishes wishes;
    struct list list = list_named("a");
    uint64_t base[ROWS_MAX / 64 + 1] = {0};
    uint64_t skip[ROWS_MAX / 64 + 1];
    struct wish dropped;
    struct text text;
    (void)state;
    read_text(&wishes, &list, "westerns from the 90s, no horror, I have seen the first");
    assert_int_equal(wishes.count, 4);
    memcpy(skip, base, sizeof skip);
    size_t left = wishes_mask(skip, films.book, &wishes);
    assert_int_equal(left, 1);
    assert_true(wishes_relax(&dropped, &wishes, skip, base, films.book, 2));
    assert_int_equal(dropped.kind, WISH_WANTED);
    text_init(&text, 1024);
    wishes_relaxed_said(&text, &dropped, left, films.book);
    assert_string_equal(text.bytes, "Only 1 item fits all of that, so I left out: Western.");
    text_reset(&text);
    wishes_relaxed_said(&text, &dropped, 0, films.book);
    assert_string_equal(text.bytes, "Nothing fits all of that, so I left out: Western.");
    text_release(&text);
    /* one that frees enough alone goes before a weaker one that does not */
    read_text(&wishes, &list, "comedies made before 1900");
    assert_true(wishes_relax(&dropped, &wishes, skip, base, films.book, 5));
    assert_int_equal(dropped.kind, WISH_YEARS);
    read_text(&wishes, &list, "I have seen the first");
    assert_false(wishes_relax(&dropped, &wishes, skip, base, films.book, 1000));
    assert_int_equal(wishes.count, 1);
}

static void an_id_undoes_until_it_is_said_again(void **state)
{
    static struct wishes wishes;
    struct list list = list_named("a");
    struct wish_turn turns[3];
    const char *texts[] = {"no horror", "from the 90s", "really no horror"};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        turns[i] = (struct wish_turn){texts[i], strlen(texts[i]), list.row, list.count};
    wishes_read(&wishes, work, films.book, turns, 2, NULL, 0);
    assert_int_equal(wishes.count, 2);
    uint64_t undo = wishes.wish[0].id;
    wishes_read(&wishes, work, films.book, turns, 2, &undo, 1);
    assert_int_equal(wishes.count, 1);
    assert_int_equal(wishes.wish[0].kind, WISH_YEARS);
    wishes_read(&wishes, work, films.book, turns, 3, &undo, 1);
    assert_int_equal(wishes.count, 2);
    assert_int_equal(wishes.wish[1].kind, WISH_UNWANTED);
    assert_true(wishes.wish[1].id != undo);
    wishes_read(&wishes, work, films.book, turns, 3, NULL, 0);
    assert_int_equal(wishes.count, 2); /* said twice, held once, by the newest id */
    assert_true(wishes.wish[0].id != undo);
    undo = wishes.wish[0].id;
    wishes_read(&wishes, work, films.book, turns, 3, &undo, 1); /* and so undone at once */
    assert_int_equal(wishes.count, 1);
    assert_int_equal(wishes.wish[0].kind, WISH_YEARS);
}

/* A later wish narrows an earlier one, which is undone by the id that it has since. */
static void what_was_narrowed_can_be_undone(void **state)
{
    static struct wishes wishes;
    struct list list = list_named("a");
    struct wish_turn turns[3];
    const char *texts[] = {"from the 90s", "newer than 1995", "until 1999"};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        turns[i] = (struct wish_turn){texts[i], strlen(texts[i]), list.row, list.count};
    wishes_read(&wishes, work, films.book, turns, 2, NULL, 0);
    assert_int_equal(wishes.count, 2);
    assert_int_equal(wishes.wish[0].to, 1999);
    uint64_t undo = wishes.wish[0].id;
    wishes_read(&wishes, work, films.book, turns, 2, &undo, 1);
    assert_int_equal(wishes.count, 1);
    assert_int_equal(wishes.wish[0].from, 1996);
    wishes_read(&wishes, work, films.book, turns, 3, NULL, 0);
    assert_int_equal(wishes.count, 2); /* what was left of the first is said again: one wish */
    undo = wishes.wish[0].to == 1999 ? wishes.wish[0].id : wishes.wish[1].id;
    wishes_read(&wishes, work, films.book, turns, 3, &undo, 1);
    assert_int_equal(wishes.count, 1);
    assert_int_equal(wishes.wish[0].from, 1996);
}

static void clients_are_told_what_was_and_was_not_understood(void **state)
{
    static struct wishes wishes;
    struct list list = list_named("a");
    struct text text;
    uint64_t id;
    (void)state;
    read_text(&wishes, &list, "only comedies from the 90s with Bill Murray, not too long");
    json_t *yes = wishes_understood(&wishes, films.book);
    json_t *no = wishes_not_understood(&wishes);
    assert_int_equal(json_array_size(yes), 2);
    assert_int_equal(json_array_size(no), 2);
    const json_t *first = json_array_get(yes, 0);
    assert_string_equal(json_string_value(json_object_get(first, "kind")), "only");
    assert_string_equal(json_string_value(json_object_get(first, "value")), "Comedy");
    assert_string_equal(json_string_value(json_object_get(first, "text")), "comedies");
    assert_true(wish_id_read(&id, json_string_value(json_object_get(first, "id"))));
    assert_true(id == wishes.wish[0].id);
    assert_false(wish_id_read(&id, "0123456789abcdeg"));
    const json_t *years = json_object_get(json_array_get(yes, 1), "value");
    assert_int_equal(json_integer_value(json_object_get(years, "from")), 1990);
    assert_string_equal(json_string_value(json_object_get(json_array_get(no, 0), "reason")),
                        "people");
    text_init(&text, 4096);
    wishes_said(&text, &wishes);
    assert_non_null(strstr(text.bytes, "\"with Bill Murray\": this catalogue does not say who"));
    assert_non_null(strstr(text.bytes, "\"not too long\": this catalogue does not say how long"));
    text_release(&text);
    json_decref(yes);
    json_decref(no);
}

static void ranks_that_are_not_there_are_not_understood(void **state)
{
    static struct wishes wishes;
    struct list list = list_named("c");
    struct list five = list_named("a");
    struct list none = list_named("none");
    (void)state;
    read_text(&wishes, &list, "more like the fifth");
    assert_int_equal(wishes.count, 0);
    assert_int_equal(wishes.unclear_count, 1);
    assert_int_equal(wishes.unclear[0].why, WHY_WHICH);
    read_text(&wishes, &five, "I have seen the second and the twelfth");
    assert_int_equal(wishes.count, 1);
    assert_int_equal(wishes.wish[0].row, five.row[1]);
    assert_int_equal(wishes.unclear_count, 1);
    assert_int_equal(wishes.unclear[0].why, WHY_WHICH);
    read_text(&wishes, &none, "from the same decade");
    assert_int_equal(wishes.count, 0);
    assert_int_equal(wishes.unclear_count, 1);
    read_text(&wishes, &none, "I have seen it");
    assert_int_equal(wishes.count, 0);
    assert_int_equal(wishes.unclear_count, 1);
}

/* ---- bytes from outside ---- */

static size_t mixed(char *out, size_t size, struct rng *rng)
{
    static const char *const parts[] = {"no ",
                                        "horror ",
                                        "1990",
                                        "-",
                                        "the first two ",
                                        "all but ",
                                        ", ",
                                        "\xf0\x9f",
                                        "\xff",
                                        "\x01",
                                        "like ",
                                        "not ",
                                        "or ",
                                        "90s ",
                                        "(",
                                        "\"",
                                        "'",
                                        "# 99999999999999999999 ",
                                        "\n",
                                        ". ",
                                        "seen ",
                                        "second to last ",
                                        "\xe2\x80\x99s ",
                                        "undo ",
                                        "everything except ",
                                        "older than ",
                                        "last 200 years ",
                                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ",
                                        "The Princess Bride (1987) ",
                                        "\xc3\xa9\xcc\x81",
                                        "it ",
                                        "give me five ",
                                        "comedis ",
                                        "between ",
                                        "to ",
                                        "again "};
    size_t used = 0;
    while (used + 64 < size) {
        const char *part = parts[rng_below(rng, COUNT(parts))];
        memcpy(out + used, part, strlen(part));
        used += strlen(part);
        if (rng_below(rng, 20) == 0)
            out[used++] = (char)rng_below(rng, 256);
    }
    return used;
}

static void check_bounds(const struct wishes *wishes, const struct world *w)
{
    assert_true(wishes->count <= WISHES_MAX && wishes->unclear_count <= UNCLEAR_MAX);
    for (size_t i = 0; i < wishes->count; i++) {
        const struct wish *wish = &wishes->wish[i];
        assert_true(wish->row == NO_ITEM || wish->row < w->snapshot.rows);
        assert_true(wish->kind > WISH_UNWANTED || wish->category < w->snapshot.categories);
        assert_true(utf8_valid(wish->text, strlen(wish->text)));
        for (size_t k = 0; k < i; k++)
            assert_true(wishes->wish[k].id != wish->id);
    }
    for (size_t i = 0; i < wishes->unclear_count; i++)
        assert_true(utf8_valid(wishes->unclear[i].text, strlen(wishes->unclear[i].text)));
}

static void hostile_bytes_do_no_harm(void **state)
{
    static struct wishes wishes;
    static char text[100000];
    struct list list = list_named("b");
    uint64_t skip[ROWS_MAX / 64 + 1] = {0};
    (void)state;
    for (uint64_t seed = 0; seed < 600; seed++) {
        struct rng rng = rng_stream(seed, 5, 0);
        struct world *w = seed % 5 ? &films : &shop;
        struct wish_turn turns[3];
        size_t size = mixed(text, seed % 97 ? 80 + rng_below(&rng, 500) : sizeof text, &rng);
        for (size_t i = 0; i < 3; i++)
            turns[i] = (struct wish_turn){text + i * size / 3, size / 3, list.row,
                                          w == &films ? list.count : 0};
        wishes_read(&wishes, work, w->book, turns, 3, NULL, 0);
        check_bounds(&wishes, w);
        wishes_mask(skip, w->book, &wishes);
        json_t *yes = wishes_understood(&wishes, w->book);
        json_t *no = wishes_not_understood(&wishes);
        assert_int_equal(json_array_size(yes), wishes.count);
        assert_int_equal(json_array_size(no), wishes.unclear_count);
        json_decref(yes);
        json_decref(no);
    }
    double began = clock_s();
    size_t read = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct rng rng = rng_stream(seed, 6, 0);
        struct wish_turn one = {text, mixed(text, WISH_BYTES, &rng), list.row, list.count};
        wishes_read(&wishes, work, films.book, &one, 1, NULL, 0);
        read += one.size;
    }
    printf("%.2f ms for a message of %d bytes\n", 1000 * (clock_s() - began) / 20, WISH_BYTES);
    assert_true(read > 0);
    memset(text, 'a', sizeof text);
    struct wish_turn turn = {text, sizeof text, list.row, list.count};
    wishes_read(&wishes, work, films.book, &turn, 1, NULL, 0);
    assert_int_equal(wishes.unclear[wishes.unclear_count - 1].why, WHY_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_mask_leaves_what_was_wished_for),
        TEST(what_was_shown_stays_away_unless_asked_for),
        TEST(what_is_wanted_and_what_is_not),
        TEST(too_old_is_newer_however_it_is_said),
        TEST(the_weakest_wish_goes_first),
        TEST(an_id_undoes_until_it_is_said_again),
        TEST(what_was_narrowed_can_be_undone),
        TEST(clients_are_told_what_was_and_was_not_understood),
        TEST(ranks_that_are_not_there_are_not_understood),
        TEST(hostile_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, worlds_open, worlds_close);
}
