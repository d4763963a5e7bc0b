/*
 * params.h: every learned tensor of the policy, in one table.
 *
 * Saving, loading, the optimiser, the sum over micro-batches and the gradient test all walk PARAMS;
 * a tensor is added in the struct and in the table, nowhere else.  A matrix is [out, in]: y = x
 * W^T.
 */
#ifndef MODEL_PARAMS_H
#define MODEL_PARAMS_H

#include "base/arena.h"
#include "model/real.h"
#include "model/shape.h"

struct params {
    /* trunk: a Llama block under its Hugging Face names; Q = heads * head size */
    real *attn_norm; /* [LAYERS, DIM] */
    real *q;         /* [LAYERS, Q, DIM] */
    real *k;         /* [LAYERS, KV, DIM] */
    real *v;         /* [LAYERS, KV, DIM] */
    real *o;         /* [LAYERS, DIM, Q] */
    real *mlp_norm;  /* [LAYERS, DIM] */
    real *gate;      /* [LAYERS, FFN, DIM] */
    real *up;        /* [LAYERS, FFN, DIM] */
    real *down;      /* [LAYERS, DIM, FFN] */
    real *norm;      /* [DIM] */
    /* words: input and output; 0 rows where the policy has no text */
    real *text; /* [VOCAB, DIM] */
    /* an item as input: tiles + content + its own */
    real *tile_in;    /* [LEVELS, TILES, DIM] */
    real *content_in; /* [DIM, CONTENT] */
    /* find: z projected, against find vectors W content + own */
    real *find_query;   /* [DIM, DIM] */
    real *find_content; /* [DIM, CONTENT] */
    real *own;          /* [ITEMS, DIM]; 0 for an item without training events */
    /* name: the depth head */
    real *name_start; /* [DIM, DIM]          h_1 = z name_start^T */
    real *tile_out;   /* [LEVELS, TILES, DIM] */
    real *tile_bias;  /* [LEVELS, TILES] */
    real *depth_up;   /* [LEVELS, DIM, DIM] */
    real *depth_tile; /* [LEVELS, TILES, DIM] */
    real *depth_down; /* [LEVELS, DIM, DIM] */
    /* other families of trunks; no values where the shape says so */
    real *q_bias;          /* [LAYERS, Q] */
    real *k_bias, *v_bias; /* [LAYERS, KV] */
    real *q_norm, *k_norm; /* [LAYERS, HEAD] */
    real *text_out;        /* [VOCAB, DIM] text head that is not `text` */
    /* adapters: a matrix of the trunk is W + alpha / rank B A (lora.h) */
    real *q_a, *q_b; /* [LAYERS, RANK, DIM], [LAYERS, Q, RANK]; so are all: in, then out */
    real *k_a, *k_b, *v_a, *v_b, *o_a, *o_b;
    real *gate_a, *gate_b, *up_a, *up_b, *down_a, *down_b;
};

/* The last ones are 0 where the shape has none. */
enum extent {
    ONE,
    DIM,
    KV,
    FFN,
    LAYERS,
    LEVELS,
    TILES,
    ITEMS,
    CONTENT,
    VOCAB,
    Q,
    Q_BIAS,
    KV_BIAS,
    HEAD_NORM,
    VOCAB_OUT,
    RANK
};
enum start { START_ONES, START_ZERO, START_MATRIX, START_EMBEDDING, START_OUTPUT, START_IDENTITY };

struct param_spec {
    const char *name;    /* in the checkpoint; %zu stands for the layer */
    size_t offset;       /* of its pointer in struct params */
    enum extent dims[3]; /* outermost first */
    enum start start;
    bool trunk;  /* in model.safetensors, else in items.safetensors */
    bool decays; /* weight decay: matrices and embeddings yes, norms and biases no */
    bool own;    /* one row an item, kept 0 for items without training events */
};

/* Sets of params are bits: that of PARAMS[i] is 1 << i. */
enum { PARAM_COUNT = sizeof(struct params) / sizeof(real *) };
extern const struct param_spec PARAMS[PARAM_COUNT];

size_t extent_of(enum extent extent, const struct shape *shape);
/* The text head: text_out, or text where they are one. */
real *params_say(const struct params *params, const struct shape *shape);
size_t param_count(const struct param_spec *spec, const struct shape *shape); /* elements */
real **param_slot(struct params *params, const struct param_spec *spec);
const real *param_data(const struct params *params, const struct param_spec *spec);

void params_layout(struct params *params, const struct shape *shape, struct arena *arena);
/* Without those whose bits are set, which become NULL. */
void params_layout_without(struct params *params, uint64_t left_out, const struct shape *shape,
                           struct arena *arena);
size_t params_total(const struct shape *shape);

/* All tensors that both have; the shapes are one. */
void params_copy(struct params *to, const struct params *from, const struct shape *shape);

/* seen[items]: which items have training events; the others' own rows stay 0. */
void params_start(struct params *params, const struct shape *shape, const unsigned char *seen,
                  uint64_t seed);
/* Of those alone whose bits are set. */
void params_start_some(struct params *params, uint64_t which, const struct shape *shape,
                       const unsigned char *seen, uint64_t seed);

#endif
