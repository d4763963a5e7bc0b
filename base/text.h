/*
 * text.h: a growing text with a limit, and the few things we do to bytes from outside.
 *
 * Memory    struct text owns its bytes; text_release() frees them.  A text that would pass its
 *           limit stops growing and says so through text.full: callers check once, at the end.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/err.h"

#include <stdint.h>

struct text {
    char *bytes; /* owned; always ends in 0 once anything was added */
    size_t size; /* bytes without the final 0 */
    size_t room;
    size_t limit;
    bool full;
};

void text_init(struct text *text, size_t limit);
void text_release(struct text *text);
void text_reset(struct text *text);
void text_add(struct text *text, const char *bytes, size_t size);
void text_addf(struct text *text, const char *format, ...) PRINTF(2, 3);
void text_add_json(struct text *text, const char *string); /* quoted and escaped */

bool utf8_valid(const char *bytes, size_t size);
void utf8_repair(char *text); /* what is not UTF-8 becomes '?' */

/* Replaces %XX in place and returns the new size, or SIZE_MAX for a broken escape or %00. */
size_t percent_decode(char *bytes, size_t size);

/* Writes 2 * size lower-case digits and a final 0. */
void hex_encode(char *digits, const unsigned char *bytes, size_t size);

/* Where a name stands among rising ones, or SIZE_MAX. */
size_t names_find(char *const *names, size_t count, const char *name);
/* The same of numbers: rows, or users. */
size_t numbers_find(const uint32_t *numbers, size_t count, uint32_t number);

/* Whether a number is among some in any order: for lists of some fifty. */
static inline bool numbers_hold(const uint32_t *numbers, size_t count, uint32_t number)
{
    for (size_t i = 0; i < count; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

/* A whole decimal number within [least, most]; false leaves *value alone. */
bool parse_u64(uint64_t *value, const char *text, uint64_t least, uint64_t most);
bool parse_f64(double *value, const char *text);

#endif
