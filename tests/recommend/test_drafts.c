/*
 * Drafts beside the titles of the sample: false names are caught, clean drafts and templates pass.
 */
#include "tests/recommend/trained.h"
#include "tests/service/client.h"

#include "base/rng.h"
#include "data/lines.h"
#include "recommend/drafts.h"
#include "recommend/reply.h"

#include <ctype.h>

enum { PLANTED = 200, CLEAN = 200, RANKS = 10 };

static struct titles *titles;

static int start(void **state)
{
    struct err err = {0};
    if (trained_open(state) != 0)
        return -1;
    titles = titles_open(snapshot, store, &err);
    return titles ? 0 : -1;
}

static int stop(void **state)
{
    titles_free(titles);
    return trained_close(state);
}

static void draw_list(uint32_t rows[RANKS], struct rng *rng)
{
    for (size_t i = 0; i < RANKS; i++)
        do
            rows[i] = (uint32_t)rng_below(rng, snapshot->rows);
        while (strlen(titles_name(titles, rows[i])) < 9); /* a few have a year alone */
}

/* "Title (Year)" without its year; returns the words. */
static size_t bare(char *out, size_t room, const char *name)
{
    size_t words = 0;
    snprintf(out, room, "%s", name);
    char *year = strrchr(out, '(');
    if (year && year > out && strlen(year) == 6)
        year[-1] = 0;
    for (const char *at = out; *at; at++)
        words += *at != ' ' && (at == out || at[-1] == ' ');
    return words;
}

/* Forms in which a name can be planted. */
static void spell(char *out, size_t room, const char *name, size_t form)
{
    char title[300];
    size_t words = bare(title, sizeof title, name);
    bool alone = words < 2; /* too little to be a name by itself */
    switch (form % 5) {
    case 0:
        snprintf(out, room, "%s", name);
        break;
    case 1:
        snprintf(out, room, alone ? "\"%s\"" : "%s", title);
        break;
    case 2:
        snprintf(out, room, "\"%s\"", title);
        break;
    case 3:
        snprintf(out, room, "*%s*", title);
        break;
    default:
        snprintf(out, room, "%s", name);
        for (char *at = out; *at; at++)
            *at = (char)tolower((unsigned char)*at);
        break;
    }
}

static bool holds_title(const uint32_t rows[RANKS], const char *title)
{
    for (size_t i = 0; i < RANKS; i++)
        if (strcasestr(titles_name(titles, rows[i]), title))
            return true;
    return false;
}

static const char *const AROUND[][2] = {
    {"You may like ", ", it is close to what you asked for."},
    {"If you enjoyed the others, ", " is the one to see next."},
    {"I would begin with ", " and then go on with the rest of the list."},
    {"", " is a favourite of mine! It is slow, but worth it."},
    {"All of these are dark, as you wished. Try ", " first."},
};

/* A draft with the names of some listed items and one that is spelled. */
static void write_draft(char *out, size_t room, const uint32_t rows[RANKS], const char *planted,
                        size_t form)
{
    const char *const *around = AROUND[form % COUNT(AROUND)];
    snprintf(out, room, "%s%s%s %s and %s are on the list, too.", around[0], planted, around[1],
             titles_name(titles, rows[form % RANKS]),
             titles_name(titles, rows[(form + 3) % RANKS]));
}

static void planted_names_are_caught(void **state)
{
    static const char *const invented[] = {"The Lantern Keepers (2011)",
                                           "\"Midnight at Harrow Pass\"", "Zebra Quartet (1987)",
                                           "\u201cThe Glass Orchardist\u201d"};
    struct rng rng = rng_stream(7, 1, 1);
    size_t caught = 0;
    (void)state;
    for (size_t i = 0; i < PLANTED; i++) {
        uint32_t rows[RANKS];
        char title[300];
        char planted[400];
        char draft[2000];
        uint32_t row;
        draw_list(rows, &rng);
        do {
            row = (uint32_t)rng_below(&rng, snapshot->rows);
            bare(title, sizeof title, titles_name(titles, row));
        } while (!*title || holds_title(rows, title));
        if (i % 10 == 9)
            snprintf(planted, sizeof planted, "%s", invented[i / 10 % COUNT(invented)]);
        else
            spell(planted, sizeof planted, titles_name(titles, row), i);
        write_draft(draft, sizeof draft, rows, planted, i);
        struct false_name names[4];
        size_t count = draft_false_names(names, 4, titles, draft, rows, RANKS);
        size_t at = (size_t)(strstr(draft, planted) - draft);
        bool found = false;
        for (size_t k = 0; k < count; k++)
            found = found || (names[k].from < at + strlen(planted) && names[k].to > at);
        caught += found;
        if (!found)
            print_message("not caught: %s\n", draft);
    }
    print_message("caught: %zu of %d\n", caught, PLANTED);
    assert_true(caught * 100 >= PLANTED * 98);
}

static void clean_drafts_pass(void **state)
{
    static const char *const PLAIN[] = {
        "These are the best of the old ones. Enjoy the night!",
        "I have kept the list short, as you wished. Let me know what you think.",
        "All of them are funny, and none is too long.",
        "You said that you love a good story, so here is one for you.",
        "They are dark and slow. Once you have seen them, tell me which one you liked.",
        "Here are ten that I think you will like, the first three most of all.",
        "Something for the whole family: easy to watch, hard to forget.",
        "If you want more like the second, just say so.",
    };
    struct rng rng = rng_stream(8, 1, 1);
    size_t refused = 0;
    (void)state;
    for (size_t i = 0; i < CLEAN; i++) {
        uint32_t rows[RANKS];
        char spelled[400];
        char draft[2000];
        draw_list(rows, &rng);
        spell(spelled, sizeof spelled, titles_name(titles, rows[(i + 1) % RANKS]), i);
        write_draft(draft, sizeof draft, rows, spelled, i);
        size_t size = strlen(draft);
        snprintf(draft + size, sizeof draft - size, " %s", PLAIN[i % COUNT(PLAIN)]);
        struct false_name name;
        if (draft_false_names(&name, 1, titles, draft, rows, RANKS)) {
            print_message("refused: [%.*s] in: %s\n", (int)(name.to - name.from), draft + name.from,
                          draft);
            refused++;
        }
    }
    print_message("refused: %zu of %d clean drafts\n", refused, CLEAN);
    assert_true(refused <= CLEAN / 50);
}

