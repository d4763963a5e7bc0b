#include "recommend/votes.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>

static int compare_rows(const void *a, const void *b)
{
    const struct hit *x = a;
    const struct hit *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

void votes_count(struct votes *votes, struct tally *tally, const struct snapshot *s,
                 const uint32_t *named, size_t count, const uint64_t *skip, double weight)
{
    struct hit hits[VOTES_MAX];
    struct topk best = {.hits = hits, .max = VOTES_MAX};
    const struct version *v = s->version;
    float most = 0;
    votes->count = 0;
    if (weight <= 0 || !v->together)
        return;
    const struct neighbour_lists lists = {v->together->first, v->together->column,
                                          v->together->value, v->together->rows};
    knn_votes(tally, &lists, named, count, KNN_HISTORY, VOTES_RECENCY);
    for (size_t i = 0; i < tally->count; i++) {
        uint32_t row = tally->touched[i];
        if (!bit_get(skip, row) && !bit_get(v->unseen, row)) {
            topk_push(&best, (struct hit){row, tally->score[row]});
            most = fmaxf(most, tally->score[row]);
        }
    }
    tally_clear(tally);
    if (best.count)
        qsort(hits, best.count, sizeof *hits, compare_rows);
    for (size_t i = 0; i < best.count; i++) {
        votes->row[i] = hits[i].row;
        votes->push[i] = (float)(weight * log1p((double)(hits[i].score / most) / VOTES_FLOOR));
    }
    votes->count = best.count;
}

uint32_t votes_cause(const struct snapshot *s, const uint32_t *named, size_t count, uint32_t row)
{
    const struct version *v = s->version;
    uint32_t cause = NO_ITEM;
    float weight = 1;
    float most = 0;
    for (size_t k = 0; v->together && k < KNN_HISTORY && k < count; k++, weight *= VOTES_RECENCY) {
        uint32_t voter = named[count - 1 - k];
        if (voter >= v->together->rows)
            continue;
        for (size_t e = v->together->first[voter]; e < v->together->first[voter + 1]; e++)
            if (v->together->column[e] == row && v->together->value[e] * weight > most) {
                most = v->together->value[e] * weight;
                cause = voter;
            }
    }
    return cause;
}

float votes_push(const struct votes *votes, uint32_t row)
{
    size_t at = numbers_find(votes->row, votes->count, row);
    return at == SIZE_MAX ? 0 : votes->push[at];
}
