#include "index/index_files.h"

#include "base/text.h"
#include "base/topk.h"
#include "index/cooccurrence.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tensor tensor_of(const char *name, enum tensor_type type, const void *data,
                               size_t rows, size_t columns)
{
    return (struct tensor){name, type, columns ? 2 : 1, {rows, columns}, data};
}

static bool write_coder(const char *folder, const struct index_parts *p, struct err *err)
{
    char path[PATH_SIZE];
    const struct quantiser *q = p->quantiser;
    const int64_t sizes[] = {(int64_t)q->levels, (int64_t)q->tiles, (int64_t)q->dims,
                             (int64_t)q->text_dims};
    const double weights[] = {p->text_weight, p->event_weight};
    const struct tensor list[] = {
        tensor_of("terms", TENSOR_I64, p->coder->term, p->coder->terms, 0),
        tensor_of("idf", TENSOR_F32, p->coder->idf, p->coder->terms, 0),
        tensor_of("basis", TENSOR_F32, p->coder->basis, p->coder->terms, p->coder->dims),
        tensor_of("centroids", TENSOR_F32, q->centroids, q->levels * q->tiles, q->dims),
        tensor_of("halves", TENSOR_F32, q->halves, 2 * q->levels, q->tiles),
        tensor_of("sizes", TENSOR_I64, sizes, COUNT(sizes), 0),
        tensor_of("weights", TENSOR_F64, weights, COUNT(weights), 0),
    };
    return path_make(path, err, "%s/text_vectors.safetensors", folder) &&
           tensors_write(path, list, COUNT(list), NULL, err);
}

static bool write_ids(const char *folder, const struct index_parts *p, struct err *err)
{
    char path[PATH_SIZE];
    char fingerprint[SHA256_TEXT];
    size_t items = p->ids->items;
    size_t levels = p->ids->levels;
    struct text bytes;
    text_init(&bytes, SIZE_MAX / 4);
    int64_t *at = calloc(items + 1, sizeof *at);
    int32_t *codes = calloc(items * levels + 1, sizeof *codes);
    if (!at || !codes) {
        free(at);
        free(codes);
        return err_set(err, ERR_SYSTEM, "no memory for the names of %zu items", items);
    }
    for (size_t i = 0; i < items; i++) {
        text_add(&bytes, p->names[i], strlen(p->names[i]));
        at[i + 1] = (int64_t)bytes.size;
    }
    size_t id_size = bytes.size;
    for (size_t i = 0; i < items * levels; i++)
        codes[i] = p->ids->codes[i];
    text_add(&bytes, (const char *)p->ids->codes, items * levels * sizeof *p->ids->codes);
    text_sha256(fingerprint, bytes.bytes, bytes.size);
    const struct tensor list[] = {
        tensor_of("codes", TENSOR_I32, codes, items, levels),
        tensor_of("content", TENSOR_F32, p->content, items, p->quantiser->dims),
        tensor_of("events", TENSOR_U32, p->events, items, 0),
        tensor_of("latest", TENSOR_U32, p->latest, items, 0),
        tensor_of("id_at", TENSOR_I64, at, items + 1, 0),
        tensor_of("id_bytes", TENSOR_U8, bytes.bytes, id_size, 0),
    };
    json_t *notes = json_pack("{s:s}", "fingerprint", fingerprint);
    bool fine = !bytes.full && path_make(path, err, "%s/semantic_ids.safetensors", folder) &&
                tensors_write(path, list, COUNT(list), notes, err);
    json_decref(notes);
    text_release(&bytes);
    free(at);
    free(codes);
    return fine;
}

/* Tensors first, item, similarity of one list, under a prefix; `first` is the caller's to free. */
static int64_t *list_tensors(struct tensor out[3], char names[3][32], const char *prefix,
                             const struct sparse *n, struct err *err)
{
    static const char *const parts[] = {"first", "item", "similarity"};
    int64_t *first = calloc(n->rows + 1, sizeof *first);
    if (!first) {
        err_set(err, ERR_SYSTEM, "no memory for neighbours");
        return NULL;
    }
    for (size_t r = 0; r <= n->rows; r++)
        first[r] = (int64_t)n->first[r];
    for (size_t i = 0; i < 3; i++)
        snprintf(names[i], 32, "%s%s", prefix, parts[i]);
    out[0] = tensor_of(names[0], TENSOR_I64, first, n->rows + 1, 0);
    out[1] = tensor_of(names[1], TENSOR_U32, n->column, n->entries, 0);
    out[2] = tensor_of(names[2], TENSOR_F32, n->value, n->entries, 0);
    return first;
}

