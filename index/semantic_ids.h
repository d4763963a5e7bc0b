/*
 * semantic_ids.h: the names of the items, and the order they give the catalogue.
 *
 * A name is `levels` tiles: those of the quantiser, then one that tells the members of a collision
 * apart (0 for an item that is alone).  Within a collision the nearest to the centroids comes
 * first. Rows of a version are numbered by rising name, so the row of an item, and every tie broken
 * by it, follows from what the item is and not from its number, its id or its place in a file.
 * (Given the centroids: k-means starts from random items, so another order of the items is another
 * draw of its seed.)
 */
#ifndef INDEX_SEMANTIC_IDS_H
#define INDEX_SEMANTIC_IDS_H

#include "index/quantiser.h"

enum { LEVELS_MAX = 8 }; /* of a name, the last tile included */

struct semantic_ids {
    size_t items, levels; /* levels: with the last tile */
    uint16_t *codes;      /* owned [items, levels], rising */
    uint32_t *slot;       /* owned [items] which of the caller's vectors this row is */
};

/* whole[i]: all dimensions of the vector count, else those of text alone. */
bool semantic_ids_make(struct semantic_ids *ids, const struct quantiser *quantiser,
                       const float *vectors, const bool *whole, size_t count,
                       struct err *err) MUST_CHECK;
void semantic_ids_release(struct semantic_ids *ids);

/* Renders "<a_12><b_200><d_0>" into text and returns its length. */
size_t semantic_id_text(char *text, size_t room, const uint16_t *codes, size_t levels);

struct semantic_ids_report {
    size_t tiles_used[LEVELS_MAX];
    double entropy_bits[LEVELS_MAX];
    size_t collisions; /* items that share their quantised tiles with another */
    size_t largest_group;
    double reconstruction; /* mean |v - sum of centroids|^2 / mean |v|^2 over warm items */
    double text_agreement[LEVELS_MAX]; /* share of warm items whose first l+1 tiles are those they
                                          would get as newcomers */
};

void semantic_ids_measure(struct semantic_ids_report *report, const struct semantic_ids *ids,
                          const struct quantiser *quantiser, const float *vectors,
                          const float *guessed, const bool *warm); /* guessed: as newcomers */

#endif
