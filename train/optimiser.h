/*
 * optimiser.h: the gradients of the parts become one step of AdamW.
 *
 * The params are cut into spans.  Where find samples its items, an item's own rows are spans only
 * in steps that touch them, so that a step costs what it reads and not the catalogue (AdamW is then
 * lazy: a row's moments and decay move only when it is touched).  Beside the params an exponential
 * average of them is kept, which is what is judged and saved (Polyak and Juditsky 1992; the decay
 * grows from small, as in TensorFlow's ExponentialMovingAverage).
 */
#ifndef TRAIN_OPTIMISER_H
#define TRAIN_OPTIMISER_H

#include "base/threads.h"
#include "train/jobs.h"

/* A run of values of one tensor: what one piece takes. */
struct span {
    size_t param, begin, count;
    real rate; /* share of the learning rate */
};

struct optimiser {
    const struct train_settings *settings;
    const struct shape *shape;
    const struct kernels *kernels;
    struct params *params, *first, *second, *average;
    struct params *gradients; /* [parts]; the sum ends in [0] */
    size_t parts;
    uint64_t frozen; /* a bit per param that no step changes */
    /* of a pretrained trunk: its share of the learning rate, and of the tokens below `words` */
    double trunk_rate;
    size_t words;
    struct span *spans; /* owned: those of every step, then those of this one */
    size_t lasting, count, room;
    double *norms; /* owned [room] */
    struct adamw adamw;
    real keep; /* of the average */
};

/* touched_max: rows of items a step may touch; 0: all rows are spans of every step. */
bool optimiser_open(struct optimiser *optimiser, size_t touched_max, struct err *err) MUST_CHECK;
void optimiser_close(struct optimiser *optimiser);

/* The rows (rising) of an own tensor that this step touches; optimiser_begin() forgets them. */
void optimiser_begin(struct optimiser *optimiser);
void optimiser_touch(struct optimiser *optimiser, size_t param, const uint32_t *row, size_t count);

/* gradients[0] becomes the sum, the others 0. */
void optimiser_sum(struct optimiser *optimiser, struct thread_pool *pool);
/* One step at `rate`; returns the length of the gradient before clipping.  Gradients become 0. */
double optimiser_step(struct optimiser *optimiser, size_t step, double rate,
                      struct thread_pool *pool);

#endif
