/*
 * topk.h: the best few of many, in an order that does not depend on who was seen first.
 *
 * Equal scores are ordered by rising row.  Rows are numbered by semantic ID, so a tie is broken by
 * what an item is, never by its number or its place in a file.
 */
#ifndef BASE_TOPK_H
#define BASE_TOPK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hit {
    uint32_t row;
    float score; /* larger is better */
};

struct topk {
    struct hit *hits; /* borrowed, room for max; a heap with the worst on top until topk_sort() */
    size_t max;
    size_t count;
};

bool hit_better(struct hit a, struct hit b);
void topk_push(struct topk *topk, struct hit hit);
void topk_sort(struct topk *topk);              /* best first */
void hits_sort(struct hit *hits, size_t count); /* best first */

#endif
