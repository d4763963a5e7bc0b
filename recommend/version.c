#include "recommend/version.h"

#include "base/json.h"
#include "base/text.h"
#include "data/catalogue.h"
#include "model/checkpoint.h"
#include "recommend/experience.h"

#include <cblas.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const FEATURE_NAMES[FEATURES] = {"name", "find",  "count",   "last",    "text",
                                             "walk", "fresh", "popular", "newcomer"};

static int compare_hits(const void *a, const void *b)
{
    const struct hit *x = a;
    const struct hit *y = b;
    return hit_better(*x, *y) ? -1 : hit_better(*y, *x) ? 1 : 0;
}

static bool order_by_popularity(struct version *version, struct err *err)
{
    size_t items = version->index->items;
    struct hit *hits = calloc(items + 1, sizeof *hits);
    version->popular = calloc(items + 1, sizeof *version->popular);
    bool fine = hits && version->popular;
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for %zu items", items);
    for (size_t i = 0; fine && i < items; i++)
        hits[i] = (struct hit){(uint32_t)i, (float)version->index->events[i]};
    if (fine)
        qsort(hits, items, sizeof *hits, compare_hits);
    for (size_t i = 0; fine && i < items; i++)
        version->popular[i] = hits[i].row;
    free(hits);
    return fine;
}

static bool list_unseen(struct version *version, struct err *err)
{
    size_t items = version->index->items;
    version->unseen = calloc(items / 64 + 1, sizeof *version->unseen);
    version->unseen_row = calloc(items + 1, sizeof *version->unseen_row);
    if (!version->unseen || !version->unseen_row)
        return err_set(err, ERR_SYSTEM, "no memory for %zu items", items);
    for (uint32_t r = 0; r < items; r++)
        if (!version->index->events[r]) {
            version->unseen[r / 64] |= (uint64_t)1 << r % 64;
            version->unseen_row[version->unseen_count++] = r;
        }
    return true;
}

/* Which numbers the store gives to the ids of this version. */
static bool map_numbers(struct version *version, struct store *store, struct err *err)
{
    struct store_txn txn;
    size_t items = version->index->items;
    if (!store_begin(&txn, store, false, err))
        return false;
    version->numbers = store_entries(&txn, TABLE_ITEM_IDS);
    version->number_of_row = malloc((items + 1) * sizeof *version->number_of_row);
    version->row_of_number = malloc((version->numbers + 1) * sizeof *version->row_of_number);
    bool fine = version->number_of_row && version->row_of_number;
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for %zu numbers", version->numbers);
    else
        memset(version->row_of_number, 0xff,
               (version->numbers + 1) * sizeof *version->row_of_number);
    for (size_t row = 0; fine && row < items; row++) {
        const char *bytes;
        char id[ID_SIZE_MAX + 1];
        size_t size = index_id(&bytes, version->index, row);
        if (size > ID_SIZE_MAX) {
            fine =
                err_set(err, ERR_FORMAT, "semantic_ids: an id of %zu bytes at row %zu", size, row);
            break;
        }
        memcpy(id, bytes, size);
        id[size] = 0;
        uint32_t number = NO_ITEM;
        if (!catalogue_find(&number, &txn, id, err))
            number = NO_ITEM;
        fine = err->code == ERR_NONE;
        version->number_of_row[row] = number;
        if (number < version->numbers)
            version->row_of_number[number] = (uint32_t)row;
    }
    store_abort(&txn);
    return fine;
}

static void derived_layout(struct version *version, unsigned char **seen, struct arena *arena)
{
    const struct shape *s = &version->policy.shape;
    params_layout(&version->policy.params, s, arena);
    version->policy.find_vectors = arena_take(arena, s->items * s->dim, sizeof(real));
    version->policy.items.node_vectors =
        arena_take(arena, version->policy.items.nodes * s->dim, sizeof(real));
    version->typical = arena_take(arena, s->dim, sizeof(real));
    *seen = arena_take(arena, s->items, 1);
}

