#include "model/backbone_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ARCHITECTURES = 3, NAME_SIZE = 32 };
static const char *const ARCHITECTURE[ARCHITECTURES] = {"llama", "qwen2", "qwen3"};

/* github.com/ggml-org/llama.cpp, gguf-py/gguf/constants.py: TENSOR_NAMES. */
static const struct {
    const char *gguf, *ours;
} NAMES[] = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};

static void rename_tensor(struct raw *raw)
{
    unsigned layer;
    int used = 0;
    char middle[NAME_SIZE];
    char end[NAME_SIZE];
    snprintf(raw->name, sizeof raw->name, "%s", raw->there);
    if (strcmp(raw->there, "token_embd.weight") == 0)
        snprintf(raw->name, sizeof raw->name, "model.embed_tokens.weight");
    else if (strcmp(raw->there, "output.weight") == 0)
        snprintf(raw->name, sizeof raw->name, "lm_head.weight");
    else if (strcmp(raw->there, "output_norm.weight") == 0)
        snprintf(raw->name, sizeof raw->name, "model.norm.weight");
    else if (sscanf(raw->there, "blk.%9u.%31[a-z_].%31[a-z]%n", &layer, middle, end, &used) == 3 &&
             !raw->there[used])
        for (size_t i = 0; i < COUNT(NAMES); i++)
            if (strcmp(middle, NAMES[i].gguf) == 0)
                snprintf(raw->name, sizeof raw->name, "model.layers.%u.%s.%s", layer, NAMES[i].ours,
                         end);
}

static bool is_turned(const char *there)
{
    const char *at = strstr(there, ".attn_");
    return at && (strncmp(at, ".attn_q.", 8) == 0 || strncmp(at, ".attn_k.", 8) == 0);
}

static bool list_tensors(struct backbone *b, bool turned, struct err *err)
{
    b->raws = calloc(b->gguf.tensor_count + 1, sizeof *b->raws);
    if (!b->raws)
        return err_set(err, ERR_SYSTEM, "%s: no memory for %zu tensors", b->path,
                       b->gguf.tensor_count);
    for (size_t i = 0; i < b->gguf.tensor_count; i++) {
        const struct gguf_tensor *t = &b->gguf.tensors[i];
        if (strcmp(t->name, "rope_freqs.weight") == 0)
            continue; /* read_stretch() */
        struct raw *raw = &b->raws[b->count++];
        raw->there = t->name;
        raw->file = b->gguf.path;
        raw->type_name = gguf_type(t->type)->name;
        raw->type = weight_type_of(raw->type_name);
        raw->dims = t->dims;
        memcpy(raw->shape, t->shape, sizeof raw->shape);
        raw->data = t->data;
        raw->turned = turned && is_turned(t->name);
        rename_tensor(raw);
    }
    return true;
}

struct keys {
    const struct backbone *b;
    const char *family;
    struct err *err;
};

static bool size_key(size_t *out, const struct keys *k, const char *name, bool needed)
{
    char key[64];
    snprintf(key, sizeof key, "%s.%s", k->family, name);
    if (needed && !gguf_find(&k->b->gguf, key))
        return err_set(k->err, ERR_FORMAT, "%s: %s: expected a number, found none", k->b->path,
                       key);
    return gguf_size(out, &k->b->gguf, key, 0, UINT32_MAX - 1, k->err);
}

static bool real_key(double *out, const struct keys *k, const char *name, double least, double most)
{
    char key[64];
    snprintf(key, sizeof key, "%s.%s", k->family, name);
    return gguf_real(out, &k->b->gguf, key, least, most, k->err);
}

static bool find_family(const char **family, const struct backbone *b, struct err *err)
{
    char found[NAME_SIZE] = "none";
    if (!gguf_string(found, sizeof found, &b->gguf, "general.architecture", err))
        return false;
    for (size_t i = 0; i < ARCHITECTURES; i++)
        if (strcmp(found, ARCHITECTURE[i]) == 0) {
            *family = ARCHITECTURE[i];
            return true;
        }
    return err_set(err, ERR_FORMAT,
                   "%s: general.architecture: expected llama, qwen2 or qwen3, found %s", b->path,
                   found);
}

/* What would change the computation and is not in our trunk. */
static bool check_options(const struct keys *k)
{
    static const char *const scales[] = {"rope.scaling.factor", "rope.scale_linear",
                                         "rope.scaling.attn_factor"};
    char key[64];
    char scaling[NAME_SIZE] = "none";
    size_t experts = 0;
    for (size_t i = 0; i < COUNT(scales); i++) { /* linear, where no type is said */
        double factor = 1;
        if (!real_key(&factor, k, scales[i], 0, 1e9))
            return false;
        if (factor != 1 && factor != 0)
            return err_set(k->err, ERR_FORMAT, "%s: %s.%s: expected 1, found %g", k->b->path,
                           k->family, scales[i], factor);
    }
    snprintf(key, sizeof key, "%s.rope.scaling.type", k->family);
    if (!size_key(&experts, k, "expert_count", false) ||
        !gguf_string(scaling, sizeof scaling, &k->b->gguf, key, k->err))
        return false;
    if (experts > 0)
        return err_set(k->err, ERR_FORMAT, "%s: %s.expert_count: expected 0, found %zu", k->b->path,
                       k->family, experts);
    return strcmp(scaling, "none") == 0 ||
           err_set(k->err, ERR_FORMAT, "%s: %s: expected none, found %s", k->b->path, key, scaling);
}

