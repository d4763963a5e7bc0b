/*
 * shape.h: the sizes of a policy; all other sizes follow from these.
 */
#ifndef MODEL_SHAPE_H
#define MODEL_SHAPE_H

#include "base/err.h"

#include <stdint.h>

struct shape {
    size_t dim;        /* width of the residual stream; a multiple of 16 */
    size_t layers;     /* 1.. */
    size_t heads;      /* dim = heads * head size */
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
};

bool shape_check(const struct shape *shape, const char *where, struct err *err) MUST_CHECK;

#endif