/* Numbers the nodes of the trie, level after level, in the order of rows. */
static bool number_nodes(struct version *version, struct err *err)
{
    size_t items = version->index->items;
    size_t levels = version->policy.shape.levels;
    uint32_t nodes = 0;
    version->node = calloc(items * levels + 1, sizeof *version->node);
    if (!version->node)
        return err_set(err, ERR_SYSTEM, "no memory for the nodes of %zu items", items);
    for (size_t l = 0; l < levels; l++)
        for (size_t r = 0; r < items; nodes++)
            for (size_t last = version->trie.next[l * items + r]; r < last; r++)
                version->node[l * items + r] = nodes;
    version->policy.items.node = version->node;
    version->policy.items.nodes = nodes;
    return true;
}

static bool place(struct version *version, const struct shape *shape, struct err *err)
{
    struct arena ruler = {0};
    unsigned char *seen;
    struct item_index *index = version->index;
    size_t tokens =
        tokenizer_size(version->tokenizer) + (version->attributes ? version->attributes->count : 0);
    if (shape->items != index->items || shape->levels + 1 != index->levels ||
        shape->content != index->quantiser.dims || shape->tiles != index->quantiser.tiles ||
        shape->vocab != tokens)
        return err_set(
            err, ERR_FORMAT,
            "policy for %zu items of %zu + 1 tiles and %zu tokens, index has %zu of %zu and %zu",
            shape->items, shape->levels, shape->vocab, index->items, index->levels, tokens);
    version->policy.shape = *shape;
    version->policy.kernels = kernels_best();
    version->policy.marks = tokenizer_marks(version->tokenizer);
    if (!trie_open(&version->trie, index->codes, NULL, index->items, index->levels, err) ||
        (shape->node_vectors && !number_nodes(version, err)))
        return false;
    derived_layout(version, &seen, &ruler);
    if (!arena_open(&version->arena, ruler.used, err))
        return false;
    derived_layout(version, &seen, &version->arena);
    for (size_t i = 0; i < index->items; i++)
        seen[i] = index->events[i] > 0;
    struct item_table *items = &version->policy.items;
    items->count = index->items;
    items->text_dims = index->quantiser.text_dims;
    items->content = index->content;
    items->codes = index->codes;
    items->seen = seen;
    const struct sparse *n = &index->neighbours;
    const struct sparse *texts = &index->text_neighbours;
    version->neighbours = (struct neighbour_lists){n->first, n->column, n->value, n->rows};
    version->texts =
        (struct neighbour_lists){texts->first, texts->column, texts->value, texts->rows};
    version->fusion = version->search = (struct fusion){{1, 1}};
    return true;
}

/* What an item is like of which nothing is known: the mean of the find vectors of items with
 * events. */
static void refresh_typical(struct version *version)
{
    const struct policy *policy = &version->policy;
    size_t d = policy->shape.dim;
    size_t warm = version->index->items - version->unseen_count;
    memset(version->typical, 0, d * sizeof *version->typical);
    for (size_t i = 0; i < version->index->items; i++)
        if (policy->items.seen[i])
            cblas_saxpy((int)d, 1 / (float)warm, policy->find_vectors + i * d, 1, version->typical,
                        1);
}

void version_newcomer(real *vector, const struct version *version, const uint32_t *near,
                      const float *likeness, size_t count)
{
    size_t d = version->policy.shape.dim;
    if (!nearest_mean(vector, d, near, likeness, count, version->policy.find_vectors, d,
                      version->index->events))
        memcpy(vector, version->typical, d * sizeof *vector);
}

void version_refresh(struct version *version)
{
    struct policy *policy = &version->policy;
    const struct sparse *texts = &version->index->text_neighbours;
    real *find = (real *)(uintptr_t)policy->find_vectors;
    policy_find_vectors(find, policy, 0, policy->shape.items);
    refresh_typical(version);
    for (size_t u = 0; u < version->unseen_count; u++) {
        size_t row = version->unseen_row[u];
        size_t first = texts->first[row];
        version_newcomer(find + row * policy->shape.dim, version, texts->column + first,
                         texts->value + first, texts->first[row + 1] - first);
    }
    for (size_t l = 0; policy->items.node && l < policy->shape.levels; l++)
        policy_node_vectors((real *)(uintptr_t)policy->items.node_vectors, policy, NULL,
                            policy->items.count, policy->find_vectors, l);
}

