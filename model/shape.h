/*
 * shape.h: the sizes of a policy; all other sizes follow from these.
 */
#ifndef MODEL_SHAPE_H
#define MODEL_SHAPE_H

#include "base/err.h"

#include <stdint.h>

enum { HEAD_MAX = 1024 };

struct shape {
    size_t dim;        /* width of the residual stream; a multiple of 16 */
    size_t layers;     /* 1.. */
    size_t heads;      /* of queries */
    size_t kv_heads;   /* divides heads: grouped-query attention */
    size_t ffn;        /* width inside SwiGLU */
    size_t content;    /* dims of a content vector */
    size_t items;      /* rows of the catalogue */
    size_t levels;     /* quantised tiles in a name; the last tile comes on top */
    size_t tiles;      /* tiles at each quantised level */
    size_t vocab;      /* tokens of text */
    bool node_vectors; /* name reads the mean find vector of each node */
    double rope_base;
    double norm_eps;
    /* what other families of trunks add; all 0 is ours */
    size_t head_size;  /* 0: dim / heads */
    size_t lora_rank;  /* of the adapters beside each matrix of the trunk; 0: none (lora.h) */
    double lora_scale; /* of what they add: alpha / rank */
    bool qk_norm;      /* Qwen3: RMSNorm of each head's q and k before they are turned */
    bool qkv_bias;     /* Qwen2 */
    bool untied;       /* the text head is a matrix of its own */
    double own_scale;  /* of an item's own embedding as it is read; 0: sqrt(dim) */
    /* Llama 3: turns slower than once in original / low are stretched by factor; 0: none */
    struct rope_scaling {
        double factor, low, high, original;
    } rope_scaling;
};

size_t shape_head(const struct shape *shape); /* values in a head, at most HEAD_MAX */
double shape_own_scale(const struct shape *shape);
/* Radians a position, of pair `pair` of a head's pairs [0, shape_head / 2). */
double shape_turn(const struct shape *shape, size_t pair);

bool shape_check(const struct shape *shape, const char *where, struct err *err) MUST_CHECK;

#endif
