/*
 * job_evaluate.c: `tessera evaluate`: the version in production against the baselines.
 *
 * Figures of the validation part are for choosing; --test appends one row to docs/TEST_RUNS.tsv,
 * and that row is what we quote.
 */
#include "base/json.h"
#include "base/log.h"
#include "data/catalogue.h"
#include "train/judge.h"
#include "train/report.h"
#include "train/rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void print_row(const char *name, const char *metric, const double *values)
{
    printf("%-11s %-5s", name, metric);
    for (size_t c = 0; c < CUTS; c++)
        printf("  %.4f", values[c]);
}

static void report_metric(struct report *report, const char *part, const char *method,
                          const char *metric, const double *values)
{
    char what[96];
    for (size_t c = 0; c < CUTS; c++) {
        snprintf(what, sizeof what, "%s: %s@%zu, %s", part, metric, CUT_AT[c], method);
        report_add(report, what, values[c], metric);
    }
}

static void print_table(struct report *report, const struct judgement *seen,
                        const struct cases *cases, const struct snapshot *snapshot,
                        const char *part)
{
    printf("%-11s %-5s", "method", "");
    for (size_t c = 0; c < CUTS; c++)
        printf("     @%-2zu", CUT_AT[c]);
    printf("\n");
    for (size_t m = 0; m < METHODS; m++) {
        struct ranking r;
        const char *name = METHOD_NAMES[m];
        ranking_measure(&r, seen->rank[m], cases->count);
        print_row(name, "HR", r.hr);
        printf("   coverage@10 %.4f\n", lists_coverage(seen->shown[m], snapshot->rows));
        print_row("", "NDCG", r.ndcg);
        printf("   gini@10     %.4f\n", lists_gini(seen->shown[m], snapshot->rows));
        print_row("", "MRR", r.mrr);
        printf("\n");
        report_metric(report, part, name, "HR", r.hr);
        report_metric(report, part, name, "NDCG", r.ndcg);
        report_metric(report, part, name, "MRR", r.mrr);
    }
}

static void compare(struct report *report, const struct judgement *seen, const struct cases *cases,
                    const char *part)
{
    static const enum method against[] = {METHOD_POPULAR, METHOD_KNN, METHOD_NAME, METHOD_FIND};
    printf("\nNDCG@10 of fused minus        mean      95 %% interval      smallest we could see\n");
    for (size_t i = 0; i < COUNT(against); i++) {
        char what[96];
        struct interval d =
            ranking_compare(seen->rank[METHOD_FUSED], seen->rank[against[i]], cases->count, 10, 1);
        printf("  %-24s %+.5f  [%+.5f, %+.5f]  %.5f\n", METHOD_NAMES[against[i]], d.mean, d.low,
               d.high, d.detectable);
        snprintf(what, sizeof what, "%s: low end of NDCG@10, fused minus %s", part,
                 METHOD_NAMES[against[i]]);
        report_add(report, what, d.low, "ndcg");
    }
}

static bool append_run(const char *path, const struct version *version,
                       const struct judgement *seen, const struct cases *cases, const char *hash,
                       struct err *err)
{
    bool fresh = !path_exists(path);
    FILE *file = fopen(path, "a");
    if (!file)
        return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    if (fresh)
        fputs("date\tcommit\tsettings\tversion\tusers\tpopularity_ndcg10\titem_knn_ndcg10\tname_"
              "ndcg10\tfind_ndcg10\t"
              "fused_ndcg10\tfused_hr10\tfused_minus_knn_low\tfused_minus_popularity_low\n",
              file);
    char commit[64] = "unknown";
    FILE *git = popen("git rev-parse --short=10 HEAD 2>/dev/null", "r");
    if (git) {
        if (fgets(commit, sizeof commit, git))
            commit[strcspn(commit, "\n")] = 0;
        pclose(git);
    }
    char when[40];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y-%m-%d", &utc);
    fprintf(file, "%s\t%s\t%.12s\t%s\t%zu", when, commit, hash, version->name, cases->count);
    struct ranking r;
    for (size_t m = 0; m < METHODS; m++) {
        ranking_measure(&r, seen->rank[m], cases->count);
        fprintf(file, "\t%.5f", r.ndcg[2]);
    }
    fprintf(file, "\t%.5f", r.hr[2]);
    fprintf(
        file, "\t%+.5f",
        ranking_compare(seen->rank[METHOD_FUSED], seen->rank[METHOD_KNN], cases->count, 10, 1).low);
    fprintf(
        file, "\t%+.5f\n",
        ranking_compare(seen->rank[METHOD_FUSED], seen->rank[METHOD_POPULAR], cases->count, 10, 1)
            .low);
    return fclose(file) == 0 || err_set(err, ERR_FULL, "%s: cannot write", path);
}

/* The settings the version was trained with, from its manifest: what a test run is filed under. */
static bool read_manifest(char hash[SHA256_TEXT], uint64_t *upto, const struct job *job,
                          const char *name, struct err *err)
{
    char folder[PATH_SIZE];
    if (!path_make(folder, err, "%s/models/%s", job->home, name) ||
        !rows_check_meaning(upto, folder, job, err))
        return false;
    json_t *manifest = manifest_read(folder, err);
    bool fine = manifest != NULL;
    const char *run = json_string_value(json_object_get(manifest, "run"));
    snprintf(hash, SHA256_TEXT, "%s", run ? run : "unknown");
    json_decref(manifest);
    return fine;
}

