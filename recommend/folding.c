#include "recommend/folding.h"

#include <string.h>
#include <utf8proc.h>

static utf8proc_int32_t code_at(const char *at, const char *end, size_t *size)
{
    utf8proc_int32_t code = -1;
    utf8proc_ssize_t step =
        utf8proc_iterate((const utf8proc_uint8_t *)at, (utf8proc_ssize_t)(end - at), &code);
    *size = step > 0 ? (size_t)step : 1;
    return step > 0 ? code : -1;
}

size_t code_size(const char *at, const char *end)
{
    size_t size;
    code_at(at, end, &size);
    return size;
}

static bool is_space(utf8proc_int32_t code)
{
    if (code < 0x80)
        return code == ' ' || (code >= 9 && code <= 13);
    utf8proc_category_t c = utf8proc_category(code);
    return c >= UTF8PROC_CATEGORY_ZS && c <= UTF8PROC_CATEGORY_ZP;
}

static bool is_word(utf8proc_int32_t code)
{
    if (code < 0)
        return false;
    utf8proc_category_t c = utf8proc_category(code);
    return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_ME) ||
           (c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO);
}

bool word_begins(const char *at, const char *end)
{
    size_t size;
    return at < end && is_word(code_at(at, end, &size));
}

bool word_ends(const char *begin, const char *at)
{
    const char *start = at;
    size_t size;
    if (at == begin)
        return false;
    do
        start--;
    while (start > begin && at - start < 4 && ((unsigned char)*start & 0xc0) == 0x80);
    return is_word(code_at(start, at, &size));
}

static void hold(struct folding *f, const char *bytes)
{
    f->count = (unsigned)strlen(bytes);
    memcpy(f->held, bytes, f->count);
}

static void hold_folded(struct folding *f, utf8proc_int32_t code)
{
    utf8proc_int32_t parts[8];
    int last_class = 0;
    utf8proc_ssize_t count = utf8proc_decompose_char(
        code, parts, 8,
        (utf8proc_option_t)(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD |
                            UTF8PROC_STRIPMARK | UTF8PROC_LUMP | UTF8PROC_IGNORE),
        &last_class);
    if (count > 8) { /* ligatures of whole phrases: they equal themselves */
        parts[0] = code;
        count = 1;
    }
    for (utf8proc_ssize_t i = 0; i < count && f->count + 4 <= sizeof f->held; i++)
        f->count += (unsigned)utf8proc_encode_char(parts[i], f->held + f->count);
}

static void fold_code(struct folding *f)
{
    size_t size;
    utf8proc_int32_t code = code_at(f->at, f->end, &size);
    f->at += size;
    f->next = f->count = 0;
    if (code < 0) {
        hold(f, "\xff"); /* stands in no key */
    } else if (is_space(code)) {
        while (f->at < f->end && is_space(code_at(f->at, f->end, &size)))
            f->at += size;
        hold(f, " ");
    } else if (code == '&') {
        hold(f, "and");
    } else if (code == 0x201c || code == 0x201d) {
        hold(f, "\"");
    } else if (code < 0x80) {
        f->held[f->count++] = (unsigned char)(code >= 'A' && code <= 'Z' ? code + 32 : code);
    } else {
        hold_folded(f, code);
    }
}

int folding_next(struct folding *f)
{
    while (f->next == f->count) {
        if (f->at >= f->end)
            return -1;
        fold_code(f);
    }
    return f->held[f->next++];
}
