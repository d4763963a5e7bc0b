/* wish_titles.c: items that a message names by their titles. */
#include "recommend/wish_parts.h"

#include <ctype.h>
#include <string.h>

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
    return numbers_hold(w->shown, w->shown_count, row);
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
        bool plural = word_is(w, i + 1, "movies") || word_is(w, i + 1, "films") ||
                      word_is(w, i + 1, "type") || word_is(w, i + 1, "types");
        if (is_common(w, i) || !(capital || (expects_name(w, i) && !plural)))
            continue; /* "hero type films" are not "Hero" */
        uint32_t row = titles_named(titles, w->text + word->from, word->to - word->from);
        if (row != NO_ITEM && row < w->book->snapshot->rows)
            mention_row(w, i, i + 1, row);
    }
}
