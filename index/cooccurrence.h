/*
 * cooccurrence.h: which items follow which, counted in training histories.
 *
 * Two uses of one count.  *Neighbours*: directed, weight 1/gap forwards and BACKWARD/gap backwards
 * within a window, divided by sqrt(n_a n_b): the similarity that item-kNN sums.  *Vectors*: the
 * symmetric counts turned into positive pointwise mutual information,
 * max(0, log(c_ab * total / (c_a * c_b))), and reduced by SVD (Levy and Goldberg, NIPS 2014).
 *
 * Histories are flat arrays: user u has items[first[u] .. first[u + 1]), oldest first.
 */
#ifndef INDEX_COOCCURRENCE_H
#define INDEX_COOCCURRENCE_H

#include "index/sparse.h"

enum { COOCCURRENCE_WINDOW = 5 };

/* The neighbours of each item, at most `most` each (the strongest). */
struct sparse *neighbours_count(const uint32_t *items, const size_t *first, size_t users,
                                size_t item_count, size_t most, struct err *err) MUST_CHECK;

/* vectors [item_count, dims], unit length times n / (n + 3) for an item with n events; 0 without.
 */
bool cooccurrence_vectors(float *vectors, const uint32_t *items, const size_t *first, size_t users,
                          size_t item_count, size_t dims, uint64_t seed,
                          struct err *err) MUST_CHECK;

#endif
