#include "model/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_LEAST = 8 + 1 + 4 + 1, TENSOR_LEAST = 8 + 1 + 4 + 4 + 8 }; /* bytes in the header */

/* github.com/ggml-org/ggml, ggml-common.h: what a block holds. */
static const struct gguf_type_row TYPES[] = {
    {"F32", 0, 1, 4},         {"F16", 1, 1, 2},       {"Q4_0", 2, 32, 18},
    {"Q4_1", 3, 32, 20},      {"Q5_0", 6, 32, 22},    {"Q5_1", 7, 32, 24},
    {"Q8_0", 8, 32, 34},      {"Q8_1", 9, 32, 36},    {"Q2_K", 10, 256, 84},
    {"Q3_K", 11, 256, 110},   {"Q4_K", 12, 256, 144}, {"Q5_K", 13, 256, 176},
    {"Q6_K", 14, 256, 210},   {"Q8_K", 15, 256, 292}, {"IQ4_NL", 20, 32, 18},
    {"IQ4_XS", 23, 256, 136}, {"I8", 24, 1, 1},       {"I16", 25, 1, 2},
    {"I32", 26, 1, 4},        {"I64", 27, 1, 8},      {"F64", 28, 1, 8},
    {"BF16", 30, 1, 2},
};

static const struct {
    const char *name;
    size_t size;
} KINDS[GGUF_KINDS] = {
    [GGUF_U8] = {"a u8", 1},     [GGUF_I8] = {"an i8", 1},    [GGUF_U16] = {"a u16", 2},
    [GGUF_I16] = {"an i16", 2},  [GGUF_U32] = {"a u32", 4},   [GGUF_I32] = {"an i32", 4},
    [GGUF_F32] = {"an f32", 4},  [GGUF_BOOL] = {"a bool", 1}, [GGUF_TEXT] = {"a text", 0},
    [GGUF_LIST] = {"a list", 0}, [GGUF_U64] = {"a u64", 8},   [GGUF_I64] = {"an i64", 8},
    [GGUF_F64] = {"an f64", 8},
};

const struct gguf_type_row *gguf_type(uint32_t type)
{
    for (size_t i = 0; i < COUNT(TYPES); i++)
        if (TYPES[i].type == type)
            return &TYPES[i];
    return NULL;
}

bool gguf_is(const char *path)
{
    char magic[4] = "";
    FILE *file = fopen(path, "rb");
    size_t count = file ? fread(magic, 1, sizeof magic, file) : 0;
    if (file)
        fclose(file);
    return count == sizeof magic && memcmp(magic, "GGUF", 4) == 0;
}

/* ---- the header, read once from front to back; every step asks what is left ---- */

struct reader {
    const struct gguf *gguf;
    const unsigned char *at, *end;
    const char *what; /* is being read: for errors */
    char *names;      /* where the next name goes */
    struct err *err;
};

static bool off(struct reader *r, const char *why)
{
    return err_set(r->err, ERR_FORMAT, "%s: byte %zu: %s: %s", r->gguf->path,
                   (size_t)(r->at - r->gguf->file.bytes), r->what, why);
}

static bool take(void *out, struct reader *r, size_t size)
{
    if ((size_t)(r->end - r->at) < size)
        return off(r, "the file ends here (truncated?)");
    memcpy(out, r->at, size);
    r->at += size;
    return true;
}

static bool take_text(struct gguf_text *text, struct reader *r)
{
    uint64_t size;
    if (!take(&size, r, 8))
        return false;
    if (size > (size_t)(r->end - r->at))
        return off(r, "a text that is longer than the file");
    *text = (struct gguf_text){(const char *)r->at, (size_t)size};
    r->at += size;
    return true;
}

static bool take_name(const char **name, struct reader *r)
{
    struct gguf_text text;
    if (!take_text(&text, r))
        return false;
    if (text.size == 0 || text.size > GGUF_NAME_MAX || memchr(text.bytes, 0, text.size))
        return off(r, "expected a name of 1 to 256 bytes");
    memcpy(r->names, text.bytes, text.size);
    r->names[text.size] = 0;
    *name = r->names;
    r->names += text.size + 1;
    return true;
}

static bool take_list(struct gguf_list *list, struct reader *r)
{
    uint32_t kind;
    uint64_t count;
    if (!take(&kind, r, 4) || !take(&count, r, 8))
        return false;
    if (kind >= GGUF_KINDS || kind == GGUF_LIST)
        return off(r, "expected a list of numbers, bools or texts");
    size_t least = kind == GGUF_TEXT ? 8 : KINDS[kind].size;
    if (count > (size_t)(r->end - r->at) / least)
        return off(r, "a list that is longer than the file");
    *list = (struct gguf_list){(enum gguf_kind)kind, (size_t)count, r->at};
    struct gguf_text text;
    if (kind != GGUF_TEXT)
        r->at += least * count;
    else
        for (uint64_t i = 0; i < count; i++)
            if (!take_text(&text, r))
                return false;
    return true;
}

