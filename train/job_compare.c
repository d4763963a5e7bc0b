/*
 * job_compare.c: `tessera compare`: what several runs over the same users say together.
 *
 * Each file is what `evaluate --ranks` wrote.  A method's figure is the mean over runs; a
 * difference is per user, paired, averaged over the runs, and its interval comes from resampling
 * users (10,000 times), so that seeds are not mistaken for users.
 */
#include "base/text.h"
#include "evaluate/ranking.h"
#include "train/jobs.h"
#include "train/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS_MAX = 32, COLUMNS_MAX = 16, LINE_MAX_BYTES = 1024 };

struct comparing {
    size_t runs, columns, users;
    char names[COLUMNS_MAX][32];
    uint32_t *user;                        /* [users] */
    uint32_t *rank[RUNS_MAX][COLUMNS_MAX]; /* [users] */
};

static bool read_header(struct comparing *c, char *line, const char *path, struct err *err)
{
    size_t columns = 0;
    char *rest = line;
    line[strcspn(line, "\n")] = 0;
    char *name = strsep(&rest, "\t");
    if (!name || strcmp(name, "user") != 0)
        return err_set(err, ERR_FORMAT, "%s: expected a first column user, found '%.40s'", path,
                       name ? name : "");
    while ((name = strsep(&rest, "\t")) && columns < COLUMNS_MAX) {
        if (c->runs && (columns >= c->columns || strcmp(c->names[columns], name) != 0))
            return err_set(err, ERR_FORMAT, "%s: column %zu: expected %s, found '%.40s'", path,
                           columns + 2, columns < c->columns ? c->names[columns] : "none", name);
        snprintf(c->names[columns++], sizeof c->names[0], "%.31s", name);
    }
    if (c->runs && columns != c->columns)
        return err_set(err, ERR_FORMAT, "%s: expected %zu methods, found %zu", path, c->columns,
                       columns);
    c->columns = columns;
    return true;
}

static bool read_row(struct comparing *c, size_t row, char *line, const char *path, struct err *err)
{
    char *rest = line;
    uint64_t value;
    line[strcspn(line, "\n")] = 0;
    for (size_t k = 0; k <= c->columns; k++) {
        char *word = strsep(&rest, "\t");
        if (!word || !parse_u64(&value, word, 0, UINT32_MAX))
            return err_set(err, ERR_FORMAT, "%s:%zu: expected %zu whole numbers, found '%.40s'",
                           path, row + 2, c->columns + 1, word ? word : "");
        if (k > 0)
            c->rank[c->runs][k - 1][row] = (uint32_t)value;
        else if (c->runs && c->user[row] != value)
            return err_set(err, ERR_FORMAT, "%s:%zu: expected user %u as in the first file", path,
                           row + 2, c->user[row]);
        else
            c->user[row] = (uint32_t)value;
    }
    return true;
}

static size_t count_lines(FILE *file)
{
    char line[LINE_MAX_BYTES];
    size_t lines = 0;
    while (fgets(line, sizeof line, file))
        lines++;
    rewind(file);
    return lines;
}

static bool reserve(struct comparing *c, size_t users, struct err *err)
{
    bool fine = true;
    if (!c->runs)
        c->user = calloc(users + 1, sizeof *c->user);
    for (size_t k = 0; k < COLUMNS_MAX; k++) {
        c->rank[c->runs][k] = calloc(users + 1, sizeof(uint32_t));
        fine = fine && c->rank[c->runs][k];
    }
    return (fine && c->user) || err_set(err, ERR_SYSTEM, "no memory for %zu users", users);
}

