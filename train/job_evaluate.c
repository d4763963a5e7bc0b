/*
 * job_evaluate.c: `tessera evaluate`: the version in production against the baselines.
 *
 * Figures of the validation part are for choosing; --test appends one row to docs/TEST_RUNS.tsv,
 * and that row is what we quote.  --all adds: lists in which what was seen may return, targets that
 * are rare or cold, and search.
 */
#include "base/json.h"
#include "base/log.h"
#include "data/catalogue.h"
#include "index/cooccurrence.h"
#include "train/chains.h"
#include "train/judge.h"
#include "train/lists.h"
#include "train/report.h"
#include "train/rows.h"
#include "train/search.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AT_10 = 2, RARE_EVENTS = 5, DIVERSITY_CASES = 4000 };

struct evaluation {
    const struct job *job;
    const struct evaluate_options *options;
    enum part part;
    const char *part_name;
    char name[64];
    char hash[SHA256_TEXT]; /* settings the version was trained with */
    uint64_t upto;
    struct row_data data;
    struct snapshot *snapshot;
    struct cases cases;
    struct sparse *followers;
    struct judgement seen;
    bool sasrec; /* its lists are in `seen` */
    struct report report;
};

static bool shows(const struct evaluation *e, size_t method)
{
    return method != METHOD_SASREC || e->sasrec;
}

static void print_row(const char *name, const char *metric, const double *values)
{
    printf("%-12s %-5s", name, metric);
    for (size_t c = 0; c < CUTS; c++)
        printf("  %.4f", values[c]);
}

static void report_metric(struct evaluation *e, const char *method, const char *metric,
                          const double *values)
{
    char what[96];
    for (size_t c = 0; c < CUTS; c++) {
        snprintf(what, sizeof what, "%s: %s@%zu, %s", e->part_name, metric, CUT_AT[c], method);
        report_add(&e->report, what, values[c], metric);
    }
}

static void print_table(struct evaluation *e)
{
    size_t count = e->cases.count;
    printf("%-12s %-5s", "method", "");
    for (size_t c = 0; c < CUTS; c++)
        printf("     @%-2zu", CUT_AT[c]);
    printf("\n");
    for (size_t m = 0; m < METHODS; m++) {
        struct ranking r;
        const char *name = METHOD_NAMES[m];
        if (!shows(e, m))
            continue;
        ranking_measure(&r, e->seen.rank[m], count);
        struct interval hr = ranking_interval(e->seen.rank[m], count, 10, RANKING_HR, 1);
        struct interval ndcg = ranking_interval(e->seen.rank[m], count, 10, RANKING_NDCG, 1);
        print_row(name, "HR", r.hr);
        printf("   @10 in [%.4f, %.4f]  coverage@10 %.4f\n", hr.low, hr.high,
               lists_coverage(e->seen.shown[m], e->snapshot->rows));
        print_row("", "NDCG", r.ndcg);
        printf("   @10 in [%.4f, %.4f]  gini@10     %.4f\n", ndcg.low, ndcg.high,
               lists_gini(e->seen.shown[m], e->snapshot->rows));
        print_row("", "MRR", r.mrr);
        printf("\n");
        report_metric(e, name, "HR", r.hr);
        report_metric(e, name, "NDCG", r.ndcg);
        report_metric(e, name, "MRR", r.mrr);
    }
}

static void compare(struct evaluation *e)
{
    printf("\nNDCG@10 of fused minus        mean      95 %% interval      smallest we could see\n");
    for (size_t m = 0; m < METHOD_FUSED; m++) {
        char what[96];
        if (!shows(e, m))
            continue;
        struct interval d = ranking_compare(e->seen.rank[METHOD_FUSED], e->seen.rank[m],
                                            e->cases.count, 10, RANKING_NDCG, 1);
        printf("  %-24s %+.5f  [%+.5f, %+.5f]  %.5f\n", METHOD_NAMES[m], d.mean, d.low, d.high,
               d.detectable);
        snprintf(what, sizeof what, "%s: low end of NDCG@10, fused minus %s", e->part_name,
                 METHOD_NAMES[m]);
        report_add(&e->report, what, d.low, "ndcg");
    }
}

