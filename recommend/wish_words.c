/* wish_words.c: a message as words, and what each of them does. */
#include "recommend/wish_parts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- bytes to words ---- */

/* Copies what is UTF-8 and no control character; the rest becomes spaces. */
static void take_text(struct wish_work *w, const char *text, size_t size)
{
    size_t at = 0;
    w->size = 0;
    while (at < size) {
        utf8proc_int32_t code;
        utf8proc_ssize_t bytes = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
                                                  (utf8proc_ssize_t)(size - at), &code);
        size_t step = bytes > 0 ? (size_t)bytes : 1;
        bool fine = bytes > 0 && (code == '\n' || (code >= ' ' && code != 127));
        if (w->size + step > WISH_BYTES)
            break;
        if (fine)
            memcpy(w->text + w->size, text + at, step);
        else
            memset(w->text + w->size, ' ', step);
        w->size += step;
        at += step;
    }
    w->text[w->size] = 0;
}

static bool is_apostrophe(utf8proc_int32_t code)
{
    return code == '\'' || code == 0x2019 || code == 0x2018 || code == '`' || code == 0xb4;
}

static bool is_letter(utf8proc_int32_t code)
{
    if (code < 128)
        return isalnum((int)code) != 0;
    utf8proc_category_t kind = utf8proc_category(code);
    return (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_NO);
}

static utf8proc_int32_t code_at(size_t *step, const struct wish_work *w, size_t at)
{
    utf8proc_int32_t code = 0;
    *step = 1;
    if (at >= w->size)
        return 0;
    utf8proc_ssize_t bytes = utf8proc_iterate((const utf8proc_uint8_t *)w->text + at,
                                              (utf8proc_ssize_t)(w->size - at), &code);
    if (bytes > 0)
        *step = (size_t)bytes;
    return bytes > 0 ? code : ' ';
}

size_t fold_word(char fold[FOLD_SIZE], const char *bytes, size_t size)
{
    size_t used = 0;
    size_t at = 0;
    while (at < size) {
        utf8proc_int32_t code;
        utf8proc_int32_t parts[8];
        int class = 0;
        utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)bytes + at,
                                                 (utf8proc_ssize_t)(size - at), &code);
        if (step <= 0)
            break;
        at += (size_t)step;
        if (is_apostrophe(code))
            continue;
        utf8proc_ssize_t count =
            utf8proc_decompose_char(code, parts, COUNT(parts),
                                    (utf8proc_option_t)(UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD |
                                                        UTF8PROC_STRIPMARK | UTF8PROC_COMPAT),
                                    &class);
        for (utf8proc_ssize_t i = 0; i < count && i < (utf8proc_ssize_t)COUNT(parts); i++) {
            utf8proc_uint8_t out[4];
            utf8proc_ssize_t more = utf8proc_encode_char(parts[i], out);
            if (used + (size_t)more >= FOLD_SIZE)
                break;
            memcpy(fold + used, out, (size_t)more);
            used += (size_t)more;
        }
    }
    fold[used] = 0;
    return used;
}

static struct word *add_word(struct wish_work *w, size_t from, size_t to, enum word_kind kind)
{
    if (w->words == WORDS_MAX)
        return NULL;
    struct word *word = &w->word[w->words++];
    *word = (struct word){.from = (uint32_t)from,
                          .to = (uint32_t)to,
                          .kind = kind,
                          .span = 1,
                          .mention = -1,
                          .value = -1};
    return word;
}

