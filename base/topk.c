#include "base/topk.h"

#include <stdlib.h>

bool hit_better(struct hit a, struct hit b)
{
    return a.score > b.score || (a.score == b.score && a.row < b.row);
}

static void sift_down(struct hit *heap, size_t count, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && hit_better(heap[child], heap[child + 1]))
            child++;
        if (!hit_better(heap[at], heap[child]))
            return;
        struct hit other = heap[at];
        heap[at] = heap[child];
        heap[child] = other;
        at = child;
    }
}

void topk_push(struct topk *topk, struct hit hit)
{
    if (topk->count == topk->max) {
        if (topk->max == 0 || !hit_better(hit, topk->hits[0]))
            return;
        topk->hits[0] = hit;
        sift_down(topk->hits, topk->count, 0);
        return;
    }
    size_t at = topk->count++;
    while (at > 0 && hit_better(topk->hits[(at - 1) / 2], hit)) {
        topk->hits[at] = topk->hits[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    topk->hits[at] = hit;
}

static int compare_hits(const void *a, const void *b)
{
    const struct hit *x = a;
    const struct hit *y = b;
    return hit_better(*x, *y) ? -1 : hit_better(*y, *x) ? 1 : 0;
}

void hits_sort(struct hit *hits, size_t count)
{
    if (count)
        qsort(hits, count, sizeof *hits, compare_hits);
}

void topk_sort(struct topk *topk)
{
    hits_sort(topk->hits, topk->count);
}
