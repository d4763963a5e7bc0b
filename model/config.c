#include "model/config.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum { LLAMA, QWEN2, QWEN3, FAMILIES };

static const struct {
    const char *type, *architecture;
} FAMILY[FAMILIES] = {
    {"llama", "LlamaForCausalLM"}, {"qwen2", "Qwen2ForCausalLM"}, {"qwen3", "Qwen3ForCausalLM"}};

static size_t family_of(const struct shape *s)
{
    return s->qk_norm ? QWEN3 : s->qkv_bias ? QWEN2 : LLAMA;
}

json_t *config_json(const struct shape *s)
{
    size_t family = family_of(s);
    json_t *config = json_pack(
        "{s:[s], s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:f, s:f, s:s}", "architectures",
        FAMILY[family].architecture, "model_type", FAMILY[family].type, "hidden_size",
        (json_int_t)s->dim, "num_hidden_layers", (json_int_t)s->layers, "num_attention_heads",
        (json_int_t)s->heads, "num_key_value_heads", (json_int_t)s->kv_heads, "intermediate_size",
        (json_int_t)s->ffn, "vocab_size", (json_int_t)s->vocab, "tie_word_embeddings", !s->untied,
        "rope_theta", s->rope_base, "rms_norm_eps", s->norm_eps, "hidden_act", "silu");
    if (s->head_size || s->qk_norm) /* Qwen3's is 128 where nothing is said */
        json_object_set_new(config, "head_dim", json_integer((json_int_t)shape_head(s)));
    const struct rope_scaling *r = &s->rope_scaling;
    if (r->factor > 0)
        json_object_set_new(config, "rope_scaling",
                            json_pack("{s:s, s:f, s:f, s:f, s:I}", "rope_type", "llama3", "factor",
                                      r->factor, "low_freq_factor", r->low, "high_freq_factor",
                                      r->high, "original_max_position_embeddings",
                                      (json_int_t)r->original));
    return config;
}

static bool refuse(const char *field, const char *expected, const json_t *found, struct err *err)
{
    char *text = json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT);
    bool fine = err_set(err, ERR_FORMAT, "%s: expected %s, found %.80s", field, expected,
                        text ? text : "?");
    free(text);
    return fine;
}

static bool find_family(size_t *family, const json_t *config, struct err *err)
{
    const json_t *type = json_object_get(config, "model_type");
    for (*family = 0; *family < FAMILIES; ++*family)
        if (json_is_string(type) && strcmp(json_string_value(type), FAMILY[*family].type) == 0)
            break;
    if (*family == FAMILIES)
        return type ? refuse("model_type", "llama, qwen2 or qwen3", type, err)
                    : err_set(err, ERR_FORMAT,
                              "model_type: expected llama, qwen2 or qwen3, found none");
    const json_t *names = json_object_get(config, "architectures");
    const char *name = json_string_value(json_array_get(names, 0));
    if (name && strcmp(name, FAMILY[*family].architecture) != 0)
        return refuse("architectures", FAMILY[*family].architecture, names, err);
    return true;
}

/* What would change the computation and is not in our trunk. */
static bool check_options(const json_t *config, struct err *err)
{
    static const char *const off[] = {"attention_bias", "mlp_bias", "use_sliding_window"};
    for (size_t i = 0; i < COUNT(off); i++) {
        const json_t *found = json_object_get(config, off[i]);
        if (found && !json_is_false(found) && !json_is_null(found))
            return refuse(off[i], "false", found, err);
    }
    size_t layer;
    const json_t *kind;
    json_array_foreach (json_object_get(config, "layer_types"), layer, kind)
        if (!json_is_string(kind) || strcmp(json_string_value(kind), "full_attention") != 0)
            return refuse("layer_types", "full_attention", kind, err);
    const json_t *act = json_object_get(config, "hidden_act");
    if (act && (!json_is_string(act) || strcmp(json_string_value(act), "silu") != 0))
        return refuse("hidden_act", "silu", act, err);
    const json_t *packed = json_object_get(config, "quantization_config");
    if (packed && !json_is_null(packed))
        return refuse("quantization_config",
                      "none (weights as F32, F16 or BF16, or a GGUF of Q8_0, Q4_0 or Q4_1)", packed,
                      err);
    return true;
}