static bool write_neighbours(const char *folder, const struct index_parts *p, struct err *err)
{
    char path[PATH_SIZE];
    char names[9][32];
    struct tensor list[9];
    int64_t *first = list_tensors(list, names, "", p->neighbours, err);
    int64_t *text = list_tensors(list + 3, names + 3, "text.", p->text_neighbours, err);
    int64_t *terms = list_tensors(list + 6, names + 6, "terms.", p->postings, err);
    bool fine = first && text && terms &&
                path_make(path, err, "%s/neighbours.safetensors", folder) &&
                tensors_write(path, list, COUNT(list), NULL, err);
    free(first);
    free(text);
    free(terms);
    return fine;
}

bool index_write(const char *folder, const struct index_parts *parts, struct err *err)
{
    return write_coder(folder, parts, err) && write_ids(folder, parts, err) &&
           write_neighbours(folder, parts, err);
}

static bool read_coder(struct item_index *index, const char *folder, struct err *err)
{
    char path[PATH_SIZE];
    if (!path_make(path, err, "%s/text_vectors.safetensors", folder) ||
        !tensors_open(&index->coder_file, path, err))
        return false;
    const struct tensors *file = &index->coder_file;
    const int64_t *sizes = tensors_find(file, "sizes", TENSOR_I64, 4, 0, err);
    const double *weights = tensors_find(file, "weights", TENSOR_F64, 2, 0, err);
    const struct tensor *terms = tensors_get(file, "terms");
    if (!sizes || !weights || !terms)
        return err_set(err, ERR_FORMAT, "%s: tensor terms is missing", path);
    struct quantiser *q = &index->quantiser;
    *q = (struct quantiser){
        (size_t)sizes[0], (size_t)sizes[1], (size_t)sizes[2], (size_t)sizes[3], NULL, NULL};
    if (q->levels < 1 || q->levels >= LEVELS_MAX || q->dims < 1 || q->dims > 1024 ||
        q->text_dims > q->dims || q->tiles < 1 || q->tiles > 65535)
        return err_set(err, ERR_FORMAT, "%s: sizes %zu, %zu, %zu, %zu make no sense", path,
                       q->levels, q->tiles, q->dims, q->text_dims);
    size_t count = terms->shape[0];
    index->coder.terms = count;
    index->coder.dims = q->text_dims;
    index->coder.term =
        (uint64_t *)(uintptr_t)tensors_find(file, "terms", TENSOR_I64, count, 0, err);
    index->coder.idf = (float *)(uintptr_t)tensors_find(file, "idf", TENSOR_F32, count, 0, err);
    index->coder.basis =
        (float *)(uintptr_t)tensors_find(file, "basis", TENSOR_F32, count, q->text_dims, err);
    q->centroids = (float *)(uintptr_t)tensors_find(file, "centroids", TENSOR_F32,
                                                    q->levels * q->tiles, q->dims, err);
    q->halves =
        (float *)(uintptr_t)tensors_find(file, "halves", TENSOR_F32, 2 * q->levels, q->tiles, err);
    for (size_t t = 0; err->code == ERR_NONE && t < count; t++)
        if (!(index->coder.idf[t] >= 0 && index->coder.idf[t] < INFINITY))
            return err_set(err, ERR_FORMAT, "%s: idf %g of term %zu, expected 0 or more", path,
                           (double)index->coder.idf[t], t);
    index->text_weight = weights[0];
    index->event_weight = weights[1];
    return err->code == ERR_NONE;
}

/* The last tile counts the members of a collision from 0: training and naming rely on it. */
static bool check_ordinals(const struct item_index *index, const char *path, struct err *err)
{
    size_t levels = index->levels;
    for (size_t i = 0; i < index->items; i++) {
        const uint16_t *codes = index->codes + i * levels;
        bool same = i && memcmp(codes, codes - levels, (levels - 1) * sizeof *codes) == 0;
        unsigned expected = same ? codes[-1] + 1u : 0;
        if (codes[levels - 1] != expected)
            return err_set(err, ERR_FORMAT, "%s: last tile at row %zu: expected %u, found %u", path,
                           i, expected, codes[levels - 1]);
    }
    return true;
}

