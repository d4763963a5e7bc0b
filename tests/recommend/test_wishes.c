/*
 * Wishes: the follow-ups of wishes.jsonl, half of them for building and half kept aside, against
 * what is read from them; what a mask leaves; ids, undoing and what has to go when too little is
 * left; and bytes that mean nobody well.
 *
 * Of the half kept aside only totals are printed.  `test_wishes show` prints what the other half
 * misses, `test_wishes read LIST` what lines of standard input are read as under a list.
 */
#include "tests/test.h"

#include "base/files.h"
#include "base/rng.h"
#include "data/catalogue.h"
#include "recommend/wishes.h"

enum { ROWS_MAX = 128, ITEMS_MAX = 64, LISTS_MAX = 8, CATEGORIES_MOST = 64 };

/* A catalogue of wishes.jsonl, in a store of its own. */
struct world {
    const char *name;
    struct store *store;
    struct version version;
    struct item_index item_index;
    struct snapshot snapshot;
    struct titles *titles;
    struct wish_book *book;
    uint32_t popular[ROWS_MAX], row_of_number[ROWS_MAX];
    uint32_t category_first[ROWS_MAX + 1], category[ROWS_MAX * 8];
    char *names[CATEGORIES_MOST];
    uint16_t codes[ROWS_MAX * 2];
    char home[512];
};

static struct world films = {.name = "films"};
static struct world shop = {.name = "shop"};
static struct wish_work *work;
static json_t *lines; /* all of wishes.jsonl */
static bool show;
static const char *asked; /* a list to read messages under */

/* ---- two catalogues ---- */

