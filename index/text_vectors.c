#include "index/text_vectors.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include <xxhash.h>

enum { WORD_MAX = 64, TERMS_MAX = 4096, TITLE_SEED = 1, TAG_SEED = 2 };

static bool is_word_char(utf8proc_int32_t code)
{
    utf8proc_category_t category = utf8proc_category(code);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO;
}

/* Words are runs of letters, marks and digits after case folding and dropping accents. */
static bool words(const char *text, term_fn *fn, void *self, struct err *err)
{
    utf8proc_uint8_t *folded = NULL;
    utf8proc_ssize_t size =
        utf8proc_map((const utf8proc_uint8_t *)text, 0, &folded,
                     (utf8proc_option_t)(UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPAT |
                                         UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD |
                                         UTF8PROC_STRIPMARK | UTF8PROC_IGNORE));
    if (size < 0)
        return err_set(err, ERR_INPUT, "text of an item is not valid UTF-8");
    bool fine = true;
    utf8proc_ssize_t start = -1;
    for (utf8proc_ssize_t at = 0; fine && at <= size;) {
        utf8proc_int32_t code = 0;
        utf8proc_ssize_t step = at < size ? utf8proc_iterate(folded + at, size - at, &code) : 1;
        if (step <= 0)
            break;
        bool inside = at < size && is_word_char(code);
        if (inside && start < 0)
            start = at;
        if (!inside && start >= 0) {
            if (at - start <= WORD_MAX)
                fine =
                    fn(self, XXH3_64bits_withSeed(folded + start, (size_t)(at - start), TITLE_SEED),
                       err);
            start = -1;
        }
        at += step;
    }
    free(folded);
    return fine;
}

bool document_terms(const struct document *document, term_fn *fn, void *self, struct err *err)
{
    if (!words(document->title, fn, self, err) || !words(document->text, fn, self, err))
        return false;
    for (size_t i = 0; i < document->tag_count; i++) {
        const char *tag = document->tags[i];
        if (!fn(self, XXH3_64bits_withSeed(tag, strlen(tag), TAG_SEED), err))
            return false;
    }
    return true;
}

struct term_list {
    uint64_t terms[TERMS_MAX];
    size_t count;
};

static bool list_term(void *self, uint64_t term, struct err *err)
{
    struct term_list *list = self;
    (void)err;
    if (list->count < TERMS_MAX) /* the rest of a very long text adds little */
        list->terms[list->count++] = term;
    return true;
}

static int compare_terms(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return *x < *y ? -1 : *x > *y;
}

static bool sorted_terms(struct term_list *list, const struct document *document, struct err *err)
{
    list->count = 0;
    if (!document_terms(document, list_term, list, err))
        return false;
    qsort(list->terms, list->count, sizeof *list->terms, compare_terms);
    return true;
}

static size_t find_term(const struct text_coder *coder, uint64_t term)
{
    size_t low = 0;
    size_t high = coder->terms;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (coder->term[middle] < term)
            low = middle + 1;
        else
            high = middle;
    }
    return low < coder->terms && coder->term[low] == term ? low : SIZE_MAX;
}

/* Writes the unit-length TF-IDF row of a document; returns its number of entries. */
static size_t tf_idf(uint32_t *columns, float *values, const struct text_coder *coder,
                     const struct term_list *list)
{
    size_t count = 0;
    float squares = 0;
    for (size_t i = 0, next; i < list->count; i = next) {
        for (next = i + 1; next < list->count && list->terms[next] == list->terms[i];)
            next++;
        size_t column = find_term(coder, list->terms[i]);
        if (column == SIZE_MAX)
            continue;
        columns[count] = (uint32_t)column;
        values[count] = (1 + logf((float)(next - i))) * coder->idf[column];
        squares += values[count] * values[count];
        count++;
    }
    for (size_t i = 0; i < count && squares > 0; i++)
        values[i] /= sqrtf(squares);
    return count;
}

void vector_to_unit(float *vector, size_t dims)
{
    float length = cblas_snrm2((int)dims, vector, 1);
    if (length > 1e-12F)
        cblas_sscal((int)dims, 1 / length, vector, 1);
}

struct document_counts {
    uint64_t *all; /* owned; one entry for every (document, term) */
    size_t count, room;
};

static bool add_distinct(struct document_counts *counts, const struct term_list *list,
                         struct err *err)
{
    if (counts->count + list->count > counts->room) {
        size_t room = (counts->count + list->count) * 2;
        uint64_t *all = realloc(counts->all, room * sizeof *all);
        if (!all)
            return err_set(err, ERR_SYSTEM, "no memory for %zu terms", room);
        counts->all = all;
        counts->room = room;
    }
    for (size_t i = 0; i < list->count; i++)
        if (i == 0 || list->terms[i] != list->terms[i - 1])
            counts->all[counts->count++] = list->terms[i];
    return true;
}