static bool read_ids(struct item_index *index, const char *folder, struct err *err)
{
    char path[PATH_SIZE];
    if (!path_make(path, err, "%s/semantic_ids.safetensors", folder) ||
        !tensors_open(&index->ids_file, path, err))
        return false;
    const struct tensors *file = &index->ids_file;
    const struct tensor *codes = tensors_get(file, "codes");
    const char *fingerprint = tensors_note(file, "fingerprint");
    if (!codes || codes->dims != 2 || codes->type != TENSOR_I32 || !fingerprint ||
        strlen(fingerprint) != 64)
        return err_set(err, ERR_FORMAT,
                       "%s: expected tensor codes [items, levels] and a fingerprint", path);
    memcpy(index->fingerprint, fingerprint, SHA256_TEXT);
    index->items = codes->shape[0];
    index->levels = codes->shape[1];
    index->content =
        tensors_find(file, "content", TENSOR_F32, index->items, index->quantiser.dims, err);
    index->events = tensors_find(file, "events", TENSOR_U32, index->items, 0, err);
    index->latest = tensors_find(file, "latest", TENSOR_U32, index->items, 0, err);
    index->id_at = tensors_find(file, "id_at", TENSOR_I64, index->items + 1, 0, err);
    const struct tensor *bytes = tensors_get(file, "id_bytes");
    if (bytes && (bytes->type != TENSOR_U8 || bytes->dims != 1))
        return err_set(err, ERR_FORMAT, "%s: tensor id_bytes: expected U8 of one dim", path);
    if (!index->content || !index->events || !index->latest || !index->id_at || !bytes)
        return err_set(err, ERR_FORMAT, "%s: tensor id_bytes is missing", path);
    index->id_bytes = bytes->data;
    if (index->levels != index->quantiser.levels + 1)
        return err_set(err, ERR_FORMAT, "%s: names of %zu tiles, expected %zu", path, index->levels,
                       index->quantiser.levels + 1);
    if (index->id_at[0] != 0 || index->id_at[index->items] != (int64_t)bytes->shape[0])
        return err_set(err, ERR_FORMAT, "%s: id_at does not span id_bytes", path);
    for (size_t i = 0; i < index->items; i++)
        if (index->id_at[i + 1] < index->id_at[i])
            return err_set(err, ERR_FORMAT, "%s: id_at falls at row %zu", path, i);
    index->codes = calloc(index->items * index->levels + 1, sizeof *index->codes);
    if (!index->codes)
        return err_set(err, ERR_SYSTEM, "%s: no memory for its names", path);
    const int32_t *found = codes->data;
    for (size_t i = 0; i < index->items * index->levels; i++) {
        bool last = i % index->levels == index->levels - 1;
        if (found[i] < 0 || found[i] > UINT16_MAX ||
            (!last && (size_t)found[i] >= index->quantiser.tiles))
            return err_set(err, ERR_FORMAT, "%s: tile %d at row %zu is outside the codebook", path,
                           found[i], i / index->levels);
        index->codes[i] = (uint16_t)found[i];
    }
    return check_ordinals(index, path, err);
}

static bool read_list(struct sparse *n, const struct tensors *file, const char *prefix, size_t rows,
                      size_t items, struct err *err)
{
    char names[3][32];
    static const char *const parts[] = {"first", "item", "similarity"};
    for (size_t i = 0; i < 3; i++)
        snprintf(names[i], sizeof names[i], "%s%s", prefix, parts[i]);
    const struct tensor *item = tensors_get(file, names[1]);
    size_t entries = item ? item->shape[0] : 0;
    const int64_t *first = tensors_find(file, names[0], TENSOR_I64, rows + 1, 0, err);
    const uint32_t *column = tensors_find(file, names[1], TENSOR_U32, entries, 0, err);
    const float *value = tensors_find(file, names[2], TENSOR_F32, entries, 0, err);
    bool fine = first && column && value;
    *n = (struct sparse){.rows = rows, .columns = items, .entries = entries};
    n->first = calloc(rows + 1, sizeof *n->first);
    n->column = calloc(entries + 1, sizeof *n->column);
    n->value = calloc(entries + 1, sizeof *n->value);
    if (fine && (!n->first || !n->column || !n->value))
        fine = err_set(err, ERR_SYSTEM, "%s: no memory", file->path);
    for (size_t r = 0; fine && r <= rows; r++) {
        if (first[r] < 0 || first[r] > (int64_t)entries || (r && first[r] < first[r - 1]))
            fine = err_set(err, ERR_FORMAT, "%s: %s falls or leaves the file at row %zu",
                           file->path, names[0], r);
        n->first[r] = (size_t)first[r];
    }
    for (size_t e = 0; fine && e < entries; e++) {
        if (column[e] >= items)
            fine = err_set(err, ERR_FORMAT, "%s: %s %u at entry %zu, there are %zu", file->path,
                           names[1], column[e], e, items);
        if (fine && !(value[e] >= 0 && value[e] < INFINITY))
            fine = err_set(err, ERR_FORMAT, "%s: %s %g at entry %zu, expected 0 or more",
                           file->path, names[2], (double)value[e], e);
        n->column[e] = column[e];
        n->value[e] = value[e];
    }
    return fine;
}