static bool take_value(struct gguf_value *value, struct reader *r)
{
    uint32_t kind;
    r->what = "a key";
    if (!take_name(&value->key, r))
        return false;
    r->what = value->key;
    if (!take(&kind, r, 4))
        return false;
    if (kind >= GGUF_KINDS)
        return off(r, "expected a type of value from 0 to 12");
    value->kind = (enum gguf_kind)kind;
    value->at = r->at;
    if (kind == GGUF_TEXT)
        return take_text(&value->text, r);
    if (kind == GGUF_LIST)
        return take_list(&value->list, r);
    char bytes[8];
    return take(bytes, r, KINDS[kind].size);
}

static bool tensor_bytes(struct gguf_tensor *tensor)
{
    const struct gguf_type_row *row = gguf_type(tensor->type);
    size_t columns = tensor->dims ? tensor->shape[tensor->dims - 1] : 1;
    tensor->size = row->size;
    if (columns % row->block ||
        __builtin_mul_overflow(tensor->size, columns / row->block, &tensor->size))
        return false;
    for (size_t d = 0; d + 1 < tensor->dims; d++)
        if (__builtin_mul_overflow(tensor->size, tensor->shape[d], &tensor->size))
            return false;
    return true;
}

static bool take_tensor(struct gguf_tensor *tensor, uint64_t *offset, struct reader *r)
{
    uint32_t dims;
    uint64_t extent[GGUF_DIMS];
    r->what = "a tensor";
    if (!take_name(&tensor->name, r))
        return false;
    r->what = tensor->name;
    if (!take(&dims, r, 4))
        return false;
    if (dims > GGUF_DIMS)
        return off(r, "expected at most 4 dimensions");
    if (!take(extent, r, 8 * dims) || !take(&tensor->type, r, 4) || !take(offset, r, 8))
        return false;
    tensor->dims = dims;
    for (size_t d = 0; d < GGUF_DIMS; d++)
        tensor->shape[d] = d < dims ? (size_t)extent[dims - 1 - d] : 1;
    if (!gguf_type(tensor->type))
        return err_set(r->err, ERR_FORMAT, "%s: tensor %s: type %u is not known", r->gguf->path,
                       tensor->name, tensor->type);
    if (!tensor_bytes(tensor))
        return off(r, "its shape is not one of whole blocks");
    return true;
}

