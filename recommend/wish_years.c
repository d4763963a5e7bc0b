/* wish_years.c: years, decades and what is older or newer. */
#include "recommend/wish_parts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { FILM_YEAR_LEAST = 1870, FILM_YEAR_MOST = 2100, RECENT_YEARS = 5, CLASSIC_AGE = 30 };

struct period {
    int from, to;
};

static bool is_free(const struct wish_work *w, size_t at)
{
    return at < w->words && w->word[at].mention < 0 && w->word[at].kind <= WORD_NUMBER;
}

/* "90s", "1990s", "nineties"; 0: none. */
static int decade_of(const struct wish_work *w, const struct word *word)
{
    static const char *const names[] = {"twenties", "thirties",  "forties",  "fifties",
                                        "sixties",  "seventies", "eighties", "nineties"};
    const char *fold = word->fold;
    size_t digits = strspn(fold, "0123456789");
    if (digits && fold[digits - 1] == '0' && strcmp(fold + digits, "s") == 0) {
        int value = atoi(fold);
        if (digits == 2)
            return value >= 30 ? 1900 + value : 2000 + value;
        return digits == 4 && value >= FILM_YEAR_LEAST && value < FILM_YEAR_MOST ? value : 0;
    }
    if (strcmp(fold, "noughties") == 0)
        return 2000;
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(fold, names[i]) == 0 ||
            (word_class_of(w->book, fold) == UNKNOWN && fold[0] == names[i][0] &&
             fold[1] == names[i][1] && word_distance(fold, names[i], 1) <= 1))
            return 1920 + 10 * (int)i;
    return 0;
}

static bool is_apostrophe_before(const struct wish_work *w, size_t byte)
{
    return (byte > 0 && w->text[byte - 1] == '\'') ||
           (byte > 2 && (memcmp(w->text + byte - 3, "\xe2\x80\x98", 3) == 0 ||
                         memcmp(w->text + byte - 3, "\xe2\x80\x99", 3) == 0));
}

static int year_of(const struct wish_work *w, const struct word *word)
{
    if (word->kind != WORD_NUMBER)
        return 0;
    if (word->value >= FILM_YEAR_LEAST && word->value <= FILM_YEAR_MOST)
        return word->value;
    if (word->to - word->from == 2 && is_apostrophe_before(w, word->from))
        return word->value + (word->value <= w->book->newest % 100 ? 2000 : 1900);
    return 0;
}

static struct period part_of_decade(int decade, const char *part)
{
    if (strcmp(part, "early") == 0)
        return (struct period){decade, decade + 3};
    if (strcmp(part, "mid") == 0)
        return (struct period){decade + 4, decade + 6};
    if (strcmp(part, "late") == 0)
        return (struct period){decade + 7, decade + 9};
    return (struct period){decade, decade + 9};
}

/* "this century", "last ten years", "past decade". */
static size_t read_span(struct period *p, const struct wish_work *w, size_t at)
{
    int newest = w->book->newest;
    bool last = word_is(w, at, "last") || word_is(w, at, "past") || word_is(w, at, "previous");
    if (word_is(w, at + 1, "century") && is_free(w, at + 1)) {
        bool old = last || word_is(w, at, "20th") || word_is(w, at, "twentieth");
        if (!old && !word_is(w, at, "this") && !word_is(w, at, "21st"))
            return at;
        *p = old ? (struct period){YEAR_FIRST, 1999} : (struct period){2000, YEAR_LAST};
        return at + 2;
    }
    if (!last || !is_free(w, at + 1))
        return at;
    if (word_is(w, at + 1, "decade")) {
        *p = (struct period){newest - 9, YEAR_LAST};
        return at + 2;
    }
    int many = w->word[at + 1].value;
    bool couple = word_is(w, at + 1, "couple") || word_is(w, at + 1, "few");
    size_t end = at + 2 + (couple && word_is(w, at + 2, "of"));
    if (couple)
        many = 3;
    if (many < 1 || many > 200 || !is_free(w, end))
        return at;
    if (word_is(w, end, "years"))
        *p = (struct period){newest - many + 1, YEAR_LAST};
    else if (word_is(w, end, "decades"))
        *p = (struct period){newest - 10 * many + 1, YEAR_LAST};
    else
        return at;
    return end + 1;
}

/* A period that begins here; returns where it ends, `at` if there is none. */
static size_t read_period(struct period *p, const struct wish_work *w, size_t at)
{
    size_t i = at;
    if (is_free(w, i) && (word_is(w, i, "the") || word_is(w, i, "year")))
        i++;
    size_t span = read_span(p, w, i);
    if (span > i)
        return span;
    const char *part = "";
    if (word_is(w, i, "early") || word_is(w, i, "mid") || word_is(w, i, "late"))
        part = w->word[i++].fold;
    if (word_is(w, i, "nineteen"))
        i++;
    if (!is_free(w, i))
        return at;
    int decade = decade_of(w, &w->word[i]);
    int year = decade ? 0 : year_of(w, &w->word[i]);
    if (!decade && !year)
        return at;
    *p = decade ? part_of_decade(decade, part) : (struct period){year, year};
    return i + 1;
}