static bool read_neighbours(struct item_index *index, const char *folder, struct err *err)
{
    char path[PATH_SIZE];
    struct tensors file;
    if (!path_make(path, err, "%s/neighbours.safetensors", folder) ||
        !tensors_open(&file, path, err))
        return false;
    bool fine =
        read_list(&index->neighbours, &file, "", index->items, index->items, err) &&
        read_list(&index->text_neighbours, &file, "text.", index->items, index->items, err) &&
        read_list(&index->postings, &file, "terms.", index->coder.terms, index->items, err);
    tensors_close(&file);
    return fine;
}

bool neighbours_write(const char *path, const struct sparse *neighbours, const char *fingerprint,
                      struct err *err)
{
    char names[3][32];
    struct tensor list[3];
    int64_t *first = list_tensors(list, names, "", neighbours, err);
    json_t *notes = json_pack("{s:s}", "semantic_ids", fingerprint);
    bool fine = first && tensors_write(path, list, COUNT(list), notes, err);
    json_decref(notes);
    free(first);
    return fine;
}

struct sparse *neighbours_read(const char *path, size_t items, const char *fingerprint,
                               struct err *err)
{
    struct tensors file;
    if (!tensors_open(&file, path, err))
        return NULL;
    const char *of = tensors_note(&file, "semantic_ids");
    struct sparse *n = calloc(1, sizeof *n);
    bool fine = n != NULL;
    if (!n)
        err_set(err, ERR_SYSTEM, "%s: no memory", path);
    else if (!of || strcmp(of, fingerprint) != 0)
        fine = err_set(err, ERR_FORMAT, "%s: expected neighbours among items %.16s, found %.16s",
                       path, fingerprint, of ? of : "nothing");
    fine = fine && read_list(n, &file, "", items, items, err);
    tensors_close(&file);
    if (fine)
        return n;
    sparse_free(n);
    return NULL;
}

struct item_index *index_open(const char *folder, struct err *err)
{
    struct item_index *index = calloc(1, sizeof *index);
    if (!index)
        err_set(err, ERR_SYSTEM, "no memory for an index");
    else if (read_coder(index, folder, err) && read_ids(index, folder, err) &&
             read_neighbours(index, folder, err))
        return index;
    index_close(index);
    return NULL;
}

void index_close(struct item_index *index)
{
    if (!index)
        return;
    free(index->codes);
    struct sparse *lists[] = {&index->neighbours, &index->text_neighbours, &index->postings};
    for (size_t i = 0; i < COUNT(lists); i++) {
        free(lists[i]->first);
        free(lists[i]->column);
        free(lists[i]->value);
    }
    tensors_close(&index->ids_file);
    tensors_close(&index->coder_file);
    free(index);
}

bool index_code(float *content, uint16_t *codes, struct nearest *nearest,
                const struct item_index *index, const struct document *document, struct err *err)
{
    memset(content, 0, index->quantiser.dims * sizeof *content);
    if (!text_encode(content, &index->coder, document, err))
        return false;
    cblas_sscal((int)index->coder.dims, (float)index->text_weight, content, 1);
    struct hit hits[COUNT(nearest->row)];
    const struct quantiser *q = &index->quantiser;
    nearest->count =
        text_nearest(hits, COUNT(hits), &index->coder, &index->postings, document, err);
    for (size_t i = 0; i < nearest->count; i++) {
        nearest->row[i] = hits[i].row;
        nearest->likeness[i] = hits[i].score;
    }
    bool guessed = nearest_mean(content + q->text_dims, q->dims - q->text_dims, nearest->row,
                                nearest->likeness, nearest->count, index->content + q->text_dims,
                                q->dims, index->events);
    quantiser_code(codes, q, content, !guessed);
    return err->code == ERR_NONE;
}