static struct text_coder *coder_new(size_t terms, size_t dims, struct err *err)
{
    struct text_coder *coder = calloc(1, sizeof *coder);
    if (coder) {
        coder->terms = terms;
        coder->dims = dims;
        coder->term = calloc(terms + 1, sizeof *coder->term);
        coder->idf = calloc(terms + 1, sizeof *coder->idf);
        coder->basis = calloc((terms + 1) * dims, sizeof *coder->basis);
    }
    if (coder && coder->term && coder->idf && coder->basis)
        return coder;
    text_coder_free(coder);
    err_set(err, ERR_SYSTEM, "no memory for %zu terms of %zu dims", terms, dims);
    return NULL;
}

void text_coder_free(struct text_coder *coder)
{
    if (!coder)
        return;
    free(coder->term);
    free(coder->idf);
    free(coder->basis);
    free(coder);
}

static struct text_coder *fit_vocabulary(const struct document *documents, size_t count,
                                         size_t dims, struct term_list *list, struct err *err)
{
    struct document_counts counts = {0};
    struct text_coder *coder = NULL;
    bool fine = true;
    for (size_t i = 0; fine && i < count; i++)
        fine = sorted_terms(list, &documents[i], err) && add_distinct(&counts, list, err);
    if (fine) {
        if (counts.count)
            qsort(counts.all, counts.count, sizeof *counts.all, compare_terms);
        coder = coder_new(counts.count, dims, err);
    }
    size_t kept = 0;
    for (size_t i = 0, next; coder && i < counts.count; i = next) {
        for (next = i + 1; next < counts.count && counts.all[next] == counts.all[i];)
            next++;
        if (next - i < 2)
            continue;
        coder->term[kept] = counts.all[i];
        coder->idf[kept++] = logf((float)(1 + count) / (float)(1 + next - i));
    }
    if (coder)
        coder->terms = kept;
    free(counts.all);
    return coder;
}

static struct sparse *rows_of(const struct text_coder *coder, const struct document *documents,
                              size_t count, struct term_list *list, struct err *err)
{
    struct pairs pairs = {0};
    static _Thread_local uint32_t columns[TERMS_MAX];
    static _Thread_local float values[TERMS_MAX];
    bool fine = true;
    for (size_t i = 0; fine && i < count; i++) {
        fine = sorted_terms(list, &documents[i], err);
        size_t entries = fine ? tf_idf(columns, values, coder, list) : 0;
        for (size_t e = 0; fine && e < entries; e++)
            fine = pairs_add(&pairs, (struct pair){(uint32_t)i, columns[e], values[e]}, err);
    }
    struct sparse *rows = fine ? sparse_from_pairs(&pairs, count, coder->terms, err) : NULL;
    free(pairs.list);
    return rows;
}

struct text_coder *text_coder_fit(float *vectors, const struct document *documents, size_t count,
                                  size_t dims, uint64_t seed, struct err *err)
{
    struct term_list *list = calloc(1, sizeof *list);
    struct text_coder *coder = list ? fit_vocabulary(documents, count, dims, list, err) : NULL;
    struct sparse *rows = coder ? rows_of(coder, documents, count, list, err) : NULL;
    bool fine = rows && svd_sparse(vectors, coder->basis, rows, dims, seed, err);
    for (size_t i = 0; fine && i < count; i++)
        vector_to_unit(vectors + i * dims, dims);
    sparse_free(rows);
    free(list);
    if (fine)
        return coder;
    err_set(err, ERR_SYSTEM, "no memory for text vectors of %zu documents", count);
    text_coder_free(coder);
    return NULL;
}

bool text_encode(float *vector, const struct text_coder *coder, const struct document *document,
                 struct err *err)
{
    struct term_list *list = malloc(sizeof *list + TERMS_MAX * (sizeof(uint32_t) + sizeof(float)));
    if (!list)
        return err_set(err, ERR_SYSTEM, "no memory for the terms of a document");
    uint32_t *columns = (uint32_t *)(list + 1);
    float *values = (float *)(columns + TERMS_MAX);
    bool fine = sorted_terms(list, document, err);
    size_t entries = fine ? tf_idf(columns, values, coder, list) : 0;
    memset(vector, 0, coder->dims * sizeof *vector);
    for (size_t e = 0; e < entries; e++)
        cblas_saxpy((int)coder->dims, values[e], coder->basis + columns[e] * coder->dims, 1, vector,
                    1);
    vector_to_unit(vector, coder->dims);
    free(list);
    return fine;
}