bool job_evaluate(const struct job *job, const struct evaluate_options *options, struct err *err)
{
    char name[64];
    char hash[SHA256_TEXT];
    uint64_t upto = 0;
    struct row_data data = {0};
    struct cases cases = {0};
    struct judgement seen = {0};
    struct snapshot *snapshot = NULL;
    const char *part = options->test ? "test" : "validation";
    bool fine = production_name(name, job->home, err) &&
                read_manifest(hash, &upto, job, name, err) &&
                rows_load_events(&data, job, upto, err);
    struct version *version =
        fine ? version_open(job->home, name, job->store, job->train->scan_items_max, err) : NULL;
    snapshot = version ? snapshot_open(version, job->store, err) : NULL;
    fine = snapshot &&
           rows_cases(&cases, &data, snapshot, options->test ? PART_TEST : PART_VALIDATION, err);
    if (fine && cases.count == 0)
        fine = err_set(err, ERR_INPUT, "no user has a %s event (split is %s)", part,
                       job->index->split);
    fine = fine && judge(&seen, &cases, snapshot, &version->fusion, job->train->beam,
                         job->train->window, false, job->pool, err);
    if (fine) {
        struct report report;
        printf("version %s, %s part, %zu users, %zu items, seen items masked; weights", name, part,
               cases.count, snapshot->rows);
        for (size_t f = 0; f < FEATURES; f++)
            printf(" %s %.3f", FEATURE_NAMES[f], version->fusion.weight[f]);
        printf("\n");
        fine = report_open(&report, options->targets_path, err);
        print_table(&report, &seen, &cases, snapshot, part);
        compare(&report, &seen, &cases, part);
        printf("time of a slate %.3f ms\n", seen.slate_ms);
        if (fine && options->json_path)
            fine = report_write(&report, options->json_path, err);
        report_close(&report);
        if (fine && options->test && options->runs_path)
            fine = append_run(options->runs_path, version, &seen, &cases, hash, err);
    }
    if (seen.rank[0])
        judgement_release(&seen, cases.count);
    cases_release(&cases);
    snapshot_drop(snapshot);
    rows_release(&data);
    return fine;
}

/* ---- tessera recommend --all-users ---- */

struct all_users {
    const struct job *job;
    const struct snapshot *snapshot;
    const struct store_txn *txn;
    struct histories *histories;
    struct slate_work work;
    struct slate slate;
    size_t n;
    FILE *out;
};

static bool write_user(struct all_users *a, size_t user, struct err *err)
{
    const struct histories *h = a->histories;
    uint32_t history[1024];
    size_t count = 0;
    char id[ID_SIZE_MAX + 1];
    slate_begin(&a->work, a->snapshot);
    for (size_t e = h->first[user]; e < h->first[user + 1]; e++) {
        uint32_t row = snapshot_row(a->snapshot, h->item[e]);
        if (row == NO_ITEM)
            continue;
        bit_set(a->work.skip, row);
        if (h->kind[e] == EVENT_POSITIVE) {
            if (count == COUNT(history))
                memmove(history, history + 1, --count * sizeof *history);
            history[count++] = row;
        }
    }
    const struct slate_request request = {
        .history = history, .history_count = count, .n = a->n, .beam = a->job->train->beam};
    if (!user_id(id, a->txn, h->user[user], err) ||
        !slate_make(&a->slate, &a->work, a->snapshot, &a->snapshot->version->fusion, &request, err))
        return false;
    json_t *items = json_array();
    for (size_t i = 0; i < a->slate.count; i++) {
        char item[ID_SIZE_MAX + 1] = "";
        if (!catalogue_id(item, a->txn, snapshot_number(a->snapshot, a->slate.items[i].row), err))
            break;
        json_array_append_new(items, json_pack("{s:s, s:f, s:s}", "item_id", item, "score",
                                               a->slate.items[i].score, "source",
                                               SLATE_SOURCES[a->slate.items[i].source]));
    }
    json_t *line = json_pack("{s:s, s:o}", "user_id", id, "items", items);
    json_dumpf(line, a->out, JSON_COMPACT);
    fputc('\n', a->out);
    json_decref(line);
    return err->code == ERR_NONE;
}

bool job_recommend_all(const struct job *job, size_t n, const char *path, struct err *err)
{
    char name[64];
    struct store_txn txn = {0};
    struct all_users a = {.job = job, .n = n, .txn = &txn};
    if (!production_name(name, job->home, err))
        return false;
    struct version *version =
        version_open(job->home, name, job->store, job->train->scan_items_max, err);
    struct snapshot *snapshot = version ? snapshot_open(version, job->store, err) : NULL;
    a.snapshot = snapshot;
    a.histories = snapshot ? histories_load(job->store, job->events, 0, err) : NULL;
    a.out = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    bool fine = a.histories && slate_work_open(&a.work, snapshot, 0, job->train->window, err);
    if (!a.out)
        fine = err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    fine = fine && store_begin(&txn, job->store, false, err);
    for (size_t u = 0; fine && u < a.histories->users; u++)
        fine = write_user(&a, u, err);
    store_abort(&txn);
    if (a.out && (a.out == stdout ? fflush(a.out) : fclose(a.out)) != 0 && fine)
        fine = err_set(err, ERR_FULL, "%s: cannot write: %s", path, strerror(errno));
    slate_work_close(&a.work);
    histories_free(a.histories);
    snapshot_drop(snapshot);
    return fine;
}
