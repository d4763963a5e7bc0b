#include "model/backbone.h"

#include "base/text.h"
#include "model/backbone_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- every tensor is there, as it should be, and no other ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct raw *)a)->name, ((const struct raw *)b)->name);
}

static struct raw *find(const struct backbone *b, const char *name)
{
    struct raw key;
    snprintf(key.name, sizeof key.name, "%s", name);
    return bsearch(&key, b->raws, b->count, sizeof *b->raws, by_name);
}

static size_t layers_of(const struct param_spec *spec, const struct shape *shape)
{
    return spec->dims[0] == LAYERS ? shape->layers : 1;
}

static void name_of(char name[RAW_NAME_SIZE], const struct param_spec *spec, size_t layer)
{
    const char *at = strstr(spec->name, "%zu");
    if (at)
        snprintf(name, RAW_NAME_SIZE, "%.*s%zu%s", (int)(at - spec->name), spec->name, layer,
                 at + 3);
    else
        snprintf(name, RAW_NAME_SIZE, "%s", spec->name);
}

static bool check_tensor(struct backbone *b, const struct param_spec *spec, size_t layer,
                         struct err *err)
{
    char name[RAW_NAME_SIZE];
    size_t rows = extent_of(spec->dims[1], &b->shape);
    size_t columns = extent_of(spec->dims[2], &b->shape);
    size_t dims = spec->dims[1] == ONE ? 1 : 2;
    name_of(name, spec, layer);
    struct raw *raw = find(b, name);
    if (!raw)
        return err_set(err, ERR_FORMAT, "%s: tensor %s is missing: expected [%zu, %zu]", b->path,
                       name, rows, columns);
    raw->expected = true;
    if (raw->type == WEIGHT_TYPES)
        return err_set(err, ERR_FORMAT, "%s: tensor %s: expected " WEIGHT_NAMES ", found %s",
                       raw->file, raw->there, raw->type_name);
    if (raw->dims != dims || raw->shape[dims - 1] != columns ||
        (dims == 2 && raw->shape[0] != rows))
        return err_set(err, ERR_FORMAT,
                       "%s: tensor %s: expected [%zu, %zu], found [%zu, %zu] of %zu dims",
                       raw->file, raw->there, rows, columns, raw->dims > 1 ? raw->shape[0] : 1,
                       raw->dims ? raw->shape[raw->dims - 1] : 0, raw->dims);
    return true;
}

/* Tensors that some files carry beside those that are needed. */
static bool may_stay(const struct backbone *b, const char *name)
{
    size_t size = strlen(name);
    static const char turns[] = ".rotary_emb.inv_freq";
    return (size >= sizeof turns && strcmp(name + size - sizeof turns + 1, turns) == 0) ||
           (!b->shape.untied && strcmp(name, "lm_head.weight") == 0);
}

static bool check_all(struct backbone *b, struct err *err)
{
    qsort(b->raws, b->count, sizeof *b->raws, by_name);
    for (size_t i = 0; i + 1 < b->count; i++)
        if (strcmp(b->raws[i].name, b->raws[i + 1].name) == 0)
            return err_set(err, ERR_FORMAT, "%s: tensor %s stands there twice", b->raws[i].file,
                           b->raws[i].there);
    for (size_t i = 0; i < PARAM_COUNT; i++)
        if (PARAMS[i].trunk && param_count(&PARAMS[i], &b->shape))
            for (size_t l = 0; l < layers_of(&PARAMS[i], &b->shape); l++)
                if (!check_tensor(b, &PARAMS[i], l, err))
                    return false;
    for (size_t i = 0; i < b->count; i++)
        if (!b->raws[i].expected && !may_stay(b, b->raws[i].name))
            return err_set(err, ERR_FORMAT,
                           "%s: tensor %s: a trunk of this family has no place for it",
                           b->raws[i].file, b->raws[i].there);
    return true;
}

static bool check_shape(const struct backbone *b, struct err *err)
{
    struct shape whole = b->shape; /* what is ours does not matter here */
    whole.content = whole.items = whole.levels = whole.tiles = 1;
    return shape_check(&whole, b->path, err);
}

static bool open_path(struct backbone *b, struct err *err)
{
    struct stat seen;
    if (stat(b->path, &seen) != 0)
        return err_set(err, ERR_MISSING,
                       "backbone: %s: expected a folder with config.json or a GGUF file, found "
                       "nothing",
                       b->path);
    b->is_file = !S_ISDIR(seen.st_mode);
    return b->is_file ? backbone_open_gguf(b, err) : backbone_open_folder(b, err);
}

struct backbone *backbone_open(const char *path, struct err *err)
{
    struct backbone *b = calloc(1, sizeof *b);
    if (!b) {
        err_set(err, ERR_SYSTEM, "no memory for a backbone");
        return NULL;
    }
    if (path_make(b->path, err, "%s", path) && open_path(b, err) && check_shape(b, err) &&
        check_all(b, err))
        return b;
    backbone_close(b);
    return NULL;
}

void backbone_close(struct backbone *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->shard_count; i++)
        tensors_close(&b->shards[i]);
    gguf_close(&b->gguf);
    free(b->shards);
    free(b->raws);
    free(b);
}

const struct shape *backbone_shape(const struct backbone *b)
{
    return &b->shape;
}

/* ---- reading ---- */

static void read_tensor(real *to, const struct raw *raw, size_t head)
{
    size_t columns = raw->shape[raw->dims - 1];
    size_t rows = raw->dims > 1 ? raw->shape[0] : 1;
    size_t stride = weight_size(raw->type, columns);
    const unsigned char *from = raw->data;
    for (size_t r = 0; r < rows; r++) {
        size_t in = r % head; /* of a turned head: half h, pair c lies at 2 c + h */
        size_t half = head / 2;
        size_t at = raw->turned ? r - in + 2 * (in % half) + in / half : r;
        weights_read(to + r * columns, raw->type, from + at * stride, columns);
    }
}

void backbone_read(struct params *params, const struct backbone *b)
{
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        const struct param_spec *spec = &PARAMS[i];
        size_t each = param_count(spec, &b->shape) / layers_of(spec, &b->shape);
        if (!spec->trunk || !each)
            continue;
        for (size_t l = 0; l < layers_of(spec, &b->shape); l++) {
            char name[RAW_NAME_SIZE];
            name_of(name, spec, l);
            const struct raw *raw = find(b, name);
            assert(raw);
            read_tensor(*param_slot(params, spec) + l * each, raw, shape_head(&b->shape));
        }
    }
}

bool backbone_hash(char digest[SHA256_TEXT], const struct backbone *b, struct err *err)
{
    char path[PATH_SIZE];
    char one[SHA256_TEXT];
    static const char *const files[] = {"config.json", "tokenizer.json"};
    if (b->is_file)
        return file_sha256(digest, b->path, err);
    struct text all;
    text_init(&all, (SHARDS_MAX + COUNT(files)) * (SHA256_TEXT + 1));
    bool fine = true;
    for (size_t i = 0; fine && i < COUNT(files); i++) {
        fine = path_make(path, err, "%s/%s", b->path, files[i]) && file_sha256(one, path, err);
        text_addf(&all, "%s\n", one);
    }
    for (size_t i = 0; fine && i < b->shard_count; i++) {
        fine = file_sha256(one, b->shards[i].path, err);
        text_addf(&all, "%s\n", one);
    }
    if (fine)
        text_sha256(digest, all.bytes, all.size);
    text_release(&all);
    return fine;
}
