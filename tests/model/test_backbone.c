/*
 * A pretrained trunk is read as it was published: from a folder, from several files, from halves,
 * and from a GGUF whose rows of q and k lie in another order.  What does not fit is refused by name
 * of file and tensor; a bent GGUF may be refused but never read outside of.
 */
#include "tests/test.h"

#include "model/backbone.h"
#include "model/weights.h"
#include "tests/model/pretrained.h"

#include <math.h>

enum { WORDS = 40 };

static struct tiny tiny;

struct read {
    struct params params;
    struct arena arena;
    struct shape shape;
};

/* What a backbone holds, in params of its sizes and two more words. */
static void read_all(struct read *r, const char *path)
{
    struct err err = {0};
    struct arena ruler = {0};
    struct backbone *b = backbone_open(path, &err);
    assert_fine(b, err);
    *r = (struct read){.shape = *backbone_shape(b)};
    r->shape.vocab += 2;
    r->shape.content = r->shape.items = r->shape.levels = r->shape.tiles = 1;
    params_layout(&r->params, &r->shape, &ruler);
    assert_fine(arena_open(&r->arena, ruler.used, &err), err);
    params_layout(&r->params, &r->shape, &r->arena);
    backbone_read(&r->params, b);
    backbone_close(b);
}

static const float *values_of(const char *name)
{
    for (size_t i = 0; i < tiny.count; i++)
        if (strcmp(tiny.names[i], name) == 0)
            return tiny.list[i].data;
    return NULL;
}

/* Every tensor, within `tolerance` of its length. */
static void is_what_was_written(const char *path, double tolerance)
{
    struct read r;
    read_all(&r, path);
    assert_int_equal(r.shape.dim, TINY_DIM);
    assert_int_equal(r.shape.vocab, WORDS + 2);
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        bool layered = PARAMS[i].dims[0] == LAYERS;
        size_t each = param_count(&PARAMS[i], &r.shape) / (layered ? TINY_LAYERS : 1);
        if (PARAMS[i].dims[1] == VOCAB)
            each = (size_t)WORDS * TINY_DIM;
        for (size_t l = 0; PARAMS[i].trunk && each && l < (layered ? TINY_LAYERS : 1); l++) {
            char name[80];
            const char *at = strstr(PARAMS[i].name, "%zu");
            snprintf(name, sizeof name, "%s", PARAMS[i].name);
            if (at)
                snprintf(name, sizeof name, "model.layers.%zu%s", l, at + 3);
            const float *want = values_of(name);
            const real *found = *param_slot(&r.params, &PARAMS[i]) + l * each;
            double difference = 0;
            double length = 0;
            assert_non_null(want);
            for (size_t k = 0; k < each; k++) {
                difference += pow((double)(found[k] - want[k]), 2);
                length += pow((double)want[k], 2);
            }
            if (!(sqrt(difference) <= tolerance * sqrt(length)))
                fail_msg("%s: %g", name, sqrt(difference / length));
        }
    }
    for (size_t k = (size_t)WORDS * TINY_DIM; k < (size_t)(WORDS + 2) * TINY_DIM; k++)
        assert_true(r.params.text[k] == 0); /* not the file's to fill */
    arena_close(&r.arena);
}

static void refuses(const char *path, const char *words)
{
    struct err err = {0};
    struct backbone *b = backbone_open(path, &err);
    assert_null(b);
    assert_says(err, words);
}

static void a_folder_is_read(void **state)
{
    (void)state;
    const char *folder = scratch_folder("backbone");
    tiny_make(&tiny, WORDS);
    tiny_write(&tiny, tiny_config(&tiny), folder);
    is_what_was_written(folder, 0);
    scratch_drop(folder);
}

/* The first tensors in one file, the others, as bf16, in another. */
static void several_files_are_one_model(void **state)
{
    struct err err = {0};
    static uint16_t halves[TINY_VALUES_MAX];
    struct tensor second[TINY_TENSORS];
    char path[PATH_SIZE];
    (void)state;
    const char *folder = scratch_folder("backbone");
    tiny_make(&tiny, WORDS);
    tiny_write(&tiny, tiny_config(&tiny), folder);
    for (size_t i = 0; i < tiny.used; i++) {
        uint32_t bits;
        memcpy(&bits, tiny.values + i, 4);
        halves[i] = (uint16_t)((bits + 0x8000) >> 16);
    }
    json_t *map = json_object();
    for (size_t i = 0; i < tiny.count; i++) {
        second[i] = tiny.list[i];
        second[i].type = TENSOR_BF16;
        second[i].data = halves + ((const float *)tiny.list[i].data - tiny.values);
        json_object_set_new(map, tiny.names[i],
                            json_string(i < 5 ? "model.safetensors" : "other.safetensors"));
    }
    json_t *index = json_pack("{s:o}", "weight_map", map);
    assert_fine(path_make(path, &err, "%s/model.safetensors", folder), err);
    assert_fine(tensors_write(path, tiny.list, 5, NULL, &err), err);
    assert_fine(path_make(path, &err, "%s/other.safetensors", folder), err);
    assert_fine(tensors_write(path, second + 5, tiny.count - 5, NULL, &err), err);
    assert_fine(path_make(path, &err, "%s/model.safetensors.index.json", folder), err);
    assert_int_equal(json_dump_file(index, path, 0), 0);
    is_what_was_written(folder, 4e-3);

    json_object_set_new(map, "model.norm.weight", json_string("../model.safetensors"));
    assert_int_equal(json_dump_file(index, path, 0), 0);
    refuses(folder, "model.norm.weight: expected a file of this folder");
    json_object_set_new(map, "model.norm.weight", json_string("third.safetensors"));
    assert_int_equal(json_dump_file(index, path, 0), 0);
    refuses(folder, "third.safetensors");
    json_decref(index);
    scratch_drop(folder);
}