struct version *version_from(struct item_index *index, struct tokenizer *tokenizer,
                             struct attributes *attributes, const struct shape *shape,
                             const struct params *params, struct store *store, struct err *err)
{
    struct version *version = calloc(1, sizeof *version);
    if (!version) {
        err_set(err, ERR_SYSTEM, "no memory for a version");
        return NULL;
    }
    static atomic_ulong opened;
    atomic_init(&version->uses, 1);
    version->serial = atomic_fetch_add(&opened, 1) + 1;
    version->index = index;
    version->tokenizer = tokenizer;
    version->attributes = attributes;
    if (place(version, shape, err) && order_by_popularity(version, err) &&
        list_unseen(version, err) && map_numbers(version, store, err)) {
        if (params) {
            params_copy(&version->policy.params, params, shape);
            version_refresh(version);
            version->find_index = catalogue_index_open(version->policy.find_vectors, index->items,
                                                       shape->dim, "", SIZE_MAX, err);
        }
        if (!params || version->find_index)
            return version;
    }
    version->index = NULL; /* they stay the caller's */
    version->tokenizer = NULL;
    version->attributes = NULL;
    version_drop(version);
    return NULL;
}

void version_take_experience(struct version *version, float *experience)
{
    free(version->experience);
    version->experience = experience;
    version->policy.items.experience = experience;
}

static bool read_weights(struct fusion *fusion, const json_t *json, const char *path,
                         struct err *err)
{
    bool fine = json_is_object(json) ||
                err_set(err, ERR_FORMAT, "%s: expected objects history and search", path);
    for (size_t f = 0; fine && f < FEATURES; f++)
        fine = json_real64(&fusion->weight[f], json, FEATURE_NAMES[f], -1e6, 1e6, err);
    return fine;
}

static bool read_fusion(struct version *version, const char *folder, struct err *err)
{
    char path[PATH_SIZE];
    if (!path_make(path, err, "%s/fusion.json", folder))
        return false;
    json_t *json = json_read(path, err);
    bool fine = json &&
                read_weights(&version->fusion, json_object_get(json, "history"), path, err) &&
                read_weights(&version->search, json_object_get(json, "search"), path, err) &&
                json_real64(&version->newcomers.name, json, "name_newcomer", -1e6, 1e6, err) &&
                json_real64(&version->newcomers.find, json, "find_newcomer", -1e6, 1e6, err) &&
                (!json_object_get(json, "list_votes") || /* older versions have none */
                 json_real64(&version->list_votes, json, "list_votes", 0, 1e3, err));
    json_decref(json);
    return fine;
}

static json_t *weights_json(const struct fusion *fusion)
{
    json_t *json = json_object();
    for (size_t f = 0; f < FEATURES; f++)
        json_object_set_new(json, FEATURE_NAMES[f], json_real(fusion->weight[f]));
    return json;
}

bool fusion_write(const struct version *version, const char *folder, struct err *err)
{
    char path[PATH_SIZE];
    json_t *json =
        json_pack("{s:o, s:o, s:f, s:f, s:f}", "history", weights_json(&version->fusion), "search",
                  weights_json(&version->search), "name_newcomer", version->newcomers.name,
                  "find_newcomer", version->newcomers.find, "list_votes", version->list_votes);
    bool fine = path_make(path, err, "%s/fusion.json", folder) &&
                json_write(path, json, JSON_INDENT(2), err);
    json_decref(json);
    return fine;
}

bool together_write(const struct version *version, const char *folder, struct err *err)
{
    char path[PATH_SIZE];
    return !version->together ||
           (path_make(path, err, "%s/together.safetensors", folder) &&
            neighbours_write(path, version->together, version->index->fingerprint, err));
}

static bool read_together(struct version *version, const char *folder, struct err *err)
{
    char path[PATH_SIZE];
    if (!path_make(path, err, "%s/together.safetensors", folder))
        return false;
    if (!path_exists(path))
        return version->list_votes <= 0 ||
               err_set(err, ERR_FORMAT, "%s is missing: list_votes is %g", path,
                       version->list_votes);
    version->together =
        neighbours_read(path, version->index->items, version->index->fingerprint, err);
    return version->together != NULL;
}

