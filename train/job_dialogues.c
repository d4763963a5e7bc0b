/*
 * job_dialogues.c: `tessera evaluate --dialogues`: lists for what dialogues ask, against counting.
 *
 * The protocol of ReDial: an example is an item that the assistant names for the first time in its
 * dialogue; all examples count alike; of every method DIALOGUE_RANKS ranks are looked at.
 * Validation is for choosing; --test appends one row to docs/DIALOGUE_RUNS.tsv.
 */
#include "base/log.h"
#include "base/rng.h"
#include "data/catalogue.h"
#include "data/lines.h"
#include "evaluate/ranking.h"
#include "train/dialogue_judge.h"
#include "train/report.h"
#include "train/rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct figure {
    enum dialogue_metric metric;
    size_t cut;
    const char *name;
};
static const struct figure FIGURES[] = {{DIALOGUE_RECALL, 1, "R@1"},
                                        {DIALOGUE_RECALL, 10, "R@10"},
                                        {DIALOGUE_RECALL, 50, "R@50"},
                                        {DIALOGUE_NDCG, 10, "N@10"},
                                        {DIALOGUE_NDCG, 20, "N@20"}};
enum { FIGURE_COUNT = COUNT(FIGURES), N_AT_20 = FIGURE_COUNT - 1 };

/* The methods, then the policy's lists when what was named may return, and when it votes, as the
 * version answers. */
enum { UNMASKED = DIALOGUE_METHODS, VOTED, ROWS };

struct talking {
    const struct job *job;
    const struct evaluate_options *options;
    enum dialogue_part part;
    char name[64], hash[SHA256_TEXT];
    struct snapshot *snapshot;
    struct titles *titles;
    struct dialogues *dialogues;
    struct dialogue_counts counts;
    struct dialogue_prompts prompts;
    uint64_t *among;
    size_t among_count;
    struct dialogue_judgement seen, unmasked, voted;
    double *value[ROWS][FIGURE_COUNT]; /* [dialogues] */
    struct report report;
};

static const char *row_name(size_t row)
{
    return row == UNMASKED ? "lists, unmasked"
           : row == VOTED  ? "lists, votes"
                           : DIALOGUE_METHOD_NAMES[row];
}

/* ---- what is judged ---- */

/* A file of item ids, one a line: only they may be listed. */
static bool read_among(struct talking *t, const char *path, struct err *err)
{
    struct line line;
    struct store_txn txn;
    struct lines *in = lines_open(path, err);
    t->among = calloc(t->snapshot->rows / 64 + 1, sizeof *t->among);
    bool fine = in && t->among && store_begin(&txn, t->job->store, false, err);
    while (fine && lines_next(&line, in, err)) {
        uint32_t number;
        uint32_t row;
        if (line.size == 0)
            continue;
        if (!catalogue_find(&number, &txn, line.bytes, err) ||
            (row = snapshot_row(t->snapshot, number)) == NO_ITEM) {
            fine = err_set(err, ERR_INPUT, "%s:%zu: no item of the version has the id '%.60s'",
                           path, line.number, line.bytes);
            break;
        }
        t->among_count += !bit_get(t->among, row);
        bit_set(t->among, row);
    }
    if (in && t->among)
        store_abort(&txn);
    lines_close(in);
    return fine && err->code == ERR_NONE;
}

/* Keeps a share of the dialogues of the part: which ones follows from their keys. */
static void keep_share(struct talking *t)
{
    for (size_t d = 0; d < t->dialogues->count; d++) {
        struct rng rng = rng_stream(0xd1a106, t->dialogues->key[d], 0);
        if (t->dialogues->part[d] == t->part && rng_uniform(&rng) >= t->options->judge_share)
            t->dialogues->part[d] = DIALOGUE_PARTS;
    }
}

static bool read_version(struct talking *t, struct err *err)
{
    const struct job *job = t->job;
    char folder[PATH_SIZE];
    uint64_t upto;
    bool production = strcmp(t->options->version, "production") == 0;
    snprintf(t->name, sizeof t->name, "%.63s", t->options->version);
    if ((production && !version_link(t->name, job->home, "production/chat", &(struct err){0}) &&
         !production_name(t->name, job->home, err)) ||
        !path_make(folder, err, "%s/models/%s", job->home, t->name) ||
        !rows_check_meaning(&upto, folder, job, err))
        return false;
    json_t *manifest = manifest_read(folder, err);
    const char *run = json_string_value(json_object_get(manifest, "run"));
    snprintf(t->hash, sizeof t->hash, "%s", run ? run : "unknown");
    json_decref(manifest);
    struct version *version =
        version_open(job->home, t->name, job->store, job->train->scan_items_max, err);
    t->snapshot = version ? snapshot_open(version, job->store, err) : NULL;
    return t->snapshot != NULL;
}

