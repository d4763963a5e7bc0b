#include "base/tensors.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    size_t size;
} TYPES[] = {{"F32", 4}, {"I32", 4}, {"U32", 4}, {"I64", 8},
             {"U8", 1},  {"F64", 8}, {"F16", 2}, {"BF16", 2}};

const char *tensor_type_name(enum tensor_type type)
{
    return TYPES[type].name;
}

static bool tensor_size(size_t *size, const struct tensor *tensor)
{
    *size = TYPES[tensor->type].size;
    for (size_t d = 0; d < tensor->dims; d++)
        if (__builtin_mul_overflow(*size, tensor->shape[d], size))
            return false;
    return true;
}

static bool read_type(struct tensor *tensor, const char *name)
{
    for (size_t i = 0; i < COUNT(TYPES); i++)
        if (name && strcmp(name, TYPES[i].name) == 0) {
            tensor->type = (enum tensor_type)i;
            return true;
        }
    return false;
}

static bool read_tensor(struct tensor *tensor, const struct tensors *tensors, const char *name,
                        json_t *value, size_t data_start, struct err *err)
{
    const char *path = tensors->path;
    json_t *shape = json_object_get(value, "shape");
    json_t *offsets = json_object_get(value, "data_offsets");
    tensor->name = name;
    if (!read_type(tensor, json_string_value(json_object_get(value, "dtype"))))
        return err_set(err, ERR_FORMAT,
                       "%s: tensor %s: expected dtype F32, F64, F16, BF16, I32, U32, I64 or U8",
                       path, name);
    if (!json_is_array(shape) || json_array_size(shape) > TENSOR_DIMS)
        return err_set(err, ERR_FORMAT, "%s: tensor %s: expected a shape of at most %d numbers",
                       path, name, TENSOR_DIMS);
    tensor->dims = json_array_size(shape);
    for (size_t d = 0; d < tensor->dims; d++) {
        json_int_t extent = json_integer_value(json_array_get(shape, d));
        if (!json_is_integer(json_array_get(shape, d)) || extent < 0)
            return err_set(err, ERR_FORMAT, "%s: tensor %s: bad shape", path, name);
        tensor->shape[d] = (size_t)extent;
    }
    json_int_t begin = json_integer_value(json_array_get(offsets, 0));
    json_int_t end = json_integer_value(json_array_get(offsets, 1));
    size_t size;
    size_t space = tensors->file.size - data_start;
    if (json_array_size(offsets) != 2 || begin < 0 || end < begin || (size_t)end > space)
        return err_set(err, ERR_FORMAT, "%s: tensor %s: bytes %lld to %lld, the file has %zu", path,
                       name, (long long)begin, (long long)end, space);
    if (!tensor_size(&size, tensor) || size != (size_t)(end - begin))
        return err_set(err, ERR_FORMAT, "%s: tensor %s: its shape and its %lld bytes disagree",
                       path, name, (long long)(end - begin));
    if ((data_start + (size_t)begin) % TYPES[tensor->type].size)
        return err_set(err, ERR_FORMAT, "%s: tensor %s is not aligned", path, name);
    tensor->data = tensors->file.bytes + data_start + begin;
    return true;
}

static bool read_header(struct tensors *tensors, struct err *err)
{
    uint64_t header_size = 0;
    json_error_t why;
    const struct file_map *file = &tensors->file;
    if (file->size < 8)
        return err_set(err, ERR_FORMAT, "%s: expected safetensors, found %zu bytes", tensors->path,
                       file->size);
    memcpy(&header_size, file->bytes, 8);
    if (header_size > file->size - 8)
        return err_set(err, ERR_FORMAT, "%s: header of %llu bytes in a file of %zu (truncated?)",
                       tensors->path, (unsigned long long)header_size, file->size);
    tensors->header =
        json_loadb((const char *)file->bytes + 8, header_size, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(tensors->header))
        return err_set(err, ERR_FORMAT, "%s: header is no JSON object: %s", tensors->path,
                       why.text);
    tensors->list = calloc(json_object_size(tensors->header) + 1, sizeof *tensors->list);
    if (!tensors->list)
        return err_set(err, ERR_SYSTEM, "%s: no memory", tensors->path);
    const char *name;
    json_t *value;
    json_object_foreach (tensors->header, name, value) {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        if (!read_tensor(&tensors->list[tensors->count], tensors, name, value, 8 + header_size,
                         err))
            return false;
        tensors->count++;
    }
    return true;
}

