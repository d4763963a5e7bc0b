/*
 * Titles inside texts, and dialogues as symbols: what is named is found where it stands, remakes
 * are told apart by their year, and nothing is found where nothing was named.
 */
#include "tests/test.h"

#include "data/catalogue.h"
#include "recommend/dialogue.h"

static const struct {
    const char *title;
    int year;
} FILMS[] = {
    {"Alien", 1979},
    {"Aliens", 1986},
    {"Scarface", 1932},
    {"Scarface", 1983},
    {"Star Wars", 0},
    {"Star Wars: Episode II – Attack of the Clones", 2002},
    {"It", 2017},
    {"It", 0},
    {"Amélie", 2001},
    {"Fast & Furious", 2009},
    {"The Godfather", 1972},
    {"2012", 2009},
    {"...And Justice for All", 1979},
    {"Toy Story (1995)", 0},
    {"Pink Nail Polish", 0},
    {"Star", 2001},
    {"", 0},
    {"The Help", 2011},
    {"Scary Movie", 2000},
};
enum { ROWS = COUNT(FILMS), OLD_SCARFACE = 2, NEW_SCARFACE = 3 };

static struct store *store;
static struct version version;
static struct item_index item_index;
static struct snapshot snapshot;
static struct titles *titles;
static char home[512];

static void put_films(struct err *err)
{
    static uint32_t row_of_number[ROWS], popular[ROWS];
    struct store_txn txn;
    assert_fine(store_begin(&txn, store, true, err), *err);
    for (uint32_t i = 0; i < ROWS; i++) {
        char id[8];
        enum put_result result;
        uint32_t number = 0;
        json_t *attributes = json_object();
        if (FILMS[i].year)
            json_object_set_new(attributes, "year", json_integer(FILMS[i].year));
        json_t *record = json_pack("{s:s, s:o}", "title", FILMS[i].title, "attributes", attributes);
        snprintf(id, sizeof id, "f%u", i);
        assert_fine(catalogue_put(&result, &number, &txn, id, record, err), *err);
        json_decref(record);
        assert_true(number < ROWS);
        row_of_number[number] = i;
        popular[i] = ROWS - 1 - i; /* later ones are better known */
    }
    assert_fine(store_commit(&txn, err), *err);
    version.row_of_number = row_of_number;
    version.popular = popular;
    version.numbers = ROWS;
}

static int start(void **state)
{
    static const struct store_settings SMALL = {.map_mib = 16};
    struct err err = {0};
    struct corpus *corpus = corpus_new(&err);
    (void)state;
    snprintf(home, sizeof home, "%s", scratch_folder("titles"));
    store = store_open(home, &SMALL, true, &err);
    assert_fine(store, err);
    put_films(&err);
    for (size_t i = 0; i < 4; i++)
        assert_fine(corpus_add(corpus, "have you seen something like the best of it", &err), err);
    version.tokenizer = tokenizer_train(corpus, 400, 2, &err);
    assert_fine(version.tokenizer, err);
    corpus_free(corpus);
    version.policy.marks = tokenizer_marks(version.tokenizer);
    item_index.items = ROWS;
    version.index = &item_index;
    snapshot = (struct snapshot){.version = &version, .rows = ROWS};
    titles = titles_open(&snapshot, store, &err);
    assert_fine(titles, err);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    titles_free(titles);
    tokenizer_free(version.tokenizer);
    store_close(store);
    scratch_drop(home);
    return 0;
}

enum way { EXACT, LOOSE };

/* The hits of a text, written as "row[bytes] ..." */
static const char *told(enum way way, const char *text)
{
    static char out[2048];
    struct title_hit hits[16];
    size_t count = (way == LOOSE ? titles_loose : titles_find)(hits, 16, titles, text);
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < count; i++)
        used +=
            (size_t)snprintf(out + used, sizeof out - used, "%s%u[%.*s]", i ? " " : "", hits[i].row,
                             (int)(hits[i].to - hits[i].from), text + hits[i].from);
    return out;
}

static void names_are_as_people_write_them(void **state)
{
    (void)state;
    assert_string_equal(titles_name(titles, 0), "Alien (1979)");
    assert_string_equal(titles_name(titles, 4), "Star Wars");
    assert_string_equal(titles_name(titles, 13), "Toy Story (1995)");
    assert_string_equal(titles_name(titles, 16), "");
    assert_int_equal(titles_year(titles, 13), 1995);
    assert_int_equal(titles_year(titles, 4), 0);
}