static int small_number(const char *fold)
{
    static const char *const names[] = {
        "zero",     "one",     "two",     "three",     "four",     "five",     "six",
        "seven",    "eight",   "nine",    "ten",       "eleven",   "twelve",   "thirteen",
        "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(fold, names[i]) == 0)
            return (int)i;
    if (strcmp(fold, "thirty") == 0)
        return 30;
    return strcmp(fold, "fifty") == 0 ? 50 : -1;
}

static int small_rank(const char *fold)
{
    static const char *const names[] = {"first", "second", "third",    "fourth",
                                        "fifth", "sixth",  "seventh",  "eighth",
                                        "ninth", "tenth",  "eleventh", "twelfth"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(fold, names[i]) == 0)
            return (int)i + 1;
    if (strcmp(fold, "last") == 0 || strcmp(fold, "bottom") == 0)
        return -1;
    if (strcmp(fold, "top") == 0)
        return 1;
    char *end;
    long value = isdigit((unsigned char)*fold) ? strtol(fold, &end, 10) : 0;
    if (value > 0 && value < 1000 &&
        (strcmp(end, "st") == 0 || strcmp(end, "nd") == 0 || strcmp(end, "rd") == 0 ||
         strcmp(end, "th") == 0))
        return (int)value;
    return 0;
}

static void fill_word(struct wish_work *w, struct word *word)
{
    size_t size = fold_word(word->fold, w->text + word->from, word->to - word->from);
    utf8proc_int32_t code;
    utf8proc_iterate((const utf8proc_uint8_t *)w->text + word->from, 4, &code);
    word->capital = utf8proc_category(code) == UTF8PROC_CATEGORY_LU;
    if (size && strspn(word->fold, "0123456789") == size) {
        word->kind = WORD_NUMBER;
        word->value = size <= 6 ? atoi(word->fold) : 999999;
        return;
    }
    word->value = small_number(word->fold);
    word->rank = small_rank(word->fold);
}

/* One word or sign from `at`; returns where it ends. */
static size_t read_one(struct wish_work *w, size_t at)
{
    size_t step;
    size_t end = at;
    utf8proc_int32_t code = code_at(&step, w, at);
    if (is_letter(code)) {
        while (is_letter(code) || is_apostrophe(code)) {
            size_t next_step;
            if (is_apostrophe(code) && !is_letter(code_at(&next_step, w, end + step)))
                break;
            end += step;
            code = code_at(&step, w, end);
        }
        struct word *word = add_word(w, at, end, WORD_TEXT);
        if (word)
            fill_word(w, word);
        return end;
    }
    end = at + step;
    bool digit_after = isdigit((unsigned char)w->text[end]) != 0;
    bool digit_before = at > 0 && isdigit((unsigned char)w->text[at - 1]);
    bool space_after = w->text[end] == ' ' || w->text[end] == 0;
    bool space_before = at == 0 || w->text[at - 1] == ' ';
    if (code == '.' || code == '!' || code == '?' || code == ';' || code == '\n' ||
        code == 0x2026) {
        bool inside = code == ';' && at > 0 && isalpha((unsigned char)w->text[at - 1]) &&
                      isalpha((unsigned char)w->text[end]); /* haven;t */
        if (!(code == '.' && digit_before && digit_after) && !inside)
            add_word(w, at, end, WORD_STOP);
    } else if (code == ',' || code == ':' || code == '(' || code == ')' || code == 0x2014) {
        add_word(w, at, end, WORD_COMMA);
    } else if (code == '-' || code == 0x2013) {
        if (digit_before && (digit_after || space_after))
            add_word(w, at, end, WORD_DASH);
        else if (space_before && space_after)
            add_word(w, at, end, WORD_COMMA);
    } else if (code == '#') {
        add_word(w, at, end, WORD_HASH);
    }
    return end;
}

void words_read(struct wish_work *w, const char *text, size_t size)
{
    take_text(w, text, size);
    w->words = w->mentions = w->rows = 0;
    for (size_t at = 0; at < w->size && w->words < WORDS_MAX;)
        at = read_one(w, at);
}

/* ---- nearness of words ---- */

void stem_word(char stem[FOLD_SIZE], const char *fold)
{
    size_t size = strlen(fold);
    memcpy(stem, fold, size + 1);
    if (strcmp(fold, "news") == 0)
        return; /* not of "new" */
    if (size > 4 && strcmp(stem + size - 3, "ies") == 0)
        memcpy(stem + size - 3, size == 6 ? "ie" : "y", size == 6 ? 3 : 2); /* movies, comedies */
    else if (size > 4 &&
             (strcmp(stem + size - 4, "shes") == 0 || strcmp(stem + size - 4, "ches") == 0))
        stem[size - 2] = 0;
    else if (size > 3 && stem[size - 1] == 's' && stem[size - 2] != 's' && stem[size - 2] != 'u')
        stem[size - 1] = 0;
}

size_t word_distance(const char *a, const char *b, size_t most)
{
    size_t rows[3][FOLD_SIZE + 1];
    size_t *before = rows[0];
    size_t *last = rows[1];
    size_t *now = rows[2];
    size_t m = strlen(a);
    size_t n = strlen(b);
    if ((m > n ? m - n : n - m) > most)
        return most + 1;
    for (size_t j = 0; j <= n; j++)
        last[j] = j;
    for (size_t i = 1; i <= m; i++) {
        now[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[n] > most ? most + 1 : last[n];
}

bool word_near(const char *word, const char *known)
{
    size_t size = strlen(known);
    size_t own = strlen(word);
    size_t longer = size > own ? size : own;
    if (longer < 5)
        return false;
    size_t most = longer < 8 ? 1 : 2;
    return word_distance(word, known, most) <= most;
}

/* ---- the lexicon ---- */

/* How many words of the message from `at` spell this phrase; 0: they do not. */
static size_t phrase_length(const struct wish_work *w, size_t at, const char *words)
{
    size_t count = 0;
    while (*words) {
        size_t size = strcspn(words, " ");
        if (at + count >= w->words || w->word[at + count].mention >= 0 ||
            w->word[at + count].kind > WORD_NUMBER ||
            strncmp(w->word[at + count].fold, words, size) != 0 ||
            w->word[at + count].fold[size] != 0)
            return 0;
        count++;
        words += size + (words[size] == ' ');
    }
    return count;
}

static int compare_phrases(const void *a, const void *b)
{
    return strcmp(PHRASES[*(const uint16_t *)a].words, PHRASES[*(const uint16_t *)b].words);
}

bool phrases_open(struct wish_book *book, struct err *err)
{
    book->phrase = calloc(PHRASES_COUNT, sizeof *book->phrase);
    if (!book->phrase)
        return err_set(err, ERR_SYSTEM, "no memory for %zu phrases", PHRASES_COUNT);
    for (size_t p = 0; p < PHRASES_COUNT; p++)
        book->phrase[p] = (uint16_t)p;
    qsort(book->phrase, PHRASES_COUNT, sizeof *book->phrase, compare_phrases);
    return true;
}

/* The first phrase that is not before this word: those that begin with the word lie together. */
static size_t first_phrase(const struct wish_book *book, const char *fold)
{
    size_t low = 0;
    size_t high = PHRASES_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(PHRASES[book->phrase[middle]].words, fold) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool begins_with_word(const struct phrase *phrase, const char *fold)
{
    size_t size = strlen(fold);
    return strncmp(phrase->words, fold, size) == 0 &&
           (phrase->words[size] == 0 || phrase->words[size] == ' ');
}

enum word_class word_class_of(const struct wish_book *book, const char *fold)
{
    size_t at = first_phrase(book, fold);
    bool there = at < PHRASES_COUNT && strcmp(PHRASES[book->phrase[at]].words, fold) == 0;
    return there ? PHRASES[book->phrase[at]].class : UNKNOWN;
}

/* Whether the lexicon has the word within a phrase. */
static bool is_in_phrase(const char *fold)
{
    size_t size = strlen(fold);
    for (size_t p = 0; p < PHRASES_COUNT; p++)
        for (const char *at = PHRASES[p].words; *at;) {
            size_t part = strcspn(at, " ");
            if (part == size && memcmp(at, fold, size) == 0)
                return true;
            at += part + (at[part] == ' ');
        }
    return false;
}

/* A word with a slip of the keys is taken for the known one that it is nearest to. */
static void mend_word(struct word *word)
{
    size_t best = 3;
    size_t own = strlen(word->fold);
    if (own < 5)
        return;
    for (size_t p = 0; p < PHRASES_COUNT; p++) {
        const char *known = PHRASES[p].words;
        size_t size = strlen(known);
        if (size < 5 || size + 1 < own || size > own + 1 || strchr(known, ' ') ||
            PHRASES[p].class >= PEOPLE)
            continue;
        size_t far = word_distance(word->fold, known, 1);
        if (far < best && far <= 1 && known[0] == word->fold[0]) {
            best = far;
            word->class = PHRASES[p].class;
            memcpy(word->fold, known, size + 1);
            word->rank = small_rank(word->fold);
            word->value = small_number(word->fold);
        }
    }
}

static bool is_spelled(const struct wish_work *w, const struct word *word)
{
    return word->kind != WORD_TEXT || word->mention >= 0 ||
           word_class_of(w->book, word->fold) != UNKNOWN || word->value >= 0 || word->rank ||
           isdigit((unsigned char)word->fold[0]) || category_spelled(w->book, word->fold);
}

void words_mend(struct wish_work *w)
{
    size_t tries = 0;
    for (size_t i = 0; i < w->words; i++) {
        struct word *word = &w->word[i];
        if (is_spelled(w, word) || (word->capital && i > 0 && w->word[i - 1].kind != WORD_STOP))
            continue;
        if (tries++ == FUZZY_MAX)
            return;
        uint32_t category;
        if (!is_in_phrase(word->fold) && categories_near(&category, w->book, word->fold) > 1)
            mend_word(word);
    }
}

void words_classify(struct wish_work *w)
{
    for (size_t i = 0; i < w->words;) {
        struct word *word = &w->word[i];
        size_t best = 0;
        if (word->mention >= 0 || word->kind > WORD_NUMBER) {
            i++;
            continue;
        }
        for (size_t p = first_phrase(w->book, word->fold);
             p < PHRASES_COUNT && begins_with_word(&PHRASES[w->book->phrase[p]], word->fold); p++) {
            size_t count = phrase_length(w, i, PHRASES[w->book->phrase[p]].words);
            if (count > best) {
                best = count;
                word->class = PHRASES[w->book->phrase[p]].class;
            }
        }
        for (size_t k = 1; k < best; k++) {
            w->word[i + k].span = 0;
            w->word[i + k].class = word->class;
        }
        word->span = (uint16_t)(best ? best : 1);
        i += best ? best : 1;
    }
}

enum word_class class_at(const struct wish_work *w, size_t at)
{
    return at < w->words ? w->word[at].class : UNKNOWN;
}
