/*
 * lines.h: the lines of a file, plain, .gz or .zst, one at a time.
 *
 * Memory    a line is borrowed until the next call.
 * Errors    a line over LINE_MAX_SIZE is returned cut with too_long set, so that an importer can
 *           reject it by number; a damaged archive is ERR_FORMAT with file and line.
 */
#ifndef DATA_LINES_H
#define DATA_LINES_H

#include "base/err.h"

enum { LINE_MAX_SIZE = 1 << 20 };

struct lines;

struct line {
    char *bytes; /* ends in 0, without the newline; may be changed by the reader */
    size_t size;
    size_t number; /* from 1 */
    bool too_long;
};

struct lines *lines_open(const char *path, struct err *err) MUST_CHECK;
void lines_close(struct lines *lines);                                    /* NULL is fine */
bool lines_next(struct line *line, struct lines *lines, struct err *err); /* false: end or error */

/* Splits a CSV line in place (RFC 4180 quotes); returns the number of fields, at most max. */
size_t csv_split(char **fields, size_t max, char *line);

#endif
