#include "evaluate/ranking.h"
#include "train/lists.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void print_method(struct report *report, const struct list_judgement *j, size_t cases,
                         enum list_method method, size_t rows)
{
    char what[80];
    printf("  %-8s", LIST_METHOD_NAMES[method]);
    for (size_t k = 0; k < LIST_CUTS; k++) {
        double ndcg = mean_of(j->ndcg[method][k], cases);
        printf(" NDCG@%zu %.4f", LIST_CUT_AT[k], ndcg);
        snprintf(what, sizeof what, "lists, NDCG@%zu, %s", LIST_CUT_AT[k],
                 LIST_METHOD_NAMES[method]);
        report_add(report, what, ndcg, "");
    }
    struct interval last = interval_of(j->ndcg[method][LIST_CUTS - 1], cases, 1);
    printf(" in [%.4f, %.4f]  recall@%zu %.4f  coverage %.4f\n", last.low, last.high,
           LIST_CUT_AT[LIST_CUTS - 1], mean_of(j->recall[method], cases),
           lists_coverage(j->shown[method], rows));
}

static bool write_scores(const struct list_judgement *j, const struct cases *c, const char *path,
                         struct err *err)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    fputs("user", file);
    for (size_t k = 0; k < LIST_CUTS; k++)
        fprintf(file, "\tNDCG@%zu", LIST_CUT_AT[k]);
    fprintf(file, "\trecall@%zu\n", LIST_CUT_AT[LIST_CUTS - 1]);
    for (size_t i = 0; i < c->count; i++) {
        fprintf(file, "%u", c->user[i]);
        for (size_t k = 0; k < LIST_CUTS; k++)
            fprintf(file, "\t%.6f", j->ndcg[LISTS_WRITTEN][k][i]);
        fprintf(file, "\t%.6f\n", j->recall[LISTS_WRITTEN][i]);
    }
    return fclose(file) == 0 || err_set(err, ERR_FULL, "%s: cannot write", path);
}

bool lists_report(struct report *report, const struct row_data *data,
                  const struct snapshot *snapshot, enum part part, const char *scores_path,
                  struct err *err)
{
    struct list_cases lists;
    struct list_judgement seen = {0};
    const struct train_settings *s = data->job->train;
    bool fine = list_cases_make(&lists, data, part, 0, err);
    size_t count = lists.cases.count;
    if (fine && count == 0)
        fine = err_set(err, ERR_INPUT,
                       "lists: expected users with %d or more items after the split, found none "
                       "(split is %s; time gives them)",
                       LIST_RELEVANT_LEAST, data->job->index->split);
    fine = fine &&
           lists_judge(&seen, &lists, snapshot, s->window, s->beam, false, data->job->pool, err);
    if (fine) {
        printf("\nranked lists against all that a user took later (%zu users, %zu items)\n", count,
               lists.relevant_first[count]);
        for (int m = 0; m < LIST_METHODS; m++)
            print_method(report, &seen, count, (enum list_method)m, snapshot->rows);
        fine = !scores_path || write_scores(&seen, &lists.cases, scores_path, err);
        list_judgement_free(&seen);
    }
    list_cases_free(&lists);
    return fine;
}