bool tensors_open(struct tensors *tensors, const char *path, struct err *err)
{
    *tensors = (struct tensors){0};
    if (path_make(tensors->path, err, "%s", path) && file_map_open(&tensors->file, path, err) &&
        read_header(tensors, err))
        return true;
    tensors_close(tensors);
    return false;
}

void tensors_close(struct tensors *tensors)
{
    free(tensors->list);
    json_decref(tensors->header);
    file_map_close(&tensors->file);
    *tensors = (struct tensors){0};
}

const struct tensor *tensors_get(const struct tensors *tensors, const char *name)
{
    for (size_t i = 0; i < tensors->count; i++)
        if (strcmp(tensors->list[i].name, name) == 0)
            return &tensors->list[i];
    return NULL;
}

const void *tensors_find(const struct tensors *tensors, const char *name, enum tensor_type type,
                         size_t rows, size_t columns, struct err *err)
{
    const struct tensor *found = tensors_get(tensors, name);
    size_t dims = columns ? 2 : 1;
    if (!found) {
        err_set(err, ERR_FORMAT, "%s: tensor %s is missing", tensors->path, name);
        return NULL;
    }
    if (found->type == type && found->dims == dims && found->shape[0] == rows &&
        (dims == 1 || found->shape[1] == columns))
        return found->data;
    err_set(err, ERR_FORMAT, "%s: tensor %s: expected %s [%zu, %zu], found %s [%zu, %zu]",
            tensors->path, name, TYPES[type].name, rows, columns, TYPES[found->type].name,
            found->shape[0], found->dims > 1 ? found->shape[1] : 0);
    return NULL;
}

const char *tensors_note(const struct tensors *tensors, const char *key)
{
    return json_string_value(
        json_object_get(json_object_get(tensors->header, "__metadata__"), key));
}

static json_t *make_header(const struct tensor *list, size_t count, const json_t *notes)
{
    json_t *header = json_object();
    if (notes)
        json_object_set_new(header, "__metadata__", json_deep_copy(notes));
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = 0;
        json_t *shape = json_array();
        for (size_t d = 0; d < list[i].dims; d++)
            json_array_append_new(shape, json_integer((json_int_t)list[i].shape[d]));
        if (!tensor_size(&size, &list[i]))
            size = 0;
        json_object_set_new(header, list[i].name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", TYPES[list[i].type].name,
                                      "shape", shape, "data_offsets", (json_int_t)offset,
                                      (json_int_t)(offset + size)));
        offset += (size + 63) / 64 * 64;
    }
    return header;
}

static bool write_file(int fd, const char *header, const struct tensor *list, size_t count)
{
    static const char zeros[64];
    uint64_t length = strlen(header);
    uint64_t padded = (8 + length + 63) / 64 * 64 - 8; /* the format allows spaces after the JSON */
    if (!fd_write(fd, &padded, 8) || !fd_write(fd, header, length))
        return false;
    for (uint64_t i = length; i < padded; i++)
        if (!fd_write(fd, " ", 1))
            return false;
    for (size_t i = 0; i < count; i++) {
        size_t size;
        if (!tensor_size(&size, &list[i]) || !fd_write(fd, list[i].data, size) ||
            (size % 64 && i + 1 < count && !fd_write(fd, zeros, 64 - size % 64)))
            return false;
    }
    return true;
}

bool tensors_write(const char *path, const struct tensor *list, size_t count, const json_t *notes,
                   struct err *err)
{
    char aside[PATH_SIZE];
    if (!path_make(aside, err, "%s.part", path))
        return false;
    json_t *json = make_header(list, count, notes);
    char *header = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    int fd = header ? open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
    bool fine = fd >= 0 && write_file(fd, header, list, count) && fsync(fd) == 0;
    if (!fine)
        err_set(err, errno == ENOSPC ? ERR_FULL : ERR_SYSTEM, "%s: cannot write: %s", aside,
                strerror(errno));
    if (fd >= 0)
        close(fd);
    free(header);
    if (fine && rename(aside, path) != 0)
        fine = err_set(err, ERR_SYSTEM, "%s: cannot rename: %s", path, strerror(errno));
    if (!fine)
        unlink(aside);
    return fine;
}