static json_t *items_of(const json_t *line, const char *world)
{
    const char *catalogue = json_string_value(json_object_get(line, "catalogue"));
    const char *more = json_string_value(json_object_get(line, "more"));
    if ((!catalogue || strcmp(catalogue, world) != 0) && (!more || strcmp(more, world) != 0))
        return NULL;
    return json_object_get(line, more ? "items" : "shown");
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_categories(struct world *w, const json_t *item)
{
    const json_t *list = json_object_get(item, "categories");
    for (size_t c = 0; c < json_array_size(list); c++) {
        const char *name = json_string_value(json_array_get(list, c));
        bool there = false;
        for (size_t i = 0; i < w->snapshot.categories; i++)
            there = there || strcmp(w->names[i], name) == 0;
        assert_true(w->snapshot.categories < CATEGORIES_MOST);
        if (!there)
            w->names[w->snapshot.categories++] = (char *)(uintptr_t)name;
    }
}

static void put_item(struct world *w, const struct store_txn *txn, const json_t *item, uint32_t row)
{
    struct err err = {0};
    enum put_result result;
    uint32_t number = 0;
    char id[16];
    json_t *year = json_object_get(item, "year");
    json_t *record = json_pack("{s:O, s:O, s:o}", "title", json_object_get(item, "title"),
                               "categories", json_object_get(item, "categories"), "attributes",
                               year ? json_pack("{s:O}", "year", year) : json_object());
    snprintf(id, sizeof id, "i%u", row);
    assert_fine(catalogue_put(&result, &number, txn, id, record, &err), err);
    json_decref(record);
    w->row_of_number[number] = row;
    w->popular[row] = row;
    w->codes[2 * row] = (uint16_t)(row / 2); /* rows 0 and 1 share a name but for its last tile */
    w->codes[2 * row + 1] = (uint16_t)(row % 2);
}

static void rows_categories(struct world *w, const json_t *item, uint32_t row)
{
    const json_t *list = json_object_get(item, "categories");
    w->category_first[row + 1] = w->category_first[row];
    for (size_t c = 0; c < json_array_size(list); c++)
        w->category[w->category_first[row + 1]++] =
            (uint32_t)snapshot_category(&w->snapshot, json_string_value(json_array_get(list, c)));
}

static uint32_t put_catalogue(struct world *w)
{
    struct err err = {0};
    struct store_txn txn;
    size_t at;
    size_t i;
    json_t *line;
    json_t *item;
    uint32_t row = 0;
    assert_fine(store_begin(&txn, w->store, true, &err), err);
    json_array_foreach (lines, at, line)
        json_array_foreach (items_of(line, w->name), i, item) {
            assert_true(row < ROWS_MAX);
            put_item(w, &txn, item, row++);
            add_categories(w, item);
        }
    assert_fine(store_commit(&txn, &err), err);
    qsort(w->names, w->snapshot.categories, sizeof *w->names, compare_names);
    w->snapshot.category_names = w->names;
    w->snapshot.category_first = w->category_first;
    w->snapshot.category = w->category;
    row = 0;
    json_array_foreach (lines, at, line)
        json_array_foreach (items_of(line, w->name), i, item)
            rows_categories(w, item, row++);
    return row;
}

static void world_open(struct world *w)
{
    static const struct store_settings SMALL = {.map_mib = 16};
    struct err err = {0};
    snprintf(w->home, sizeof w->home, "%s", scratch_folder(w->name));
    w->store = store_open(w->home, &SMALL, true, &err);
    assert_fine(w->store, err);
    uint32_t row = put_catalogue(w);
    w->version.row_of_number = w->row_of_number;
    w->version.numbers = row;
    w->version.popular = w->popular;
    w->item_index.items = row;
    w->item_index.codes = w->codes;
    w->version.index = &w->item_index;
    w->version.trie.levels = 2;
    w->snapshot.version = &w->version;
    w->snapshot.rows = row;
    w->titles = titles_open(&w->snapshot, w->store, &err);
    assert_fine(w->titles, err);
    w->book = wish_book_open(&w->snapshot, w->titles, &err);
    assert_fine(w->book, err);
}

static void world_close(struct world *w)
{
    wish_book_free(w->book);
    titles_free(w->titles);
    store_close(w->store);
    scratch_drop(w->home);
}

static int start(void **state)
{
    struct err err = {0};
    FILE *file = fopen(SAMPLE "/../../tests/recommend/wishes.jsonl", "rb");
    char *line = NULL;
    size_t room = 0;
    (void)state;
    assert_non_null(file);
    lines = json_array();
    while (getline(&line, &room, file) > 0) {
        json_t *value = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(value);
        json_array_append_new(lines, value);
    }
    free(line);
    fclose(file);
    world_open(&films);
    world_open(&shop);
    work = wish_work_new(&err);
    assert_fine(work, err);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    wish_work_free(work);
    world_close(&films);
    world_close(&shop);
    json_decref(lines);
    return 0;
}

static uint32_t row_named(const struct world *w, const char *name)
{
    for (uint32_t r = 0; r < w->snapshot.rows; r++)
        if (strcmp(titles_name(w->titles, r), name) == 0)
            return r;
    fail_msg("no item is called %s", name);
    return 0;
}

/* ---- one follow-up ---- */

struct list {
    struct world *world;
    uint32_t row[ITEMS_MAX];
    size_t count;
};

static struct list list_named(const char *name)
{
    struct list list = {.world = strcmp(name, "shop") == 0 ? &shop : &films};
    size_t at;
    json_t *line;
    json_array_foreach (lines, at, line) {
        const char *own = json_string_value(json_object_get(line, "list"));
        const json_t *shown = json_object_get(line, "shown");
        if (!own || strcmp(own, name) != 0)
            continue;
        for (size_t i = 0; i < json_array_size(shown); i++) {
            char title[256];
            const json_t *item = json_array_get(shown, i);
            const json_t *year = json_object_get(item, "year");
            snprintf(title, sizeof title, year ? "%s (%d)" : "%s",
                     json_string_value(json_object_get(item, "title")),
                     (int)json_integer_value(year));
            list.row[list.count++] = row_named(list.world, title);
        }
    }
    return list;
}

static void read_messages(struct wishes *wishes, const struct list *list, const json_t *messages)
{
    struct wish_turn turns[8];
    size_t count = json_array_size(messages);
    assert_true(count <= COUNT(turns));
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(messages, i));
        turns[i] = (struct wish_turn){text, strlen(text), list->row, list->count};
    }
    wishes_read(wishes, work, list->world->book, turns, count, NULL, 0);
}

/* What a follow-up wishes for, a line each: "unwanted Horror", "from 1980", "like 3". */
struct facts {
    char line[96][160];
    size_t count;
};

static void fact(struct facts *f, const char *format, ...) PRINTF(2, 3);
static void fact(struct facts *f, const char *format, ...)
{
    va_list args;
    assert_true(f->count < COUNT(f->line));
    va_start(args, format);
    vsnprintf(f->line[f->count++], sizeof f->line[0], format, args);
    va_end(args);
}

