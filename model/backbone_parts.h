/* backbone_parts.h: what backbone*.c share, and nobody else includes. */
#ifndef MODEL_BACKBONE_PARTS_H
#define MODEL_BACKBONE_PARTS_H

#include "base/tensors.h"
#include "model/backbone.h"
#include "model/gguf.h"
#include "model/weights.h"

enum { RAW_NAME_SIZE = 128, SHARDS_MAX = 512 };

/* A tensor as it lies in a file. */
struct raw {
    char name[RAW_NAME_SIZE]; /* as Hugging Face has it */
    const char *there;        /* its name in the file; borrowed from it */
    const char *file;         /* path; borrowed */
    const char *type_name;
    size_t dims, shape[TENSOR_DIMS];
    const void *data;
    enum weight_type type;
    bool turned;   /* rows of each head interleave the halves: a llama's q and k in GGUF */
    bool expected; /* found by the check */
};

struct backbone {
    struct shape shape;
    char path[PATH_SIZE];
    bool is_file; /* GGUF */
    struct gguf gguf;
    struct tensors *shards; /* owned [shard_count] */
    size_t shard_count;
    struct raw *raws; /* owned [count], by name */
    size_t count;
};

/* Each fills shape and raws, in any order; the check is backbone.c's. */
bool backbone_open_folder(struct backbone *backbone, struct err *err) MUST_CHECK;
bool backbone_open_gguf(struct backbone *backbone, struct err *err) MUST_CHECK;

#endif
