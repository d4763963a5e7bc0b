#include "base/settings.h"

#include "base/files.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void *setting_value(const struct settings *table, const struct setting *row)
{
    return (char *)table->values + row->offset;
}

static bool setting_set(const struct settings *table, const struct setting *row, const char *value,
                        struct err *err)
{
    void *slot = setting_value(table, row);
    uint64_t whole;
    double number;
    switch (row->kind) {
    case SIZE_SETTING:
        if (!parse_u64(&whole, value, (uint64_t)row->least, (uint64_t)row->most))
            return err_set(err, ERR_INPUT,
                           "%s: expected a whole number from %.0f to %.0f, found '%s'", row->name,
                           row->least, row->most, value);
        *(size_t *)slot = whole;
        return true;
    case REAL_SETTING:
        if (!parse_f64(&number, value) || number < row->least || number > row->most)
            return err_set(err, ERR_INPUT, "%s: expected a number from %g to %g, found '%s'",
                           row->name, row->least, row->most, value);
        *(double *)slot = number;
        return true;
    case BOOL_SETTING:
        if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
            return err_set(err, ERR_INPUT, "%s: expected true or false, found '%s'", row->name,
                           value);
        *(bool *)slot = value[0] == 't';
        return true;
    case TEXT_SETTING:
        if (strlen(value) >= SETTING_TEXT_SIZE)
            return err_set(err, ERR_INPUT, "%s: expected fewer than %d bytes, found %zu", row->name,
                           SETTING_TEXT_SIZE, strlen(value));
        memset(slot, 0, SETTING_TEXT_SIZE);
        memcpy(slot, value, strlen(value));
        return true;
    }
    return false;
}

void settings_start(const struct settings *tables, size_t count)
{
    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; i < tables[t].count; i++) {
            struct err err = {0};
            bool fine = setting_set(&tables[t], &tables[t].rows[i], tables[t].rows[i].start, &err);
            assert(fine && "a default outside its own range");
            (void)fine;
        }
}

bool settings_put(const struct settings *tables, size_t count, const char *name, const char *value,
                  struct err *err)
{
    bool known = false;
    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; i < tables[t].count; i++)
            if (strcmp(tables[t].rows[i].name, name) == 0) {
                known = true;
                if (!setting_set(&tables[t], &tables[t].rows[i], value, err))
                    return false;
            }
    return known ||
           err_set(err, ERR_INPUT, "unknown setting '%s' (tessera help COMMAND lists them)", name);
}

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t size = strlen(text);
    while (size > 0 && isspace((unsigned char)text[size - 1]))
        text[--size] = 0;
    if (size >= 2 && text[0] == '"' && text[size - 1] == '"') {
        text[size - 1] = 0;
        text++;
    }
    return text;
}

bool settings_read(const struct settings *tables, size_t count, const char *path, struct err *err)
{
    size_t size;
    if (!path_exists(path))
        return true;
    char *bytes = file_read(path, 1 << 20, &size, err);
    if (!bytes)
        return false;
    bool fine = true;
    size_t number = 0;
    for (char *next, *line = bytes; fine && line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        number++;
        char *comment = strchr(line, '#');
        if (comment)
            *comment = 0;
        line = trim(line);
        if (!*line)
            continue;
        char *equals = strchr(line, '=');
        if (!equals) {
            fine = err_set(err, ERR_INPUT, "expected name = value, found '%.60s'", line);
        } else {
            *equals = 0;
            fine = settings_put(tables, count, trim(line), trim(equals + 1), err);
        }
        if (!fine)
            err_prefix(err, "%s:%zu", path, number);
    }
    free(bytes);
    return fine;
}

static void print_value(struct text *text, const struct settings *table, const struct setting *row)
{
    const void *slot = setting_value(table, row);
    switch (row->kind) {
    case SIZE_SETTING:
        text_addf(text, "%zu", *(const size_t *)slot);
        break;
    case REAL_SETTING:
        text_addf(text, "%g", *(const double *)slot);
        break;
    case BOOL_SETTING:
        text_addf(text, "%s", *(const bool *)slot ? "true" : "false");
        break;
    case TEXT_SETTING:
        text_addf(text, "%s", (const char *)slot);
        break;
    }
}

void settings_print(struct text *text, const struct settings *table)
{
    for (size_t i = 0; i < table->count; i++) {
        text_addf(text, "%s = ", table->rows[i].name);
        print_value(text, table, &table->rows[i]);
        text_addf(text, "\n");
    }
}

void settings_help(struct text *text, const struct settings *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct setting *row = &table->rows[i];
        text_addf(text, "  --%-22s %s", row->name, row->help);
        if (row->kind == SIZE_SETTING || row->kind == REAL_SETTING)
            text_addf(text, " [%s; %g to %g]\n", row->start, row->least, row->most);
        else
            text_addf(text, " [%s]\n", row->start[0] ? row->start : "none");
    }
}