static bool open_talking(struct talking *t, struct err *err)
{
    const struct job *job = t->job;
    if (!read_version(t, err))
        return false;
    t->titles = titles_open(t->snapshot, job->store, err);
    t->dialogues = t->titles ? dialogues_load(job->store, err) : NULL;
    if (!t->dialogues)
        return false;
    dialogues_name(t->dialogues, t->snapshot);
    keep_share(t);
    if (!dialogue_counts_make(&t->counts, t->dialogues, t->snapshot->version->index->items, err) ||
        (*t->options->among && !read_among(t, t->options->among, err)) ||
        !dialogue_prompts_make(&t->prompts, t->dialogues, t->part, job->train->dialogue_symbols,
                               t->snapshot, t->titles, err))
        return false;
    return t->prompts.count ||
           err_set(err, ERR_INPUT, "no dialogue of the %s part names an item in its replies",
                   DIALOGUE_PART_NAMES[t->part]);
}

static bool judge_all(struct talking *t, struct err *err)
{
    struct dialogue_judging judging = {.dialogues = t->dialogues,
                                       .prompts = &t->prompts,
                                       .counts = &t->counts,
                                       .snapshot = t->snapshot,
                                       .among = t->among,
                                       .ranks = DIALOGUE_RANKS,
                                       .beam = t->job->train->beam,
                                       .symbols = t->job->train->dialogue_symbols};
    if (!dialogues_judge(&t->seen, &judging, t->job->pool, err))
        return false;
    judging.counts = NULL;
    judging.votes = t->snapshot->version->list_votes;
    bool votes = judging.votes > 0; /* else they are the policy's lists */
    if (votes && !dialogues_judge(&t->voted, &judging, t->job->pool, err))
        return false;
    judging.votes = 0;
    judging.unmasked = true;
    if (!dialogues_judge(&t->unmasked, &judging, t->job->pool, err))
        return false;
    const struct dialogue_judgement *of[] = {
        [UNMASKED] = &t->unmasked, [VOTED] = votes ? &t->voted : &t->seen};
    for (size_t r = 0; r < ROWS; r++)
        for (size_t f = 0; f < FIGURE_COUNT; f++) {
            t->value[r][f] = calloc(t->seen.dialogues + 1, sizeof(double));
            if (!t->value[r][f])
                return err_set(err, ERR_SYSTEM, "no memory for %zu dialogues", t->seen.dialogues);
            dialogue_values(t->value[r][f], r >= DIALOGUE_METHODS ? of[r] : &t->seen,
                            r >= DIALOGUE_METHODS ? DIALOGUE_LISTS : r, FIGURES[f].metric,
                            FIGURES[f].cut);
        }
    return true;
}

/* ---- what is said of it ---- */

static struct interval difference(const struct talking *t, size_t row, size_t figure,
                                  double *scratch)
{
    for (size_t d = 0; d < t->seen.dialogues; d++)
        scratch[d] = t->value[DIALOGUE_LISTS][figure][d] - t->value[row][figure][d];
    return interval_of(scratch, t->seen.dialogues, 1);
}

static void print_row(struct talking *t, size_t row, double *scratch)
{
    const char *part = DIALOGUE_PART_NAMES[t->part];
    size_t count = t->seen.dialogues;
    char what[128];
    printf("%-16s", row_name(row));
    for (size_t f = 0; f < FIGURE_COUNT; f++) {
        double mean = mean_of(t->value[row][f], count);
        printf("  %.4f", mean);
        snprintf(what, sizeof what, "dialogues, %s: %s, %s", part, FIGURES[f].name, row_name(row));
        report_add(&t->report, what, mean, FIGURES[f].name);
    }
    struct interval n = interval_of(t->value[row][N_AT_20], count, 1);
    printf("   [%.4f, %.4f]", n.low, n.high);
    if (row != DIALOGUE_LISTS && row != UNMASKED && row != VOTED) {
        struct interval d = difference(t, row, N_AT_20, scratch);
        printf("   %+.4f [%+.4f, %+.4f]", d.mean, d.low, d.high);
        snprintf(what, sizeof what, "dialogues, %s: low end of N@20, lists minus %s", part,
                 row_name(row));
        report_add(&t->report, what, d.low, "N@20");
    }
    printf("\n");
}

