/* wish_categories.c: the catalogue's own categories, found in words. */
#include "recommend/wish_parts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A category's name as stems: "Sci-Fi" is "sci fi", of a path only what is behind the last '>'. */
static uint16_t key_of(char key[FORM_SIZE], const char *name)
{
    uint16_t words = 0;
    size_t used = 0;
    const char *last = strrchr(name, '>');
    const char *at = last ? last + 1 : name;
    key[0] = 0;
    while (*at) {
        size_t size = 0;
        while (at[size] &&
               (isalnum((unsigned char)at[size]) || at[size] == '\'' || (at[size] & 0x80)))
            size++;
        if (size) {
            char fold[FOLD_SIZE];
            char stem[FOLD_SIZE];
            fold_word(fold, at, size);
            stem_word(stem, fold);
            size_t more = strlen(stem);
            if (used + more + 2 > FORM_SIZE || words == FORM_WORDS)
                return 0; /* nobody types that */
            if (used)
                key[used++] = ' ';
            memcpy(key + used, stem, more + 1);
            used += more;
            words++;
        }
        at += size ? size : 1;
    }
    return words;
}

static int compare_forms(const void *a, const void *b)
{
    const struct wish_form *x = a;
    const struct wish_form *y = b;
    int order = strcmp(x->key, y->key);
    if (order)
        return order;
    return x->category < y->category ? -1 : x->category > y->category;
}

static void add_form(struct wish_book *book, const char *key, uint16_t words, uint32_t category)
{
    struct wish_form *form = &book->form[book->forms++];
    *form = (struct wish_form){.category = category, .words = words};
    memcpy(form->key, key, strlen(key) + 1);
}

/* "scifi" for "sci fi". */
static void add_joined(struct wish_book *book, const char *key, uint32_t category)
{
    char joined[FORM_SIZE];
    size_t used = 0;
    for (; *key; key++)
        if (*key != ' ')
            joined[used++] = *key;
    joined[used] = 0;
    if (used < FOLD_SIZE)
        add_form(book, joined, 1, category);
}

bool categories_open(struct wish_book *book, struct err *err)
{
    const struct snapshot *s = book->snapshot;
    size_t room = 2 * s->categories + SYNONYMS_COUNT;
    book->form = calloc(room + 1, sizeof *book->form);
    if (!book->form)
        return err_set(err, ERR_SYSTEM, "no memory for the words of %zu categories", s->categories);
    for (size_t c = 0; c < s->categories; c++) {
        char key[FORM_SIZE];
        uint16_t words = key_of(key, s->category_names[c]);
        if (words)
            add_form(book, key, words, (uint32_t)c);
        if (words > 1)
            add_joined(book, key, (uint32_t)c);
    }
    size_t own = book->forms;
    for (size_t i = 0; i < SYNONYMS_COUNT; i++)
        for (size_t f = 0; f < own; f++)
            if (strcmp(book->form[f].key, SYNONYMS[i].category) == 0) {
                uint16_t words = 1;
                for (const char *c = SYNONYMS[i].words; *c; c++)
                    words = (uint16_t)(words + (*c == ' '));
                add_form(book, SYNONYMS[i].words, words, book->form[f].category);
                break;
            }
    if (book->forms)
        qsort(book->form, book->forms, sizeof *book->form, compare_forms);
    return true;
}

