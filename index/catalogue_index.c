#include "index/catalogue_index.h"

#include "base/files.h"
#include "base/text.h"
#include "index/faiss_c.h"
#include "index/scan.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct catalogue_index {
    const float *vectors; /* borrowed [items, dims] */
    size_t items, dims;
    FaissIndex *faiss; /* owned; NULL: exact scan */
};

static bool faiss_failed(struct err *err, const char *path, const char *doing)
{
    return err_set(err, ERR_FORMAT, "%s: %s: %s", path, doing, faiss_get_last_error());
}

static double lists_for(size_t items)
{
    return fmin((double)items, floor(4 * sqrt((double)items)));
}

static bool set_probes(struct catalogue_index *index, const char *path, struct err *err)
{
    FaissParameterSpace *space = NULL;
    int code = faiss_ParameterSpace_new(&space);
    double probes = fmax(16, lists_for(index->items) / 16); /* about a sixteenth of all vectors */
    if (!code)
        code = faiss_ParameterSpace_set_index_parameter(space, index->faiss, "nprobe", probes);
    if (space)
        faiss_ParameterSpace_free(space);
    return code ? faiss_failed(err, path, "nprobe") : true;
}

static bool faiss_open(struct catalogue_index *index, const char *path, struct err *err)
{
    if (path_exists(path)) {
        if (faiss_read_index_fname(path, 0, &index->faiss))
            return faiss_failed(err, path, "read");
        if ((size_t)faiss_Index_ntotal(index->faiss) != index->items ||
            (size_t)faiss_Index_d(index->faiss) != index->dims)
            return err_set(err, ERR_FORMAT,
                           "%s: expected %zu vectors of %zu dims, found %lld of %d", path,
                           index->items, index->dims, (long long)faiss_Index_ntotal(index->faiss),
                           faiss_Index_d(index->faiss));
        return set_probes(index, path, err);
    }
    struct text text;
    text_init(&text, 40);
    text_addf(&text, "IVF%.0f,Flat", lists_for(index->items));
    int code =
        faiss_index_factory(&index->faiss, (int)index->dims, text.bytes, METRIC_INNER_PRODUCT);
    text_release(&text);
    if (!code)
        code = faiss_Index_train(index->faiss, (idx_t)index->items, index->vectors);
    if (!code)
        code = faiss_Index_add(index->faiss, (idx_t)index->items, index->vectors);
    char aside[PATH_SIZE];
    if (!path_make(aside, err, "%s.part", path))
        return false;
    if (!code)
        code = faiss_write_index_fname(index->faiss, aside);
    if (code)
        return faiss_failed(err, path, "build");
    if (rename(aside, path) != 0)
        return err_set(err, ERR_SYSTEM, "%s: cannot rename: %s", path, strerror(errno));
    return set_probes(index, path, err);
}

struct catalogue_index *catalogue_index_open(const float *vectors, size_t items, size_t dims,
                                             const char *path, size_t scan_items_max,
                                             struct err *err)
{
    struct catalogue_index *index = calloc(1, sizeof *index);
    if (!index) {
        err_set(err, ERR_SYSTEM, "no memory for an index");
        return NULL;
    }
    *index = (struct catalogue_index){.vectors = vectors, .items = items, .dims = dims};
    if (items <= scan_items_max || faiss_open(index, path, err))
        return index;
    catalogue_index_close(index);
    return NULL;
}

void catalogue_index_close(struct catalogue_index *index)
{
    if (!index)
        return;
    if (index->faiss)
        faiss_Index_free(index->faiss);
    free(index);
}

bool catalogue_index_is_exact(const struct catalogue_index *index)
{
    return !index->faiss;
}

static bool is_skipped(const uint64_t *skip, size_t row)
{
    return skip && (skip[row / 64] >> (row % 64) & 1);
}

static bool faiss_search(struct topk *topk, const struct catalogue_index *index, const float *query,
                         const uint64_t *skip, struct err *err)
{
    size_t ask =
        topk->max * 4 < index->items ? topk->max * 4 : index->items; /* some will be skipped */
    float *scores = malloc((ask + 1) * sizeof *scores);
    idx_t *rows = malloc((ask + 1) * sizeof *rows);
    bool fine = scores && rows;
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for %zu hits", ask);
    else if (faiss_Index_search(index->faiss, 1, query, (idx_t)ask, scores, rows))
        fine = faiss_failed(err, "catalogue.faiss", "search");
    for (size_t i = 0; fine && i < ask && rows[i] >= 0; i++)
        if (!is_skipped(skip, (size_t)rows[i]))
            topk_push(topk, (struct hit){(uint32_t)rows[i], scores[i]});
    free(scores);
    free(rows);
    return fine;
}

bool catalogue_index_search(struct topk *topk, const struct catalogue_index *index,
                            const float *query, const uint64_t *skip, float *scores,
                            struct err *err)
{
    if (index->faiss)
        return faiss_search(topk, index, query, skip, err);
    scan_inner_products(scores, index->vectors, query, index->items, index->dims);
    for (size_t i = 0; i < index->items; i++) {
        if (topk->count == topk->max && scores[i] <= topk->hits[0].score)
            continue; /* rows rise, so an equal score loses to the one that is there */
        if (!is_skipped(skip, i))
            topk_push(topk, (struct hit){(uint32_t)i, scores[i]});
    }
    return true;
}

void scan_inner_products(float *scores, const float *vectors, const float *query, size_t items,
                         size_t dims)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f"))
        scan_avx512(scores, vectors, query, items, dims);
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        scan_avx2(scores, vectors, query, items, dims);
    else
        scan_plain(scores, vectors, query, items, dims);
}
