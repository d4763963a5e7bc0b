#include "evaluate/baselines.h"

static const float RECENCY = 0.7F;

void knn_scores(float *scores, const struct neighbour_lists *lists, const uint32_t *history,
                size_t count)
{
    float weight = 1;
    for (size_t k = 0; k < KNN_HISTORY && k < count; k++, weight *= RECENCY) {
        uint32_t row = history[count - 1 - k];
        if (row >= lists->items)
            continue;
        for (size_t e = lists->first[row]; e < lists->first[row + 1]; e++)
            scores[lists->item[e]] += weight * lists->similarity[e];
    }
}

void popularity_scores(float *scores, const uint32_t *events, size_t items)
{
    for (size_t i = 0; i < items; i++)
        scores[i] = (float)events[i];
}
