#include "base/json.h"
#include "model/backbone_parts.h"
#include "model/config.h"

#include <stdlib.h>
#include <string.h>

static bool read_config(struct backbone *b, struct err *err)
{
    char path[PATH_SIZE];
    if (!path_make(path, err, "%s/config.json", b->path))
        return false;
    json_t *config = json_read(path, err);
    bool fine = config != NULL;
    if (fine && !config_shape(&b->shape, config, err)) {
        err_prefix(err, "%s", path);
        fine = false;
    }
    json_decref(config);
    return fine;
}

static bool open_shard(struct backbone *b, const char *name, struct err *err)
{
    char path[PATH_SIZE];
    if (b->shard_count == SHARDS_MAX)
        return err_set(err, ERR_FORMAT, "%s: more than %d files of weights", b->path, SHARDS_MAX);
    if (!path_make(path, err, "%s/%s", b->path, name) ||
        !tensors_open(&b->shards[b->shard_count], path, err))
        return false;
    b->shard_count++;
    return true;
}

static bool is_open(const struct backbone *b, const char *name)
{
    for (size_t i = 0; i < b->shard_count; i++)
        if (strcmp(strrchr(b->shards[i].path, '/') + 1, name) == 0)
            return true;
    return false;
}

/* weight_map: tensor -> file, of which each is opened once. */
static bool open_listed(struct backbone *b, const char *path, struct err *err)
{
    json_t *list = json_read(path, err);
    const json_t *map = json_object_get(list, "weight_map");
    const char *tensor;
    json_t *value;
    bool fine = list != NULL;
    if (fine && !json_object_size(map))
        fine =
            err_set(err, ERR_FORMAT, "%s: weight_map: expected names and files, found none", path);
    json_object_foreach ((json_t *)(uintptr_t)map, tensor, value) {
        const char *name = json_string_value(value);
        if (!fine)
            break;
        if (!name || !*name || strchr(name, '/'))
            fine = err_set(err, ERR_FORMAT, "%s: weight_map: %.80s: expected a file of this folder",
                           path, tensor);
        else if (!is_open(b, name))
            fine = open_shard(b, name, err);
    }
    json_decref(list);
    return fine;
}

static bool open_shards(struct backbone *b, struct err *err)
{
    char index[PATH_SIZE];
    char one[PATH_SIZE];
    b->shards = calloc(SHARDS_MAX, sizeof *b->shards);
    if (!b->shards)
        return err_set(err, ERR_SYSTEM, "%s: no memory", b->path);
    if (!path_make(index, err, "%s/model.safetensors.index.json", b->path) ||
        !path_make(one, err, "%s/model.safetensors", b->path))
        return false;
    if (path_exists(index))
        return open_listed(b, index, err);
    if (!path_exists(one))
        return err_set(err, ERR_MISSING,
                       "%s: expected model.safetensors or model.safetensors.index.json, found "
                       "neither",
                       b->path);
    return open_shard(b, "model.safetensors", err);
}

static bool list_tensors(struct backbone *b, struct err *err)
{
    size_t count = 0;
    for (size_t s = 0; s < b->shard_count; s++)
        count += b->shards[s].count;
    b->raws = calloc(count + 1, sizeof *b->raws);
    if (!b->raws)
        return err_set(err, ERR_SYSTEM, "%s: no memory for %zu tensors", b->path, count);
    for (size_t s = 0; s < b->shard_count; s++)
        for (size_t i = 0; i < b->shards[s].count; i++) {
            const struct tensor *t = &b->shards[s].list[i];
            struct raw *raw = &b->raws[b->count++];
            raw->there = t->name;
            raw->file = b->shards[s].path;
            raw->type_name = tensor_type_name(t->type);
            raw->type = weight_type_of(raw->type_name);
            raw->dims = t->dims;
            memcpy(raw->shape, t->shape, sizeof raw->shape);
            raw->data = t->data;
            snprintf(raw->name, sizeof raw->name, "%s", t->name);
        }
    return true;
}

bool backbone_open_folder(struct backbone *b, struct err *err)
{
    return read_config(b, err) && open_shards(b, err) && list_tensors(b, err);
}