static void expected_list(struct facts *f, const struct list *list, const char *key,
                          const json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *entry = json_array_get(value, i);
        const char *text = json_string_value(entry);
        bool category = strcmp(key, "wanted") == 0 || strcmp(key, "unwanted") == 0 ||
                        strcmp(key, "only") == 0 || strcmp(key, "not_understood") == 0;
        if (json_is_integer(entry))
            fact(f, "%s %u", key, list->row[json_integer_value(entry) - 1]);
        else if (category)
            fact(f, "%s %s", key, text);
        else
            fact(f, "%s %u", key, row_named(list->world, text));
    }
    if (json_is_integer(value))
        fact(f, "%s %d", key, (int)json_integer_value(value));
    if (json_is_string(value))
        fact(f, "%s %s", key, json_string_value(value));
}

static void expected(struct facts *f, const struct list *list, const json_t *expect)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)expect, key, value)
        expected_list(f, list, key, value);
}

static void found_years(struct facts *f, const struct wish *wish, const char *prefix)
{
    if (wish->from != YEAR_FIRST)
        fact(f, "%sfrom %d", prefix, wish->from);
    if (wish->to != YEAR_LAST)
        fact(f, "%sto %d", prefix, wish->to);
}

static void found(struct facts *f, const struct list *list, const struct wishes *wishes)
{
    const struct snapshot *s = &list->world->snapshot;
    for (size_t i = 0; i < wishes->count; i++) {
        const struct wish *wish = &wishes->wish[i];
        if (wish->kind <= WISH_UNWANTED)
            fact(f, "%s %s", WISH_NAMES[wish->kind], s->category_names[wish->category]);
        else if (wish->kind == WISH_COUNT)
            fact(f, "n %zu", wish->count);
        else if (wish->kind == WISH_YEARS || wish->kind == WISH_NOT_YEARS)
            found_years(f, wish, wish->kind == WISH_YEARS ? "" : "not_");
        else if (wish->row == NO_ITEM)
            fact(f, "%s all", WISH_NAMES[wish->kind]);
        else
            fact(f, "%s %u", WISH_NAMES[wish->kind], wish->row);
    }
    for (size_t i = 0; i < wishes->unclear_count; i++)
        fact(f, "not_understood %s", wishes->unclear[i].text);
}

static bool is_unclear(const char *fact)
{
    return strncmp(fact, "not_understood ", 15) == 0;
}

/* A phrase is found if what is reported has all its words. */
static bool same_fact(const char *want, const char *got)
{
    char words[160];
    char *rest = NULL;
    if (!is_unclear(want) || !is_unclear(got))
        return strcmp(want, got) == 0;
    snprintf(words, sizeof words, "%s", want + 15);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        if (!strcasestr(got + 15, word))
            return false;
    return true;
}

struct score {
    size_t follow_ups, exact, expected, found, right; /* constraints, reported phrases included */
    size_t unclear, unclear_right, nothing, nothing_right;
};

static size_t matches(const struct facts *want, const struct facts *got)
{
    bool taken[COUNT(got->line)] = {false};
    size_t right = 0;
    for (size_t i = 0; i < want->count; i++)
        for (size_t k = 0; k < got->count; k++)
            if (!taken[k] && same_fact(want->line[i], got->line[k])) {
                taken[k] = true;
                right++;
                break;
            }
    return right;
}

static void print_miss(const json_t *line, const struct facts *want, const struct facts *got)
{
    char *messages = json_dumps(json_object_get(line, "messages"), JSON_COMPACT);
    printf("%s\n   want", messages);
    free(messages);
    for (size_t i = 0; i < want->count; i++)
        printf(" | %s", want->line[i]);
    printf("\n   got ");
    for (size_t i = 0; i < got->count; i++)
        printf(" | %s", got->line[i]);
    printf("\n");
}

static bool score_line(struct score *score, const json_t *line)
{
    static struct wishes wishes;
    struct facts want = {.count = 0};
    struct facts got = {.count = 0};
    struct list list = list_named(json_string_value(json_object_get(line, "under")));
    read_messages(&wishes, &list, json_object_get(line, "messages"));
    expected(&want, &list, json_object_get(line, "expect"));
    found(&got, &list, &wishes);
    size_t right = matches(&want, &got);
    bool exact = right == want.count && right == got.count;
    score->follow_ups++;
    score->exact += exact;
    score->expected += want.count;
    score->found += got.count;
    score->right += right;
    score->nothing += want.count == 0;
    score->nothing_right += want.count == 0 && got.count == 0;
    for (size_t i = 0; i < want.count; i++) {
        struct facts one = {.count = 1};
        if (!is_unclear(want.line[i]))
            continue;
        memcpy(one.line[0], want.line[i], sizeof one.line[0]);
        score->unclear++;
        score->unclear_right += matches(&one, &got);
    }
    if (show && !exact)
        print_miss(line, &want, &got);
    return exact;
}

