#include "recommend/experience.h"

#include "base/tensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool experience_write(const char *folder, const float *bias, size_t items, const char *fingerprint,
                      struct err *err)
{
    char path[PATH_SIZE];
    const struct tensor tensor = {
        .name = "bias", .type = TENSOR_F32, .dims = 1, .shape = {items}, .data = bias};
    json_t *notes = json_pack("{s:s}", "semantic_ids", fingerprint);
    bool fine = path_make(path, err, "%s/experience.safetensors", folder) &&
                tensors_write(path, &tensor, 1, notes, err);
    json_decref(notes);
    return fine;
}

static bool check(const float *bias, const struct tensors *file, size_t items,
                  const char *fingerprint, struct err *err)
{
    const char *of = tensors_note(file, "semantic_ids");
    if (!of || strcmp(of, fingerprint) != 0)
        return err_set(err, ERR_FORMAT, "%s: expected experience with items %.16s, found %.16s",
                       file->path, fingerprint, of ? of : "nothing");
    for (size_t i = 0; i < items; i++)
        if (!(fabsf(bias[i]) <= EXPERIENCE_MOST))
            return err_set(err, ERR_FORMAT, "%s: expected a bias within %d, found %g at row %zu",
                           file->path, EXPERIENCE_MOST, (double)bias[i], i);
    return true;
}

bool experience_read(float **bias, const char *folder, size_t items, const char *fingerprint,
                     struct err *err)
{
    char path[PATH_SIZE];
    struct tensors file;
    *bias = NULL;
    if (!path_make(path, err, "%s/experience.safetensors", folder))
        return false;
    if (!path_exists(path))
        return true;
    if (!tensors_open(&file, path, err))
        return false;
    const float *found = tensors_find(&file, "bias", TENSOR_F32, items, 0, err);
    bool fine = found && check(found, &file, items, fingerprint, err);
    if (fine && !(*bias = malloc((items + 1) * sizeof **bias)))
        fine = err_set(err, ERR_SYSTEM, "no memory for the experience of %zu items", items);
    if (fine)
        memcpy(*bias, found, items * sizeof **bias);
    tensors_close(&file);
    return fine;
}
