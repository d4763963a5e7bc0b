/*
 * text_vectors.h: what an item says about itself, as a short dense vector.
 *
 * Terms are the words of title and text, pairs of neighbouring title words, and the tags
 * ("category=Drama").  A row of TF-IDF weights, kind * (1 + log tf) * log((1 + n) / (1 + df)) with
 * a weight for each kind of term (measured: docs/SEMANTIC_IDS.md), of unit length, is projected on
 * the right singular vectors of the catalogue's rows and scaled to unit length.  A term is known by
 * its 64-bit hash and terms are ordered by it, so nothing here depends on the order of the items.
 *
 * Memory    struct text_coder owns its arrays; text_coder_free().
 * Threads   a coder never changes; any number of threads may encode.
 */
#ifndef INDEX_TEXT_VECTORS_H
#define INDEX_TEXT_VECTORS_H

#include "index/sparse.h"

#include "base/tensors.h"

struct document {
    const char *title;       /* UTF-8, may be "" */
    const char *text;        /* may be "" */
    const char *const *tags; /* each is one term as it stands */
    size_t tag_count;
};

struct text_coder {
    size_t terms, dims;
    uint64_t *term; /* [terms] rising */
    float *idf;     /* [terms] */
    float *basis;   /* [terms, dims] */
};

/* Documents one at a time; what get() returns is borrowed until the next call. */
struct documents {
    size_t count;
    const struct document *(*get)(void *self, size_t at);
    void *self;
};
const struct document *document_at(void *list, size_t at); /* get() over an array of documents */

/* Learns a coder and writes vectors [count, dims]; terms in fewer than two documents are dropped.
 */
struct text_coder *text_coder_fit(float *vectors, const struct documents *documents, size_t dims,
                                  uint64_t seed, struct err *err) MUST_CHECK;
void text_coder_free(struct text_coder *coder); /* NULL is fine */
bool text_encode(float *vector, const struct text_coder *coder, const struct document *document,
                 struct err *err) MUST_CHECK; /* all zero if no term is known */

/* The unit-length TF-IDF rows themselves: [count, terms]. */
struct sparse *text_rows(const struct text_coder *coder, const struct documents *documents,
                         struct err *err) MUST_CHECK;

/*
 * The `most` nearest of each row by cosine, the nearest first, itself left out.  Only terms in at
 * most TEXT_TERM_ROWS_MAX rows bring two rows together, so the cost stays near linear in their
 * number.
 */
enum { TEXT_TERM_ROWS_MAX = 3000 };
struct sparse *text_neighbours(const struct sparse *rows, const struct sparse *postings,
                               size_t most, struct err *err) MUST_CHECK;

/* The rows of each term: [terms, count], what a search walks. */
struct sparse *text_postings(const struct sparse *rows, size_t terms, struct err *err) MUST_CHECK;

/* The terms of one document that the coder knows, with their weights; returns how many (<= most).
 */
size_t text_query(uint32_t *terms, float *weights, size_t most, const struct text_coder *coder,
                  const struct document *document, struct err *err);

/* The rows nearest to a document that is not among them: hits[most], best first; returns how many.
 */
struct hit;
size_t text_nearest(struct hit *hits, size_t most, const struct text_coder *coder,
                    const struct sparse *postings, const struct document *document,
                    struct err *err);

/* Calls fn with the hash of every term of a document and the weight of its kind. */
typedef bool term_fn(void *self, uint64_t term, float weight, struct err *err);
bool document_terms(const struct document *document, term_fn *fn, void *self,
                    struct err *err) MUST_CHECK;

void vector_to_unit(float *vector, size_t dims); /* zero stays zero */

#endif
