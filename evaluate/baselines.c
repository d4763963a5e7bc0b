#include "evaluate/baselines.h"

void tally_add(struct tally *tally, uint32_t row, float vote)
{
    if (!(vote > 0)) /* else a row could be touched twice */
        return;
    if (tally->score[row] == 0)
        tally->touched[tally->count++] = row;
    tally->score[row] += vote;
}

void tally_clear(struct tally *tally)
{
    for (size_t i = 0; i < tally->count; i++)
        tally->score[tally->touched[i]] = 0;
    tally->count = 0;
}

static void vote(struct tally *tally, const struct neighbour_lists *lists, uint32_t row,
                 float weight)
{
    for (size_t e = lists->first[row]; e < lists->first[row + 1]; e++)
        if (lists->similarity[e] > 0)
            tally_add(tally, lists->item[e], weight * lists->similarity[e]);
}

void knn_votes(struct tally *tally, const struct neighbour_lists *lists, const uint32_t *history,
               size_t count, size_t depth, float recency)
{
    float weight = 1;
    for (size_t k = 0; k < depth && k < count; k++, weight *= recency)
        if (history[count - 1 - k] < lists->items)
            vote(tally, lists, history[count - 1 - k], weight);
}

void walk_votes(struct tally *tally, const struct neighbour_lists *texts,
                const struct neighbour_lists *lists, const uint32_t *history, size_t count,
                size_t depth, float recency, size_t nearest)
{
    float weight = 1;
    for (size_t k = 0; k < depth && k < count; k++, weight *= recency) {
        uint32_t row = history[count - 1 - k];
        if (row >= texts->items)
            continue;
        size_t begin = texts->first[row];
        size_t end = texts->first[row + 1];
        if (end - begin > nearest)
            end = begin + nearest;
        float total = 0;
        for (size_t e = begin; e < end; e++)
            total += texts->similarity[e] * texts->similarity[e];
        for (size_t e = begin; e < end && total > 0; e++)
            vote(tally, lists, texts->item[e],
                 weight * texts->similarity[e] * texts->similarity[e] / total);
    }
}
