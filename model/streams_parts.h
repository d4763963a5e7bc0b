/* streams_parts.h: what streams*.c share. */
#ifndef MODEL_STREAMS_PARTS_H
#define MODEL_STREAMS_PARTS_H

#include "base/threads.h"
#include "model/kernels/panels.h"
#include "model/streams.h"

/*
 * Values of the kind that the products read: bf16 or fp32.  `alone` rows are normed by each thread
 * for itself, which costs less than one more meeting; more of them are shared out.
 */
enum { ROWS_ALONE = 16, QUERIES_A_UNIT = 16, ROWS_A_UNIT = 4, HEAD_PANELS_A_UNIT = 8 };

struct matrix {
    size_t outs, ins;
    size_t panels, stride; /* of PANEL outputs; values from one to the next */
    void *weights;         /* in the arena */
};

struct stream_layer {
    struct matrix qkv, o, gate, up, down;
};

/* One stream's part of a step: rows [first, first + count). */
struct stream_run {
    size_t stream, first, count;
    size_t begin; /* position of the first row */
    bool says;
};

/* What a thread needs for itself. */
struct stream_seat {
    struct streams *streams;
    size_t phase; /* how many it has been through in this step */
    void *xs;     /* [ROWS_ALONE, wide] values */
    void *q;      /* [queries, head] values */
    void *p;      /* [queries, positions] values */
    float *head;  /* [2, head] */
    float *score; /* [queries, positions] */
    float *mix;   /* [queries, head panels * PANEL] */
    float *gate;  /* [rows, PANEL] */
    float *up;    /* [rows, PANEL] */
    float *act;   /* [rows, PANEL] */
};

struct streams {
    const struct policy *policy; /* borrowed */
    struct streams_options options;
    bool half;
    size_t value;          /* bytes of one */
    size_t head, wide, kv; /* values of a head, of all q, of all k */
    size_t group;          /* heads of q for each of k */
    size_t positions;      /* of a stream, rounded up to PANEL */
    size_t head_panels;
    size_t x_stride, qkv_stride, mixed_stride, act_stride; /* values from row to row */
    size_t k_head, v_head;                                 /* values of a head's cache */
    size_t layer_cache, stream_cache;
    size_t queries; /* rows of one attention product at most */
    const struct panel_kernels *panels;
    const struct kernels *kernels;
    struct stream_layer *layers; /* [layers] */
    struct matrix say;
    float *cosine, *sine; /* [positions, head / 2] */
    void *cache;          /* [streams, stream_cache] values */
    size_t *length;       /* [streams] */
    struct place *places; /* [streams, positions] of what each has read */
    /* of a step */
    struct stream_run *runs; /* [streams] */
    size_t run_count, rows;
    uint32_t *symbols;      /* [rows] */
    uint32_t *run_of;       /* [rows] */
    uint32_t *place;        /* [rows] where each stands in time */
    float *x;               /* [rows, dim] */
    float *qkv;             /* [rows, qkv_stride] */
    void *xs, *mixed, *act; /* [rows, their stride] values */
    float *z;               /* [streams, dim] */
    void *zs;               /* [streams, x_stride] values */
    uint32_t *speaks_at;    /* [streams] where its logits lie */
    size_t speakers;
    float *logits; /* [streams, vocab up to PANEL] */
    struct thread_pool *pool;
    struct meeting meeting;
    atomic_uint *next; /* [phases] the next unit of each phase */
    size_t phases;
    struct stream_seat *seats; /* [threads] */
    struct arena arena;
};

static inline void *value_at(const struct streams *s, void *values, size_t at)
{
    return (char *)values + at * s->value;
}

void stream_values(const struct streams *s, void *out, const float *in, size_t count);
void stream_product(const struct streams *s, float *out, const void *x, const void *weights,
                    const struct panel_product *product);
/* A thread's share of a step. */
void stream_work(struct stream_seat *seat);

#endif