/* HR@10 and NDCG@10 of the cases whose target has so many training events. */
static void print_by_events(struct evaluation *e, const struct judgement *seen, const char *title,
                            uint32_t least, uint32_t most)
{
    uint32_t *rank = calloc(e->cases.count + 1, sizeof *rank);
    const uint32_t *events = e->snapshot->version->index->events;
    size_t items = e->snapshot->version->index->items;
    size_t count = 0;
    for (size_t m = 0; rank && m < METHODS; m++) {
        struct ranking r;
        if (!shows(e, m) || (m == METHOD_SASREC && seen != &e->seen))
            continue;
        count = 0;
        for (size_t i = 0; i < e->cases.count; i++) {
            uint32_t row = e->cases.target[i];
            uint32_t n = row < items ? events[row] : 0;
            if (n >= least && n <= most)
                rank[count++] = seen->rank[m][i];
        }
        ranking_measure(&r, rank, count);
        if (m == 0)
            printf("\n%s: %zu cases\n", title, count);
        if (!count)
            break;
        printf("  %-12s HR@10 %.4f  NDCG@10 %.4f\n", METHOD_NAMES[m], r.hr[AT_10], r.ndcg[AT_10]);
        char what[96];
        snprintf(what, sizeof what, "%s: HR@10, %s, %s", e->part_name, METHOD_NAMES[m], title);
        report_add(&e->report, what, r.hr[AT_10], "HR");
    }
    free(rank);
}

static bool judge_all(struct judgement *out, struct evaluation *e,
                      const struct judging_options *asked, struct err *err)
{
    const struct sparse *f = e->followers;
    const struct neighbour_lists followers = {f->first, f->column, f->value, f->rows};
    struct judging_options options = *asked;
    options.beam = e->job->train->beam;
    options.history_max = e->job->train->window;
    options.followers = &followers;
    return judge(out, &e->cases, e->snapshot, &options, e->job->pool, err);
}

/* SASRec is a version of its own, trained with --preset sasrec; its *find* is its list. */
static bool judge_sasrec(struct evaluation *e, struct err *err)
{
    char name[64];
    struct err none = {0};
    struct cases cases = {0};
    struct judgement theirs = {0};
    if (!version_link(name, e->job->home, "baselines/sasrec", &none))
        return true;
    struct version *version =
        version_open(e->job->home, name, e->job->store, e->job->train->scan_items_max, err);
    struct snapshot *snapshot = version ? snapshot_open(version, e->job->store, err) : NULL;
    const struct judging_options options = {.beam = 1, .history_max = e->job->train->window};
    bool fine = snapshot && rows_cases(&cases, &e->data, snapshot, e->part, 0, err);
    bool same = fine && cases.count == e->cases.count && snapshot->rows == e->snapshot->rows &&
                strcmp(version->index->fingerprint, e->snapshot->version->index->fingerprint) == 0;
    if (fine && !same)
        log_info("evaluate.sasrec version=%s left_out=\"made from another index\"", name);
    if (same) {
        fine = judge(&theirs, &cases, snapshot, &options, e->job->pool, err);
        if (fine) {
            memcpy(e->seen.rank[METHOD_SASREC], theirs.rank[METHOD_FIND],
                   cases.count * sizeof(uint32_t));
            memcpy(e->seen.shown[METHOD_SASREC], theirs.shown[METHOD_FIND],
                   snapshot->rows * sizeof(uint32_t));
            e->sasrec = true;
        }
        judgement_release(&theirs, cases.count);
    }
    cases_release(&cases);
    snapshot_drop(snapshot);
    return fine;
}

/* What newcomers cost the others. */
static bool print_without_newcomers(struct evaluation *e, struct err *err)
{
    struct judgement seen = {0};
    const struct judging_options known = {.known_only = true};
    if (e->snapshot->version->unseen_count == 0)
        return true;
    if (!judge_all(&seen, e, &known, err))
        return false;
    print_by_events(e, &seen, "targets with a training event, newcomers left out of the lists", 1,
                    UINT32_MAX);
    judgement_release(&seen, e->cases.count);
    return true;
}

static bool print_unmasked(struct evaluation *e, struct err *err)
{
    struct judgement seen = {0};
    const struct judging_options unmasked = {.unmasked = true};
    if (!judge_all(&seen, e, &unmasked, err))
        return false;
    printf("\nwith what was seen left in the lists\n");
    for (size_t m = 0; m < METHODS; m++) {
        struct ranking r;
        char what[96];
        ranking_measure(&r, seen.rank[m], e->cases.count);
        if (m == METHOD_SASREC)
            continue;
        printf("  %-12s HR@10 %.4f  NDCG@10 %.4f\n", METHOD_NAMES[m], r.hr[AT_10], r.ndcg[AT_10]);
        snprintf(what, sizeof what, "%s: NDCG@10, %s, history not masked", e->part_name,
                 METHOD_NAMES[m]);
        report_add(&e->report, what, r.ndcg[AT_10], "NDCG");
    }
    judgement_release(&seen, e->cases.count);
    return true;
}

