/* wish_ranks.c: items by their rank on the list, pronouns, and how many are wanted. */
#include "recommend/wish_parts.h"

#include <string.h>

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
    m->outside = r->outside;
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
