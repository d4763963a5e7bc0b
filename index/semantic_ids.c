#include "index/semantic_ids.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct named {
    uint16_t codes[LEVELS_MAX];
    uint32_t slot;
    float left; /* squared distance to its centroids */
    const float *vector;
    size_t dims;
};

static int compare_named(const void *a, const void *b)
{
    const struct named *x = a;
    const struct named *y = b;
    for (size_t l = 0; l < LEVELS_MAX; l++)
        if (x->codes[l] != y->codes[l])
            return x->codes[l] < y->codes[l] ? -1 : 1;
    if (x->left < y->left || x->left > y->left)
        return x->left < y->left ? -1 : 1;
    for (size_t d = 0; d < x->dims; d++) /* equal distance, other content */
        if (x->vector[d] < y->vector[d] || x->vector[d] > y->vector[d])
            return x->vector[d] < y->vector[d] ? -1 : 1;
    return x->slot < y->slot ? -1
                             : x->slot > y->slot; /* equal content: nothing can tell them apart */
}

bool semantic_ids_make(struct semantic_ids *ids, const struct quantiser *quantiser,
                       const float *vectors, const bool *whole, size_t count, struct err *err)
{
    size_t levels = quantiser->levels + 1;
    struct named *named = calloc(count + 1, sizeof *named);
    *ids = (struct semantic_ids){.items = count, .levels = levels};
    ids->codes = calloc(count * levels + 1, sizeof *ids->codes);
    ids->slot = calloc(count + 1, sizeof *ids->slot);
    bool fine = named && ids->codes && ids->slot;
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for the names of %zu items", count);
    for (size_t i = 0; fine && i < count; i++) {
        const float *vector = vectors + i * quantiser->dims;
        named[i].slot = (uint32_t)i;
        named[i].vector = vector;
        named[i].dims = quantiser->dims;
        named[i].left = quantiser_code(named[i].codes, quantiser, vector, !whole[i]);
    }
    if (fine)
        qsort(named, count, sizeof *named, compare_named);
    size_t last = 0;
    for (size_t i = 0; fine && i < count; i++) {
        bool shares =
            i > 0 && memcmp(named[i].codes, named[i - 1].codes, quantiser->levels * 2) == 0;
        last = shares ? last + 1 : 0;
        if (last > UINT16_MAX)
            fine = err_set(err, ERR_LIMIT, "more than %d items share one name (tiles too few?)",
                           UINT16_MAX + 1);
        memcpy(ids->codes + i * levels, named[i].codes, quantiser->levels * 2);
        ids->codes[i * levels + quantiser->levels] = (uint16_t)last;
        ids->slot[i] = named[i].slot;
    }
    free(named);
    if (!fine)
        semantic_ids_release(ids);
    return fine;
}

void semantic_ids_release(struct semantic_ids *ids)
{
    free(ids->codes);
    free(ids->slot);
    *ids = (struct semantic_ids){0};
}

size_t semantic_id_text(char *text, size_t room, const uint16_t *codes, size_t levels)
{
    size_t used = 0;
    if (room)
        text[0] = 0;
    for (size_t l = 0; l < levels && used < room; l++)
        used += (size_t)snprintf(text + used, room - used, "<%c_%u>", (char)('a' + l), codes[l]);
    return used < room ? used : room;
}

static void measure_levels(struct semantic_ids_report *report, const struct semantic_ids *ids)
{
    for (size_t l = 0; l < ids->levels; l++) {
        size_t *counts = calloc(UINT16_MAX + 1, sizeof *counts);
        if (!counts)
            return;
        for (size_t i = 0; i < ids->items; i++)
            counts[ids->codes[i * ids->levels + l]]++;
        for (size_t k = 0; k <= UINT16_MAX; k++) {
            double p = (double)counts[k] / (double)ids->items;
            report->tiles_used[l] += counts[k] > 0;
            if (counts[k])
                report->entropy_bits[l] -= p * log2(p);
        }
        free(counts);
    }
}

static void measure_collisions(struct semantic_ids_report *report, const struct semantic_ids *ids)
{
    size_t quantised = ids->levels - 1;
    for (size_t i = 0, next; i < ids->items; i = next) {
        for (next = i + 1;
             next < ids->items && memcmp(ids->codes + i * ids->levels,
                                         ids->codes + next * ids->levels, quantised * 2) == 0;)
            next++;
        if (next - i > 1)
            report->collisions += next - i;
        if (next - i > report->largest_group)
            report->largest_group = next - i;
    }
}

void semantic_ids_measure(struct semantic_ids_report *report, const struct semantic_ids *ids,
                          const struct quantiser *quantiser, const float *vectors,
                          const float *guessed, const bool *warm)
{
    *report = (struct semantic_ids_report){0};
    measure_levels(report, ids);
    measure_collisions(report, ids);
    double left = 0;
    double whole = 0;
    size_t agree[LEVELS_MAX] = {0};
    size_t warm_count = 0;
    for (size_t i = 0; i < ids->items; i++) {
        uint16_t codes[LEVELS_MAX];
        uint16_t by_text[LEVELS_MAX];
        const float *vector = vectors + i * quantiser->dims;
        if (!warm[i])
            continue;
        warm_count++;
        left += (double)quantiser_code(codes, quantiser, vector, false);
        for (size_t d = 0; d < quantiser->dims; d++)
            whole += (double)vector[d] * (double)vector[d];
        quantiser_code(by_text, quantiser, guessed + i * quantiser->dims, false);
        for (size_t l = 0; l < quantiser->levels && codes[l] == by_text[l]; l++)
            agree[l]++;
    }
    report->reconstruction = whole > 0 ? left / whole : 0;
    for (size_t l = 0; l < quantiser->levels && warm_count; l++)
        report->text_agreement[l] = (double)agree[l] / (double)warm_count;
}