/* What a user gets who has done one thing so far. */
static bool print_newest(struct evaluation *e, struct err *err)
{
    struct judgement seen = {0};
    const struct judging_options newest = {.newest = 1};
    char what[96];
    if (!judge_all(&seen, e, &newest, err))
        return false;
    struct interval d = ranking_compare(seen.rank[METHOD_FUSED], seen.rank[METHOD_POPULAR],
                                        e->cases.count, 10, RANKING_NDCG, 1);
    printf("\nhistories cut to their newest event\n");
    for (size_t m = 0; m < METHODS; m++) {
        struct ranking r;
        ranking_measure(&r, seen.rank[m], e->cases.count);
        if (m != METHOD_SASREC)
            printf("  %-12s HR@10 %.4f  NDCG@10 %.4f\n", METHOD_NAMES[m], r.hr[AT_10],
                   r.ndcg[AT_10]);
    }
    printf("  fused minus popularity %+.5f [%+.5f, %+.5f]\n", d.mean, d.low, d.high);
    snprintf(what, sizeof what, "%s: low end of NDCG@10, fused minus popularity, one event",
             e->part_name);
    report_add(&e->report, what, d.low, "ndcg");
    judgement_release(&seen, e->cases.count);
    return true;
}

static bool print_diversity(struct evaluation *e, struct err *err)
{
    static const struct {
        const char *name;
        double mmr;
        size_t category_max;
    } tries[] = {{"as it is", 0, 0},
                 {"mmr 0.5", 0.5, 0},
                 {"mmr 1", 1, 0},
                 {"mmr 2", 2, 0},
                 {"category_max 3", 0, 3}};
    struct cases cases = {0};
    if (!rows_cases(&cases, &e->data, e->snapshot, e->part, DIVERSITY_CASES, err))
        return false;
    printf("\ndiversity, and what it costs (%zu users)\n", cases.count);
    bool fine = true;
    for (size_t i = 0; fine && i < COUNT(tries); i++) {
        struct judgement seen = {0};
        struct ranking r;
        const struct judging_options options = {.beam = e->job->train->beam,
                                                .history_max = e->job->train->window,
                                                .mmr = tries[i].mmr,
                                                .category_max = tries[i].category_max};
        fine = judge(&seen, &cases, e->snapshot, &options, e->job->pool, err);
        if (!fine)
            break;
        ranking_measure(&r, seen.rank[METHOD_FUSED], cases.count);
        printf("  %-15s NDCG@10 %.4f  HR@10 %.4f  coverage@10 %.4f  likeness within a list %.4f\n",
               tries[i].name, r.ndcg[AT_10], r.hr[AT_10],
               lists_coverage(seen.shown[METHOD_FUSED], e->snapshot->rows), seen.likeness);
        judgement_release(&seen, cases.count);
    }
    cases_release(&cases);
    return fine;
}

static const struct {
    const char *name, *says;
} SEARCHES[SEARCH_KINDS] = {
    {"title", "title words that training never held, no history"},
    {"tags", "words of tags of the held-out item, no history"},
    {"history", "the history and words of the held-out item"},
};

static void print_search_row(struct evaluation *e, enum search_kind kind, const char *name,
                             const uint32_t *rank, size_t count)
{
    struct ranking r;
    char what[96];
    ranking_measure(&r, rank, count);
    printf("  %-12s HR@1 %.4f  HR@10 %.4f  HR@50 %.4f  NDCG@10 %.4f\n", name, r.hr[0], r.hr[AT_10],
           r.hr[CUTS - 1], r.ndcg[AT_10]);
    snprintf(what, sizeof what, "%s: search by %s HR@10, %s", e->part_name, SEARCHES[kind].name,
             name);
    report_add(&e->report, what, r.hr[AT_10], "HR");
}

static void print_searches(struct evaluation *e, const struct search_queries *queries,
                           const struct judgement *seen, const uint32_t *tf_idf)
{
    for (size_t k = 0; k < SEARCH_KINDS; k++) {
        size_t first = queries->first[k];
        size_t count = queries->first[k + 1] - first;
        printf("\nsearch by %s: %zu queries, such as \"%s\"\n", SEARCHES[k].says, count,
               count ? queries->cases.query[first] : "");
        print_search_row(e, k, "tf_idf", tf_idf + first, count);
        for (size_t m = METHOD_NAME; m <= METHOD_FUSED; m++)
            print_search_row(e, k, METHOD_NAMES[m], seen->rank[m] + first, count);
    }
}

