#include "model/checkpoint.h"

#include "base/json.h"
#include "model/config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TENSORS_MAX = 32768 };

struct writer {
    struct tensor list[TENSORS_MAX];
    char names[TENSORS_MAX][72];
    size_t count;
};

static void add(struct writer *writer, const char *prefix, const char *name, const real *data,
                size_t dims, const size_t *shape)
{
    assert(writer->count < TENSORS_MAX);
    struct tensor *tensor = &writer->list[writer->count];
    snprintf(writer->names[writer->count], sizeof writer->names[0], "%s%s", prefix, name);
    *tensor = (struct tensor){
        .name = writer->names[writer->count],
        .type = sizeof(real) == 4 ? TENSOR_F32 : TENSOR_F64,
        .dims = dims,
        .data = data,
    };
    memcpy(tensor->shape, shape, dims * sizeof *shape);
    writer->count++;
}

/* A trunk tensor becomes one tensor per layer; dims of 1 in front are dropped. */
static void add_param(struct writer *writer, const char *prefix, const struct param_spec *spec,
                      const struct params *params, const struct shape *shape)
{
    size_t dims[3];
    size_t count = 0;
    bool layered = spec->dims[0] == LAYERS;
    for (size_t d = layered; d < 3; d++)
        if (spec->dims[d] != ONE)
            dims[count++] = extent_of(spec->dims[d], shape);
    size_t copies = layered ? shape->layers : 1;
    if (param_count(spec, shape) == 0 || !param_data(params, spec))
        return; /* this shape has none, or it is no part of the state */
    size_t each = param_count(spec, shape) / copies;
    for (size_t l = 0; l < copies; l++) {
        char name[72];
        snprintf(name, sizeof name, "%s", spec->name);
        char *at = strstr(name, "%zu");
        if (at)
            snprintf(at, sizeof name - (size_t)(at - name), "%zu%s", l,
                     strstr(spec->name, "%zu") + 3);
        add(writer, prefix, name, param_data(params, spec) + l * each, count, dims);
    }
}

static bool write_tensors(const char *folder, const char *file, bool trunk,
                          const struct shape *shape, const struct params *params,
                          const char *fingerprint, struct err *err)
{
    char path[PATH_SIZE];
    struct writer *writer = calloc(1, sizeof *writer);
    if (!writer || !path_make(path, err, "%s/%s", folder, file)) {
        free(writer);
        return err_set(err, ERR_SYSTEM, "no memory for a checkpoint");
    }
    for (size_t i = 0; i < PARAM_COUNT; i++)
        if (PARAMS[i].trunk == trunk)
            add_param(writer, "", &PARAMS[i], params, shape);
    json_t *notes = json_pack("{s:s, s:s}", "format", "pt", "semantic_ids", fingerprint);
    bool fine = tensors_write(path, writer->list, writer->count, notes, err);
    json_decref(notes);
    free(writer);
    return fine;
}

static json_t *make_config(const struct shape *s, const char *fingerprint)
{
    json_t *config = config_json(s);
    json_t *own = json_pack("{s:I, s:I, s:I, s:I, s:b, s:s}", "content", (json_int_t)s->content,
                            "items", (json_int_t)s->items, "levels", (json_int_t)s->levels, "tiles",
                            (json_int_t)s->tiles, "node_vectors", s->node_vectors, "semantic_ids",
                            fingerprint);
    if (s->own_scale > 0)
        json_object_set_new(own, "own_scale", json_real(s->own_scale));
    json_object_set_new(config, "tessera", own);
    return config;
}

bool checkpoint_write(const char *folder, const struct shape *shape, const struct params *params,
                      const char *fingerprint, struct err *err)
{
    char path[PATH_SIZE];
    json_t *config = make_config(shape, fingerprint);
    bool fine = path_make(path, err, "%s/config.json", folder) &&
                json_write(path, config, JSON_INDENT(2), err);
    json_decref(config);
    return fine &&
           write_tensors(folder, "model.safetensors", true, shape, params, fingerprint, err) &&
           write_tensors(folder, "items.safetensors", false, shape, params, fingerprint, err);
}

bool checkpoint_shape(struct shape *s, const char *folder, const char *fingerprint, struct err *err)
{
    char path[PATH_SIZE];
    if (!path_make(path, err, "%s/config.json", folder))
        return false;
    json_t *config = json_read(path, err);
    json_t *own = json_object_get(config, "tessera");
    bool fine = config != NULL;
    *s = (struct shape){0};
    size_t most = UINT32_MAX - 1;
    const char *found = "";
    fine = fine && config_shape(s, config, err) &&
           json_real64(&s->own_scale, own, "own_scale", 0, 1e6, err) &&
           json_size(&s->content, own, "content", 1, most, err) &&
           json_size(&s->items, own, "items", 1, most, err) &&
           json_size(&s->levels, own, "levels", 1, most, err) &&
           json_size(&s->tiles, own, "tiles", 1, most, err) &&
           json_flag(&s->node_vectors, own, "node_vectors", err) &&
           json_text(&found, own, "semantic_ids", err);
    if (fine && strcmp(found, fingerprint) != 0)
        fine =
            err_set(err, ERR_FORMAT, "%s: trained with semantic IDs %.12s, found %.12s beside it",
                    path, found, fingerprint);
    else if (!fine && config)
        err_prefix(err, "%s", path);
    json_decref(config);
    return fine && shape_check(s, path, err);
}

