/*
 * catalogue_index.h: the items whose find vectors have the largest inner product with a query.
 *
 * Up to SCAN_ITEMS_MAX items every vector is looked at, by our own kernel: exact, and at 12,000
 * items of 64 dims about 20 times faster than Faiss's generic flat index.  Above that it is a Faiss
 * IVF index, built when a version is published and saved with it.
 *
 * Threads   an open index never changes; any number of threads may search it.
 * Memory    vectors are borrowed from the caller; the Faiss index is owned.
 */
#ifndef INDEX_CATALOGUE_INDEX_H
#define INDEX_CATALOGUE_INDEX_H

#include "base/err.h"
#include "base/topk.h"

enum { SCAN_ITEMS_MAX = 200000 };

struct catalogue_index;

/* path: where the Faiss index is saved, read back if it is there and fits, made if it is not. */
struct catalogue_index *catalogue_index_open(const float *vectors, size_t items, size_t dims,
                                             const char *path, size_t scan_items_max,
                                             struct err *err) MUST_CHECK;
void catalogue_index_close(struct catalogue_index *index); /* NULL is fine */

/*
 * Fills topk with the best rows.  skip [rows / 64] has a bit for each row that may not be found
 * (NULL: none).  scores [items] is scratch for the exact scan and holds every score afterwards.
 */
bool catalogue_index_search(struct topk *topk, const struct catalogue_index *index,
                            const float *query, const uint64_t *skip, float *scores,
                            struct err *err) MUST_CHECK;
bool catalogue_index_is_exact(const struct catalogue_index *index);

/* The scan alone: scores[i] = vectors[i] . query */
void scan_inner_products(float *scores, const float *vectors, const float *query, size_t items,
                         size_t dims);

#endif
