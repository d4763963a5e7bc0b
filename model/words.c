#include "model/words.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum kind { LETTER, DIGIT, SPACE, OTHER, END };

static enum kind kind_of(utf8proc_int32_t code)
{
    utf8proc_category_t c = utf8proc_category(code);
    if (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO)
        return LETTER;
    if (c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO)
        return DIGIT;
    bool space = (c >= UTF8PROC_CATEGORY_ZS && c <= UTF8PROC_CATEGORY_ZP) ||
                 (code >= 9 && code <= 13) || code == 0x85;
    return space ? SPACE : OTHER;
}

/* Valid UTF-8 in NFC and lower case; what was broken is U+FFFD.  malloc'ed. */
static char *normalise(const char *text, struct err *err)
{
    size_t size = strlen(text);
    const utf8proc_uint8_t *from = (const utf8proc_uint8_t *)text;
    utf8proc_uint8_t *whole = malloc(3 * size + 1);
    utf8proc_uint8_t *folded = NULL;
    utf8proc_ssize_t used = 0;
    utf8proc_ssize_t count = -1;
    if (whole) {
        for (size_t at = 0; at < size;) {
            utf8proc_int32_t code;
            utf8proc_ssize_t step =
                utf8proc_iterate(from + at, (utf8proc_ssize_t)(size - at), &code);
            used += utf8proc_encode_char(step > 0 ? code : 0xfffd, whole + used);
            at += step > 0 ? (size_t)step : 1;
        }
        whole[used] = 0;
        count = utf8proc_map(whole, used, &folded,
                             (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    }
    free(whole);
    if (count < 0) {
        free(folded);
        err_set(err, ERR_SYSTEM, "no memory for a text of %zu bytes", size);
        return NULL;
    }
    /* lower case may take more bytes than upper case, never more than three for two */
    utf8proc_uint8_t *lower = malloc((size_t)count * 2 + 8);
    utf8proc_ssize_t end = 0;
    for (utf8proc_ssize_t at = 0; lower && at < count;) {
        utf8proc_int32_t code;
        utf8proc_ssize_t step = utf8proc_iterate(folded + at, count - at, &code);
        if (step <= 0)
            break;
        end += utf8proc_encode_char(utf8proc_tolower(code), lower + end);
        if (code == 0x130) /* the one letter whose lower case is two: i and a dot above */
            end += utf8proc_encode_char(0x307, lower + end);
        at += step;
    }
    free(folded);
    if (lower)
        lower[end] = 0;
    else
        err_set(err, ERR_SYSTEM, "no memory for a text of %zu bytes", size);
    return (char *)lower;
}

static enum kind peek(const char *text, size_t at, size_t *step)
{
    utf8proc_int32_t code;
    utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)text + at, -1, &code);
    if (!text[at])
        return END;
    *step = size > 0 ? (size_t)size : 1;
    return size > 0 ? kind_of(code) : OTHER;
}

static size_t run_of(const char *text, size_t at, enum kind kind)
{
    size_t step = 0;
    while (peek(text, at, &step) == kind)
        at += step;
    return at;
}

/* 's 't 're 've 'm 'll 'd are words of their own, as in GPT-2's pattern. */
static size_t contraction(const char *text)
{
    static const char *const endings[] = {"'re", "'ve", "'ll", "'s", "'t", "'m", "'d"};
    for (size_t i = 0; i < COUNT(endings); i++)
        if (strncmp(text, endings[i], strlen(endings[i])) == 0)
            return strlen(endings[i]);
    return 0;
}

/* White space but for its last sign, which belongs to the word that follows if it is a space. */
static size_t end_of_space(const char *text, size_t at)
{
    size_t end = run_of(text, at, SPACE);
    size_t last = at;
    size_t step = 0;
    if (!text[end])
        return end;
    for (size_t i = at; i < end; i += step) {
        peek(text, i, &step);
        last = i;
    }
    return last > at ? last : end;
}

static size_t end_of_word(const char *text, size_t at)
{
    size_t step = 0;
    size_t start = at;
    enum kind kind = peek(text, at, &step);
    if (kind == OTHER && contraction(text + at))
        return at + contraction(text + at);
    if (kind == SPACE) {
        size_t after = at + step;
        enum kind next = peek(text, after, &step);
        if (text[at] != ' ' || next == SPACE || next == END)
            return end_of_space(text, at);
        start = after;
        kind = next;
    }
    return run_of(text, start, kind);
}

bool words_each(const char *text, word_fn *fn, void *self, struct err *err)
{
    char *normal = normalise(text, err);
    bool fine = normal != NULL;
    for (size_t at = 0; fine && normal[at];) {
        size_t end = end_of_word(normal, at);
        fine = fn(self, normal + at, end - at, err);
        at = end;
    }
    free(normal);
    return fine;
}
