/*
 * What users say under a list: the follow-ups of wishes.jsonl, half of them for building and half
 * kept aside, against what is read from them.
 *
 * Of the half kept aside only totals are printed.  `test_follow_ups show` prints what the other
 * half misses, `test_follow_ups read LIST` what lines of standard input are read as under a list.
 */
#include "tests/recommend/worlds.h"

static bool show;
static const char *asked; /* a list to read messages under */

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

/* `test_follow_ups read LIST`: reads messages from standard input, a line each. */
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
    const struct CMUnitTest tests[] = {TEST(follow_ups_are_understood)};
    show = argc > 1 && strcmp(argv[1], "show") == 0;
    asked = argc > 2 && strcmp(argv[1], "read") == 0 ? argv[2] : NULL;
    if (asked)
        return cmocka_run_group_tests(reading, worlds_open, worlds_close);
    return cmocka_run_group_tests(tests, worlds_open, worlds_close);
}
