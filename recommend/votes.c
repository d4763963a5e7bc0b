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

float votes_push(const struct votes *votes, uint32_t row)
{
    size_t at = numbers_find(votes->row, votes->count, row);
    return at == SIZE_MAX ? 0 : votes->push[at];
}
