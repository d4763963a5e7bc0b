#include "train/chains.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static double share_or_0(size_t part, size_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static void print_claims(struct report *report, const struct chain_judgement *j, const char *how)
{
    char what[96];
    size_t said = 0;
    size_t held = 0;
    printf("  %s:", how);
    for (size_t k = 0; k < CLAIM_KINDS; k++) {
        double precision = share_or_0(j->held[k], j->said[k]);
        printf(" %s %.3f of %zu", CLAIM_NAMES[k], precision, j->said[k]);
        snprintf(what, sizeof what, "reasons, %s: precision before dropping, %s", how,
                 CLAIM_NAMES[k]);
        if (j->said[k]) /* else there is nothing to be right about */
            report_add(report, what, precision, "");
        said += j->said[k];
        held += j->held[k];
    }
    printf("\n");
    snprintf(what, sizeof what, "reasons, %s: precision before dropping", how);
    report_add(report, what, share_or_0(held, said), "");
    printf(
        "  %s: precision of all %.3f; an answer keeps %.2f; two or more of two kinds or more: %.3f "
        "of answers\n",
        how, share_or_0(held, said), share_or_0(j->surviving, j->answers),
        share_or_0(j->two_of_two, j->answers));
    snprintf(what, sizeof what, "reasons, %s: claims an answer keeps", how);
    report_add(report, what, share_or_0(j->surviving, j->answers), "");
    snprintf(what, sizeof what, "reasons, %s: answers with two claims of two kinds", how);
    report_add(report, what, share_or_0(j->two_of_two, j->answers), "");
}

static void print_answers(struct report *report, const struct chain_judgement *j, size_t cases)
{
    static const char *const lists[] = {"name", "slate"};
    char what[96];
    double own = share_or_0(j->lowered[0], j->removals);
    double first = share_or_0(j->lowered[1], j->removals);
    printf("  without what is cited the answer loses more than without as many others: %.3f of %zu "
           "cases (the slate's first: %.3f)\n"
           "  confidence is off by %.3f on average; a reasoned slate takes %.2f ms, a direct one "
           "%.2f\n",
           own, j->removals, first, j->calibration, j->reason_ms, j->direct_ms);
    report_add(report, "reasons: cited items matter more", own, "");
    report_add(report, "reasons: cited items matter more to the slate's first", first, "");
    report_add(report, "reasons: calibration error of intent", j->calibration, "");
    report_add(report, "reasons: time of a reasoned slate", j->reason_ms, "ms");
    report_add(report, "reasons: time of a direct slate", j->direct_ms, "ms");
    for (size_t k = 0; k < COUNT(lists); k++) {
        const uint32_t *direct = j->rank[CHAINS_DIRECT][k];
        const uint32_t *reasoned = j->rank[CHAINS_REASONED][k];
        struct interval d = ranking_compare(reasoned, direct, cases, 10, RANKING_NDCG, 1);
        double mean[2] = {ranking_interval(direct, cases, 10, RANKING_NDCG, 1).mean,
                          ranking_interval(reasoned, cases, 10, RANKING_NDCG, 1).mean};
        printf("  %-5s NDCG@10 direct %.4f, reasoned %.4f: %+.4f [%+.4f, %+.4f]\n", lists[k],
               mean[0], mean[1], d.mean, d.low, d.high);
        snprintf(what, sizeof what, "reasons: %s NDCG@10, direct", lists[k]);
        report_add(report, what, mean[0], "");
        snprintf(what, sizeof what, "reasons: %s NDCG@10, reasoned", lists[k]);
        report_add(report, what, mean[1], "");
    }
}

static bool write_ranks(const struct chain_judgement *j, const struct cases *cases,
                        const char *path, struct err *err)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    fputs("user\tdirect name\tdirect slate\treasoned name\treasoned slate\n", file);
    for (size_t i = 0; i < cases->count; i++)
        fprintf(file, "%u\t%u\t%u\t%u\t%u\n", cases->user[i],
                j->rank[CHAINS_DIRECT][CHAINS_NAME][i], j->rank[CHAINS_DIRECT][CHAINS_SLATE][i],
                j->rank[CHAINS_REASONED][CHAINS_NAME][i],
                j->rank[CHAINS_REASONED][CHAINS_SLATE][i]);
    return fclose(file) == 0 || err_set(err, ERR_FULL, "%s: cannot write", path);
}

bool chains_report(struct report *report, struct row_data *data, const struct snapshot *snapshot,
                   enum part part, size_t most, const char *ranks_path, struct err *err)
{
    struct cases cases = {0};
    const struct train_settings *s = data->job->train;
    if (!snapshot->version->attributes)
        return err_set(err, ERR_INPUT,
                       "reasons: version %s gives none; train one with --stage reason",
                       snapshot->version->name);
    bool fine = rows_cases(&cases, data, snapshot, part, most, err);
    if (fine)
        printf("\nchains of reasons (%zu users, %zu attributes)\n", cases.count,
               snapshot->version->attributes->count);
    for (int facts = 0; fine && facts < 2; facts++) {
        struct chain_judgement seen;
        const struct chain_judging options = {
            .beam = s->beam, .history_max = s->window, .facts = facts};
        fine = chains_judge(&seen, &cases, snapshot, &options, data->job->pool, err);
        if (!fine)
            break;
        print_claims(report, &seen, facts ? "served" : "grammar alone");
        if (facts)
            print_answers(report, &seen, cases.count);
        if (facts && ranks_path)
            fine = write_ranks(&seen, &cases, ranks_path, err);
        chain_judgement_free(&seen);
    }
    cases_release(&cases);
    return fine;
}