static bool read_list(struct params *params, const struct shape *shape, const struct tensors *file,
                      const char *prefix, int trunk, struct err *err)
{
    struct writer *wanted = calloc(1, sizeof *wanted);
    if (!wanted)
        return err_set(err, ERR_SYSTEM, "no memory for a checkpoint");
    bool fine = true;
    for (size_t i = 0; fine && i < PARAM_COUNT; i++) {
        if (trunk >= 0 && PARAMS[i].trunk != trunk)
            continue;
        wanted->count = 0;
        add_param(wanted, prefix, &PARAMS[i], params, shape);
        for (size_t t = 0; fine && t < wanted->count; t++) {
            const struct tensor *want = &wanted->list[t];
            const struct tensor *found = tensors_get(file, want->name);
            size_t count = 1;
            bool same = found && found->type == want->type && found->dims == want->dims;
            for (size_t d = 0; d < want->dims; d++) {
                same = same && found->shape[d] == want->shape[d];
                count *= want->shape[d];
            }
            if (!same)
                fine = err_set(err, ERR_FORMAT,
                               "%s: tensor %s: expected %zu values of the shape in config.json, %s",
                               file->path, want->name, count,
                               found ? "found another shape" : "found none");
            else
                memcpy((real *)(uintptr_t)want->data, found->data, count * sizeof(real));
        }
    }
    free(wanted);
    return fine;
}

bool checkpoint_read(struct params *params, const struct shape *shape, const char *folder,
                     struct err *err)
{
    static const char *const files[] = {"items.safetensors", "model.safetensors"};
    for (int trunk = 0; trunk < 2; trunk++) {
        char path[PATH_SIZE];
        struct tensors file;
        if (!path_make(path, err, "%s/%s", folder, files[trunk]) || !tensors_open(&file, path, err))
            return false;
        bool fine = read_list(params, shape, &file, "", trunk, err);
        tensors_close(&file);
        if (!fine)
            return false;
    }
    return true;
}

static const char *const STATE_PREFIXES[] = {"", "adam.m.", "adam.v.", "average.", "best."};

static struct tensor prompts_tensor(const struct training_state *state)
{
    return (struct tensor){.name = "rl.prompts",
                           .type = TENSOR_F32,
                           .dims = 2,
                           .shape = {state->prompt_count, state->prompt_facts},
                           .data = state->prompts};
}

static bool read_prompts(struct training_state *state, const struct tensors *file, struct err *err)
{
    const float *found =
        tensors_find(file, "rl.prompts", TENSOR_F32, state->prompt_count, state->prompt_facts, err);
    if (found)
        memcpy(state->prompts, found,
               state->prompt_count * state->prompt_facts * sizeof *state->prompts);
    return found != NULL;
}

bool training_state_write(const char *path, const struct training_state *state, struct err *err)
{
    struct writer *writer = calloc(1, sizeof *writer);
    char *counters = json_dumps(state->counters, JSON_COMPACT | JSON_SORT_KEYS);
    bool fine = writer && counters;
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for a training state");
    const struct params *sets[] = {&state->params, &state->first, &state->second, &state->average,
                                   &state->best};
    for (size_t set = 0; fine && set < COUNT(sets); set++)
        for (size_t i = 0; i < PARAM_COUNT; i++)
            add_param(writer, STATE_PREFIXES[set], &PARAMS[i], sets[set], state->shape);
    if (fine && state->prompts)
        writer->list[writer->count++] = prompts_tensor(state);
    json_t *notes =
        fine ? json_pack("{s:s, s:s}", "run", state->fingerprint, "counters", counters) : NULL;
    fine = fine && tensors_write(path, writer->list, writer->count, notes, err);
    json_decref(notes);
    free(counters);
    free(writer);
    return fine;
}

bool training_state_read(struct training_state *state, const char *path, struct err *err)
{
    struct tensors file;
    if (!tensors_open(&file, path, err))
        return false;
    const char *run = tensors_note(&file, "run");
    const char *counters = tensors_note(&file, "counters");
    bool fine = run && counters && strcmp(run, state->fingerprint) == 0;
    if (!fine)
        err_set(err, ERR_FORMAT, "%s: state of run %.12s, expected %.12s", path, run ? run : "none",
                state->fingerprint);
    struct params *sets[] = {&state->params, &state->first, &state->second, &state->average,
                             &state->best};
    for (size_t set = 0; fine && set < COUNT(sets); set++)
        fine = read_list(sets[set], state->shape, &file, STATE_PREFIXES[set], -1, err);
    fine = fine && (!state->prompts || read_prompts(state, &file, err));
    if (fine) {
        state->counters = json_parse(counters, strlen(counters), path, err);
        fine = state->counters != NULL;
    }
    tensors_close(&file);
    return fine;
}
