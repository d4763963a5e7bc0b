/* gguf_file.h: a GGUF file built byte by byte, so that each field can be bent. */
#ifndef TESTS_MODEL_GGUF_FILE_H
#define TESTS_MODEL_GGUF_FILE_H

#include "tests/test.h"

#include "model/gguf.h"

struct file {
    unsigned char bytes[1 << 14];
    size_t size;
};

static inline void put(struct file *file, const void *bytes, size_t size)
{
    assert_true(file->size + size <= sizeof file->bytes);
    memcpy(file->bytes + file->size, bytes, size);
    file->size += size;
}

static inline void put_u32(struct file *file, uint32_t value)
{
    put(file, &value, 4);
}

static inline void put_u64(struct file *file, uint64_t value)
{
    put(file, &value, 8);
}

static inline void put_text(struct file *file, const char *text)
{
    put_u64(file, strlen(text));
    put(file, text, strlen(text));
}

static inline void put_key(struct file *file, const char *key, enum gguf_kind kind)
{
    put_text(file, key);
    put_u32(file, kind);
}

#endif
