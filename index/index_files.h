/*
 * index_files.h: what `tessera index` makes, as files, and read back.
 *
 * text_vectors.safetensors  all that codes a new item: terms, idf, basis, centroids, weights
 * semantic_ids.safetensors  the rows: ids, names, content vectors, training events of each
 * neighbours.safetensors    the co-occurrence lists that item-kNN and the count source sum, and the
 *                           nearest texts of each item, and the items of each term
 *
 * Memory    an open index owns its maps and copies; pointers are borrowed until index_close().
 * Threads   an open index never changes.
 */
#ifndef INDEX_INDEX_FILES_H
#define INDEX_INDEX_FILES_H

#include "index/cooccurrence.h"
#include "index/quantiser.h"
#include "index/semantic_ids.h"
#include "index/text_vectors.h"

struct item_index {
    size_t items, levels;       /* levels of a name, the last tile included */
    struct text_coder coder;    /* its arrays are borrowed from the map */
    struct quantiser quantiser; /* the same */
    double text_weight, event_weight;
    uint16_t *codes;        /* owned [items, levels] */
    const float *content;   /* [items, dims] */
    const uint32_t *events; /* [items] training events of each row */
    const char *id_bytes;
    const int64_t *id_at;                /* [items + 1] */
    const uint32_t *latest;              /* [items] training sequences that end in this row */
    struct sparse neighbours;            /* their arrays are owned */
    struct sparse text_neighbours;       /* the nearest first */
    struct sparse postings;              /* [terms, items] */
    char fingerprint[SHA256_TEXT];       /* of names and ids */
    struct tensors coder_file, ids_file; /* owned */
};

struct index_parts {
    const struct text_coder *coder;
    const struct quantiser *quantiser;
    double text_weight, event_weight;
    const struct semantic_ids *ids;
    const float *content;            /* [items, dims] in row order */
    const uint32_t *events;          /* [items] in row order */
    const char *const *names;        /* [items] item ids in row order */
    const uint32_t *latest;          /* [items] in row order */
    const struct sparse *neighbours; /* rows in row order */
    const struct sparse *text_neighbours;
    const struct sparse *postings; /* [terms, items], items in row order */
};

bool index_write(const char *folder, const struct index_parts *parts, struct err *err) MUST_CHECK;
struct item_index *index_open(const char *folder, struct err *err) MUST_CHECK;
void index_close(struct item_index *index); /* NULL is fine */

/*
 * One matrix of co-occurrence lists by rows of the index with this fingerprint, as a file of its
 * own.  What is read is the caller's, sparse_free().
 */
bool neighbours_write(const char *path, const struct sparse *neighbours, const char *fingerprint,
                      struct err *err) MUST_CHECK;
struct sparse *neighbours_read(const char *path, size_t items, const char *fingerprint,
                               struct err *err) MUST_CHECK;

/* The rows whose texts are nearest, the nearest first: enough of them to find some with events. */
struct nearest {
    uint32_t row[4 * NEAREST_MOST];
    float likeness[4 * NEAREST_MOST];
    size_t count;
};

/*
 * The content vector and the quantised tiles of an item that is not in the index: its text, and in
 * the place of co-occurrence what its nearest texts have.
 */
bool index_code(float *content, uint16_t *codes, struct nearest *nearest,
                const struct item_index *index, const struct document *document,
                struct err *err) MUST_CHECK;

static inline size_t index_id(const char **id, const struct item_index *index, size_t row)
{
    *id = index->id_bytes + index->id_at[row];
    return (size_t)(index->id_at[row + 1] - index->id_at[row]);
}

#endif
