/*
 * checkpoint.h: a policy as files.
 *
 * A folder holds config.json and model.safetensors (trunk, with Hugging Face names and fields) and
 * items.safetensors (the rest).  Both carry the fingerprint of the semantic IDs they were trained
 * with.  A training state is one file: params, Adam's moments and the counters of the run.
 *
 * Errors    every refusal names file, tensor, expected and found.
 */
#ifndef MODEL_CHECKPOINT_H
#define MODEL_CHECKPOINT_H

#include "base/tensors.h"
#include "model/params.h"

bool checkpoint_write(const char *folder, const struct shape *shape, const struct params *params,
                      const char *fingerprint, struct err *err) MUST_CHECK;

/* Reads the shape; `fingerprint` is what the semantic IDs at hand have. */
bool checkpoint_shape(struct shape *shape, const char *folder, const char *fingerprint,
                      struct err *err) MUST_CHECK;
/* Copies the tensors into params, which were laid out for that shape. */
bool checkpoint_read(struct params *params, const struct shape *shape, const char *folder,
                     struct err *err) MUST_CHECK;

struct training_state {
    struct params params, first, second; /* with Adam's moments */
    struct params average, best;         /* of the last steps, and the best so far */
    const struct shape *shape;
    const char *fingerprint; /* of settings, data and index: another run is refused */
    json_t *counters;        /* owned by the caller on write; a new reference on read */
    float *prompts;          /* [prompt_count, prompt_facts] of post-training, or NULL */
    size_t prompt_count, prompt_facts;
};

bool training_state_write(const char *path, const struct training_state *state,
                          struct err *err) MUST_CHECK;
bool training_state_read(struct training_state *state, const char *path,
                         struct err *err) MUST_CHECK;

#endif
