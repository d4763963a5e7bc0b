#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_init(struct text *text, size_t limit)
{
    *text = (struct text){.limit = limit};
}

void text_release(struct text *text)
{
    free(text->bytes);
    *text = (struct text){0};
}

void text_reset(struct text *text)
{
    text->size = 0;
    text->full = false;
    if (text->bytes)
        text->bytes[0] = 0;
}

static bool text_reserve(struct text *text, size_t more)
{
    if (text->full || more > text->limit - text->size) {
        text->full = true;
        return false;
    }
    size_t need = text->size + more + 1;
    if (need <= text->room)
        return true;
    size_t room = text->room ? text->room * 2 : 256;
    while (room < need)
        room *= 2;
    char *bytes = realloc(text->bytes, room);
    if (!bytes) {
        text->full = true;
        return false;
    }
    text->bytes = bytes;
    text->room = room;
    return true;
}

void text_add(struct text *text, const char *bytes, size_t size)
{
    if (!text_reserve(text, size))
        return;
    if (size)
        memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    text->bytes[text->size] = 0;
}

void text_addf(struct text *text, const char *format, ...)
{
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size >= 0 && text_reserve(text, (size_t)size)) {
        vsnprintf(text->bytes + text->size, (size_t)size + 1, format, again);
        text->size += (size_t)size;
    }
    va_end(again);
}

void text_add_json(struct text *text, const char *string)
{
    text_add(text, "\"", 1);
    for (const char *at = string; *at; at++) {
        unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\')
            text_addf(text, "\\%c", c);
        else if (c < 0x20)
            text_addf(text, "\\u%04x", c);
        else
            text_add(text, at, 1);
    }
    text_add(text, "\"", 1);
}

/* Length of the code point at bytes, or 0 if it is not well formed (overlong, surrogate, > 10FFFF).
 */
static size_t utf8_length(const unsigned char *bytes, size_t size)
{
    unsigned char c = bytes[0];
    if (c < 0x80)
        return 1;
    size_t length = c >= 0xc2 && c <= 0xdf   ? 2
                    : c >= 0xe0 && c <= 0xef ? 3
                    : c >= 0xf0 && c <= 0xf4 ? 4
                                             : 0;
    if (length == 0 || length > size)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && bytes[1] < 0xa0) || (c == 0xed && bytes[1] > 0x9f) ||
        (c == 0xf0 && bytes[1] < 0x90) || (c == 0xf4 && bytes[1] > 0x8f))
        return 0;
    return length;
}

bool utf8_valid(const char *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t length = utf8_length((const unsigned char *)bytes + at, size - at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

void utf8_repair(char *text)
{
    size_t size = strlen(text);
    for (size_t at = 0; at < size;) {
        size_t length = utf8_length((const unsigned char *)text + at, size - at);
        if (length == 0)
            text[at] = '?';
        at += length ? length : 1;
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

size_t percent_decode(char *bytes, size_t size)
{
    size_t out = 0;
    for (size_t in = 0; in < size; in++, out++) {
        if (bytes[in] != '%') {
            bytes[out] = bytes[in];
            continue;
        }
        int high = size - in > 2 ? hex_digit(bytes[in + 1]) : -1;
        int low = size - in > 2 ? hex_digit(bytes[in + 2]) : -1;
        if (high < 0 || low < 0 || (high == 0 && low == 0))
            return SIZE_MAX;
        bytes[out] = (char)(high * 16 + low);
        in += 2;
    }
    return out;
}

void hex_encode(char *digits, const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        snprintf(digits + 2 * i, 3, "%02x", bytes[i]);
}

size_t names_find(char *const *names, size_t count, const char *name)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): they are all set */
        if (strcmp(names[middle], name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): they are all set */
    return low < count && strcmp(names[low], name) == 0 ? low : SIZE_MAX;
}

bool parse_u64(uint64_t *value, const char *text, uint64_t least, uint64_t most)
{
    if (*text < '0' || *text > '9')
        return false;
    char *end;
    errno = 0;
    unsigned long long found = strtoull(text, &end, 10);
    if (errno || *end || found < least || found > most)
        return false;
    *value = found;
    return true;
}

bool parse_f64(double *value, const char *text)
{
    if (!*text)
        return false;
    char *end;
    double found = strtod(text, &end);
    if (*end || !isfinite(found))
        return false;
    *value = found;
    return true;
}

size_t numbers_find(const uint32_t *numbers, size_t count, uint32_t number)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (numbers[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && numbers[low] == number ? low : SIZE_MAX;
}
