#include "index/text_vectors.h"

#include "base/topk.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include <xxhash.h>

enum {
    WORD_MAX = 64,
    TERMS_MAX = 4096,
    TITLE_SEED = 1,
    TAG_SEED = 2,
    PAIR_SEED = 3,
    NEAREST_TERMS = 512
};

static const float WORD_WEIGHT = 1;
static const float PAIR_WEIGHT = 0.5F;
static const float CATEGORY_WEIGHT = 0.7F;
static const float TAG_WEIGHT = 1;

static bool is_word_char(utf8proc_int32_t code)
{
    utf8proc_category_t category = utf8proc_category(code);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO;
}

/* Words are runs of letters, marks and digits after case folding and dropping accents. */
static bool words(const char *text, bool pairs, term_fn *fn, void *self, struct err *err)
{
    uint64_t before = 0;
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
            if (at - start <= WORD_MAX) {
                uint64_t word =
                    XXH3_64bits_withSeed(folded + start, (size_t)(at - start), TITLE_SEED);
                const uint64_t pair[2] = {before, word};
                fine = fn(self, word, WORD_WEIGHT, err);
                if (fine && pairs && before)
                    fine = fn(self, XXH3_64bits_withSeed(pair, sizeof pair, PAIR_SEED), PAIR_WEIGHT,
                              err);
                before = word;
            }
            start = -1;
        }
        at += step;
    }
    free(folded);
    return fine;
}

bool document_terms(const struct document *document, term_fn *fn, void *self, struct err *err)
{
    if (!words(document->title, true, fn, self, err) ||
        !words(document->text, false, fn, self, err))
        return false;
    for (size_t i = 0; i < document->tag_count; i++) {
        const char *tag = document->tags[i];
        bool category = strncmp(tag, "category=", 9) == 0;
        if (!fn(self, XXH3_64bits_withSeed(tag, strlen(tag), TAG_SEED),
                category ? CATEGORY_WEIGHT : TAG_WEIGHT, err))
            return false;
    }
    return true;
}

struct term {
    uint64_t hash;
    float weight;
};

struct term_list {
    struct term terms[TERMS_MAX];
    size_t count;
};

static bool list_term(void *self, uint64_t term, float weight, struct err *err)
{
    struct term_list *list = self;
    (void)err;
    if (list->count < TERMS_MAX) /* the rest of a very long text adds little */
        list->terms[list->count++] = (struct term){term, weight};
    return true;
}