static void halves_are_numbers(void **state)
{
    (void)state;
    assert_true(weight_of_f16(0x3c00) == 1 && weight_of_f16(0xc000) == -2);
    assert_true(weight_of_f16(0x0001) == 0x1p-24F && weight_of_f16(0x03ff) == 0x3ffp-24F);
    assert_true(weight_of_f16(0x7bff) == 65504 && isinf(weight_of_f16(0x7c00)));
    assert_true(isnan(weight_of_f16(0x7e00)) && signbit(weight_of_f16(0x8000)));
}

static void what_does_not_fit_is_refused_by_name(void **state)
{
    char path[PATH_SIZE];
    struct err err = {0};
    (void)state;
    const char *folder = scratch_folder("backbone");
    refuses("/no/such/place", "expected a folder with config.json or a GGUF file, found nothing");
    refuses(folder, "config.json");
    tiny_make(&tiny, WORDS);
    json_t *config = tiny_config(&tiny);
    json_object_set_new(config, "model_type", json_string("gpt2"));
    tiny_write(&tiny, config, folder);
    refuses(folder, "model_type: expected llama, qwen2 or qwen3, found \"gpt2\"");

    static const struct {
        const char *field, *json, *says;
    } bent[] = {
        {"hidden_act", "\"gelu\"", "hidden_act: expected silu"},
        {"attention_bias", "true", "attention_bias: expected false"},
        {"rope_scaling", "{\"type\": \"yarn\", \"factor\": 2}", "rope_scaling: expected rope_type"},
        {"layer_types", "[\"sliding_attention\"]", "layer_types: expected full_attention"},
        {"quantization_config", "{\"bits\": 4}", "quantization_config: expected none"},
        {"hidden_size", "\"much\"", "hidden_size"},
        {"hidden_size", "48", "expected [1, 48], found [1, 32]"},
        {"num_hidden_layers", "3", "tensor model.layers.2.input_layernorm.weight is missing"},
        {"num_hidden_layers", "1", "a trunk of this family has no place for it"},
        {"tie_word_embeddings", "false", "tensor lm_head.weight is missing"},
    };
    for (size_t i = 0; i < COUNT(bent); i++) {
        config = tiny_config(&tiny);
        json_object_set_new(config, bent[i].field, json_loads(bent[i].json, JSON_DECODE_ANY, NULL));
        tiny_write(&tiny, config, folder);
        refuses(folder, bent[i].says);
    }
    tiny.list[3].type = TENSOR_I32;
    tiny_write(&tiny, tiny_config(&tiny), folder);
    refuses(folder, "self_attn.q_proj.weight: expected F32, F16, BF16");
    tiny.list[3].type = TENSOR_F32;
    tiny_write(&tiny, tiny_config(&tiny), folder);
    assert_fine(path_make(path, &err, "%s/model.safetensors", folder), err);
    assert_int_equal(truncate(path, 9000), 0);
    refuses(folder, "model.safetensors: tensor model.");
    assert_int_equal(truncate(path, 5), 0);
    refuses(folder, "model.safetensors: expected safetensors, found 5 bytes");
    assert_int_equal(unlink(path), 0);
    refuses(folder, "expected model.safetensors or model.safetensors.index.json");
    scratch_drop(folder);
}

/* ---- GGUF ---- */

struct file {
    unsigned char bytes[1 << 19];
    size_t size;
};

static void put(struct file *file, const void *bytes, size_t size)
{
    assert_true(file->size + size <= sizeof file->bytes);
    memcpy(file->bytes + file->size, bytes, size);
    file->size += size;
}

static void put_number(struct file *file, uint64_t value, size_t size)
{
    put(file, &value, size);
}

static void put_text(struct file *file, const char *text)
{
    put_number(file, strlen(text), 8);
    put(file, text, strlen(text));
}

static void put_size(struct file *file, const char *key, uint32_t value)
{
    put_text(file, key);
    put_number(file, 4, 4); /* u32 */
    put_number(file, value, 4);
}

/* llama.cpp turns a llama's q and k: halves of a head become even and odd rows. */
static void put_turned(struct file *file, const float *from, size_t rows)
{
    const size_t head = TINY_DIM / TINY_HEADS;
    for (size_t r = 0; r < rows; r++) {
        size_t in = r % head;
        size_t row = r - in + (in % 2) * (head / 2) + in / 2;
        put(file, from + row * TINY_DIM, TINY_DIM * sizeof *from);
    }
}