/* The half of a follow-up: a bit of the FNV-1a hash of what was said. */
static bool kept_aside(const json_t *line)
{
    uint64_t hash = 0xcbf29ce484222325;
    const json_t *messages = json_object_get(line, "messages");
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const char *text = json_string_value(json_array_get(messages, i));
        if (i)
            hash = (hash ^ '\n') * 0x100000001b3;
        for (; *text; text++)
            hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
    }
    return hash >> 32 & 1;
}

static struct score score_half(bool aside)
{
    struct score score = {0};
    size_t at;
    json_t *line;
    bool was = show;
    show = show && !aside;
    json_array_foreach (lines, at, line)
        if (json_object_get(line, "messages") && kept_aside(line) == aside)
            score_line(&score, line);
    show = was;
    printf("%s: %zu follow-ups, %zu of them read exactly; %zu constraints: precision %.3f, recall "
           "%.3f; %zu of %zu unsupported wishes reported; %zu of %zu without a wish gave nothing\n",
           aside ? "kept aside  " : "for building", score.follow_ups, score.exact, score.expected,
           (double)score.right / (double)score.found, (double)score.right / (double)score.expected,
           score.unclear_right, score.unclear, score.nothing_right, score.nothing);
    return score;
}

static void follow_ups_are_understood(void **state)
{
    (void)state;
    struct score built = score_half(false);
    struct score aside = score_half(true);
    assert_true(built.follow_ups + aside.follow_ups >= 340);
    assert_true((double)aside.right >= 0.9 * (double)aside.found);
    assert_true((double)aside.right >= 0.8 * (double)aside.expected);
    assert_true((double)built.right >= 0.95 * (double)built.found);
    assert_true((double)built.right >= 0.95 * (double)built.expected);
    assert_true((double)aside.unclear_right >= 0.85 * (double)aside.unclear);
    assert_true((double)aside.nothing_right >= 0.9 * (double)aside.nothing);
}

/* ---- what follows from wishes ---- */

static void read_text(struct wishes *wishes, const struct list *list, const char *text)
{
    struct wish_turn turn = {text, strlen(text), list->row, list->count};
    wishes_read(wishes, work, list->world->book, &turn, 1, NULL, 0);
}

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
    assert_int_equal(wishes.count, 2); /* said twice, held once */
    assert_true(wishes.wish[0].id == undo);
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
    struct list none = list_named("none");
    (void)state;
    read_text(&wishes, &list, "more like the fifth");
    assert_int_equal(wishes.count, 0);
    assert_int_equal(wishes.unclear_count, 1);
    assert_int_equal(wishes.unclear[0].why, WHY_WHICH);
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

/* `test_wishes read LIST`: reads messages from standard input, a line each, and says what they are.
 */
static void read_lines(void **state)
{
    static struct wishes wishes;
    struct list list = list_named(asked);
    char *line = NULL;
    size_t room = 0;
    (void)state;
    while (getline(&line, &room, stdin) > 0) {
        struct facts got = {.count = 0};
        line[strcspn(line, "\n")] = 0;
        read_text(&wishes, &list, line);
        found(&got, &list, &wishes);
        printf("%s\n     ", line);
        for (size_t i = 0; i < got.count; i++)
            printf(" | %s", got.line[i]);
        printf("\n");
    }
    free(line);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest reading[] = {TEST(read_lines)};
    const struct CMUnitTest tests[] = {
        TEST(follow_ups_are_understood),
        TEST(a_mask_leaves_what_was_wished_for),
        TEST(what_was_shown_stays_away_unless_asked_for),
        TEST(the_weakest_wish_goes_first),
        TEST(an_id_undoes_until_it_is_said_again),
        TEST(clients_are_told_what_was_and_was_not_understood),
        TEST(ranks_that_are_not_there_are_not_understood),
        TEST(hostile_bytes_do_no_harm),
    };
    show = argc > 1 && strcmp(argv[1], "show") == 0;
    asked = argc > 2 && strcmp(argv[1], "read") == 0 ? argv[2] : NULL;
    if (asked)
        return cmocka_run_group_tests(reading, start, stop);
    return cmocka_run_group_tests(tests, start, stop);
}
