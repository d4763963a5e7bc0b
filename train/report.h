/*
 * report.h: figures as JSON rows beside their targets.
 *
 * A row is {"what", "figure", "unit", "target", "met"}.  Targets stand in one file, one row
 * {"what", "least" | "most", "issue"} each; a figure without a target has null for both.
 */
#ifndef TRAIN_REPORT_H
#define TRAIN_REPORT_H

#include "base/err.h"

#include <jansson.h>
#include <stdio.h>

struct report {
    json_t *rows, *targets; /* owned */
};

bool report_open(struct report *report, const char *targets_path,
                 struct err *err) MUST_CHECK; /* NULL: no targets */
void report_add(struct report *report, const char *what, double figure, const char *unit);
bool report_write(const struct report *report, const char *path, struct err *err) MUST_CHECK;
void report_close(struct report *report);

/* The commit of the folder at hand, ten digits, or "unknown". */
void commit_print(FILE *file);

#endif