static bool read_scaling(struct shape *s, const json_t *rope, const char *field, struct err *err)
{
    const json_t *type = json_object_get(rope, "rope_type");
    struct rope_scaling *r = &s->rope_scaling;
    if (!type)
        type = json_object_get(rope, "type");
    if (!type || (json_is_string(type) && strcmp(json_string_value(type), "default") == 0))
        return true;
    if (!json_is_string(type) || strcmp(json_string_value(type), "llama3") != 0)
        return refuse(field, "rope_type default or llama3", rope, err);
    return json_real64(&r->factor, rope, "factor", 1, 1e6, err) &&
           json_real64(&r->low, rope, "low_freq_factor", 1e-6, 1e6, err) &&
           json_real64(&r->high, rope, "high_freq_factor", 1e-6, 1e6, err) &&
           json_real64(&r->original, rope, "original_max_position_embeddings", 1, 1e9, err) &&
           (r->factor > 0 || refuse(field, "a factor", rope, err));
}

/* rope_theta and rope_scaling, or both in rope_parameters (transformers 5). */
static bool read_rope(struct shape *s, const json_t *config, struct err *err)
{
    const json_t *both = json_object_get(config, "rope_parameters");
    const json_t *scaling = json_object_get(config, "rope_scaling");
    if (json_is_object(both))
        return json_real64(&s->rope_base, both, "rope_theta", 1, 1e12, err) &&
               read_scaling(s, both, "rope_parameters", err);
    return json_real64(&s->rope_base, config, "rope_theta", 1, 1e12, err) &&
           (!json_is_object(scaling) || read_scaling(s, scaling, "rope_scaling", err));
}

static bool check_there(const struct shape *s, struct err *err)
{
    const struct {
        const char *name;
        size_t value;
    } needed[] = {{"hidden_size", s->dim},
                  {"num_hidden_layers", s->layers},
                  {"num_attention_heads", s->heads},
                  {"intermediate_size", s->ffn},
                  {"vocab_size", s->vocab}};
    for (size_t i = 0; i < COUNT(needed); i++)
        if (!needed[i].value)
            return err_set(err, ERR_FORMAT, "%s: expected a number, found none", needed[i].name);
    return true;
}

bool config_shape(struct shape *s, const json_t *config, struct err *err)
{
    size_t family;
    bool tied = false;
    const size_t most = UINT32_MAX - 1;
    if (!find_family(&family, config, err) || !check_options(config, err))
        return false;
    s->rope_base = 10000;
    s->norm_eps = 1e-6;
    s->rope_scaling = (struct rope_scaling){0};
    s->dim = s->layers = s->heads = s->kv_heads = s->ffn = s->vocab = 0;
    s->head_size = family == QWEN3 ? 128 : 0; /* what transformers takes where nothing is said */
    s->qkv_bias = family == QWEN2;
    s->qk_norm = family == QWEN3;
    bool fine = json_size(&s->dim, config, "hidden_size", 1, most, err) &&
                json_size(&s->layers, config, "num_hidden_layers", 1, most, err) &&
                json_size(&s->heads, config, "num_attention_heads", 1, most, err) &&
                json_size(&s->ffn, config, "intermediate_size", 1, most, err) &&
                json_size(&s->vocab, config, "vocab_size", 1, most, err) &&
                json_size(&s->head_size, config, "head_dim", 1, most, err) &&
                json_real64(&s->norm_eps, config, "rms_norm_eps", 0, 1, err) &&
                json_flag(&tied, config, "tie_word_embeddings", err) && read_rope(s, config, err);
    s->kv_heads = s->heads;
    fine = fine && json_size(&s->kv_heads, config, "num_key_value_heads", 1, most, err);
    s->untied = !tied;
    if (fine && s->head_size * s->heads == s->dim)
        s->head_size = 0;
    return fine && check_there(s, err);
}