static int compare_hashes(const void *a, const void *b)
{
    const struct term *x = a;
    const struct term *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
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
    qsort(list->terms, list->count, sizeof *list->terms, compare_hashes);
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

/* Writes the unit-length TF-IDF row of a document; returns its number of entries.  Pairs of words
 * tell near duplicates apart, but drown the topics that an SVD is to find: it does without them. */
static size_t tf_idf(uint32_t *columns, float *values, const struct text_coder *coder,
                     const struct term_list *list, bool pairs)
{
    size_t count = 0;
    float squares = 0;
    for (size_t i = 0, next; i < list->count; i = next) {
        for (next = i + 1; next < list->count && list->terms[next].hash == list->terms[i].hash;)
            next++;
        if (!pairs && list->terms[i].weight == PAIR_WEIGHT)
            continue;
        size_t column = find_term(coder, list->terms[i].hash);
        if (column == SIZE_MAX)
            continue;
        columns[count] = (uint32_t)column;
        values[count] = list->terms[i].weight * (1 + logf((float)(next - i))) * coder->idf[column];
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
        if (i == 0 || list->terms[i].hash != list->terms[i - 1].hash)
            counts->all[counts->count++] = list->terms[i].hash;
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

static struct text_coder *fit_vocabulary(const struct documents *documents, size_t dims,
                                         struct term_list *list, struct err *err)
{
    struct document_counts counts = {0};
    struct text_coder *coder = NULL;
    bool fine = true;
    size_t count = documents->count;
    for (size_t i = 0; fine && i < count; i++)
        fine = sorted_terms(list, documents->get(documents->self, i), err) &&
               add_distinct(&counts, list, err);
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

static struct sparse *rows_of(const struct text_coder *coder, const struct documents *documents,
                              bool pairs_too, struct err *err)
{
    struct pairs pairs = {0};
    static _Thread_local uint32_t columns[TERMS_MAX];
    static _Thread_local float values[TERMS_MAX];
    struct term_list *list = calloc(1, sizeof *list);
    bool fine = list || err_set(err, ERR_SYSTEM, "no memory for the terms of a document");
    for (size_t i = 0; fine && i < documents->count; i++) {
        fine = sorted_terms(list, documents->get(documents->self, i), err);
        size_t entries = fine ? tf_idf(columns, values, coder, list, pairs_too) : 0;
        for (size_t e = 0; fine && e < entries; e++)
            fine = pairs_add(&pairs, (struct pair){(uint32_t)i, columns[e], values[e]}, err);
    }
    struct sparse *rows =
        fine ? sparse_from_pairs(&pairs, documents->count, coder->terms, err) : NULL;
    free(pairs.list);
    free(list);
    return rows;
}

struct sparse *text_rows(const struct text_coder *coder, const struct documents *documents,
                         struct err *err)
{
    return rows_of(coder, documents, true, err);
}

const struct document *document_at(void *list, size_t at)
{
    return (const struct document *)list + at;
}

struct text_coder *text_coder_fit(float *vectors, const struct documents *documents, size_t dims,
                                  uint64_t seed, struct err *err)
{
    size_t count = documents->count;
    struct term_list *list = calloc(1, sizeof *list);
    struct text_coder *coder = list ? fit_vocabulary(documents, dims, list, err) : NULL;
    struct sparse *rows = coder ? rows_of(coder, documents, false, err) : NULL;
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
    size_t entries = fine ? tf_idf(columns, values, coder, list, false) : 0;
    memset(vector, 0, coder->dims * sizeof *vector);
    for (size_t e = 0; e < entries; e++)
        cblas_saxpy((int)coder->dims, values[e], coder->basis + columns[e] * coder->dims, 1, vector,
                    1);
    vector_to_unit(vector, coder->dims);
    free(list);
    return fine;
}

struct sparse *text_postings(const struct sparse *rows, size_t columns, struct err *err)
{
    struct pairs pairs = {0};
    bool fine = true;
    for (size_t r = 0; fine && r < rows->rows; r++)
        for (size_t e = rows->first[r]; fine && e < rows->first[r + 1]; e++)
            fine =
                pairs_add(&pairs, (struct pair){rows->column[e], (uint32_t)r, rows->value[e]}, err);
    struct sparse *out = fine ? sparse_from_pairs(&pairs, columns, rows->rows, err) : NULL;
    free(pairs.list);
    return out;
}

static size_t nearest_rows(struct hit *hits, size_t most, const struct sparse *rows,
                           const struct sparse *columns, size_t row, float *score,
                           uint32_t *touched)
{
    struct topk best = {.hits = hits, .max = most};
    size_t count = 0;
    for (size_t e = rows->first[row]; e < rows->first[row + 1]; e++) {
        size_t begin = columns->first[rows->column[e]];
        size_t end = columns->first[rows->column[e] + 1];
        for (size_t k = begin; end - begin <= TEXT_TERM_ROWS_MAX && k < end; k++) {
            uint32_t other = columns->column[k];
            float add = rows->value[e] * columns->value[k];
            if (!(add > 0)) /* a term that every document has weighs nothing */
                continue;
            if (score[other] == 0)
                touched[count++] = other;
            score[other] += add;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (touched[i] != row)
            topk_push(&best, (struct hit){touched[i], score[touched[i]]});
        score[touched[i]] = 0;
    }
    topk_sort(&best);
    return best.count;
}

size_t text_query(uint32_t *terms, float *weights, size_t most, const struct text_coder *coder,
                  const struct document *document, struct err *err)
{
    struct term_list *list = malloc(sizeof *list + TERMS_MAX * (sizeof(uint32_t) + sizeof(float)));
    if (!list) {
        err_set(err, ERR_SYSTEM, "no memory for the terms of a query");
        return 0;
    }
    uint32_t *columns = (uint32_t *)(list + 1);
    float *values = (float *)(columns + TERMS_MAX);
    size_t count =
        sorted_terms(list, document, err) ? tf_idf(columns, values, coder, list, true) : 0;
    count = count < most ? count : most;
    memcpy(terms, columns, count * sizeof *terms);
    memcpy(weights, values, count * sizeof *weights);
    free(list);
    return count;
}

size_t text_nearest(struct hit *hits, size_t most, const struct text_coder *coder,
                    const struct sparse *postings, const struct document *document, struct err *err)
{
    uint32_t terms[NEAREST_TERMS];
    float weights[NEAREST_TERMS];
    struct topk best = {.hits = hits, .max = most};
    size_t rows = postings->columns;
    float *score = calloc(rows + 1, sizeof *score);
    size_t count = score ? text_query(terms, weights, NEAREST_TERMS, coder, document, err) : 0;
    if (!score)
        err_set(err, ERR_SYSTEM, "no memory for the nearest of %zu texts", rows);
    for (size_t t = 0; t < count; t++)
        for (size_t e = postings->first[terms[t]]; e < postings->first[terms[t] + 1]; e++)
            score[postings->column[e]] += weights[t] * postings->value[e];
    for (size_t r = 0; r < rows && count; r++)
        if (score[r] > 0)
            topk_push(&best, (struct hit){(uint32_t)r, score[r]});
    topk_sort(&best);
    free(score);
    return best.count;
}

struct sparse *text_neighbours(const struct sparse *rows, const struct sparse *by_column,
                               size_t most, struct err *err)
{
    struct sparse *out = calloc(1, sizeof *out);
    float *score = calloc(rows->rows + 1, sizeof *score);
    uint32_t *touched = calloc(rows->rows + 1, sizeof *touched);
    struct hit *hits = calloc(most + 1, sizeof *hits);
    bool fine = out && score && touched && hits;
    if (out) {
        *out = (struct sparse){.rows = rows->rows, .columns = rows->rows};
        out->first = calloc(rows->rows + 1, sizeof *out->first);
        out->column = calloc(rows->rows * most + 1, sizeof *out->column);
        out->value = calloc(rows->rows * most + 1, sizeof *out->value);
        fine = fine && out->first && out->column && out->value;
    }
    for (size_t r = 0; fine && r < rows->rows; r++) {
        size_t count = nearest_rows(hits, most, rows, by_column, r, score, touched);
        for (size_t i = 0; i < count; i++) {
            out->column[out->entries] = hits[i].row;
            out->value[out->entries++] = hits[i].score;
        }
        out->first[r + 1] = out->entries;
    }
    free(score);
    free(touched);
    free(hits);
    if (fine)
        return out;
    sparse_free(out);
    err_set(err, ERR_SYSTEM, "no memory for the nearest texts of %zu items", rows->rows);
    return NULL;
}
