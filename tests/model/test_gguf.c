/*
 * What a GGUF file says comes back, and no file whatever makes the reader look outside it.  The
 * file is built here, byte by byte.
 */
#include "tests/model/gguf_file.h"

#include "base/rng.h"

static void put_tensor(struct file *file, const char *name, uint64_t columns, uint64_t rows,
                       enum gguf_type type, uint64_t offset)
{
    put_text(file, name);
    put_u32(file, 2);
    put_u64(file, columns);
    put_u64(file, rows);
    put_u32(file, type);
    put_u64(file, offset);
}

/* Seven keys and two tensors, 3 x 2 of F32 and 2 x 64 of Q8_0. */
static struct file example(void)
{
    struct file file = {.size = 0};
    float theta = 10000.0F;
    int32_t types[3] = {1, 3, -1};
    put(&file, "GGUF", 4);
    put_u32(&file, 3);
    put_u64(&file, 2);
    put_u64(&file, 7);
    put_key(&file, "general.architecture", GGUF_TEXT);
    put_text(&file, "llama");
    put_key(&file, "llama.block_count", GGUF_U32);
    put_u32(&file, 30);
    put_key(&file, "llama.rope.freq_base", GGUF_F32);
    put(&file, &theta, 4);
    put_key(&file, "tokenizer.ggml.add_bos_token", GGUF_BOOL);
    put(&file, "\1", 1);
    put_key(&file, "tokenizer.ggml.tokens", GGUF_LIST);
    put_u32(&file, GGUF_TEXT);
    put_u64(&file, 3);
    put_text(&file, "a");
    put_text(&file, "");
    put_text(&file, "bcd");
    put_key(&file, "tokenizer.ggml.token_type", GGUF_LIST);
    put_u32(&file, GGUF_I32);
    put_u64(&file, 3);
    put(&file, types, sizeof types);
    put_key(&file, "general.alignment", GGUF_U32);
    put_u32(&file, 64);
    put_tensor(&file, "norm", 2, 3, GGUF_TYPE_F32, 0);
    put_tensor(&file, "words", 64, 2, GGUF_TYPE_Q8_0, 64);
    file.size = (file.size + 63) / 64 * 64;
    for (unsigned i = 0; i < 64 + 2 * 2 * 34; i++)
        put(&file, &(unsigned char){(unsigned char)i}, 1);
    return file;
}

static void keep(const char *path, const unsigned char *bytes, size_t size)
{
    struct err err = {0};
    assert_fine(file_write_atomic(path, bytes, size, &err), err);
}

static void what_was_written_is_read(void **state)
{
    struct file file = example();
    struct err err = {0};
    struct gguf gguf;
    struct gguf_list list;
    char path[PATH_SIZE];
    char text[16] = "";
    size_t blocks = 0;
    size_t absent = 7;
    double theta = 0;
    bool bos = false;
    (void)state;
    const char *folder = scratch_folder("gguf");
    assert_fine(path_make(path, &err, "%s/a.gguf", folder), err);
    keep(path, file.bytes, file.size);
    assert_true(gguf_is(path));
    assert_fine(gguf_open(&gguf, path, &err), err);
    assert_fine(gguf_string(text, sizeof text, &gguf, "general.architecture", &err), err);
    assert_string_equal(text, "llama");
    assert_fine(gguf_size(&blocks, &gguf, "llama.block_count", 1, 100, &err), err);
    assert_int_equal(blocks, 30);
    assert_fine(gguf_size(&absent, &gguf, "llama.nothing", 1, 100, &err), err);
    assert_int_equal(absent, 7);
    assert_fine(gguf_real(&theta, &gguf, "llama.rope.freq_base", 1, 1e9, &err), err);
    assert_true(theta == 10000.0);
    assert_fine(gguf_flag(&bos, &gguf, "tokenizer.ggml.add_bos_token", &err), err);
    assert_true(bos);
    assert_fine(gguf_array(&list, &gguf, "tokenizer.ggml.tokens", GGUF_TEXT, &err), err);
    assert_int_equal(list.count, 3);
    assert_int_equal(gguf_next_text(&list).size, 1);
    assert_int_equal(gguf_next_text(&list).size, 0);
    assert_memory_equal(gguf_next_text(&list).bytes, "bcd", 3);
    assert_fine(gguf_array(&list, &gguf, "tokenizer.ggml.token_type", GGUF_I32, &err), err);
    assert_true(gguf_number(&list, 1) == 3.0 && gguf_number(&list, 2) == -1.0);
    const struct gguf_tensor *norm = gguf_tensor(&gguf, "norm");
    const struct gguf_tensor *words = gguf_tensor(&gguf, "words");
    assert_true(norm && words && !gguf_tensor(&gguf, "word"));
    assert_true(norm->shape[0] == 3 && norm->shape[1] == 2 && norm->size == 24);
    assert_true(words->shape[0] == 2 && words->shape[1] == 64 && words->size == 136);
    assert_true(norm->data[5] == 5 && words->data[0] == 64);
    assert_string_equal(gguf_type(words->type)->name, "Q8_0");
    gguf_close(&gguf);
    scratch_drop(folder);
}