/* What stands before a period: since, before ... ; *first: where it begins. */
static enum word_class read_before(size_t *first, const struct wish_work *w, size_t at)
{
    for (size_t back = 0; back < 4 && at > 0; back++) {
        const struct word *word = &w->word[--at];
        if (word->mention >= 0 || word->kind > WORD_NUMBER)
            return UNKNOWN;
        enum word_class class = word->class;
        if (class == BEFORE || class == AFTER || class == SINCE || class == UNTIL ||
            class == BETWEEN || class == OLDER || class == NEWER) {
            while (at > 0 && w->word[at].span == 0)
                at--;
            *first = at;
            return class;
        }
        if (class != FILLER && class != YEAR_WORD && class != IS)
            return UNKNOWN;
    }
    return UNKNOWN;
}

/* "Not the 80s": another period behind a comma is the one that is wanted. */
static bool is_denied(const struct wish_work *w, size_t at)
{
    for (size_t back = 1; back <= 3 && back <= at; back++) {
        const struct word *word = &w->word[at - back];
        if (word->mention >= 0 || word->kind > WORD_NUMBER)
            return false;
        if (word->class == NO || word->class == NOT)
            return true;
    }
    return false;
}

/* A period that goes on: "80s and 90s", "1990-1995", "late 90s early 2000s", "80s/90s". */
static size_t read_second(struct period *p, const struct wish_work *w, size_t end, bool denied)
{
    struct period more;
    size_t next = end;
    static const char *const joins[] = {"and", "or", "to", "through", "until", "till"};
    if (next >= w->words || (denied && w->word[next].kind == WORD_COMMA))
        return end;
    bool joined = w->word[next].kind == WORD_DASH || w->word[next].kind == WORD_COMMA;
    for (size_t i = 0; i < COUNT(joins); i++)
        joined = joined || word_is(w, next, joins[i]);
    next += joined;
    size_t further = read_period(&more, w, next);
    if (further == next)
        return end;
    if (more.from < p->from)
        p->from = more.from;
    if (more.to > p->to)
        p->to = more.to;
    return further;
}

/* "To now", "till today"; returns how many words. */
static size_t until_now(const struct wish_work *w, size_t at)
{
    static const char *const joins[] = {"to", "till", "until"};
    static const char *const ends[] = {"now", "today", "present", "date", "nowadays"};
    bool joined = w->words > at && w->word[at].kind == WORD_DASH;
    for (size_t i = 0; i < COUNT(joins); i++)
        joined = joined || word_is(w, at, joins[i]);
    size_t end = at + 1 + word_is(w, at + 1, "the");
    for (size_t i = 0; joined && i < COUNT(ends); i++)
        if (word_is(w, end, ends[i]))
            return end + 1 - at;
    return 0;
}

static void mention_period(struct wish_work *w, size_t first, size_t last, struct period p,
                           bool bare)
{
    struct mention *m = mention_add(w, MENTION_YEARS, first, last);
    if (!m)
        return;
    m->from = p.from;
    m->to = p.to;
    m->bare_year = bare;
}

/* One period with its before and after; returns where it ends, `at` if there is none. */
static size_t read_years(struct wish_work *w, size_t at)
{
    struct period p;
    size_t end = read_period(&p, w, at);
    size_t first = at;
    if (end == at)
        return at;
    bool bare = true;
    enum word_class before = read_before(&first, w, at);
    struct period one = p;
    bool denied = is_denied(w, at);
    if (before == UNKNOWN || before == BETWEEN)
        for (size_t further; (further = read_second(&p, w, end, denied)) > end;)
            end = further;
    size_t now = until_now(w, end);
    bool onwards = w->text[w->word[end - 1].to] == '+'; /* 2010+ */
    enum word_class after = now || onwards ? ONWARDS : class_at(w, end);
    if (before == BEFORE || before == OLDER)
        p = (struct period){YEAR_FIRST, one.from - 1};
    else if (before == AFTER || before == NEWER)
        p = (struct period){one.to + 1, YEAR_LAST};
    else if (before == SINCE || after == ONWARDS)
        p = (struct period){one.from, YEAR_LAST};
    else if (before == UNTIL || after == BACKWARDS)
        p = (struct period){YEAR_FIRST, one.to};
    else
        before = UNKNOWN;
    bare = before == UNKNOWN && after != ONWARDS && after != BACKWARDS;
    if (now || onwards)
        end += now;
    else if (end < w->words && (after == ONWARDS || after == BACKWARDS))
        end += w->word[end].span ? w->word[end].span : 1;
    mention_period(w, first, end, p, bare);
    return end;
}

