/*
 * config.h: the sizes of a trunk as a Hugging Face config.json says them.
 *
 * Families: llama, qwen2, qwen3 (model_type, and architectures ...ForCausalLM).  What a family may
 * have and our trunk has not (biases elsewhere, sliding windows, other activations, quantised
 * weights, other scalings of rope than llama3) is refused by name, with what was found.
 *
 * Errors    say the field, what was expected and what was found; the caller adds the file.
 */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include "model/shape.h"

#include <jansson.h>

/* A new reference; only what the trunk needs, defaults left out, so that it reads as it was. */
json_t *config_json(const struct shape *shape);
/* Fills the sizes of the trunk, vocab included; those of items stay as they are. */
bool config_shape(struct shape *shape, const json_t *config, struct err *err) MUST_CHECK;

#endif