static bool place(struct gguf *gguf, const uint64_t *offsets, size_t start, size_t alignment,
                  struct err *err)
{
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        struct gguf_tensor *t = &gguf->tensors[i];
        size_t space = start < gguf->file.size ? gguf->file.size - start : 0;
        if (offsets[i] % alignment || offsets[i] > space || t->size > space - offsets[i])
            return err_set(err, ERR_FORMAT,
                           "%s: tensor %s: %zu bytes at %llu, expected a multiple of %zu and at "
                           "most %zu bytes of data (truncated?)",
                           gguf->path, t->name, t->size, (unsigned long long)offsets[i], alignment,
                           space);
        t->data = gguf->file.bytes + start + offsets[i];
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool all_differ(const char **names, size_t count, const char *what, const char *path,
                       struct err *err)
{
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 1; i < count; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return err_set(err, ERR_FORMAT, "%s: %s %s stands there twice", path, what, names[i]);
    return true;
}

static bool names_differ(const struct gguf *gguf, struct err *err)
{
    size_t most = gguf->value_count > gguf->tensor_count ? gguf->value_count : gguf->tensor_count;
    const char **names = calloc(most + 1, sizeof *names);
    if (!names)
        return err_set(err, ERR_SYSTEM, "%s: no memory for %zu names", gguf->path, most);
    for (size_t i = 0; i < gguf->value_count; i++)
        names[i] = gguf->values[i].key;
    bool fine = all_differ(names, gguf->value_count, "key", gguf->path, err);
    for (size_t i = 0; i < gguf->tensor_count; i++)
        names[i] = gguf->tensors[i].name;
    fine = fine && all_differ(names, gguf->tensor_count, "tensor", gguf->path, err);
    free(names);
    return fine;
}

struct counts {
    uint64_t tensors, keys;
};

static bool take_start(struct counts *counts, struct reader *r)
{
    char magic[4];
    uint32_t version;
    r->what = "the header";
    if (!take(magic, r, 4))
        return false;
    if (memcmp(magic, "GGUF", 4) != 0)
        return err_set(r->err, ERR_FORMAT, "%s: expected GGUF, found bytes %02x %02x %02x %02x",
                       r->gguf->path, (unsigned char)magic[0], (unsigned char)magic[1],
                       (unsigned char)magic[2], (unsigned char)magic[3]);
    if (!take(&version, r, 4))
        return false;
    if (version != 2 && version != 3)
        return err_set(r->err, ERR_FORMAT, "%s: GGUF version %u, expected 2 or 3, little-endian",
                       r->gguf->path, version);
    if (!take(&counts->tensors, r, 8) || !take(&counts->keys, r, 8))
        return false;
    size_t left = (size_t)(r->end - r->at);
    if (counts->tensors > GGUF_TENSORS_MAX || counts->keys > GGUF_KEYS_MAX ||
        counts->tensors * TENSOR_LEAST + counts->keys * KEY_LEAST > left)
        return err_set(r->err, ERR_FORMAT, "%s: %llu keys and %llu tensors in %zu bytes",
                       r->gguf->path, (unsigned long long)counts->keys,
                       (unsigned long long)counts->tensors, left);
    return true;
}

static bool take_all(struct gguf *gguf, const struct counts *counts, uint64_t *offsets,
                     struct reader *r)
{
    size_t alignment = 32;
    for (; gguf->value_count < counts->keys; gguf->value_count++)
        if (!take_value(&gguf->values[gguf->value_count], r))
            return false;
    if (!gguf_size(&alignment, gguf, "general.alignment", 8, 1 << 20, r->err))
        return false;
    if (alignment & (alignment - 1))
        return err_set(r->err, ERR_FORMAT, "%s: general.alignment %zu is no power of two",
                       gguf->path, alignment);
    for (; gguf->tensor_count < counts->tensors; gguf->tensor_count++)
        if (!take_tensor(&gguf->tensors[gguf->tensor_count], &offsets[gguf->tensor_count], r))
            return false;
    size_t used = (size_t)(r->at - gguf->file.bytes);
    return names_differ(gguf, r->err) &&
           place(gguf, offsets, (used + alignment - 1) / alignment * alignment, alignment, r->err);
}

static bool read_header(struct gguf *gguf, struct err *err)
{
    struct reader r = {.gguf = gguf, .at = gguf->file.bytes, .err = err};
    struct counts counts;
    if (!gguf->file.size)
        return err_set(err, ERR_FORMAT, "%s: expected GGUF, found an empty file", gguf->path);
    r.end = r.at + gguf->file.size;
    if (!take_start(&counts, &r))
        return false;
    gguf->values = calloc(counts.keys + 1, sizeof *gguf->values);
    gguf->tensors = calloc(counts.tensors + 1, sizeof *gguf->tensors);
    gguf->names = malloc((counts.keys + counts.tensors) * (GGUF_NAME_MAX + 1) + 1);
    uint64_t *offsets = calloc(counts.tensors + 1, sizeof *offsets);
    r.names = gguf->names;
    bool fine = gguf->values && gguf->tensors && gguf->names && offsets
                    ? take_all(gguf, &counts, offsets, &r)
                    : err_set(err, ERR_SYSTEM, "%s: no memory for its header", gguf->path);
    free(offsets);
    return fine;
}

bool gguf_open(struct gguf *gguf, const char *path, struct err *err)
{
    *gguf = (struct gguf){0};
    if (path_make(gguf->path, err, "%s", path) && file_map_open(&gguf->file, path, err) &&
        read_header(gguf, err))
        return true;
    gguf_close(gguf);
    return false;
}

void gguf_close(struct gguf *gguf)
{
    free(gguf->values);
    free(gguf->tensors);
    free(gguf->names);
    file_map_close(&gguf->file);
    *gguf = (struct gguf){0};
}

/* ---- what stands there ---- */

const struct gguf_value *gguf_find(const struct gguf *gguf, const char *key)
{
    for (size_t i = 0; i < gguf->value_count; i++)
        if (strcmp(gguf->values[i].key, key) == 0)
            return &gguf->values[i];
    return NULL;
}

const struct gguf_tensor *gguf_tensor(const struct gguf *gguf, const char *name)
{
    for (size_t i = 0; i < gguf->tensor_count; i++)
        if (strcmp(gguf->tensors[i].name, name) == 0)
            return &gguf->tensors[i];
    return NULL;
}

static bool wrong(const struct gguf *gguf, const struct gguf_value *value, const char *expected,
                  struct err *err)
{
    return err_set(err, ERR_FORMAT, "%s: %s: expected %s, found %s", gguf->path, value->key,
                   expected, KINDS[value->kind].name);
}

/* A whole number of any kind; false for one below 0 and for what is none. */
static bool whole(uint64_t *out, enum gguf_kind kind, const unsigned char *at)
{
    int64_t number = 0;
    *out = 0;
    switch (kind) {
    case GGUF_U8:
    case GGUF_U16:
    case GGUF_U32:
    case GGUF_U64:
        memcpy(out, at, KINDS[kind].size);
        return true;
    case GGUF_I8:
        number = *at < 128 ? *at : *at - 256;
        break;
    case GGUF_I16: {
        int16_t value;
        memcpy(&value, at, sizeof value);
        number = value;
        break;
    }
    case GGUF_I32: {
        int32_t value;
        memcpy(&value, at, sizeof value);
        number = value;
        break;
    }
    case GGUF_I64:
        memcpy(&number, at, sizeof number);
        break;
    default:
        return false;
    }
    *out = (uint64_t)number;
    return number >= 0;
}

static double number_of(enum gguf_kind kind, const unsigned char *at)
{
    uint64_t value;
    if (kind == GGUF_F32) {
        float real;
        memcpy(&real, at, sizeof real);
        return (double)real;
    }
    if (kind == GGUF_F64) {
        double real;
        memcpy(&real, at, sizeof real);
        return real;
    }
    if (kind == GGUF_BOOL)
        return *at;
    bool positive = whole(&value, kind, at);
    return positive ? (double)value : (double)(int64_t)value;
}

bool gguf_size(size_t *out, const struct gguf *gguf, const char *key, size_t least, size_t most,
               struct err *err)
{
    const struct gguf_value *value = gguf_find(gguf, key);
    uint64_t found = 0;
    if (!value)
        return true;
    if (!whole(&found, value->kind, value->at))
        return wrong(gguf, value, "a whole number from 0 on", err);
    if (found < least || found > most)
        return err_set(err, ERR_FORMAT, "%s: %s: expected %zu to %zu, found %llu", gguf->path, key,
                       least, most, (unsigned long long)found);
    *out = (size_t)found;
    return true;
}

bool gguf_real(double *out, const struct gguf *gguf, const char *key, double least, double most,
               struct err *err)
{
    const struct gguf_value *value = gguf_find(gguf, key);
    if (!value)
        return true;
    if (value->kind == GGUF_TEXT || value->kind == GGUF_LIST || value->kind == GGUF_BOOL)
        return wrong(gguf, value, "a number", err);
    double found = number_of(value->kind, value->at);
    if (!(found >= least && found <= most))
        return err_set(err, ERR_FORMAT, "%s: %s: expected %g to %g, found %g", gguf->path, key,
                       least, most, found);
    *out = found;
    return true;
}

bool gguf_flag(bool *out, const struct gguf *gguf, const char *key, struct err *err)
{
    const struct gguf_value *value = gguf_find(gguf, key);
    if (!value)
        return true;
    if (value->kind != GGUF_BOOL)
        return wrong(gguf, value, "a bool", err);
    *out = *value->at != 0;
    return true;
}

bool gguf_string(char *out, size_t room, const struct gguf *gguf, const char *key, struct err *err)
{
    const struct gguf_value *value = gguf_find(gguf, key);
    if (!value)
        return true;
    if (value->kind != GGUF_TEXT)
        return wrong(gguf, value, "a text", err);
    if (value->text.size >= room || memchr(value->text.bytes, 0, value->text.size))
        return err_set(err, ERR_FORMAT, "%s: %s: expected a text of at most %zu bytes, found %zu",
                       gguf->path, key, room - 1, value->text.size);
    memcpy(out, value->text.bytes, value->text.size);
    out[value->text.size] = 0;
    return true;
}

bool gguf_array(struct gguf_list *out, const struct gguf *gguf, const char *key,
                enum gguf_kind kind, struct err *err)
{
    const struct gguf_value *value = gguf_find(gguf, key);
    *out = (struct gguf_list){.kind = kind};
    if (!value)
        return true;
    if (value->kind != GGUF_LIST)
        return wrong(gguf, value, "a list", err);
    if (value->list.kind != kind)
        return err_set(err, ERR_FORMAT, "%s: %s: expected a list of %s, found one of %s",
                       gguf->path, key, KINDS[kind].name, KINDS[value->list.kind].name);
    *out = value->list;
    return true;
}

struct gguf_text gguf_next_text(struct gguf_list *list)
{
    uint64_t size;
    memcpy(&size, list->at, 8);
    struct gguf_text text = {(const char *)list->at + 8, (size_t)size};
    list->at += 8 + size;
    list->count--;
    return text;
}

double gguf_number(const struct gguf_list *list, size_t i)
{
    return number_of(list->kind, list->at + i * KINDS[list->kind].size);
}