static bool read_version(struct version *version, const char *folder, size_t scan_items_max,
                         struct err *err)
{
    char path[PATH_SIZE];
    const struct shape *shape = &version->policy.shape;
    float *experience;
    if (!experience_read(&experience, folder, shape->items, version->index->fingerprint, err))
        return false;
    version_take_experience(version, experience);
    if (!checkpoint_read(&version->policy.params, shape, folder, err) ||
        !read_fusion(version, folder, err) || !read_together(version, folder, err) ||
        !path_make(path, err, "%s/catalogue.faiss", folder))
        return false;
    version_refresh(version);
    version->find_index = catalogue_index_open(version->policy.find_vectors, shape->items,
                                               shape->dim, path, scan_items_max, err);
    return version->find_index != NULL;
}

/* Of a version that was trained to reason; others have none. */
static bool read_attributes(struct attributes **attributes, const char *folder,
                            const struct tokenizer *tokenizer, struct err *err)
{
    char path[PATH_SIZE];
    if (!path_make(path, err, "%s/attributes.json", folder))
        return false;
    if (!path_exists(path))
        return true;
    *attributes = attributes_read(path, tokenizer_size(tokenizer), err);
    return *attributes != NULL;
}

struct version *version_open(const char *home, const char *name, struct store *store,
                             size_t scan_items_max, struct err *err)
{
    char folder[PATH_SIZE];
    char path[PATH_SIZE];
    struct shape shape;
    if (!path_make(folder, err, "%s/models/%s", home, name) || !manifest_check(folder, err))
        return NULL;
    struct item_index *index = index_open(folder, err);
    struct tokenizer *tokenizer = NULL;
    struct attributes *attributes = NULL;
    if (index && path_make(path, err, "%s/tokenizer.json", folder))
        tokenizer = tokenizer_read(path, err);
    bool fine = tokenizer && read_attributes(&attributes, folder, tokenizer, err) &&
                checkpoint_shape(&shape, folder, index->fingerprint, err);
    if (!fine) {
        attributes_free(attributes);
        tokenizer_free(tokenizer);
        index_close(index);
        return NULL;
    }
    struct version *version = version_from(index, tokenizer, attributes, &shape, NULL, store, err);
    if (!version) {
        attributes_free(attributes);
        tokenizer_free(tokenizer);
        index_close(index);
        err_prefix(err, "%s", folder);
        return NULL;
    }
    snprintf(version->name, sizeof version->name, "%s", name);
    if (read_version(version, folder, scan_items_max, err))
        return version;
    version_drop(version);
    return NULL;
}

struct version *version_hold(struct version *version)
{
    atomic_fetch_add(&version->uses, 1);
    return version;
}

void version_drop(struct version *version)
{
    if (!version || atomic_fetch_sub(&version->uses, 1) != 1)
        return;
    catalogue_index_close(version->find_index);
    trie_close(&version->trie);
    index_close(version->index);
    tokenizer_free(version->tokenizer);
    attributes_free(version->attributes);
    sparse_free(version->together);
    free(version->experience);
    free(version->unseen);
    free(version->unseen_row);
    free(version->node);
    free(version->popular);
    free(version->number_of_row);
    free(version->row_of_number);
    arena_close(&version->arena);
    free(version);
}

bool version_link(char name[64], const char *home, const char *link, struct err *err)
{
    char path[PATH_SIZE];
    char target[PATH_SIZE];
    if (!path_make(path, err, "%s/%s", home, link))
        return false;
    if (!link_read(target, path))
        return err_set(err, ERR_MISSING,
                       "%s: no version is in production; run `tessera --home %s train` first", path,
                       home);
    const char *slash = strrchr(target, '/');
    const char *found = slash ? slash + 1 : target;
    if (strlen(found) >= 64)
        return err_set(err, ERR_FORMAT, "%s: points to %.80s", path, target);
    memcpy(name, found, strlen(found) + 1);
    return true;
}

bool production_name(char name[64], const char *home, struct err *err)
{
    return version_link(name, home, "production/recommend", err);
}

