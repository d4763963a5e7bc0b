#include "base/log.h"
#include "train/training.h"

#include <stdio.h>

struct guard {
    const char *name;
    bool posttraining_only; /* what reinforcement is known to lift the top at the cost of */
    enum { GUARD_NDCG10, GUARD_HR50, GUARD_COVERAGE } metric;
};
static const struct guard GUARDS[] = {
    {"NDCG@10", false, GUARD_NDCG10},
    {"HR@50", true, GUARD_HR50},
    {"coverage@10", true, GUARD_COVERAGE},
};

static struct interval difference_at(const struct guard *guard, const struct judgement *mine,
                                     const struct judgement *theirs, size_t cases, size_t items)
{
    const uint32_t *a = mine->rank[METHOD_FUSED];
    const uint32_t *b = theirs->rank[METHOD_FUSED];
    if (guard->metric == GUARD_COVERAGE)
        return coverage_compare(mine->shown[METHOD_FUSED], theirs->shown[METHOD_FUSED], items);
    if (guard->metric == GUARD_HR50)
        return ranking_compare(a, b, cases, LIST_MAX, RANKING_HR, 1);
    return ranking_compare(a, b, cases, 10, RANKING_NDCG, 1);
}

static void compare(const struct training *t, const struct judgement *mine,
                    const struct judgement *theirs, const char *old, char *loses)
{
    for (size_t g = 0; g < COUNT(GUARDS); g++) {
        if (GUARDS[g].posttraining_only && !t->posttrains)
            continue;
        struct interval d =
            difference_at(&GUARDS[g], mine, theirs, t->cases.count, t->version->index->items);
        bool keeps = d.high < 0;
        log_info("train.gate old=%s metric=%s difference=%.5f low=%.5f high=%.5f decision=%s", old,
                 GUARDS[g].name, d.mean, d.low, d.high, keeps ? "keep_old" : "pass");
        if (keeps && !loses[0])
            snprintf(loses, GATE_TEXT_SIZE, "%s: %+.4f [%+.4f, %+.4f]", GUARDS[g].name, d.mean,
                     d.low, d.high);
    }
}

bool training_gate(struct training *t, const struct judgement *mine, char *loses, struct err *err)
{
    char current[64];
    struct err none = {0};
    loses[0] = 0;
    if (!production_name(current, t->job->home, &none) || t->cases.count == 0)
        return true;
    struct version *old =
        version_open(t->job->home, current, t->job->store, t->job->train->scan_items_max, &none);
    if (!old) {
        log_info("train.gate old=%s reason=\"%s\" decision=pass", current, none.text);
        return true;
    }
    struct cases cases = {0};
    struct judgement theirs = {0};
    struct snapshot *snapshot = snapshot_open(old, t->job->store, err);
    const struct judging_options options = {.beam = t->job->train->beam,
                                            .history_max = t->job->train->window};
    bool fine = snapshot && rows_cases(&cases, &t->data, snapshot, PART_VALIDATION,
                                       t->job->train->judge_users, err);
    if (fine && cases.count == t->cases.count) {
        fine = judge(&theirs, &cases, snapshot, &options, t->job->pool, err);
        if (fine)
            compare(t, mine, &theirs, current, loses);
        judgement_release(&theirs, cases.count);
    }
    cases_release(&cases);
    snapshot_drop(snapshot);
    return fine;
}
