/*
 * backbone.h: a pretrained trunk and its words, as others publish them.
 *
 * Of the families llama, qwen2 and qwen3 (config.h), either of
 *     a folder   config.json, model.safetensors, or several listed by model.safetensors.index.json,
 *                as F32, F16 or BF16; tokenizer.json
 *     a file     GGUF of llama.cpp, as F32, F16, BF16, Q8_0, Q4_0 or Q4_1; its metadata hold sizes
 *                and vocabulary.  Rows of q and k of a llama lie there turned for another order of
 *                rope's pairs (convert_hf_to_gguf.py: permute) and are turned back.
 *
 * Threads   an open backbone never changes.
 * Memory    maps its files; reading writes into params of the caller.
 * Errors    opening looks at every tensor: one that is missing, not expected, of another shape or
 *           type, or not wholly in its file is refused by file and name (ERR_FORMAT); so is another
 *           family, with what was expected and found.
 * Cost      reading: one pass over the weights.
 */
#ifndef MODEL_BACKBONE_H
#define MODEL_BACKBONE_H

#include "model/params.h"

struct tokenizer;
struct backbone;

struct backbone *backbone_open(const char *path, struct err *err) MUST_CHECK;
void backbone_close(struct backbone *backbone); /* NULL is fine */

/* The sizes of its trunk; vocab: the rows of its embedding; 0 of what is ours. */
const struct shape *backbone_shape(const struct backbone *backbone);
/* Its words; our marks come after the rows of its embedding. */
struct tokenizer *backbone_tokenizer(const struct backbone *backbone, struct err *err) MUST_CHECK;
/*
 * The tensors of the trunk, text and text_out, into params laid out for these sizes and at least
 * as many rows of text; rows of text beyond its own, and all else, stay as they are.
 */
void backbone_read(struct params *params, const struct backbone *backbone);
/* SHA-256 of its files: what it is. */
bool backbone_hash(char digest[65], const struct backbone *backbone, struct err *err) MUST_CHECK;

#endif
