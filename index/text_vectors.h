/*
 * text_vectors.h: what an item says about itself, as a short dense vector.
 *
 * Terms are the words of title and text and the tags ("category=Drama").  A row of TF-IDF weights,
 * (1 + log tf) * log((1 + n) / (1 + df)), of unit length, is projected on the right singular
 * vectors of the catalogue's rows and scaled to unit length.  A term is known by its 64-bit hash
 * and terms are ordered by it, so nothing here depends on the order of the items.
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

/* Learns a coder and writes vectors [count, dims]; terms in fewer than two documents are dropped.
 */
struct text_coder *text_coder_fit(float *vectors, const struct document *documents, size_t count,
                                  size_t dims, uint64_t seed, struct err *err) MUST_CHECK;
void text_coder_free(struct text_coder *coder); /* NULL is fine */
bool text_encode(float *vector, const struct text_coder *coder, const struct document *document,
                 struct err *err) MUST_CHECK; /* all zero if no term is known */

/* Calls fn with the hash of every term of a document, in reading order. */
typedef bool term_fn(void *self, uint64_t term, struct err *err);
bool document_terms(const struct document *document, term_fn *fn, void *self,
                    struct err *err) MUST_CHECK;

void vector_to_unit(float *vector, size_t dims); /* zero stays zero */

#endif