static float linear = 1; /* by which files stretched rope before they named a type */

static void make_gguf(struct file *file, const char *family)
{
    size_t offset = 0;
    *file = (struct file){.size = 0};
    put(file, "GGUF", 4);
    put_number(file, 3, 4);
    put_number(file, tiny.count, 8);
    put_number(file, 7, 8);
    put_text(file, "general.architecture");
    put_number(file, 8, 4);
    put_text(file, family);
    put_size(file, "llama.block_count", TINY_LAYERS);
    put_size(file, "llama.embedding_length", TINY_DIM);
    put_size(file, "llama.feed_forward_length", TINY_FFN);
    put_size(file, "llama.attention.head_count", TINY_HEADS);
    put_size(file, "llama.attention.head_count_kv", 1);
    put_text(file, "llama.rope.scale_linear");
    put_number(file, 6, 4); /* f32 */
    put(file, &linear, sizeof linear);
    for (size_t i = 0; i < tiny.count; i++) {
        const struct tensor *t = &tiny.list[i];
        put_text(file, tiny.gguf_names[i]);
        put_number(file, t->dims, 4);
        if (t->dims == 2)
            put_number(file, t->shape[1], 8);
        put_number(file, t->shape[0], 8);
        put_number(file, 0, 4); /* F32 */
        put_number(file, offset, 8);
        offset += t->shape[0] * (t->dims == 2 ? t->shape[1] : 1) * sizeof(float);
    }
    while (file->size % 32)
        put(file, "", 1);
    for (size_t i = 0; i < tiny.count; i++) {
        const struct tensor *t = &tiny.list[i];
        bool turned = strstr(tiny.names[i], ".q_proj.") || strstr(tiny.names[i], ".k_proj.");
        if (turned)
            put_turned(file, t->data, t->shape[0]);
        else
            put(file, t->data, t->shape[0] * (t->dims == 2 ? t->shape[1] : 1) * sizeof(float));
    }
}

static void keep(const char *path, const struct file *file, size_t size)
{
    struct err err = {0};
    assert_fine(file_write_atomic(path, file->bytes, size, &err), err);
}

static void a_gguf_holds_the_same_model(void **state)
{
    static struct file file;
    struct err err = {0};
    char path[PATH_SIZE];
    (void)state;
    const char *folder = scratch_folder("backbone");
    tiny_make(&tiny, WORDS);
    make_gguf(&file, "llama");
    assert_fine(path_make(path, &err, "%s/tiny.gguf", folder), err);
    keep(path, &file, file.size);
    is_what_was_written(path, 0);

    keep(path, &file, file.size - 100);
    refuses(path, "truncated");
    memcpy(file.bytes, "GGML", 4);
    keep(path, &file, file.size);
    refuses(path, "expected GGUF");
    make_gguf(&file, "mamba");
    keep(path, &file, file.size);
    refuses(path, "general.architecture: expected llama, qwen2 or qwen3, found mamba");
    make_gguf(&file, "qwen2");
    keep(path, &file, file.size);
    refuses(path, "qwen2.embedding_length: expected a number, found none");
    linear = 4;
    make_gguf(&file, "llama");
    keep(path, &file, file.size);
    refuses(path, "llama.rope.scale_linear: expected 1, found 4");
    linear = 1;
    snprintf(tiny.gguf_names[4], sizeof tiny.gguf_names[4], "blk.0.ffn_gate_exps.weight");
    make_gguf(&file, "llama");
    keep(path, &file, file.size);
    refuses(path, "tensor model.layers.0.self_attn.k_proj.weight is missing");
    scratch_drop(folder);
}

static void no_bent_gguf_is_read_outside(void **state)
{
    static struct file whole;
    static struct file bent;
    struct err err = {0};
    char path[PATH_SIZE];
    size_t opened = 0;
    struct rng rng = rng_stream(3, 3, 3);
    (void)state;
    const char *folder = scratch_folder("backbone");
    tiny_make(&tiny, WORDS);
    make_gguf(&whole, "llama");
    assert_fine(path_make(path, &err, "%s/bent.gguf", folder), err);
    for (size_t n = 0; n < 500; n++) {
        bent = whole;
        for (size_t k = 0; k < 1 + n % 3; k++)
            bent.bytes[rng_below(&rng, 1400)] ^= (unsigned char)(1U << rng_below(&rng, 8));
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(bent.bytes, 1, bent.size, out), bent.size);
        fclose(out);
        struct err why = {0};
        struct backbone *b = backbone_open(path, &why);
        opened += b != NULL;
        assert_true(b || why.code != ERR_NONE);
        backbone_close(b);
        if (b) {
            struct read r;
            read_all(&r, path);
            arena_close(&r.arena);
        }
    }
    assert_true(opened < 500);
    scratch_drop(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_folder_is_read),
        TEST(several_files_are_one_model),
        TEST(halves_are_numbers),
        TEST(what_does_not_fit_is_refused_by_name),
        TEST(a_gguf_holds_the_same_model),
        TEST(no_bent_gguf_is_read_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