/* Sets `size` bytes at the first place of `find` plus `after`, and expects to be told `says`. */
static void refused(const char *find, size_t find_size, size_t after, uint64_t value, size_t size,
                    const char *says)
{
    struct file file = example();
    struct err err = {0};
    struct err bad = {0};
    struct gguf gguf;
    char path[PATH_SIZE];
    unsigned char *at = memmem(file.bytes, file.size, find, find_size);
    assert_non_null(at);
    memcpy(at + after, &value, size);
    const char *folder = scratch_folder("gguf-bad");
    assert_fine(path_make(path, &err, "%s/a.gguf", folder), err);
    keep(path, file.bytes, file.size);
    assert_false(gguf_open(&gguf, path, &bad));
    assert_says(bad, says);
    assert_says(bad, "a.gguf");
    assert_int_equal(bad.code, ERR_FORMAT);
    scratch_drop(folder);
}

static void a_bent_field_is_named(void **state)
{
    (void)state;
    refused("GGUF", 4, 0, 0x46554746, 4, "expected GGUF, found bytes 46 47 55 46");
    refused("GGUF", 4, 4, 1, 4, "GGUF version 1, expected 2 or 3");
    refused("GGUF", 4, 4, 0x03000000, 4, "little-endian");
    refused("GGUF", 4, 8, UINT64_MAX, 8, "tensors in");
    refused("GGUF", 4, 16, 1u << 15, 8, "keys and 2 tensors in");
    refused("general.architecture", 20, 24, UINT64_MAX - 4, 8, "longer than the file");
    refused("general.architecture", 20, 20, 77, 4, "type of value");
    refused("ggml.tokens", 11, 15, GGUF_LIST, 4, "expected a list of numbers, bools or texts");
    refused("ggml.tokens", 11, 19, UINT64_MAX / 2, 8, "a list that is longer than the file");
    refused("general.alignment", 17, 21, 48, 4, "no power of two");
    refused("norm", 4, 4, 5, 4, "at most 4 dimensions");
    refused("norm", 4, 8, UINT64_MAX / 2, 8, "norm: its shape is not one of whole blocks");
    refused("norm", 4, 24, 31, 4, "tensor norm: type 31 is not known");
    refused("words", 5, 9, 65, 8, "words: its shape is not one of whole blocks");
    refused("words", 5, 9, 1 << 20, 8, "tensor words: 2228224 bytes at 64");
    refused("words", 5, 29, 32, 8, "expected a multiple of 64");
    refused("words", 5, 29, UINT64_MAX - 63, 8, "tensor words");
    refused("llama.block_count", 17, 0, 0, 1, "expected a name");
}

/* Cut anywhere, bent anywhere: refused, or opened with everything inside the mapping. */
static void no_bytes_lead_outside(void **state)
{
    struct err err = {0};
    char path[PATH_SIZE];
    size_t opened = 0;
    size_t sum = 0;
    (void)state;
    const char *folder = scratch_folder("gguf-fuzz");
    assert_fine(path_make(path, &err, "%s/a.gguf", folder), err);
    for (unsigned n = 0; n < 4000; n++) {
        struct file file = example();
        struct err bad = {0};
        struct gguf gguf;
        struct rng rng = rng_stream(5, n, 0);
        size_t bends = n % 4;
        for (size_t i = 0; i < bends; i++)
            file.bytes[rng_below(&rng, file.size)] = (unsigned char)rng_u64(&rng);
        size_t size = bends ? file.size : rng_below(&rng, file.size);
        FILE *out = fopen(path, "wb");
        assert_true(out && fwrite(file.bytes, 1, size, out) == size);
        assert_int_equal(fclose(out), 0);
        if (!gguf_open(&gguf, path, &bad)) {
            assert_says(bad, "a.gguf");
            continue;
        }
        assert_true(bends > 0); /* the last byte belongs to a tensor */
        opened++;
        for (size_t i = 0; i < gguf.tensor_count; i++)
            for (size_t k = 0; k < gguf.tensors[i].size; k++)
                sum += gguf.tensors[i].data[k];
        for (size_t i = 0; i < gguf.value_count; i++) {
            struct gguf_list list = gguf.values[i].list;
            for (size_t k = 0; gguf.values[i].kind == GGUF_LIST && k < list.count; k++)
                sum += list.kind == GGUF_TEXT ? 0 : (size_t)(gguf_number(&list, k) != 0);
            while (gguf.values[i].kind == GGUF_LIST && list.kind == GGUF_TEXT && list.count)
                sum += gguf_next_text(&list).size;
        }
        gguf_close(&gguf);
    }
    assert_true(opened > 500 && sum > 0);
    scratch_drop(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_read),
        TEST(a_bent_field_is_named),
        TEST(no_bytes_lead_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
