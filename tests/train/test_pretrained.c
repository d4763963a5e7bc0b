/*
 * Training from a pretrained trunk, which the test writes itself: a tiny random model as Hugging
 * Face has it, with a byte-level tokenizer.  It is trained, opened again, frozen, given adapters,
 * and gone on from; what does not fit is refused with what was expected and found.
 */
#include "tests/service/client.h"

#include "base/json.h"
#include "model/backbone.h"
#include "recommend/version.h"
#include "tests/model/pretrained.h"

#include <math.h>

enum { EMBEDDED = 264 }; /* rows: 256 bytes, two merges, padding */

#define SETTINGS                                                                                   \
    "--epochs 1 --check_users 40 --judge_users 100 --window 12 --batch 64 --task_share 0.3 "       \
    "--warmup_steps 3 --dropout 0.1 --promote false --state_every_steps 1000"

static struct tiny tiny;
static char folder[512]; /* of the model */

/* GPT-2's characters for bytes: printable ones are themselves, the others come from 256 on. */
static void spell_byte(char text[8], unsigned byte)
{
    unsigned next = 256;
    unsigned code = byte;
    bool plain = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
    for (unsigned b = 0; !plain && b < byte; b++)
        next += !((b >= 33 && b <= 126) || (b >= 161 && b != 173));
    code = plain ? byte : next;
    if (code < 128)
        snprintf(text, 8, "%c", (int)code);
    else
        snprintf(text, 8, "%c%c", (int)(0xc0 | code >> 6), (int)(0x80 | (code & 63)));
}

static void write_words(const char *path)
{
    json_t *vocab = json_object();
    for (unsigned b = 0; b < 256; b++) {
        char text[8];
        spell_byte(text, b);
        json_object_set_new(vocab, text, json_integer(b));
    }
    json_object_set_new(vocab, "th", json_integer(256));
    json_object_set_new(vocab, "the", json_integer(257));
    json_t *level = json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                              "trim_offsets", 1, "use_regex", 1);
    json_t *file = json_pack(
        "{s:s, s:n, s:n, s:[], s:n, s:O, s:n, s:O, s:{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:o, "
        "s:[[s, s], [s, s]]}}",
        "version", "1.0", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
        level, "post_processor", "decoder", level, "model", "type", "BPE", "dropout", "unk_token",
        "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0, "byte_fallback", 0,
        "ignore_merges", 0, "vocab", vocab, "merges", "t", "h", "th", "e");
    assert_non_null(file);
    assert_int_equal(json_dump_file(file, path, 0), 0);
    json_decref(file);
    json_decref(level);
}

static int write_model(void **state)
{
    char path[PATH_SIZE];
    (void)state;
    snprintf(folder, sizeof folder, "%s", scratch_folder("pretrained"));
    tiny_make(&tiny, EMBEDDED);
    tiny_write(&tiny, tiny_config(&tiny), folder);
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    write_words(path);
    return 0;
}

static int drop_model(void **state)
{
    (void)state;
    scratch_drop(folder);
    return 0;
}

static void train(const char *home, const char *more)
{
    char args[1400];
    snprintf(args, sizeof args, "train --backbone %s " SETTINGS " %s", folder, more);
    tessera_fine(home, args);
}

struct opened {
    struct store *store;
    struct version *version;
};

static struct opened open_newest(const char *home, char name[64])
{
    struct err err = {0};
    struct opened o;
    const struct store_settings settings = {.map_mib = 1024};
    home_newest(name, home);
    o.store = store_open(home, &settings, false, &err);
    assert_fine(o.store, err);
    o.version = version_open(home, name, o.store, SIZE_MAX, &err);
    assert_fine(o.version, err);
    return o;
}

static void drop(struct opened *o)
{
    version_drop(o->version);
    store_close(o->store);
}