static void print_all(struct talking *t, double *scratch)
{
    printf("version %s, %s part, %zu dialogues, %zu examples, %zu lists (%zu shorter than %d), ",
           t->name, DIALOGUE_PART_NAMES[t->part], t->seen.dialogues, t->seen.labels, t->seen.lists,
           t->seen.short_lists, DIALOGUE_RANKS);
    if (t->among)
        printf("among %zu items", t->among_count);
    else
        printf("among all %zu items", t->snapshot->rows);
    printf(", what was named masked\n%-16s", "method");
    for (size_t f = 0; f < FIGURE_COUNT; f++)
        printf("  %6s", FIGURES[f].name);
    printf("   N@20, 95 %%          N@20 of lists minus it\n");
    for (size_t r = 0; r < ROWS; r++)
        print_row(t, r, scratch);
    printf("time of a prompt, all methods, %.2f ms\n",
           t->seen.seconds * 1000 / (double)t->seen.lists);
}

/* One row a dialogue, for comparing runs: what it adds to each figure's mean over examples. */
static bool write_scores(const struct talking *t, const char *path, struct err *err)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    fputs("user", file);
    for (size_t r = 0; r < DIALOGUE_METHODS; r++)
        for (size_t f = 0; f < FIGURE_COUNT; f++)
            fprintf(file, "\t%s %s", row_name(r), FIGURES[f].name);
    for (size_t f = 0; f < FIGURE_COUNT; f++)
        fprintf(file, "\tvoted %s", FIGURES[f].name);
    fprintf(file, "\tunmasked %s\n", FIGURES[N_AT_20].name);
    for (size_t d = 0; d < t->seen.dialogues; d++) {
        fprintf(file, "%u", t->seen.key[d]);
        for (size_t r = 0; r < DIALOGUE_METHODS; r++)
            for (size_t f = 0; f < FIGURE_COUNT; f++)
                fprintf(file, "\t%.5g", t->value[r][f][d]);
        for (size_t f = 0; f < FIGURE_COUNT; f++)
            fprintf(file, "\t%.5g", t->value[VOTED][f][d]);
        fprintf(file, "\t%.5g\n", t->value[UNMASKED][N_AT_20][d]);
    }
    return fclose(file) == 0 || err_set(err, ERR_FULL, "%s: cannot write", path);
}

static bool append_run(const struct talking *t, const char *path, struct err *err)
{
    bool fresh = !path_exists(path);
    char when[40];
    time_t now = time(NULL);
    struct tm utc;
    FILE *file = fopen(path, "a");
    if (!file)
        return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    if (fresh) {
        fputs("date\tcommit\tdata\tsettings\tversion\tamong\tshare\tdialogues\texamples", file);
        for (size_t r = 0; r < ROWS; r++)
            for (size_t f = 0; f < FIGURE_COUNT; f++)
                fprintf(file, "\t%s %s", row_name(r), FIGURES[f].name);
        fputc('\n', file);
    }
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y-%m-%d", &utc);
    fprintf(file, "%s\t", when);
    commit_print(file);
    fprintf(file, "\t%s\t%.12s\t%s\t%zu\t%g\t%zu\t%zu", t->options->label, t->hash, t->name,
            t->among ? t->among_count : t->snapshot->rows, t->options->judge_share,
            t->seen.dialogues, t->seen.labels);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t f = 0; f < FIGURE_COUNT; f++)
            fprintf(file, "\t%.5f", mean_of(t->value[r][f], t->seen.dialogues));
    fputc('\n', file);
    return fclose(file) == 0 || err_set(err, ERR_FULL, "%s: cannot write", path);
}

static bool tell(struct talking *t, struct err *err)
{
    const struct evaluate_options *o = t->options;
    double *scratch = calloc(t->seen.dialogues + 1, sizeof *scratch);
    bool fine = scratch != NULL || err_set(err, ERR_SYSTEM, "no memory to compare lists");
    fine = fine && report_open(&t->report, o->targets_path, err);
    if (fine)
        print_all(t, scratch);
    fine = fine && (!o->scores_path || write_scores(t, o->scores_path, err)) &&
           (!o->json_path || report_write(&t->report, o->json_path, err)) &&
           (!o->test || !o->runs_path || append_run(t, o->runs_path, err));
    report_close(&t->report);
    free(scratch);
    return fine;
}

bool job_evaluate_dialogues(const struct job *job, const struct evaluate_options *options,
                            struct err *err)
{
    struct talking t = {.job = job,
                        .options = options,
                        .part = options->test ? DIALOGUES_TEST : DIALOGUES_VALIDATION};
    bool fine = open_talking(&t, err) && judge_all(&t, err) && tell(&t, err);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t f = 0; f < FIGURE_COUNT; f++)
            free(t.value[r][f]);
    dialogue_judgement_free(&t.seen);
    dialogue_judgement_free(&t.unmasked);
    dialogue_judgement_free(&t.voted);
    dialogue_prompts_free(&t.prompts);
    dialogue_counts_free(&t.counts);
    dialogues_free(t.dialogues);
    titles_free(t.titles);
    snapshot_drop(t.snapshot);
    free(t.among);
    return fine;
}
