/*
 * tensors.h: named arrays in a safetensors file (the format that the Hugging Face world reads).
 *
 * Layout of the file: u64 little-endian size of the header, a JSON header {name: {dtype, shape,
 * data_offsets}, "__metadata__": {...}}, then the arrays.  We write F32 and I32 and I64 (U32 is
 * read and written as U32; F16 and BF16 are read as they lie), at offsets that are multiples of 64.
 *
 * Threads   an open file never changes; any number of threads may read it.
 * Memory    tensors_open() maps the file; a found array is borrowed until tensors_close().
 * Errors    opening checks every offset, shape and size against the file, naming what is off.
 */
#ifndef BASE_TENSORS_H
#define BASE_TENSORS_H

#include "base/err.h"
#include "base/files.h"

#include <jansson.h>

enum tensor_type {
    TENSOR_F32,
    TENSOR_I32,
    TENSOR_U32,
    TENSOR_I64,
    TENSOR_U8,
    TENSOR_F64,
    TENSOR_F16,
    TENSOR_BF16
};
const char *tensor_type_name(enum tensor_type type);
enum { TENSOR_DIMS = 4 };

struct tensor {
    const char *name;
    enum tensor_type type;
    size_t dims;
    size_t shape[TENSOR_DIMS];
    const void *data;
};

struct tensors {
    struct file_map file; /* owned */
    json_t *header;       /* owned; names point into it */
    struct tensor *list;  /* owned */
    size_t count;
    char path[PATH_SIZE];
};

bool tensors_open(struct tensors *tensors, const char *path, struct err *err) MUST_CHECK;
void tensors_close(struct tensors *tensors);

/* The tensor of that name, type and shape; trailing dims of 0 in `shape` mean "not there". */
const void *tensors_find(const struct tensors *tensors, const char *name, enum tensor_type type,
                         size_t rows, size_t columns, struct err *err);
const struct tensor *tensors_get(const struct tensors *tensors, const char *name);
const char *tensors_note(const struct tensors *tensors, const char *key); /* metadata or NULL */

/* Writes atomically; `notes` is a JSON object of strings or NULL. */
bool tensors_write(const char *path, const struct tensor *list, size_t count, const json_t *notes,
                   struct err *err) MUST_CHECK;

#endif
