/*
 * job_compare.c: `tessera compare`: what several runs over the same users say together.
 *
 * Each file is what `evaluate --ranks` or `--scores` wrote.  A figure is the mean over runs; a
 * difference is per user, paired, averaged over the runs, and its interval comes from resampling
 * users (10,000 times), so that seeds are not mistaken for users.  With --against it is the same
 * columns of other runs that are compared: two versions, each with its seeds.
 */
#include "base/text.h"
#include "evaluate/ranking.h"
#include "train/jobs.h"
#include "train/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS_MAX = 32, COLUMNS_MAX = 24, LINE_MAX_BYTES = 1024 };

struct comparing {
    size_t runs, columns, users;
    char names[COLUMNS_MAX][32];
    uint32_t *user;                       /* [users] */
    double *value[RUNS_MAX][COLUMNS_MAX]; /* [users] ranks, or scores */
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
    uint64_t user;
    line[strcspn(line, "\n")] = 0;
    char *word = strsep(&rest, "\t");
    if (!word || !parse_u64(&user, word, 0, UINT32_MAX))
        return err_set(err, ERR_FORMAT, "%s:%zu: expected a user's number, found '%.40s'", path,
                       row + 2, word ? word : "");
    if (c->runs && c->user[row] != user)
        return err_set(err, ERR_FORMAT, "%s:%zu: expected user %u as in the first file", path,
                       row + 2, c->user[row]);
    c->user[row] = (uint32_t)user;
    for (size_t k = 0; k < c->columns; k++) {
        word = strsep(&rest, "\t");
        if (!word || !parse_f64(&c->value[c->runs][k][row], word))
            return err_set(err, ERR_FORMAT, "%s:%zu: expected %zu numbers, found '%.40s'", path,
                           row + 2, c->columns, word ? word : "");
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
        c->value[c->runs][k] = calloc(users + 1, sizeof(double));
        fine = fine && c->value[c->runs][k];
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

/* What a value is worth: a rank by one of these, a score as it stands. */
enum gain { GAIN_HR, GAIN_NDCG, GAIN_SCORE };

static double gain(double value, enum gain kind, size_t cut)
{
    uint32_t rank = kind == GAIN_SCORE ? 0 : (uint32_t)value;
    return kind == GAIN_SCORE ? value
           : kind == GAIN_HR  ? (double)(rank >= 1 && rank <= cut)
                              : ranking_ndcg(rank, cut);
}

/* Per user, averaged over the runs, into value [users]; sign -1 takes it off. */
static void add_gains(double *value, const struct comparing *c, size_t column, enum gain kind,
                      size_t cut, double sign)
{
    for (size_t r = 0; r < c->runs; r++)
        for (size_t u = 0; u < c->users; u++)
            value[u] += sign * gain(c->value[r][column][u], kind, cut) / (double)c->runs;
}

/* A column into value [users], less another one of the same or of other runs if there is one. */
static const double *gains(double *value, const struct comparing *c, size_t column,
                           const struct comparing *other, size_t against, enum gain kind,
                           size_t cut)
{
    memset(value, 0, c->users * sizeof *value);
    add_gains(value, c, column, kind, cut, 1);
    if (other)
        add_gains(value, other, against, kind, cut, -1);
    return value;
}

static double mean(double *value, const struct comparing *c, size_t column, enum gain kind,
                   size_t cut)
{
    return mean_of(gains(value, c, column, NULL, 0, kind, cut), c->users);
}

static struct interval difference(double *value, const struct comparing *c, size_t column,
                                  const struct comparing *other, size_t against, enum gain kind,
                                  size_t cut)
{
    return interval_of(gains(value, c, column, other, against, kind, cut), c->users, 1);
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
        double r10 = mean(value, c, m, GAIN_HR, 10);
        struct interval n10 = difference(value, c, m, NULL, 0, GAIN_NDCG, 10);
        printf("| %s | %.4f | %.4f | %.4f | %.4f | %.4f to %.4f |", c->names[m],
               mean(value, c, m, GAIN_HR, 5), r10, mean(value, c, m, GAIN_NDCG, 5), n10.mean,
               n10.low, n10.high);
        add(report, label, "R@10", c->names[m], r10);
        add(report, label, "N@10", c->names[m], n10.mean);
        if (m == fused) {
            printf(" |\n");
            continue;
        }
        struct interval d = difference(value, c, fused, c, m, GAIN_NDCG, 10);
        printf(" %+.4f [%+.4f, %+.4f] |\n", d.mean, d.low, d.high);
        add(report, label, "low end of N@10, fused minus it", c->names[m], d.low);
    }
}

static void print_against(const struct comparing *c, const struct comparing *other, bool ranks,
                          struct report *report, const char *label, double *value)
{
    static const struct {
        enum gain kind;
        size_t cut;
        const char *name;
    } kinds[] = {{GAIN_HR, 1, "R@1"},
                 {GAIN_HR, 10, "R@10"},
                 {GAIN_HR, 50, "R@50"},
                 {GAIN_NDCG, 10, "N@10"},
                 {GAIN_SCORE, 0, ""}};
    printf("%s: %zu against %zu runs, %zu users\n", label, c->runs, other->runs, c->users);
    printf(
        "| figure | it | against | difference | smallest we could see |\n|---|---|---|---|---|\n");
    for (size_t m = 0; m < c->columns; m++)
        for (size_t g = 0; g < COUNT(kinds); g++) {
            char what[80];
            if ((kinds[g].kind == GAIN_SCORE) == ranks)
                continue;
            double mine = mean(value, c, m, kinds[g].kind, kinds[g].cut);
            double theirs = mean(value, other, m, kinds[g].kind, kinds[g].cut);
            struct interval d = difference(value, c, m, other, m, kinds[g].kind, kinds[g].cut);
            snprintf(what, sizeof what, "%s%s%s", c->names[m], ranks ? " " : "", kinds[g].name);
            printf("| %s | %.4f | %.4f | %+.4f [%+.4f, %+.4f] | %.4f |\n", what, mine, theirs,
                   d.mean, d.low, d.high, d.detectable);
            add(report, label, what, "mean", mine);
            add(report, label, what, "low end of the difference", d.low);
            add(report, label, what, "high end of the difference", d.high);
        }
}

/* Files parted by spaces. */
static bool read_runs(struct comparing *c, const char *files, struct err *err)
{
    char *paths = strdup(files);
    char *rest = paths;
    bool fine = paths != NULL || err_set(err, ERR_SYSTEM, "no memory to compare runs");
    for (char *path; fine && (path = strsep(&rest, " "));)
        if (*path)
            fine = read_run(c, path, err);
    free(paths);
    return fine;
}

static bool same_cases(const struct comparing *a, const struct comparing *b, struct err *err)
{
    bool same = a->users == b->users && a->columns == b->columns &&
                memcmp(a->user, b->user, a->users * sizeof *a->user) == 0;
    for (size_t k = 0; same && k < a->columns; k++)
        same = strcmp(a->names[k], b->names[k]) == 0;
    return same || err_set(err, ERR_INPUT,
                           "--against: expected the same users and columns, %zu and %zu; found %zu "
                           "and %zu or others",
                           a->users, a->columns, b->users, b->columns);
}

static void release(struct comparing *c)
{
    for (size_t r = 0; r < RUNS_MAX; r++)
        for (size_t k = 0; k < COLUMNS_MAX; k++)
            free(c->value[r][k]);
    free(c->user);
}

bool job_compare(const struct compare_options *options, struct err *err)
{
    static struct comparing mine, theirs; /* large, and a command compares once */
    struct report report = {0};
    bool ranks = *options->ranks != 0;
    bool two = *options->against != 0;
    bool fine = report_open(&report, options->targets_path, err);
    if (fine && (ranks == (*options->scores != 0) || (!ranks && !two)))
        fine = err_set(err, ERR_INPUT,
                       "expected --ranks with files that evaluate --ranks wrote, or --scores and "
                       "--against with files that evaluate --scores wrote");
    fine = fine && read_runs(&mine, ranks ? options->ranks : options->scores, err) &&
           (!two || (read_runs(&theirs, options->against, err) && same_cases(&mine, &theirs, err)));
    double *value = fine ? calloc(mine.users + 1, sizeof *value) : NULL;
    if (fine && !value)
        fine = err_set(err, ERR_SYSTEM, "no memory to compare runs");
    if (fine && two)
        print_against(&mine, &theirs, ranks, &report, options->label, value);
    else if (fine)
        print(&mine, &report, options->label, value);
    fine = fine && (!options->json_path || report_write(&report, options->json_path, err));
    free(value);
    release(&mine);
    release(&theirs);
    report_close(&report);
    return fine;
}