static bool print_search(struct evaluation *e, struct err *err)
{
    const struct version *v = e->snapshot->version;
    struct search_queries queries = {0};
    struct judgement seen = {0};
    struct item_words *words = item_words_load(v, e->job->store, v->tokenizer, err);
    bool fine = words && search_queries_make(&queries, words, v->tokenizer, v->policy.items.seen,
                                             &e->cases, e->part, err);
    size_t count = queries.cases.count;
    uint32_t *rank = calloc(count + 1, sizeof *rank);
    const struct judging_options options = {.beam = e->job->train->beam,
                                            .history_max = e->job->train->window};
    fine = fine && rank && judge(&seen, &queries.cases, e->snapshot, &options, e->job->pool, err) &&
           search_tf_idf(rank, &queries.cases, v, e->job->store, err);
    if (fine)
        print_searches(e, &queries, &seen, rank);
    if (seen.rank[0])
        judgement_release(&seen, count);
    free(rank);
    cases_release(&queries.cases);
    item_words_free(words);
    return fine;
}

/* ---- what stays of a run ---- */

static const struct {
    const char *column;
    enum method method;
    bool hr;
} RUN_COLUMNS[] = {
    {"popularity_ndcg10", METHOD_POPULAR, false}, {"markov_ndcg10", METHOD_MARKOV, false},
    {"item_knn_hr10", METHOD_KNN, true},          {"item_knn_ndcg10", METHOD_KNN, false},
    {"nearest_text_ndcg10", METHOD_TEXT, false},  {"sasrec_hr10", METHOD_SASREC, true},
    {"sasrec_ndcg10", METHOD_SASREC, false},      {"name_hr10", METHOD_NAME, true},
    {"name_ndcg10", METHOD_NAME, false},          {"find_hr10", METHOD_FIND, true},
    {"find_ndcg10", METHOD_FIND, false},          {"fused_hr10", METHOD_FUSED, true},
    {"fused_ndcg10", METHOD_FUSED, false},
};

static const enum method RUN_RIVALS[] = {METHOD_POPULAR, METHOD_KNN, METHOD_SASREC};

static bool append_run(struct evaluation *e, struct err *err)
{
    const char *path = e->options->runs_path;
    bool fresh = !path_exists(path);
    size_t count = e->cases.count;
    char when[40];
    time_t now = time(NULL);
    struct tm utc;
    FILE *file = fopen(path, "a");
    if (!file)
        return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    if (fresh) {
        fputs("date\tcommit\tdata\tsettings\tversion\tusers", file);
        for (size_t i = 0; i < COUNT(RUN_COLUMNS); i++)
            fprintf(file, "\t%s", RUN_COLUMNS[i].column);
        for (size_t i = 0; i < COUNT(RUN_RIVALS); i++)
            fprintf(file, "\tfused_minus_%s_low", METHOD_NAMES[RUN_RIVALS[i]]);
        fputc('\n', file);
    }
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y-%m-%d", &utc);
    fprintf(file, "%s\t", when);
    commit_print(file);
    fprintf(file, "\t%s\t%.12s\t%s\t%zu", e->options->label, e->hash, e->snapshot->version->name,
            count);
    for (size_t i = 0; i < COUNT(RUN_COLUMNS); i++) {
        struct ranking r;
        enum method m = RUN_COLUMNS[i].method;
        ranking_measure(&r, e->seen.rank[m], count);
        if (shows(e, m))
            fprintf(file, "\t%.5f", RUN_COLUMNS[i].hr ? r.hr[AT_10] : r.ndcg[AT_10]);
        else
            fputs("\t-", file);
    }
    for (size_t i = 0; i < COUNT(RUN_RIVALS); i++) {
        enum method m = RUN_RIVALS[i];
        if (shows(e, m))
            fprintf(file, "\t%+.5f",
                    ranking_compare(e->seen.rank[METHOD_FUSED], e->seen.rank[m], count, 10,
                                    RANKING_NDCG, 1)
                        .low);
        else
            fputs("\t-", file);
    }
    fputc('\n', file);
    return fclose(file) == 0 || err_set(err, ERR_FULL, "%s: cannot write", path);
}

/* One row a case, for comparing runs: the user's number, then the rank in each method's list. */
static bool write_ranks(struct evaluation *e, struct err *err)
{
    const char *path = e->options->ranks_path;
    FILE *file = fopen(path, "w");
    if (!file)
        return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    fputs("user", file);
    for (size_t m = 0; m < METHODS; m++)
        if (shows(e, m))
            fprintf(file, "\t%s", METHOD_NAMES[m]);
    fputc('\n', file);
    for (size_t i = 0; i < e->cases.count; i++) {
        fprintf(file, "%u", e->cases.user[i]);
        for (size_t m = 0; m < METHODS; m++)
            if (shows(e, m))
                fprintf(file, "\t%u", e->seen.rank[m][i]);
        fputc('\n', file);
    }
    return fclose(file) == 0 || err_set(err, ERR_FULL, "%s: cannot write", path);
}

