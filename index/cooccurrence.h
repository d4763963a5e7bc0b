/*
 * cooccurrence.h: which items follow which, counted in training histories.
 *
 * Two uses.  *Neighbours*, the similarity that item-kNN sums: directed counts over gaps g up to a
 * window, forwards 1/sqrt(g), backwards `backward` of it,
 *
 *     s(a, b) = c / ((n_a + shrink)^from (n_b + shrink)^to) * c / (c + 1)
 *
 * (chosen on the validation parts of Amazon Beauty and MovieTweetings together: docs/QUALITY.md; a
 * light hand on the candidate's own count and shrinkage are what matters).  *Vectors*: symmetric
 * counts 1/g within COOCCURRENCE_WINDOW turned into positive pointwise mutual information, max(0,
 * log(c_ab * total / (c_a * c_b))), and reduced by SVD (Levy and Goldberg, NIPS 2014).
 *
 * Histories are flat arrays: user u has items[first[u] .. first[u + 1]), oldest first.
 */
#ifndef INDEX_COOCCURRENCE_H
#define INDEX_COOCCURRENCE_H

#include "index/sparse.h"

enum { COOCCURRENCE_WINDOW = 5 };

struct neighbour_options {
    size_t most;   /* kept of each item, the strongest */
    size_t window; /* largest gap; cut so that at most PAIRS_MAX pairs are counted */
    double backward, from, to, shrink;
};
enum { PAIRS_MAX = 100000000 };

struct sparse *neighbours_count(const uint32_t *items, const size_t *first, size_t users,
                                size_t item_count, const struct neighbour_options *options,
                                struct err *err) MUST_CHECK;

/* How often each item came right after each: a Markov chain's counts, for a baseline. */
struct sparse *followers_count(const uint32_t *items, const size_t *first, size_t users,
                               size_t item_count, struct err *err) MUST_CHECK;

/* vectors [item_count, dims], unit length times n / (n + 3) for an item with n events; 0 without.
 */
bool cooccurrence_vectors(float *vectors, const uint32_t *items, const size_t *first, size_t users,
                          size_t item_count, size_t dims, uint64_t seed,
                          struct err *err) MUST_CHECK;

/*
 * What an item without events may be like: the mean of the vectors [rows, stride] of its nearest
 * texts that have events, by likeness squared.  near [count] the nearest first; at most
 * NEAREST_MOST are taken.  false, and zeros: none of them has any.
 */
enum { NEAREST_MOST = 20 };
bool nearest_mean(float *mean, size_t dims, const uint32_t *near, const float *likeness,
                  size_t count, const float *vectors, size_t stride, const uint32_t *events);

/*
 * The same for the co-occurrence part of every row: guessed [rows, dims] is content with the part
 * from `at` on guessed from texts, the nearest of each row.  any [rows], if not NULL: whether there
 * was something to guess from.
 */
void nearest_mean_all(float *guessed, bool *any, const float *content, size_t dims, size_t at,
                      const struct sparse *texts, const uint32_t *events);

#endif
