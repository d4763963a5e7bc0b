/*
 * settings.h: one table says what may be set; it parses the file and the flags and explains itself.
 *
 * Each room that has settings declares a struct and a table of rows over it.  The front door
 * gathers the tables; a name that stands in two of them means the same in both and is set in both.
 * Order of strength: defaults, then HOME/tessera.conf (`name = value` lines, # comments), then
 * flags (--name value).
 *
 * Memory    values live in the caller's struct; texts are copied into it.
 * Errors    an unknown name, a value of the wrong kind or outside its range: ERR_INPUT with the
 *           place, what was expected and what was found.
 */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include "base/err.h"
#include "base/text.h"

enum { SETTING_TEXT_SIZE = 512 };

enum setting_kind { SIZE_SETTING, REAL_SETTING, BOOL_SETTING, TEXT_SETTING };

struct setting {
    const char *name;
    enum setting_kind kind; /* size_t, double, bool or char[SETTING_TEXT_SIZE] */
    size_t offset;          /* of the value in the room's struct */
    const char *start;      /* the default, as it would be written in the file */
    double least, most;     /* for numbers */
    const char *help;
};

struct settings {
    const struct setting *rows;
    size_t count;
    void *values;
};

#define SETTING(type, room, field, start, least, most, help)                                       \
    {                                                                                              \
#field, type##_SETTING, offsetof(struct room, field), start, least, most, help             \
    }

void settings_start(const struct settings *tables, size_t count); /* fills in the defaults */
bool settings_read(const struct settings *tables, size_t count, const char *path,
                   struct err *err) MUST_CHECK; /* a file that is not there is fine */
bool settings_put(const struct settings *tables, size_t count, const char *name, const char *value,
                  struct err *err) MUST_CHECK;
void settings_print(struct text *text, const struct settings *table); /* `name = value` lines */
void settings_help(struct text *text, const struct settings *table);

#endif
