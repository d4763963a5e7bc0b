/*
 * pretrained.h: a tiny random model as others publish one, for tests: a Hugging Face folder, whole
 * or in two files, or a GGUF.
 */
#ifndef TESTS_MODEL_PRETRAINED_H
#define TESTS_MODEL_PRETRAINED_H

#include "base/rng.h"
#include "base/tensors.h"
#include "tests/test.h"

#include <stdio.h>

enum {
    TINY_DIM = 32,
    TINY_LAYERS = 2,
    TINY_HEADS = 2,
    TINY_KV = 16, /* one head of keys */
    TINY_FFN = 64,
    TINY_TENSORS = 2 + 9 * TINY_LAYERS,
    TINY_VALUES_MAX = 1 << 16
};

/* Tensors by their Hugging Face names; the list may be bent before it is written. */
struct tiny {
    char names[TINY_TENSORS][80];
    char gguf_names[TINY_TENSORS][40];
    struct tensor list[TINY_TENSORS];
    float values[TINY_VALUES_MAX];
    size_t count, used, vocab;
};

static inline void tiny_add(struct tiny *t, const char *name, const char *gguf_name, size_t rows,
                            size_t columns, struct rng *rng)
{
    struct tensor *tensor = &t->list[t->count];
    float *values = t->values + t->used;
    size_t count = (rows ? rows : 1) * columns;
    assert_true(t->used + count <= TINY_VALUES_MAX);
    for (size_t i = 0; i < count; i++)
        values[i] = rows ? (float)(0.2 * rng_normal(rng)) : (float)(1 + 0.1 * rng_normal(rng));
    snprintf(t->names[t->count], sizeof t->names[0], "%s", name);
    snprintf(t->gguf_names[t->count], sizeof t->gguf_names[0], "%s", gguf_name);
    *tensor = (struct tensor){
        t->names[t->count], TENSOR_F32, rows ? 2 : 1, {rows ? rows : columns, columns}, values};
    t->used += count;
    t->count++;
}

static inline void tiny_make(struct tiny *t, size_t vocab)
{
    static const struct {
        const char *name, *gguf;
        size_t rows, columns;
    } parts[] = {{"input_layernorm", "attn_norm", 0, TINY_DIM},
                 {"self_attn.q_proj", "attn_q", TINY_DIM, TINY_DIM},
                 {"self_attn.k_proj", "attn_k", TINY_KV, TINY_DIM},
                 {"self_attn.v_proj", "attn_v", TINY_KV, TINY_DIM},
                 {"self_attn.o_proj", "attn_output", TINY_DIM, TINY_DIM},
                 {"post_attention_layernorm", "ffn_norm", 0, TINY_DIM},
                 {"mlp.gate_proj", "ffn_gate", TINY_FFN, TINY_DIM},
                 {"mlp.up_proj", "ffn_up", TINY_FFN, TINY_DIM},
                 {"mlp.down_proj", "ffn_down", TINY_DIM, TINY_FFN}};
    struct rng rng = rng_stream(7, 7, 7);
    *t = (struct tiny){.vocab = vocab};
    tiny_add(t, "model.embed_tokens.weight", "token_embd.weight", vocab, TINY_DIM, &rng);
    tiny_add(t, "model.norm.weight", "output_norm.weight", 0, TINY_DIM, &rng);
    for (size_t l = 0; l < TINY_LAYERS; l++)
        for (size_t p = 0; p < COUNT(parts); p++) {
            char name[80];
            char gguf[40];
            snprintf(name, sizeof name, "model.layers.%zu.%s.weight", l, parts[p].name);
            snprintf(gguf, sizeof gguf, "blk.%zu.%s.weight", l, parts[p].gguf);
            tiny_add(t, name, gguf, parts[p].rows, parts[p].columns, &rng);
        }
}

static inline json_t *tiny_config(const struct tiny *t)
{
    return json_pack("{s:[s], s:s, s:i, s:i, s:i, s:i, s:i, s:I, s:b, s:f, s:f, s:s}",
                     "architectures", "LlamaForCausalLM", "model_type", "llama", "hidden_size",
                     TINY_DIM, "num_hidden_layers", TINY_LAYERS, "num_attention_heads", TINY_HEADS,
                     "num_key_value_heads", 1, "intermediate_size", TINY_FFN, "vocab_size",
                     (json_int_t)t->vocab, "tie_word_embeddings", 1, "rope_theta", 10000.0,
                     "rms_norm_eps", 1e-5, "hidden_act", "silu");
}

/* config.json (taken) and model.safetensors of the first `count` tensors of the list. */
static inline void tiny_write(const struct tiny *t, json_t *config, const char *folder)
{
    struct err err = {0};
    char path[PATH_SIZE];
    assert_fine(path_make(path, &err, "%s/config.json", folder), err);
    assert_int_equal(json_dump_file(config, path, JSON_INDENT(2)), 0);
    json_decref(config);
    assert_fine(path_make(path, &err, "%s/model.safetensors", folder), err);
    assert_fine(tensors_write(path, t->list, t->count, NULL, &err), err);
}

#endif