/* ---- the job ---- */

/* The settings the version was trained with, from its manifest: what a test run is filed under. */
static bool read_manifest(struct evaluation *e, struct err *err)
{
    char folder[PATH_SIZE];
    if (!path_make(folder, err, "%s/models/%s", e->job->home, e->name) ||
        !rows_check_meaning(&e->upto, folder, e->job, err))
        return false;
    json_t *manifest = manifest_read(folder, err);
    bool fine = manifest != NULL;
    const char *run = json_string_value(json_object_get(manifest, "run"));
    snprintf(e->hash, sizeof e->hash, "%s", run ? run : "unknown");
    json_decref(manifest);
    return fine;
}

static bool open_evaluation(struct evaluation *e, struct err *err)
{
    const struct job *job = e->job;
    bool production = strcmp(e->options->version, "production") == 0;
    snprintf(e->name, sizeof e->name, "%.63s", e->options->version);
    if ((production && !production_name(e->name, job->home, err)) || !read_manifest(e, err) ||
        !rows_load_events(&e->data, job, e->upto, err))
        return false;
    struct version *version =
        version_open(job->home, e->name, job->store, job->train->scan_items_max, err);
    e->snapshot = version ? snapshot_open(version, job->store, err) : NULL;
    if (!e->snapshot || !rows_name(&e->data, e->snapshot, err))
        return false;
    const struct sequences *s = &e->data.sequences;
    e->followers = followers_count(s->item, s->first, s->users, version->index->items, err);
    if (!e->followers || !rows_cases(&e->cases, &e->data, e->snapshot, e->part, 0, err))
        return false;
    return e->cases.count || err_set(err, ERR_INPUT, "no user has a %s event (split is %s)",
                                     e->part_name, job->index->split);
}

static bool print_all(struct evaluation *e, struct err *err)
{
    const struct version *version = e->snapshot->version;
    printf("version %s, %s part, %zu users, %zu items, seen items masked; weights", e->name,
           e->part_name, e->cases.count, e->snapshot->rows);
    for (size_t f = 0; f < FEATURES; f++)
        printf(" %s %.3f", FEATURE_NAMES[f], version->fusion.weight[f]);
    printf("\n");
    if (!report_open(&e->report, e->options->targets_path, err))
        return false;
    print_table(e);
    compare(e);
    printf("time of a slate %.3f ms\n", e->seen.slate_ms);
    report_add(&e->report, "time of a slate", e->seen.slate_ms, "ms");
    bool fine = true;
    print_by_events(e, &e->seen, "targets without a training event", 0, 0);
    print_by_events(e, &e->seen, "targets with a training event", 1, UINT32_MAX);
    if (e->options->all) {
        fine = print_without_newcomers(e, err);
        print_by_events(e, &e->seen, "targets with 1 to 5 training events", 1, RARE_EVENTS);
        fine = fine && print_unmasked(e, err) && print_newest(e, err) && print_diversity(e, err) &&
               print_search(e, err);
    }
    if (fine && (e->options->lists || e->options->scores_path))
        fine =
            lists_report(&e->report, &e->data, e->snapshot, e->part, e->options->scores_path, err);
    if (fine && e->options->reasons)
        fine = chains_report(&e->report, &e->data, e->snapshot, e->part, e->options->reasons,
                             e->options->reason_ranks_path, err);
    if (fine && e->options->json_path)
        fine = report_write(&e->report, e->options->json_path, err);
    report_close(&e->report);
    return fine;
}

bool job_evaluate(const struct job *job, const struct evaluate_options *options, struct err *err)
{
    struct evaluation e = {.job = job,
                           .options = options,
                           .part = options->test ? PART_TEST : PART_VALIDATION,
                           .part_name = options->test ? "test" : "validation"};
    const struct judging_options plain = {0};
    bool fine = open_evaluation(&e, err) && judge_all(&e.seen, &e, &plain, err) &&
                judge_sasrec(&e, err) && print_all(&e, err);
    if (fine && options->test && options->runs_path)
        fine = append_run(&e, err);
    if (fine && options->ranks_path)
        fine = write_ranks(&e, err);
    if (e.seen.rank[0])
        judgement_release(&e.seen, e.cases.count);
    sparse_free(e.followers);
    cases_release(&e.cases);
    snapshot_drop(e.snapshot);
    rows_release(&e.data);
    return fine;
}