static const struct wish_form *find_form(const struct wish_book *book, const char *key)
{
    size_t low = 0;
    size_t high = book->forms;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(book->form[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < book->forms && strcmp(book->form[low].key, key) == 0 ? &book->form[low] : NULL;
}

bool category_spelled(const struct wish_book *book, const char *fold)
{
    char stem[FOLD_SIZE];
    stem_word(stem, fold);
    return find_form(book, fold) || find_form(book, stem);
}

/* The category of one word: 0 as it is spelled, 1 with a slip, 2 none. */
size_t categories_near(uint32_t *category, const struct wish_book *book, const char *fold)
{
    char stem[FOLD_SIZE];
    stem_word(stem, fold);
    const struct wish_form *form = find_form(book, fold);
    if (!form)
        form = find_form(book, stem);
    if (form) {
        *category = form->category;
        return 0;
    }
    size_t best = 3;
    if (strlen(fold) < 4 || book->forms > FUZZY_FORMS_MAX)
        return 2;
    for (size_t f = 0; f < book->forms; f++) {
        const struct wish_form *known = &book->form[f];
        if (known->words != 1 || strlen(known->key) >= FOLD_SIZE || known->key[0] != fold[0] ||
            !word_near(stem, known->key))
            continue;
        size_t far = word_distance(stem, known->key, 2);
        if (far < best) {
            best = far;
            *category = known->category;
        }
    }
    return best < 3 ? 1 : 2;
}

/* Whether words [at, at + count) spell a form, each word alike or with a slip. */
static bool spells(const struct wish_work *w, size_t at, const struct wish_form *form, bool slips)
{
    const char *key = form->key;
    for (size_t i = 0; i < form->words; i++) {
        char part[FORM_SIZE];
        char stem[FOLD_SIZE];
        size_t size = strcspn(key, " ");
        memcpy(part, key, size);
        part[size] = 0;
        const struct word *word = &w->word[at + i];
        stem_word(stem, word->fold);
        bool same = strcmp(part, stem) == 0 || strcmp(part, word->fold) == 0;
        if (!same &&
            !(slips && size < FOLD_SIZE && word->fold[0] == part[0] && word_near(stem, part)))
            return false;
        key += size + (key[size] == ' ');
    }
    return true;
}

static bool all_free(const struct wish_work *w, size_t at, size_t count)
{
    for (size_t i = at; i < at + count; i++)
        if (i >= w->words || w->word[i].mention >= 0 || w->word[i].kind != WORD_TEXT)
            return false;
    return true;
}

/* A form of several words that begins here, the longest; 0: none. */
static size_t long_form(uint32_t *category, const struct wish_work *w, size_t at)
{
    const struct wish_book *book = w->book;
    char key[FORM_SIZE];
    size_t used = 0;
    size_t best = 0;
    for (size_t count = 1; count <= FORM_WORDS && all_free(w, at, count); count++) {
        char stem[FOLD_SIZE];
        stem_word(stem, w->word[at + count - 1].fold);
        size_t more = strlen(stem);
        if (used + more + 2 > FORM_SIZE)
            break;
        if (used)
            key[used++] = ' ';
        memcpy(key + used, stem, more + 1);
        used += more;
        const struct wish_form *form = count > 1 ? find_form(book, key) : NULL;
        if (form) {
            best = count;
            *category = form->category;
        }
    }
    return best;
}

static size_t long_near(uint32_t *category, const struct wish_work *w, size_t at)
{
    const struct wish_book *book = w->book;
    if (book->forms > FUZZY_FORMS_MAX || strlen(w->word[at].fold) < 2)
        return 0;
    for (size_t f = 0; f < book->forms; f++)
        if (book->form[f].words > 1 && book->form[f].key[0] == w->word[at].fold[0] &&
            all_free(w, at, book->form[f].words) && spells(w, at, &book->form[f], true)) {
            *category = book->form[f].category;
            return book->form[f].words;
        }
    return 0;
}

/* Words that stand for two categories at once: both must hold. */
static const struct {
    const char *words[2], *category[2];
} PAIRS[] = {{{"rom", "com"}, {"romance", "comedy"}},
             {{"romcom", NULL}, {"romance", "comedy"}},
             {{"dramedy", NULL}, {"comedy", "drama"}}};

static void mention_category(struct wish_work *w, size_t first, size_t last, uint32_t category)
{
    char stem[FOLD_SIZE];
    struct mention *m = mention_add(w, MENTION_CATEGORY, first, last);
    if (!m)
        return;
    m->category = category;
    stem_word(stem, w->word[last - 1].fold);
    m->plural = strcmp(stem, w->word[last - 1].fold) != 0;
}

/* One word is both: the second mention stands at the same word, and has it. */
static size_t mention_pair(struct wish_work *w, size_t at)
{
    char stem[FOLD_SIZE];
    for (size_t p = 0; p < COUNT(PAIRS); p++) {
        size_t count = PAIRS[p].words[1] ? 2 : 1;
        const struct wish_form *one = find_form(w->book, PAIRS[p].category[0]);
        const struct wish_form *two = find_form(w->book, PAIRS[p].category[1]);
        if (!one || !two || !all_free(w, at, count))
            continue;
        stem_word(stem, w->word[at + count - 1].fold);
        if (strcmp(stem, PAIRS[p].words[count - 1]) != 0 ||
            (count == 2 && !word_is(w, at, PAIRS[p].words[0])))
            continue;
        mention_category(w, at, at + count, one->category);
        mention_category(w, at, at + count, two->category);
        return count;
    }
    return 0;
}

void categories_mention(struct wish_work *w)
{
    size_t tries = 0;
    for (size_t i = 0; i < w->words;) {
        uint32_t category = 0;
        size_t count = 0;
        if (all_free(w, i, 1) && w->book->forms) {
            count = long_form(&category, w, i);
            if (!count && !category_spelled(w->book, w->word[i].fold))
                count = long_near(&category, w, i);
            enum word_class class = word_class_of(w->book, w->word[i].fold);
            bool known =
                (class != UNKNOWN && class < PEOPLE) || w->word[i].value >= 0 || w->word[i].rank;
            bool exact = false;
            if (!count && !known)
                exact = category_spelled(w->book, w->word[i].fold);
            if (!count && !known && (exact || (class == UNKNOWN && tries++ < FUZZY_MAX)))
                count = categories_near(&category, w->book, w->word[i].fold) < 2;
        }
        if (count)
            mention_category(w, i, i + count, category);
        else
            count = mention_pair(w, i);
        i += count ? count : 1;
    }
}