/* Makes the folder of links, of a version that is there. */
static bool production_folder(const char *home, const char *name, struct err *err)
{
    char path[PATH_SIZE];
    if (!path_make(path, err, "%s/models/%s/manifest.json", home, name))
        return false;
    if (!path_exists(path))
        return err_set(err, ERR_MISSING, "%s: there is no version %s", path, name);
    return path_make(path, err, "%s/production", home) && folder_make(path, err);
}

bool chat_set(const char *home, const char *name, struct err *err)
{
    char path[PATH_SIZE];
    char target[PATH_SIZE];
    return production_folder(home, name, err) && path_make(path, err, "%s/production/chat", home) &&
           path_make(target, err, "../models/%s", name) && link_move(path, target, err);
}

bool production_set(const char *home, const char *name, struct err *err)
{
    char path[PATH_SIZE];
    char target[PATH_SIZE];
    char old[64] = "";
    struct err none = {0};
    if (!production_folder(home, name, err))
        return false;
    if (version_link(old, home, "production/recommend", &none) && strcmp(old, name) == 0)
        return true;
    if (old[0] && !(path_make(path, err, "%s/production/previous", home) &&
                    path_make(target, err, "../models/%s", old) && link_move(path, target, err)))
        return false;
    return path_make(path, err, "%s/production/recommend", home) &&
           path_make(target, err, "../models/%s", name) && link_move(path, target, err);
}

bool baseline_set(const char *home, const char *name, struct err *err)
{
    char path[PATH_SIZE];
    char target[PATH_SIZE];
    return path_make(path, err, "%s/baselines", home) && folder_make(path, err) &&
           path_make(path, err, "%s/baselines/sasrec", home) &&
           path_make(target, err, "../models/%s", name) && link_move(path, target, err);
}

bool production_back(const char *home, struct err *err)
{
    char previous[64];
    return version_link(previous, home, "production/previous", err) &&
           production_set(home, previous, err);
}

json_t *manifest_read(const char *folder, struct err *err)
{
    char path[PATH_SIZE];
    return path_make(path, err, "%s/manifest.json", folder) ? json_read(path, err) : NULL;
}

bool manifest_check(const char *folder, struct err *err)
{
    json_t *manifest = manifest_read(folder, err);
    const json_t *files = json_object_get(manifest, "files");
    bool fine = manifest != NULL;
    if (fine && !json_object_size(files))
        fine = err_set(err, ERR_FORMAT, "%s/manifest.json: lists no files", folder);
    const char *name;
    json_t *digest;
    json_object_foreach ((json_t *)(uintptr_t)files, name, digest) {
        char found[SHA256_TEXT];
        char file[PATH_SIZE];
        const char *want = json_string_value(digest);
        if (!fine || strchr(name, '/'))
            break;
        fine = path_make(file, err, "%s/%s", folder, name) && file_sha256(found, file, err);
        if (fine && (!want || strcmp(want, found) != 0))
            fine = err_set(err, ERR_FORMAT,
                           "%s: expected SHA-256 %.12s, found %.12s (truncated or changed)", file,
                           want ? want : "none", found);
    }
    json_decref(manifest);
    return fine;
}

static bool list_files(json_t *files, const char *folder, struct err *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return err_set(err, ERR_SYSTEM, "%s: %s", folder, strerror(errno));
    bool fine = true;
    for (struct dirent *entry; fine && (entry = readdir(dir));) {
        char path[PATH_SIZE];
        char digest[SHA256_TEXT];
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "manifest.json") == 0)
            continue;
        fine =
            path_make(path, err, "%s/%s", folder, entry->d_name) && file_sha256(digest, path, err);
        if (fine)
            json_object_set_new(files, entry->d_name, json_string(digest));
    }
    closedir(dir);
    return fine;
}

bool manifest_write(const char *folder, json_t *facts, struct err *err)
{
    char path[PATH_SIZE];
    json_t *files = json_object();
    bool fine = list_files(files, folder, err);
    json_object_set_new(facts, "files", files);
    return fine && path_make(path, err, "%s/manifest.json", folder) &&
           json_write(path, facts, JSON_INDENT(2) | JSON_SORT_KEYS, err);
}