/* ||a - b|| / ||b|| of a matrix of the first layer and what the model has. */
static double moved(const real *found, const char *name, size_t count)
{
    double difference = 0;
    double length = 0;
    const float *was = NULL;
    for (size_t i = 0; i < tiny.count; i++)
        was = strcmp(tiny.names[i], name) == 0 ? tiny.list[i].data : was;
    assert_non_null(was);
    for (size_t i = 0; i < count; i++) {
        difference += pow((double)(found[i] - was[i]), 2);
        length += pow((double)was[i], 2);
    }
    return sqrt(difference / length);
}

static double moved_gate(const struct version *v)
{
    return moved(v->policy.params.gate, "model.layers.0.mlp.gate_proj.weight", TINY_FFN * TINY_DIM);
}

static double moved_words(const struct version *v)
{
    return moved(v->policy.params.text, "model.embed_tokens.weight", 256 * TINY_DIM);
}

static void is_from_the_backbone(const char *home, const char *name)
{
    struct err err = {0};
    char path[PATH_SIZE];
    assert_fine(path_make(path, &err, "%s/models/%s", home, name), err);
    json_t *manifest = manifest_read(path, &err);
    assert_fine(manifest, err);
    const json_t *from = json_object_get(manifest, "words_from");
    assert_int_equal(json_string_length(json_object_get(from, "sha256")), 64);
    json_decref(manifest);
}

/* The whole way: sft, a version that opens, and a later stage that keeps sizes and words. */
static void a_version_keeps_sizes_and_words_of_its_backbone(void **state)
{
    char home[512];
    char name[64];
    char next[64];
    char args[900];
    struct err err = {0};
    uint32_t token[4];
    (void)state;
    home_copy(home, sizeof home, "pretrained-sft");
    train(home, "--trunk_rate 0.3");
    struct opened o = open_newest(home, name);
    const struct policy *p = &o.version->policy;
    assert_int_equal(p->shape.dim, TINY_DIM);
    assert_int_equal(p->shape.layers, TINY_LAYERS);
    assert_int_equal(p->shape.vocab, EMBEDDED + MARKS);
    assert_int_equal(p->marks, EMBEDDED);
    assert_true(p->shape.own_scale == 1);
    assert_int_equal(tokenizer_encode(token, 4, o.version->tokenizer, "the", &err), 1);
    assert_int_equal(token[0], 257);
    assert_true(moved_gate(o.version) > 1e-4 && moved_gate(o.version) < 0.5);
    assert_true(moved_words(o.version) > 1e-5 && moved_words(o.version) < 0.5);
    drop(&o);
    is_from_the_backbone(home, name);

    snprintf(
        args, sizeof args,
        "train --stage lists --init %s --list_items 5 --rl_steps 2 --rl_check_every 2 " SETTINGS,
        name);
    tessera_fine(home, args);
    o = open_newest(home, next);
    assert_string_not_equal(name, next);
    assert_int_equal(o.version->policy.shape.dim, TINY_DIM);
    assert_int_equal(o.version->policy.marks, EMBEDDED);
    assert_true(o.version->policy.shape.own_scale == 1);
    drop(&o);
    is_from_the_backbone(home, next);
    scratch_drop(home);
}

/* Rate 0: trunk and words stay to the bit, what is ours does not. */
static void a_frozen_trunk_stays(void **state)
{
    char home[512];
    char name[64];
    (void)state;
    home_copy(home, sizeof home, "pretrained-frozen");
    train(home, "--trunk_rate 0");
    struct opened o = open_newest(home, name);
    const struct policy *p = &o.version->policy;
    assert_true(moved_gate(o.version) == 0);
    assert_true(moved_words(o.version) == 0);
    assert_true(p->params.find_query[1] != 0); /* began as c I */
    drop(&o);
    scratch_drop(home);
}

/* Adapters: the trunk differs from the backbone by a matrix of their rank, words stay, and a run
 * that was killed and goes on, on other threads, ends with the same bytes. */
