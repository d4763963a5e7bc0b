/*
 * streams.h: many sequences at once, each with a cache of its keys and values.
 *
 * A step appends symbols to some of the streams: one to those that are being written, a slice to
 * those that are being read.  All rows of a step go through the trunk together, so every weight is
 * read once a step.  What comes out equals policy_forward() of each sequence alone (fp32: 1e-4 of
 * z; bf16: 0.06; tests/model/test_streams.c), and does not depend on who else is in the step, on
 * how a sequence was sliced or on the number of threads.
 *
 * Weights and caches are bf16 in policies whose trunk is too large for the CPU's caches, where
 * reading weights is what a step costs, else fp32.  Products: model/kernels/panels.h.
 *
 * Memory    taken by streams_open(): the weights once more, and streams * positions * layers *
 * 2 kv of cache, kv rounded up to panels; streams_bytes().  The policy is borrowed for inputs,
 * norms and biases; it has no adapters beside its matrices (lora_rank 0: they are merged when
 * saved).
 * Threads   one caller; `threads` work within a step, in units claimed one by one, and sleep while
 * they wait for each other.
 */
#ifndef MODEL_STREAMS_H
#define MODEL_STREAMS_H

#include "base/threads.h"
#include "model/policy.h"

enum stream_weights { STREAM_AUTO, STREAM_F32, STREAM_BF16 };

struct streams_options {
    size_t streams;   /* 1 .. */
    size_t positions; /* of each, 1 .. */
    size_t rows;      /* symbols in one step, of all streams together; at least `streams` */
    size_t threads;   /* 0: all cores for a large policy, one for a small one */
    enum stream_weights weights;
};

struct stream_input {
    size_t stream;           /* none twice in a step */
    const uint32_t *symbols; /* [count] to append */
    size_t count;            /* 1 .. */
    bool says;               /* the text head's logits are wanted */
};

struct streams;

struct streams *streams_open(const struct policy *policy, const struct streams_options *options,
                             struct err *err) MUST_CHECK;
void streams_close(struct streams *streams); /* NULL is fine */
size_t streams_bytes(const struct streams *streams);
bool streams_half(const struct streams *streams); /* weights are bf16 */

/* Its threads, for work of the caller's between steps. */
struct thread_pool *streams_pool(struct streams *streams);

size_t streams_length(const struct streams *streams, size_t stream);
/* Forgets what was read after the first `length` symbols; 0: an empty stream. */
void streams_cut(struct streams *streams, size_t stream, size_t length);

/* Symbols in all at most `rows`, inputs at most `streams`, none longer than its stream allows. */
void streams_step(struct streams *streams, const struct stream_input *inputs, size_t count);
/* Of the last step, at the last symbol of an input: z [dim]; logits [vocab] if it says. */
const float *streams_z(const struct streams *streams, size_t input);
float *streams_logits(struct streams *streams, size_t input);

#endif