/* Where people are said to have named nothing: of 41 turns refused, 28 do name something. */
static void talk_without_names_passes(void **state)
{
    struct err err = {0};
    struct line line;
    struct lines *in = lines_open(SAMPLE "/conversations.jsonl.zst", &err);
    size_t texts = 0;
    size_t refused = 0;
    (void)state;
    assert_fine(in, err);
    while (texts < 1500 && lines_next(&line, in, &err)) {
        json_t *row = json_loads(line.bytes, 0, NULL);
        json_t *turn;
        size_t at;
        json_array_foreach (json_object_get(row, "turns"), at, turn) {
            const char *text = json_string_value(json_object_get(turn, "text"));
            if (json_array_size(json_object_get(turn, "items_mentioned")) || !text)
                continue;
            texts++;
            refused += !draft_is_clean(titles, text, NULL, 0);
        }
        json_decref(row);
    }
    lines_close(in);
    print_message("refused: %zu of %zu turns that name nothing\n", refused, texts);
    assert_true(refused * 100 <= texts * 5);
}

/* 1,000 replies of templates: one to three sentences, no name but those of the list. */
static void templates_name_what_is_listed(void **state)
{
    static const char *const wishes[] = {"no Horror", "Comedy", "nothing from 1990 to 1999",
                                         "like Alien (1979)", "only Drama"};
    struct rng rng = rng_stream(9, 1, 1);
    struct text text;
    (void)state;
    text_init(&text, 4096);
    for (size_t i = 0; i < 1000; i++) {
        uint32_t rows[RANKS];
        const char *names[RANKS];
        draw_list(rows, &rng);
        for (size_t k = 0; k < RANKS; k++)
            names[k] = titles_name(titles, rows[k]);
        const struct reply_facts facts = {.names = names,
                                          .count = i % (RANKS + 1),
                                          .wanted = i % 3 ? i % (RANKS + 1) : RANKS,
                                          .wishes = wishes,
                                          .wish_count = i % 2 ? 0 : 1 + i % 3,
                                          .seed = i};
        text_reset(&text);
        reply_write(&text, &facts);
        assert_true(text.size > 10 && !text.full);
        struct false_name name;
        if (draft_false_names(&name, 1, titles, text.bytes, rows, facts.count))
            fail_msg("[%.*s] in: %s", (int)(name.to - name.from), text.bytes + name.from,
                     text.bytes);
        for (size_t k = 0; k < facts.count && k < REPLY_NAMES; k++)
            assert_non_null(strstr(text.bytes, names[k]));
    }
    text_release(&text);
}

/* "no horror and comedy" would be no comedy either. */
static void what_is_wanted_is_said_first(void **state)
{
    static const char *const wishes[] = {"no Horror", "Comedy", "nothing before 1980", "Drama"};
    static const char *const names[] = {"The Godfather (1972)"};
    const struct reply_facts facts = {
        .names = names, .count = 1, .wanted = 1, .wishes = wishes, .wish_count = COUNT(wishes)};
    struct text text;
    (void)state;
    text_init(&text, 4096);
    reply_write(&text, &facts);
    assert_non_null(strstr(text.bytes, "Comedy and Drama, no Horror, nothing before 1980. "));
    text_release(&text);
}

static void names_are_told_apart_from_words(void **state)
{
    struct false_name names[4];
    uint32_t row = 0;
    (void)state;
    while (strcmp(titles_name(titles, row), "The Godfather (1972)") != 0)
        assert_true(++row < snapshot->rows);
    static const char *const fine[] = {
        "I would begin with The Godfather (1972).",
        "The Godfather is the best of it all.",
        "It was made in 1972.",
        "\"Funny, but not too dark\" you said.",
        "Watch it (again) in 2024!",
        "",
    };
    for (size_t i = 0; i < COUNT(fine); i++)
        assert_int_equal(draft_false_names(names, 4, titles, fine[i], &row, 1), 0);
    static const char *const wrong[] = {
        "I would begin with The Godfather (1974).",
        "The Godfather: Part II is as good.",
        "Like The Godfather, but by \"The Lantern Keepers\".",
        "See Quiet Harbour Nights (2003), it is new.",
        "schindler's list (1993) is long.",
    };
    for (size_t i = 0; i < COUNT(wrong); i++)
        if (draft_false_names(names, 4, titles, wrong[i], &row, 1) != 1)
            fail_msg("not one name in: %s", wrong[i]);
    draft_false_names(names, 4, titles, wrong[3], &row, 1);
    assert_int_equal(names[0].row, NO_ITEM);
    assert_memory_equal(wrong[3] + names[0].from, "See Quiet Harbour Nights (2003)", 31);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(planted_names_are_caught),        TEST(clean_drafts_pass),
        TEST(talk_without_names_passes),       TEST(templates_name_what_is_listed),
        TEST(names_are_told_apart_from_words), TEST(what_is_wanted_is_said_first),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