static void adapters_are_merged_into_what_is_saved(void **state)
{
    static const char *const lora = "--lora_rank 2 --lora_alpha 8 --trunk_rate 0.3";
    char home[512];
    char other[512];
    char name[64];
    char command[2400];
    char first[2][SHA256_TEXT];
    char again[2][SHA256_TEXT];
    (void)state;
    home_copy(home, sizeof home, "pretrained-lora");
    train(home, lora);
    struct opened o = open_newest(home, name);
    assert_true(moved_words(o.version) == 0);
    assert_true(moved_gate(o.version) > 1e-5 && moved_gate(o.version) < 0.5);
    assert_int_equal(o.version->policy.shape.lora_rank, 0);
    assert_true(o.version->policy.params.find_query[1] != 0); /* began as c I, and learn fully */
    assert_true(o.version->policy.params.name_start[1] != 0);
    drop(&o);
    home_weights(first, home);

    home_clone(other, sizeof other, SCRATCH "/trained", "pretrained-lora-killed");
    snprintf(command, sizeof command,
             "timeout -s KILL 1 " TESSERA " --home %s train --backbone %s " SETTINGS
             " %s --state_every_steps 1 --threads 1 >%s/log 2>&1",
             other, folder, lora, other);
    assert_int_not_equal(system(command), -1);
    snprintf(command, sizeof command, "%s --state_every_steps 1 --threads 2", lora);
    train(other, command);
    home_weights(again, other);
    assert_string_equal(first[0], again[0]);
    assert_string_equal(first[1], again[1]);
    scratch_drop(home);
    scratch_drop(other);
}

static void refused(const char *home, const char *more, const char *says)
{
    char args[1200];
    char why[4000];
    snprintf(args, sizeof args, "train " SETTINGS " %s", more);
    assert_int_not_equal(tessera(why, sizeof why, home, args), 0);
    if (!strstr(why, says))
        fail_msg("expected '%s' in '%s'", says, why);
}

static void what_does_not_fit_is_refused(void **state)
{
    char home[512];
    char bent[600];
    char args[900];
    char path[PATH_SIZE];
    (void)state;
    home_copy(home, sizeof home, "pretrained-refused");
    snprintf(bent, sizeof bent, "%s/bent", folder);
    snprintf(args, sizeof args, "mkdir -p %s && cp %s/*.json %s/*.safetensors %s", bent, folder,
             folder, bent);
    assert_int_equal(system(args), 0);
    snprintf(args, sizeof args, "--backbone %s", bent);

    json_t *config = tiny_config(&tiny);
    json_object_set_new(config, "model_type", json_string("mamba"));
    tiny_write(&tiny, config, bent);
    refused(home, args, "model_type: expected llama, qwen2 or qwen3, found \"mamba\"");
    tiny_write(&tiny, tiny_config(&tiny), bent);
    snprintf(path, sizeof path, "%s/model.safetensors", bent);
    assert_int_equal(truncate(path, 30000), 0);
    refused(home, args, "model.safetensors: tensor model.");

    static struct tiny small; /* fewer rows than the tokenizer has words */
    tiny_make(&small, 200);
    tiny_write(&small, tiny_config(&small), bent);
    refused(home, args, "tokenizer.json");
    refused(home, "--backbone /no/such/place", "expected a folder with config.json or a GGUF file");
    write_file(bent, "model.gguf", "GGML and so on");
    snprintf(args, sizeof args, "--backbone %s/model.gguf", bent);
    refused(home, args, "expected GGUF, found bytes 47 47 4d 4c");
    snprintf(args, sizeof args, "--backbone %s --stage lists --list_items 5", folder);
    refused(home, args, "leave --backbone out");
    snprintf(args, sizeof args, "--backbone %s --preset sasrec", folder);
    refused(home, args, "preset sasrec has no place for one");
    scratch_drop(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_version_keeps_sizes_and_words_of_its_backbone),
        TEST(a_frozen_trunk_stays),
        TEST(adapters_are_merged_into_what_is_saved),
        TEST(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, write_model, drop_model);
}
