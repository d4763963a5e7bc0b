/*
 * gguf.h: a GGUF file, as llama.cpp writes them: key-values that say what the model is, and arrays.
 *
 * Layout (github.com/ggml-org/ggml, docs/gguf.md; all little-endian):  "GGUF" · u32 version (2 or
 * 3) · u64 tensors · u64 keys · keys {text key, u32 type, value} · tensors {text name, u32 dims,
 * u64 extent[dims] (fastest first), u32 type, u64 offset} · padding to general.alignment · data.
 * A text is a u64 count of bytes and the bytes.
 *
 * Threads   an open file never changes; any number of threads may read it.
 * Memory    gguf_open() maps the file.  Texts, lists and tensors are borrowed until gguf_close();
 *           names of keys and tensors end in 0, texts of the file do not.
 * Errors    opening checks every count, length, offset and shape against the file and names what is
 *           off (ERR_FORMAT): afterwards nothing that is handed out lies outside the mapping.  A
 *           type of tensor that this table does not know is refused by its number.
 * Cost      one pass over the header, arrays of text included; finding is a scan of the names.
 */
#ifndef MODEL_GGUF_H
#define MODEL_GGUF_H

#include "base/files.h"

enum { GGUF_DIMS = 4, GGUF_KEYS_MAX = 1 << 16, GGUF_TENSORS_MAX = 1 << 16, GGUF_NAME_MAX = 256 };

/* Types of values: numbers of the format. */
enum gguf_kind {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_TEXT,
    GGUF_LIST,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_KINDS
};

/* Types of tensors: numbers of the format.  Others have a row in gguf_type() and no name here. */
enum gguf_type {
    GGUF_TYPE_F32 = 0,
    GGUF_TYPE_F16 = 1,
    GGUF_TYPE_Q4_0 = 2,
    GGUF_TYPE_Q4_1 = 3,
    GGUF_TYPE_Q8_0 = 8,
    GGUF_TYPE_BF16 = 30,
};

struct gguf_type_row {
    const char *name;
    uint32_t type;
    uint32_t block; /* elements that are coded together, along the fastest extent */
    uint32_t size;  /* bytes of a block */
};
const struct gguf_type_row *gguf_type(uint32_t type); /* NULL: unknown */

struct gguf_text {
    const char *bytes; /* borrowed; not ended by 0; may be anything, UTF-8 or not */
    size_t size;
};

/* A list of values of one kind; lists of lists are refused. */
struct gguf_list {
    enum gguf_kind kind;
    size_t count;
    const unsigned char *at; /* the next one, for gguf_next_text() */
};

struct gguf_value {
    const char *key;
    enum gguf_kind kind;
    const unsigned char *at; /* a number, not aligned */
    struct gguf_text text;   /* of kind GGUF_TEXT */
    struct gguf_list list;   /* of kind GGUF_LIST */
};

struct gguf_tensor {
    const char *name;
    uint32_t type; /* gguf_type(type) is not NULL */
    size_t dims;
    size_t shape[GGUF_DIMS]; /* slowest first, as numpy has it; 1 beyond dims */
    const unsigned char *data;
    size_t size; /* bytes */
};

struct gguf {
    struct file_map file;        /* owned */
    struct gguf_value *values;   /* owned */
    struct gguf_tensor *tensors; /* owned */
    char *names;                 /* owned: of keys and tensors */
    size_t value_count, tensor_count;
    char path[PATH_SIZE];
};

bool gguf_open(struct gguf *gguf, const char *path, struct err *err) MUST_CHECK;
void gguf_close(struct gguf *gguf);
bool gguf_is(const char *path); /* begins with the magic */

const struct gguf_value *gguf_find(const struct gguf *gguf, const char *key); /* NULL: not there */
const struct gguf_tensor *gguf_tensor(const struct gguf *gguf, const char *name);

/*
 * Each leaves *out alone if the key is absent, so that the caller's default stays; a value of
 * another kind or out of range is ERR_FORMAT.  Any kind of whole number is read by gguf_size().
 */
bool gguf_size(size_t *out, const struct gguf *gguf, const char *key, size_t least, size_t most,
               struct err *err) MUST_CHECK;
bool gguf_real(double *out, const struct gguf *gguf, const char *key, double least, double most,
               struct err *err) MUST_CHECK;
bool gguf_flag(bool *out, const struct gguf *gguf, const char *key, struct err *err) MUST_CHECK;
bool gguf_string(char *out, size_t room, const struct gguf *gguf, const char *key,
                 struct err *err) MUST_CHECK; /* ends in 0; without a 0 inside */
/* Absent: a count of 0. */
bool gguf_array(struct gguf_list *out, const struct gguf *gguf, const char *key,
                enum gguf_kind kind, struct err *err) MUST_CHECK;

struct gguf_text gguf_next_text(struct gguf_list *list); /* count goes down; not of an empty one */
double gguf_number(const struct gguf_list *list, size_t i); /* i < count, any kind of number */

#endif