static void exact_names_are_found_inside_texts(void **state)
{
    static const struct {
        const char *text, *hits;
    } cases[] = {
        {"Have you seen Alien (1979)?", "0[Alien (1979)]"},
        {"have you seen ALIEN (1979), aliens (1986)", "0[ALIEN (1979)] 1[aliens (1986)]"},
        {"Alien (1979)Alien (1979)", "0[Alien (1979)] 0[Alien (1979)]"},
        {"Scarface (1932) or Scarface (1983)", "2[Scarface (1932)] 3[Scarface (1983)]"},
        {"Scarface (1999) Scarface 1983 Scarface", ""}, /* another film, or not exact */
        {"Mealien (1979) xAlien (1979)", ""},           /* inside another word */
        {"I like Star Wars, not star wars", "4[Star Wars]"},
        {"Star Wars: Episode II – Attack of the Clones (2002) r",
         "5[Star Wars: Episode II – Attack of the Clones (2002)]"},
        {"star wars:  episode ii - attack\nof the clones (2002)!",
         "5[star wars:  episode ii - attack\nof the clones (2002)]"},
        {"It was good, It is", ""},
        {"It (2017)", "6[It (2017)]"},
        {"amelie (2001) Ame\xcc\x81lie (2001)", "8[amelie (2001)] 8[Ame\xcc\x81lie (2001)]"},
        {"fast and furious (2009)", "9[fast and furious (2009)]"},
        {"2012 (2009)", "11[2012 (2009)]"},
        {"see ...And Justice for All (1979)", "12[...And Justice for All (1979)]"},
        {"Toy Story (1995)", "13[Toy Story (1995)]"},
        {"Alien(1979)", "0[Alien(1979)]"},
        {"Alien (1979", ""},
        {"", ""},
        {"Alien \xff(1979) Ali\xc3 Aliens (1986)\xe2\x80", "1[Aliens (1986)]"}, /* broken bytes */
        {"\xf0\x9f\x98\x80"
         "Alien (1979)\xf0\x9f\x98\x80",
         "0[Alien (1979)]"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_string_equal(told(EXACT, cases[i].text), cases[i].hits);
}

static void loose_titles_are_found_as_people_write_them(void **state)
{
    static const struct {
        const char *text, *hits;
    } cases[] = {
        {"I loved the godfather, alien and it", "10[the godfather]"},
        {"\"alien\" and *It* and \xe2\x80\x9cScarface,\xe2\x80\x9d", "0[alien] 7[It] 3[Scarface]"},
        {"alien 1979, scarface, 1932 and scarface [1932]", "0[alien 1979] 2[scarface, 1932] "
                                                           "2[scarface [1932]]"},
        {"The Godfather (1999)", ""}, /* names another film */
        {"the godfather 1999", "10[the godfather]"},
        {"star wars (1977)", "4[star wars]"}, /* the catalogue does not know its year */
        {"star wars", "4[star wars]"},
        {"pink nail polish", "14[pink nail polish]"},
        {"pinknail polish", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_string_equal(told(LOOSE, cases[i].text), cases[i].hits);
    struct title_hit hits[2];
    assert_int_equal(titles_loose(hits, 2, titles, "star wars Star Wars The Godfather"), 2);
    assert_false(hits[0].cased);
    assert_true(hits[1].cased);
}

static void whole_phrases_and_known_rows(void **state)
{
    static const uint32_t known[] = {OLD_SCARFACE, 7};
    struct title_hit hits[4];
    (void)state;
    assert_int_equal(titles_named(titles, " alien ", 7), 0);
    assert_int_equal(titles_named(titles, "'It'", 4), 7);
    assert_int_equal(titles_named(titles, "scarface", 8), NEW_SCARFACE);
    assert_int_equal(titles_named(titles, "scarface (1932)", 15), OLD_SCARFACE);
    assert_int_equal(titles_named(titles, "scarface 1932", 13), OLD_SCARFACE);
    assert_int_equal(titles_named(titles, "2012", 4), 11);
    assert_int_equal(titles_named(titles, "alien 3", 7), NO_ITEM);
    assert_int_equal(titles_named(titles, "ali", 3), NO_ITEM);
    assert_int_equal(titles_named(titles, "", 0), NO_ITEM);
    assert_int_equal(titles_named(titles, " '\"", 3), NO_ITEM);
    assert_int_equal(titles_lookup(titles, "It", 2, 2017), 6);
    assert_int_equal(titles_among(hits, 4, titles, "scarface, alien, sit and it!", known, 2), 2);
    assert_int_equal(hits[0].row, OLD_SCARFACE);
    assert_int_equal(hits[1].row, 7);
    assert_int_equal(hits[1].from, 25);
}

/* ---- dialogues ---- */

static uint32_t mark(enum mark m)
{
    return TOKEN + version.policy.marks + m;
}

static void a_dialogue_is_marks_words_and_items(void **state)
{
    static const struct message messages[] = {
        {.speaker = SPEAKER_USER, .text = "Alien (1979) the"},
        {.speaker = SPEAKER_ASSISTANT, .text = "see The Godfather"},
    };
    struct err err = {0};
    uint32_t got[64];
    uint32_t words[8];
    uint32_t rows[4];
    enum speaker by[4];
    (void)state;
    size_t count = dialogue_symbols(got, 64, &snapshot, titles, messages, 2, &err);
    size_t the = tokenizer_encode(words, 8, version.tokenizer, " the", &err);
    assert_int_equal(err.code, ERR_NONE);
    assert_int_equal(got[0], mark(MARK_USER));
    assert_int_equal(got[1], mark(MARK_ITEM));
    assert_int_equal(got[2], 0);
    for (size_t i = 0; i < the; i++)
        assert_int_equal(got[3 + i], TOKEN + words[i]);
    assert_int_equal(got[3 + the], mark(MARK_REPLY));
    assert_int_equal(got[count - 2], mark(MARK_ITEM));
    assert_int_equal(got[count - 1], 10);
    assert_int_equal(dialogue_items(rows, by, 4, titles, messages, 2), 2);
    assert_int_equal(rows[0], 0);
    assert_int_equal(rows[1], 10);
    assert_int_equal(by[1], SPEAKER_ASSISTANT);
    assert_int_equal(dialogue_items(rows, NULL, 1, titles, messages, 2), 1);
    assert_int_equal(rows[0], 10);
    assert_int_equal(dialogue_symbols(got, 64, &snapshot, titles, messages, 0, &err), 0);
}

/* Two common words in a row are no title unless they are written as one. */
static void running_text_names_nothing(void **state)
{
    static const struct {
        const char *text;
        size_t named;
    } cases[] = {
        {"thanks for the help, a scary movie for tonight", 0},
        {"Thanks. The help was fine", 0},
        {"I saw The Help", 1},
        {"the help (2011) and \"scary movie\"", 2},
        {"scary movie 2000", 1},
        {"star wars and pink nail polish", 2},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t rows[4];
        const struct message message = {.speaker = SPEAKER_USER, .text = cases[i].text};
        if (dialogue_items(rows, NULL, 4, titles, &message, 1) != cases[i].named)
            fail_msg("%s", cases[i].text);
    }
}

static void what_is_known_to_be_named_is_there(void **state)
{
    static const uint32_t named[] = {OLD_SCARFACE, 7};
    static const struct message message = {
        .speaker = SPEAKER_USER, .text = "scarface, not alien", .items = named, .item_count = 2};
    struct err err = {0};
    uint32_t got[64];
    (void)state;
    size_t count = dialogue_symbols(got, 64, &snapshot, titles, &message, 1, &err);
    assert_int_equal(got[1], mark(MARK_ITEM));
    assert_int_equal(got[2], OLD_SCARFACE);
    assert_int_equal(got[count - 2], mark(MARK_ITEM));
    assert_int_equal(got[count - 1], 7);
    for (size_t i = 3; i < count - 1; i++)
        assert_true(is_token(got[i]));
}

/* However little there is room for: the newest symbols, a mark first, no row without its mark. */
static void of_a_long_dialogue_the_newest_is_kept(void **state)
{
    enum { MESSAGES = 300, LONG = 400000 };
    static struct message messages[MESSAGES];
    static char texts[MESSAGES][64], endless[LONG + 1];
    static uint32_t all[20000], got[512];
    struct err err = {0};
    (void)state;
    for (size_t i = 0; i < MESSAGES; i++) {
        snprintf(texts[i], sizeof texts[i], "seen %zu Alien (1979) and Scarface (1983) %zu", i, i);
        messages[i] =
            (struct message){.speaker = i % 2 ? SPEAKER_ASSISTANT : SPEAKER_USER, .text = texts[i]};
    }
    size_t whole = dialogue_symbols(all, 20000, &snapshot, titles, messages, MESSAGES, &err);
    assert_true(whole > 2000 && whole < 20000);
    for (size_t most = 2; most < 200; most++) {
        size_t count = dialogue_symbols(got, most, &snapshot, titles, messages, MESSAGES, &err);
        assert_true(count <= most && count + 2 >= most);
        assert_true(got[0] == mark(MARK_USER) || got[0] == mark(MARK_REPLY));
        assert_memory_equal(got + 1, all + whole - (count - 1), (count - 1) * sizeof *got);
        for (size_t i = 0; i < count; i++)
            assert_true(is_token(got[i]) || got[i - 1] == mark(MARK_ITEM));
    }
    for (size_t i = 0; i < LONG; i += 4)
        memcpy(endless + i, "ab \xff", 4);
    memcpy(endless + LONG - 13, " Alien (1979)", 13);
    messages[MESSAGES - 1].text = endless;
    size_t count = dialogue_symbols(got, 512, &snapshot, titles, messages, MESSAGES, &err);
    assert_int_equal(err.code, ERR_NONE);
    assert_int_equal(count, 512);
    assert_int_equal(got[0], mark(MARK_REPLY));
    assert_int_equal(got[511], 0);
    uint32_t rows[2];
    assert_int_equal(dialogue_items(rows, NULL, 2, titles, messages, MESSAGES), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_are_as_people_write_them),
        TEST(exact_names_are_found_inside_texts),
        TEST(loose_titles_are_found_as_people_write_them),
        TEST(whole_phrases_and_known_rows),
        TEST(a_dialogue_is_marks_words_and_items),
        TEST(running_text_names_nothing),
        TEST(what_is_known_to_be_named_is_there),
        TEST(of_a_long_dialogue_the_newest_is_kept),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
