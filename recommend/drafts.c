#include "recommend/drafts.h"

#include "recommend/folding.h"
#include "recommend/running_text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

size_t draft_words(const char *bytes, size_t size)
{
    const char *end = size ? bytes + size : bytes;
    const char *word;
    size_t length;
    size_t words = 0;
    for (const char *at = bytes; word_next(&word, &length, &at, end);)
        words += strspn(word, "'") < length; /* a quote mark alone is no word */
    return words;
}

/* ---- what is written like a name ---- */

/* Bytes of an opening or closing double quote at a place; 0: none. */
static size_t quote_size(const char *at, const char *end)
{
    static const char *const quotes[] = {"\"", "\xe2\x80\x9c", "\xe2\x80\x9d", "\xe2\x80\x9e"};
    for (size_t i = 0; i < COUNT(quotes); i++) {
        size_t size = strlen(quotes[i]);
        if ((size_t)(end - at) >= size && memcmp(at, quotes[i], size) == 0)
            return size;
    }
    return 0;
}

/* Capital words, at most ten of them; between them words that titles do not write large. */
static bool is_capitalised(const char *from, const char *to)
{
    const char *word;
    size_t size;
    size_t words = 0;
    for (const char *at = from; word_next(&word, &size, &at, to); words++) {
        bool capital =
            isupper((unsigned char)*word) || isdigit((unsigned char)*word) || (*word & 0x80) != 0;
        if (!capital && (words == 0 || !word_is_joining(word, size)))
            return false;
    }
    return words > 0 && words <= 10;
}

/* "(1999)" at a place. */
static bool is_year(const char *at, const char *end)
{
    if (end - at < 6 || at[0] != '(' || at[5] != ')')
        return false;
    for (size_t i = 1; i < 5; i++)
        if (!isdigit((unsigned char)at[i]))
            return false;
    return memcmp(at + 1, "19", 2) == 0 || memcmp(at + 1, "20", 2) == 0 ||
           memcmp(at + 1, "18", 2) == 0;
}

/* Where the words before a year begin: capital ones, and short ones between them. */
static size_t name_before(const char *draft, size_t year)
{
    size_t from = year;
    size_t at = year;
    for (size_t words = 0; words < 10 && at > 0; words++) {
        size_t end = at;
        while (end > 0 && draft[end - 1] == ' ')
            end--;
        size_t begin = end;
        while (begin > 0 && (word_has(draft[begin - 1]) || draft[begin - 1] == '-'))
            begin--;
        if (begin == end)
            break;
        bool capital = isupper((unsigned char)draft[begin]) || isdigit((unsigned char)draft[begin]);
        if (!capital && !word_is_joining(draft + begin, end - begin))
            break;
        at = begin;
        from = capital ? begin : from;
    }
    return from;
}

/* ---- a draft ---- */

struct looking {
    const char *draft;
    struct title_hit listed[DRAFT_HITS_MAX], hits[DRAFT_HITS_MAX];
    size_t listed_count, hit_count;
    struct false_name *names;
    size_t most, count;
};

static bool within(const struct title_hit *hits, size_t count, size_t from, size_t to)
{
    for (size_t i = 0; i < count; i++)
        if (from >= hits[i].from && to <= hits[i].to)
            return true;
    return false;
}

static void add_false(struct looking *l, size_t from, size_t to, uint32_t row)
{
    if (l->count < l->most)
        l->names[l->count++] = (struct false_name){from, to, row};
}

static void look_for_titles(struct looking *l, const uint32_t *rows, size_t count)
{
    for (size_t i = 0; i < l->hit_count; i++) {
        const struct title_hit *hit = &l->hits[i];
        if (numbers_hold(rows, count, hit->row) ||
            within(l->listed, l->listed_count, hit->from, hit->to) || hit->running)
            continue;
        add_false(l, hit->from, hit->to, hit->row);
    }
}

static bool is_known(const struct looking *l, size_t from, size_t to)
{
    return within(l->listed, l->listed_count, from, to) || within(l->hits, l->hit_count, from, to);
}

static void look_for_years(struct looking *l)
{
    size_t size = strlen(l->draft);
    for (size_t at = 0; at + 6 <= size; at++)
        if (is_year(l->draft + at, l->draft + size) && !is_known(l, at, at + 6))
            add_false(l, name_before(l->draft, at), at + 6, NO_ITEM);
}

static void look_for_quotes(struct looking *l)
{
    const char *end = l->draft + strlen(l->draft);
    const char *open = NULL;
    for (const char *at = l->draft; at < end; at++) {
        size_t quote = quote_size(at, end);
        if (!quote)
            continue;
        const char *to = at;
        while (open && to > open && strchr(" ,.!?", to[-1]))
            to--;
        if (open && to > open && is_capitalised(open, to) &&
            !is_known(l, (size_t)(open - l->draft), (size_t)(to - l->draft)))
            add_false(l, (size_t)(open - l->draft), (size_t)(to - l->draft), NO_ITEM);
        open = open ? NULL : at + quote;
        at += quote - 1;
    }
}

/* A listed name with another year in brackets names something else. */
static void drop_other_years(struct looking *l, const struct titles *titles)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->listed_count; i++) {
        const struct title_hit *hit = &l->listed[i];
        int year = titles_year(titles, hit->row);
        const char *bracket = l->draft + hit->to - 6;
        bool other = year && hit->to - hit->from > 6 && is_year(bracket, bracket + 6) &&
                     (int)strtol(bracket + 1, NULL, 10) != year;
        if (!other)
            l->listed[kept++] = *hit;
    }
    l->listed_count = kept;
}

size_t draft_false_names(struct false_name *names, size_t most, const struct titles *titles,
                         const char *draft, const uint32_t *rows, size_t count)
{
    struct looking l = {.draft = draft, .names = names, .most = most};
    l.listed_count = titles_among(l.listed, DRAFT_HITS_MAX, titles, draft, rows, count);
    drop_other_years(&l, titles);
    l.hit_count = titles_loose(l.hits, DRAFT_HITS_MAX, titles, draft);
    look_for_titles(&l, rows, count);
    look_for_years(&l);
    look_for_quotes(&l);
    return l.count;
}
