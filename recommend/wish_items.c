/* wish_items.c: items that a message speaks of, by title or by rank, and how many are wanted. */
#include "recommend/wish_parts.h"

#include <ctype.h>
#include <string.h>

/* ---- titles ---- */

/* The word that holds this byte or the next one behind it. */
static size_t word_from(const struct wish_work *w, size_t byte)
{
    size_t low = 0;
    size_t high = w->words;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w->word[middle].to <= byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Something that makes a name likely stands before: seen, like, than ... */
static bool expects_name(const struct wish_work *w, size_t at)
{
    static const char *const before[] = {
        "like",     "seen",  "saw",    "watched", "loved", "love",   "hate",  "hated", "enjoyed",
        "disliked", "liked", "than",   "to",      "of",    "adore",  "stand", "know",  "repeat",
        "remove",   "drop",  "except", "about",   "show",  "unlike", "as",    "are",   "and",
        "or",       "both",  "again",  "but",     "tried", "not"};
    while (at > 0 && (word_is(w, at - 1, "the") || word_is(w, at - 1, "a")))
        at--;
    if (at == 0)
        return false;
    const struct word *word = &w->word[at - 1];
    bool joins =
        strcmp(word->fold, "and") == 0 || strcmp(word->fold, "or") == 0 || word->kind == WORD_COMMA;
    if (joins)
        return at > 1 && w->word[at - 2].mention >= 0;
    for (size_t i = 0; i < COUNT(before); i++)
        if (strcmp(word->fold, before[i]) == 0)
            return true;
    return false;
}

static bool starts_sentence(const struct wish_work *w, size_t at)
{
    return at == 0 || w->word[at - 1].kind == WORD_STOP || w->word[at - 1].kind == WORD_COMMA;
}

/* A word that talk is made of, or a category: no title unless it is written as one. */
static bool is_common(const struct wish_work *w, size_t at)
{
    const struct word *word = &w->word[at];
    enum word_class class = word_class_of(w->book, word->fold);
    return (class != UNKNOWN && class < PEOPLE) || word->rank || word->value >= 0 ||
           category_spelled(w->book, word->fold);
}

static struct mention *mention_row(struct wish_work *w, size_t first, size_t last, uint32_t row)
{
    struct mention *m = w->rows < MENTION_ROWS ? mention_add(w, MENTION_ITEMS, first, last) : NULL;
    if (m) {
        m->row_first = w->rows;
        m->row_count = 1;
        w->row[w->rows++] = row;
    }
    return m;
}

static bool has_year(const struct wish_work *w, const struct title_hit *hit)
{
    size_t digits = 0;
    for (size_t i = hit->to; i > hit->from && hit->to - i < 6; i--)
        digits += isdigit((unsigned char)w->text[i - 1]) != 0;
    return digits >= 4;
}

static bool in_quotes(const struct wish_work *w, const struct title_hit *hit)
{
    if (hit->from == 0)
        return false;
    unsigned char before = (unsigned char)w->text[hit->from - 1];
    return before == '"' || before == '\'' || before == '*' || before == '_' || before >= 0x80;
}

static bool is_shown(const struct wish_work *w, uint32_t row)
{
    for (size_t i = 0; i < w->shown_count; i++)
        if (w->shown[i] == row)
            return true;
    return false;
}

static bool is_meant(const struct wish_work *w, const struct title_hit *hit, size_t first,
                     size_t last)
{
    size_t common = 0;
    for (size_t i = first; i < last; i++) {
        if (w->word[i].mention >= 0)
            return false;
        common += is_common(w, i) || w->word[i].kind > WORD_NUMBER;
    }
    if (has_year(w, hit) || in_quotes(w, hit) || hit->cased)
        return true;
    if (common == last - first)
        return expects_name(w, first) && is_shown(w, hit->row) && last - first > 1;
    return expects_name(w, first) || is_shown(w, hit->row);
}

/* "Heat (1995)" at these words: the name of a shown row, without a leading article; its words. */
static size_t spells_row(const struct wish_work *w, size_t at, uint32_t row)
{
    const char *name = titles_name(w->book->titles, row);
    const char *end = strrchr(name, '(');
    size_t count = 0;
    bool begun = false;
    if (!end || end == name)
        end = name + strlen(name);
    for (const char *c = name; c < end;) {
        size_t size = 0;
        char fold[FOLD_SIZE];
        while (c + size < end &&
               (isalnum((unsigned char)c[size]) || c[size] == '\'' || (c[size] & 0x80)))
            size++;
        fold_word(fold, c, size);
        bool article = !begun && (strcmp(fold, "the") == 0 || strcmp(fold, "a") == 0);
        if (size && !article) {
            if (!word_is(w, at + count, fold) || w->word[at + count].mention >= 0)
                return 0;
            count++;
        }
        begun = begun || size;
        c += size ? size : 1;
    }
    return count;
}

static bool names_shown(struct wish_work *w, size_t at)
{
    for (size_t r = 0; r < w->shown_count; r++) {
        size_t count = spells_row(w, at, w->shown[r]);
        bool capital = w->word[at].capital && (!starts_sentence(w, at) || !is_common(w, at));
        if (count == 0 || (count == 1 && strlen(w->word[at].fold) < 3))
            continue;
        bool common = true;
        for (size_t i = 0; i < count; i++)
            common = common && is_common(w, at + i);
        if (capital ||
            (!common && (count > 1 || expects_name(w, at) || strlen(w->word[at].fold) > 4)))
            return mention_row(w, at, at + count, w->shown[r]) != NULL;
    }
    return false;
}

void titles_mention(struct wish_work *w)
{
    const struct titles *titles = w->book->titles;
    size_t hits = titles_loose(w->hit, COUNT(w->hit), titles, w->text);
    for (size_t h = 0; h < hits; h++) {
        size_t first = word_from(w, w->hit[h].from);
        size_t last = word_from(w, w->hit[h].to);
        while (last < w->words && w->word[last].from < w->hit[h].to)
            last++;
        if (last > first && w->hit[h].row < w->book->snapshot->rows &&
            is_meant(w, &w->hit[h], first, last))
            mention_row(w, first, last, w->hit[h].row);
    }
    for (size_t i = 0; i < w->words; i++) {
        struct word *word = &w->word[i];
        if (word->mention >= 0 || word->kind != WORD_TEXT || names_shown(w, i))
            continue;
        bool capital = word->capital && !starts_sentence(w, i);
        if (is_common(w, i) || !(capital || expects_name(w, i)))
            continue;
        uint32_t row = titles_named(titles, w->text + word->from, word->to - word->from);
        if (row != NO_ITEM && row < w->book->snapshot->rows)
            mention_row(w, i, i + 1, row);
    }
}

/* ---- ranks ---- */

struct ranks {
    int rank[WISH_SHOWN_MAX]; /* from 1 */
    size_t count;
    bool outside; /* the list has no such rank */
};

static void add_rank(struct ranks *r, const struct wish_work *w, int rank)
{
    int shown = (int)w->shown_count;
    if (rank < 0)
        rank += shown + 1;
    if (rank < 1 || rank > shown || r->count == WISH_SHOWN_MAX)
        r->outside = true;
    else
        r->rank[r->count++] = rank;
}

static bool is_free(const struct wish_work *w, size_t at)
{
    return at < w->words && w->word[at].mention < 0;
}

static bool is_noun_of_rank(const struct wish_work *w, size_t at)
{
    static const char *const nouns[] = {"number", "numbers", "no",   "nr",   "nos",
                                        "rank",   "option",  "item", "items"};
    for (size_t i = 0; i < COUNT(nouns); i++)
        if (word_is(w, at, nouns[i]))
            return true;
    return at < w->words && w->word[at].kind == WORD_HASH;
}

static size_t past_articles(const struct wish_work *w, size_t at)
{
    while (word_is(w, at, "the") || word_is(w, at, "and") || word_is(w, at, "or"))
        at++;
    return at;
}

/* Numbers from `at`: "1, 2 and 4", "2 through 5", "1-3". */
static size_t read_numbers(struct ranks *r, const struct wish_work *w, size_t at)
{
    int last = 0;
    for (size_t next = at;;) {
        if (is_noun_of_rank(w, next))
            next++;
        if (!is_free(w, next) || w->word[next].value < 1 || w->word[next].value > 999)
            return at;
        bool through =
            last && at > 0 && next == at + 1 &&
            (w->word[at].kind == WORD_DASH || word_is(w, at, "to") || word_is(w, at, "through"));
        for (int k = last + 1; through && k < w->word[next].value && k < 1000; k++)
            add_rank(r, w, k);
        last = w->word[next].value;
        add_rank(r, w, last);
        at = next + 1;
        if (at >= w->words)
            return at;
        bool joins = w->word[at].kind == WORD_DASH || w->word[at].kind == WORD_COMMA ||
                     word_is(w, at, "to") || word_is(w, at, "through") || word_is(w, at, "and") ||
                     word_is(w, at, "or");
        if (!joins)
            return at;
        next = past_articles(w, at + 1);
    }
}

/* What "first", "last" may stand before without being a rank. */
static bool is_time(const struct wish_work *w, size_t at)
{
    static const char *const times[] = {"week",   "night",   "year",  "years",  "time",
                                        "month",  "century", "world", "decade", "decades",
                                        "summer", "half",    "season"};
    for (size_t i = 0; i < COUNT(times); i++)
        if (word_is(w, at, times[i]))
            return true;
    return false;
}

/* One ordinal with what belongs to it; returns where it ends, `at` if there is none. */
static size_t read_ordinal(struct ranks *r, const struct wish_work *w, size_t at)
{
    size_t i = at;
    if (word_is(w, i, "the"))
        i++;
    if (word_is(w, i, "very"))
        i++;
    if (word_is(w, i, "middle") && is_free(w, i)) {
        add_rank(r, w, (int)(w->shown_count + 1) / 2);
        return i + 1;
    }
    if (!is_free(w, i) || w->word[i].rank == 0 || is_time(w, i + 1))
        return at;
    int rank = w->word[i].rank;
    bool to_last =
        (word_is(w, i + 1, "to") && word_is(w, i + 2, "last")) || word_is(w, i + 1, "last");
    if (rank > 0 && to_last) {
        add_rank(r, w, -rank);
        return i + (word_is(w, i + 1, "to") ? 3 : 2);
    }
    if (rank == -1 && word_is(w, i + 1, "but") && word_is(w, i + 2, "one")) {
        add_rank(r, w, -2);
        return i + 3;
    }
    int many = i + 1 < w->words ? w->word[i + 1].value : -1;
    bool several =
        (rank == 1 || rank == -1) && many > 1 && many <= WISH_SHOWN_MAX && !is_time(w, i + 2);
    if (several && word_is(w, i, "top") && i == at)
        return at; /* "top five": how many */
    for (int k = 0; several && k < many; k++)
        add_rank(r, w, rank == 1 ? k + 1 : k - many);
    if (!several)
        add_rank(r, w, rank);
    return i + 1 + several;
}

static size_t read_ordinals(struct ranks *r, const struct wish_work *w, size_t at)
{
    size_t end = read_ordinal(r, w, at);
    while (end > at && end < w->words) {
        size_t next = end;
        if (word_is(w, next, "one") || word_is(w, next, "ones"))
            next++;
        if (next >= w->words || !(w->word[next].kind == WORD_COMMA || word_is(w, next, "and") ||
                                  word_is(w, next, "or")))
            return next;
        next += w->word[next].kind == WORD_COMMA && word_is(w, next + 1, "and") ? 2 : 1;
        size_t further = read_ordinal(r, w, next);
        if (further == next)
            return end;
        end = further;
    }
    return end;
}

/* Bare numbers are ranks behind "seen", "like", "drop", "all but". */
static bool takes_numbers(const struct wish_work *w, size_t at)
{
    if (w->word[at].kind != WORD_NUMBER || at == 0)
        return false;
    enum word_class class = w->word[at - 1].class;
    return class == SEEN || class == LIKE || class == HATE || class == LOVE || class == REMOVE ||
           class == EXCEPT || class == AGAIN;
}

static size_t read_ranks(struct ranks *r, const struct wish_work *w, size_t at)
{
    r->count = 0;
    r->outside = false;
    if (is_noun_of_rank(w, at) || takes_numbers(w, at)) {
        size_t end = read_numbers(r, w, at);
        if (end > at)
            return end;
    }
    return read_ordinals(r, w, at);
}

static void mention_ranks(struct wish_work *w, const struct ranks *r, size_t first, size_t last,
                          bool except)
{
    struct mention *m = w->rows + WISH_SHOWN_MAX <= MENTION_ROWS
                            ? mention_add(w, MENTION_ITEMS, first, last)
                            : NULL;
    if (!m)
        return;
    m->ranked = true;
    m->except = except;
    m->row_first = w->rows;
    for (size_t i = 0; i < r->count; i++)
        w->row[w->rows++] = w->shown[r->rank[i] - 1];
    m->row_count = w->rows - m->row_first;
}

static void mention_all(struct wish_work *w, size_t first, size_t last)
{
    struct ranks r = {.count = 0};
    for (size_t i = 0; i < w->shown_count && i < WISH_SHOWN_MAX; i++)
        add_rank(&r, w, (int)i + 1);
    mention_ranks(w, &r, first, last, false);
}

/* "all of them except Saw and Heat" */
static bool except_title(struct wish_work *w, size_t first, size_t at)
{
    if (at >= w->words || w->word[at].mention < 0)
        return false;
    struct mention *m = &w->mention[w->word[at].mention];
    if (m->kind != MENTION_ITEMS || w->word[at].mention + 1 > (int)w->mentions)
        return false;
    m->except = true;
    m->first = first;
    for (size_t i = first; i < at; i++)
        w->word[i].mention = w->word[at].mention;
    return true;
}

/* "those kinds of films", "those blades" are not the ones on the list. */
static bool is_kind(const struct wish_work *w, size_t at)
{
    bool noun = at < w->words && w->word[at].class == UNKNOWN && w->word[at].mention < 0 &&
                w->word[at].kind == WORD_TEXT && w->word[at].value < 0 && !w->word[at].rank;
    return (noun && w->word[at - 1].span == 1 && strncmp(w->word[at - 1].fold, "th", 2) == 0) ||
           word_is(w, at, "kind") || word_is(w, at, "kinds") || word_is(w, at, "type") ||
           word_is(w, at, "types") || word_is(w, at, "sort") || word_is(w, at, "sorts");
}

void items_mention(struct wish_work *w)
{
    for (size_t i = 0; i < w->words;) {
        struct ranks r;
        struct word *word = &w->word[i];
        size_t span = word->span ? word->span : 1;
        size_t end;
        if (word->mention >= 0) {
            i++;
            continue;
        }
        bool but = word->class == EXCEPT || (word->class == NO && word_is(w, i, "everything"));
        if (but && word->span) {
            if (except_title(w, i, i + span)) {
                i += span + 1;
                continue;
            }
            end = read_ranks(&r, w, i + span);
            if (end > i + span) {
                mention_ranks(w, &r, i, end, true);
                i = end;
                continue;
            }
        }
        end = read_ranks(&r, w, i);
        if (end > i) {
            mention_ranks(w, &r, i, end, false);
        } else if (word->class == ALL && word->span) {
            end = i + span;
            mention_all(w, i, end);
        } else if (word->class == PRONOUN && word->span && !is_kind(w, i + span)) {
            end = i + span;
            struct mention *m = mention_add(w, MENTION_PRONOUN, i, end);
            if (m)
                m->plural = strncmp(word->fold, "th", 2) == 0 && strchr("eo", word->fold[2]) &&
                            word->fold[2] && strcmp(word->fold, "the") != 0;
        }
        i = end > i ? end : i + 1;
    }
}

/* ---- how many ---- */

static int count_value(const struct wish_work *w, size_t at)
{
    if (word_is(w, at, "dozen"))
        return 12;
    if (word_is(w, at, "couple"))
        return 2;
    if (word_is(w, at, "single"))
        return 1;
    return w->word[at].value;
}

static bool before_count(const struct wish_work *w, size_t at)
{
    static const char *const words[] = {"top",  "list", "most", "exactly", "another", "least",
                                        "pick", "give", "show", "your",    "these",   "me",
                                        "than", "want", "need", "like",    "other",   "some"};
    while (at > 0 && (word_is(w, at - 1, "a") || word_is(w, at - 1, "the")))
        at--;
    if (at == 0 || w->word[at - 1].kind > WORD_NUMBER || w->word[at - 1].class == WANT ||
        w->word[at - 1].class == ONLY || w->word[at - 1].class == BUT ||
        w->word[at - 1].class == OTHER)
        return true;
    for (size_t i = 0; i < COUNT(words); i++)
        if (word_is(w, at - 1, words[i]))
            return true;
    return false;
}

static bool after_count(const struct wish_work *w, size_t at)
{
    static const char *const nouns[] = {
        "more",  "suggestions",    "recommendations", "suggestion", "options", "results",
        "picks", "recommendation", "please",          "of",         "choices", "good",
        "great", "other",          "different",       "ideas",      "new",     "this"};
    if (at >= w->words || w->word[at].kind > WORD_NUMBER || w->word[at].class == FILM ||
        w->word[at].class == LIKE || w->word[at].class == RECENT || w->word[at].class == CLASSIC ||
        w->word[at].class == MORE)
        return true;
    if (w->word[at].mention >= 0) {
        enum mention_kind kind = w->mention[w->word[at].mention].kind;
        return kind == MENTION_CATEGORY || kind == MENTION_YEARS;
    }
    for (size_t i = 0; i < COUNT(nouns); i++)
        if (word_is(w, at, nouns[i]))
            return true;
    if (word_is(w, at, "for") || word_is(w, at, "from"))
        return true;
    return false;
}

static bool is_count(const struct wish_work *w, size_t at)
{
    int value = count_value(w, at);
    if (value < 1 || !before_count(w, at) || !after_count(w, at + 1))
        return false;
    bool bare = at == 0 || w->word[at - 1].kind > WORD_NUMBER || w->word[at - 1].class == OTHER ||
                w->word[at - 1].class == BUT;
    bool at_end = at + 1 >= w->words || w->word[at + 1].kind > WORD_NUMBER;
    if (bare && (at_end || word_is(w, at + 1, "for") || word_is(w, at + 1, "of")) &&
        !word_is(w, at, "couple"))
        return false;
    if (word_is(w, at, "one"))
        return word_is(w, at + 1, "more") ||
               (at > 0 && (word_is(w, at - 1, "just") || word_is(w, at - 1, "only") ||
                           word_is(w, at - 1, "pick") || word_is(w, at - 1, "exactly")));
    return true;
}

void counts_mention(struct wish_work *w)
{
    for (size_t i = 0; i < w->words; i++) {
        struct word *word = &w->word[i];
        if (word->mention >= 0 || word->kind > WORD_NUMBER || !is_count(w, i))
            continue;
        struct mention *m = mention_add(w, MENTION_COUNT, i, i + 1);
        if (m)
            m->count = (size_t)count_value(w, i);
    }
}