static bool read_run(struct comparing *c, const char *path, struct err *err)
{
    char line[LINE_MAX_BYTES] = "";
    FILE *file = fopen(path, "r");
    if (!file)
        return err_set(err, ERR_MISSING, "%s: %s", path, strerror(errno));
    size_t lines = count_lines(file);
    bool fine = c->runs < RUNS_MAX && lines > 1;
    if (!fine)
        err_set(err, ERR_INPUT, "%s: expected rows, and at most %d files", path, RUNS_MAX);
    if (fine && c->runs && lines - 1 != c->users)
        fine = err_set(err, ERR_FORMAT, "%s: expected %zu users, found %zu", path, c->users,
                       lines - 1);
    c->users = lines - 1;
    fine = fine && reserve(c, c->users, err) && fgets(line, sizeof line, file) &&
           read_header(c, line, path, err);
    for (size_t row = 0; fine && row < c->users; row++)
        fine = fgets(line, sizeof line, file) && read_row(c, row, line, path, err);
    fclose(file);
    c->runs += fine;
    return fine;
}

static double gain(uint32_t rank, bool hr, size_t cut)
{
    return hr ? (double)(rank >= 1 && rank <= cut) : ranking_ndcg(rank, cut);
}

/* Per user, averaged over the runs: a method, less another one if there is one. */
static struct interval measure(const struct comparing *c, double *value, size_t method,
                               size_t against, bool hr, size_t cut)
{
    for (size_t u = 0; u < c->users; u++) {
        value[u] = 0;
        for (size_t r = 0; r < c->runs; r++) {
            value[u] += gain(c->rank[r][method][u], hr, cut);
            if (against != SIZE_MAX)
                value[u] -= gain(c->rank[r][against][u], hr, cut);
        }
        value[u] /= (double)c->runs;
    }
    return interval_of(value, c->users, 1);
}

static void add(struct report *report, const char *label, const char *what, const char *method,
                double figure)
{
    char line[160];
    snprintf(line, sizeof line, "%s: %s, %s", label, what, method);
    report_add(report, line, figure, "");
}

static void print(const struct comparing *c, struct report *report, const char *label,
                  double *value)
{
    printf("%s: %zu runs, %zu users\n", label, c->runs, c->users);
    printf("| method | R@5 | R@10 | N@5 | N@10 | N@10 in | fused minus it |\n");
    printf("|---|---|---|---|---|---|---|\n");
    size_t fused = c->columns - 1;
    for (size_t m = 0; m < c->columns; m++) {
        struct interval r5 = measure(c, value, m, SIZE_MAX, true, 5);
        struct interval r10 = measure(c, value, m, SIZE_MAX, true, 10);
        struct interval n5 = measure(c, value, m, SIZE_MAX, false, 5);
        struct interval n10 = measure(c, value, m, SIZE_MAX, false, 10);
        printf("| %s | %.4f | %.4f | %.4f | %.4f | %.4f to %.4f |", c->names[m], r5.mean, r10.mean,
               n5.mean, n10.mean, n10.low, n10.high);
        add(report, label, "R@10", c->names[m], r10.mean);
        add(report, label, "N@10", c->names[m], n10.mean);
        if (m == fused) {
            printf(" |\n");
            continue;
        }
        struct interval d = measure(c, value, fused, m, false, 10);
        printf(" %+.4f [%+.4f, %+.4f] |\n", d.mean, d.low, d.high);
        add(report, label, "low end of N@10, fused minus it", c->names[m], d.low);
    }
}

bool job_compare(const struct compare_options *options, struct err *err)
{
    struct comparing *c = calloc(1, sizeof *c);
    struct report report = {0};
    char *paths = strdup(options->paths);
    char *rest = paths;
    bool fine = c && paths && report_open(&report, options->targets_path, err);
    for (char *path; fine && (path = strsep(&rest, " "));)
        if (*path)
            fine = read_run(c, path, err);
    if (fine && c->runs == 0)
        fine = err_set(err, ERR_INPUT, "expected --ranks with files that evaluate --ranks wrote");
    double *value = fine ? calloc(c->users + 1, sizeof *value) : NULL;
    if (value) {
        print(c, &report, options->label, value);
        fine = !options->json_path || report_write(&report, options->json_path, err);
    }
    free(value);
    for (size_t r = 0; c && r < RUNS_MAX; r++)
        for (size_t k = 0; k < COLUMNS_MAX; k++)
            free(c->rank[r][k]);
    if (c)
        free(c->user);
    free(c);
    free(paths);
    report_close(&report);
    return fine || err_set(err, ERR_SYSTEM, "no memory to compare runs");
}