void years_mention(struct wish_work *w)
{
    for (size_t i = 0; i < w->words;) {
        size_t end = is_free(w, i) ? read_years(w, i) : i;
        i = end > i ? end : i + 1;
    }
}

/* ---- older, newer ---- */

static int compare_years(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static size_t years_of(int years[WISH_SHOWN_MAX], const struct wish_work *w, const uint32_t *rows,
                       size_t count)
{
    size_t known = 0;
    for (size_t i = 0; i < count && known < WISH_SHOWN_MAX; i++)
        if (rows[i] < w->book->snapshot->rows && titles_year(w->book->titles, rows[i]))
            years[known++] = titles_year(w->book->titles, rows[i]);
    if (known)
        qsort(years, known, sizeof *years, compare_years);
    return known;
}

/* The items that follow: "than the third", "as Whiplash"; they are used up. */
static struct mention *items_after(struct wish_work *w, size_t at)
{
    for (size_t i = at; i < at + 3 && i < w->words; i++) {
        if (w->word[i].kind > WORD_NUMBER)
            return NULL;
        if (w->word[i].mention >= 0) {
            struct mention *m = &w->mention[w->word[i].mention];
            return m->kind == MENTION_ITEMS || m->kind == MENTION_PRONOUN ? m : NULL;
        }
        if (w->word[i].class != FILLER)
            return NULL;
    }
    return NULL;
}

static void use_up(struct wish_work *w, struct mention *items)
{
    items->dead = true;
    for (size_t i = items->first; i < items->last; i++)
        w->word[i].used = true;
}

/* Years of items that have none, or that are not there. */
static void mention_nothing(struct wish_work *w, size_t at, size_t end)
{
    struct mention *m = mention_add(w, MENTION_YEARS, at, end);
    if (m)
        m->from = m->to = -1;
}

static void relative(struct wish_work *w, size_t at, size_t end, bool older)
{
    int years[WISH_SHOWN_MAX];
    struct period p = {YEAR_FIRST, YEAR_LAST};
    bool than = word_is(w, end, "than");
    struct mention *items = than ? items_after(w, end) : NULL;
    bool those = items && items->kind == MENTION_PRONOUN;
    size_t known = items && !those ? years_of(years, w, w->row + items->row_first, items->row_count)
                                   : years_of(years, w, w->shown, w->shown_count);
    size_t last = items ? items->last : end;
    if (known == 0) {
        mention_nothing(w, at, end);
        return;
    }
    if (older)
        p.to = years[items && !those ? 0 : (known - 1) / 2] - 1;
    else
        p.from = years[items && !those ? known - 1 : known / 2] + 1;
    if (items)
        use_up(w, items);
    mention_period(w, at, items ? end : last, p, false);
    w->mention[w->mentions - 1].relative = true;
    w->mention[w->mentions - 1].turned =
        w->word[at].class == TOO_OLD || w->word[at].class == TOO_NEW;
}

static void same(struct wish_work *w, size_t at, size_t end, int width)
{
    int years[WISH_SHOWN_MAX];
    struct mention *items = items_after(w, end);
    bool named = items && items->kind == MENTION_ITEMS;
    size_t known = named ? years_of(years, w, w->row + items->row_first, items->row_count)
                         : years_of(years, w, w->shown, w->shown_count < 1 ? 0 : 1);
    if (items)
        use_up(w, items);
    if (known == 0) {
        mention_nothing(w, at, end);
        return;
    }
    int from = years[0] / width * width;
    mention_period(w, at, end, (struct period){from, from + width - 1}, true);
}

void relatives_mention(struct wish_work *w)
{
    for (size_t i = 0; i < w->words; i++) {
        const struct word *word = &w->word[i];
        size_t end = i + word->span;
        int newest = w->book->newest;
        if (word->mention >= 0 || !word->span || w->mentions == MENTIONS_MAX)
            continue;
        bool noun = end < w->words && w->word[end].class == UNKNOWN && w->word[end].mention < 0 &&
                    w->word[end].kind == WORD_TEXT && w->word[end].capital;
        if (noun && word->span == 1)
            continue; /* "the latest Batman" */
        if (word->class == OLDER || word->class == TOO_NEW)
            relative(w, i, end, true);
        else if (word->class == NEWER || word->class == TOO_OLD)
            relative(w, i, end, false);
        else if (word->class == SAME_YEAR || word->class == SAME_DECADE)
            same(w, i, end, word->class == SAME_YEAR ? 1 : 10);
        else if (word->class == RECENT)
            mention_period(w, i, end, (struct period){newest - RECENT_YEARS + 1, YEAR_LAST}, true);
        else if (word->class == CLASSIC)
            mention_period(w, i, end, (struct period){YEAR_FIRST, newest - CLASSIC_AGE}, true);
    }
}