/*
 * Llama 3's scaling lies in GGUF as what each pair's turn is divided by.  Factor and the ends of
 * the mixed range follow from it: Llama 3 has 1 and 4 turns in 8192 positions.
 */
static bool read_stretch(struct shape *s, const struct backbone *b, struct err *err)
{
    const struct gguf_tensor *t = gguf_tensor(&b->gguf, "rope_freqs.weight");
    size_t pairs = shape_head(s) / 2;
    if (!t)
        return true;
    if (t->type != GGUF_TYPE_F32 || pairs == 0 || t->size != pairs * sizeof(float))
        return err_set(err, ERR_FORMAT, "%s: tensor rope_freqs.weight: expected %zu F32 values",
                       b->path, pairs);
    struct shape plain = *s;
    float stretch;
    memcpy(&stretch, t->data + (pairs - 1) * sizeof stretch, sizeof stretch);
    s->rope_scaling = (struct rope_scaling){(double)stretch, 1, 4, 8192};
    if (!(stretch >= 1 && stretch < 1e6F))
        return err_set(err, ERR_FORMAT,
                       "%s: tensor rope_freqs.weight: expected 1 or more, found %g", b->path,
                       (double)stretch);
    for (size_t c = 0; c < pairs; c++) {
        memcpy(&stretch, t->data + c * sizeof stretch, sizeof stretch);
        double want = shape_turn(&plain, c) / shape_turn(s, c);
        if (!(fabs((double)stretch - want) <= 1e-3 * want))
            return err_set(err, ERR_FORMAT,
                           "%s: tensor rope_freqs.weight: expected Llama 3's scaling (%g at pair "
                           "%zu), found %g",
                           b->path, want, c, (double)stretch);
    }
    return true;
}

static bool read_sizes(struct shape *s, const struct keys *k)
{
    const struct gguf_tensor *words = gguf_tensor(&k->b->gguf, "token_embd.weight");
    *s = (struct shape){.rope_base = 10000, .norm_eps = 1e-5};
    bool fine = size_key(&s->dim, k, "embedding_length", true) &&
                size_key(&s->layers, k, "block_count", true) &&
                size_key(&s->heads, k, "attention.head_count", true) &&
                size_key(&s->ffn, k, "feed_forward_length", true) &&
                size_key(&s->head_size, k, "attention.key_length", false) &&
                real_key(&s->rope_base, k, "rope.freq_base", 1, 1e12) &&
                real_key(&s->norm_eps, k, "attention.layer_norm_rms_epsilon", 0, 1);
    s->kv_heads = s->heads;
    if (!fine || !size_key(&s->kv_heads, k, "attention.head_count_kv", false))
        return false;
    if (!words || words->dims != 2)
        return err_set(k->err, ERR_FORMAT, "%s: tensor token_embd.weight: expected one of 2 dims",
                       k->b->path);
    s->vocab = words->shape[0];
    s->qkv_bias = strcmp(k->family, "qwen2") == 0;
    s->qk_norm = strcmp(k->family, "qwen3") == 0;
    s->untied = gguf_tensor(&k->b->gguf, "output.weight") != NULL;
    if (s->head_size * s->heads == s->dim)
        s->head_size = 0;
    return true;
}

static bool check_heads(const struct keys *k)
{
    const struct shape *s = &k->b->shape;
    size_t turned = 0;
    size_t value = 0;
    if (!s->heads || (!s->head_size && s->dim % s->heads))
        return true; /* shape_check() says it */
    if (!size_key(&turned, k, "rope.dimension_count", false) ||
        !size_key(&value, k, "attention.value_length", false))
        return false;
    if ((turned && turned != shape_head(s)) || (value && value != shape_head(s)))
        return err_set(k->err, ERR_FORMAT,
                       "%s: heads of %zu values: expected all of them turned and as many of v, "
                       "found %zu and %zu",
                       k->b->path, shape_head(s), turned, value);
    return true;
}

bool backbone_open_gguf(struct backbone *b, struct err *err)
{
    struct keys k = {b, NULL, err};
    if (!gguf_open(&b->gguf, b->path, err) || !find_family(&k.family, b, err) ||
        !check_options(&k) || !read_sizes(&b->shape, &k) || !check_heads(&k))
        return false;
    bool llama = strcmp(k.family, "llama") == 0;
    bool whole = b->shape.heads && (b->shape.head_size || b->shape.dim % b->shape.heads == 0);
    return (!whole || read_stretch(&b->shape, b, err)) && list_tensors(b, llama, err);
}
