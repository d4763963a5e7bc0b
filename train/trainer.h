/*
 * trainer.h: supervised training: the next item at every position, by name and by find.
 *
 * A step takes `batch` windows.  It is cut into GRADIENTS parts by place in the batch, never by the
 * number of threads; each part sums its gradient into a buffer of its own and the buffers are added
 * in order, so the same seed gives the same bytes on 1, 2 or 4 threads.  All randomness is drawn
 * from streams named by (seed, step, part): a run that was killed goes on as if it had not been.
 *
 * Memory    everything is taken at start; a step allocates nothing.
 */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "train/jobs.h"
#include "train/split.h"

enum { GRADIENTS = 4 };

struct window {
    size_t first; /* of its inputs in the flat sequences */
    uint32_t length;
};

struct trainer {
    const struct train_settings *settings;
    struct shape shape;
    struct policy policy;        /* params are the learned ones */
    struct params first, second; /* Adam's moments */
    struct params best;          /* at the best look at validation */
    struct params gradient[GRADIENTS];
    real *find_vectors;
    struct policy_work *works; /* [threads] */
    struct slice *parts;       /* [GRADIENTS] */
    struct losses losses[GRADIENTS];
    struct span *spans; /* the params cut for the optimiser */
    size_t span_count;
    double *norms;        /* [spans] */
    const uint32_t *item; /* flat sequences, rows */
    struct window *windows;
    size_t window_count;
    uint32_t *order; /* [windows] of this epoch */
    struct trie_mask mask;
    struct trie no_late;
    struct legal_tiles legal;
    struct thread_pool *pool;
    struct arena arena;
    size_t step, steps_per_epoch;
};

bool trainer_open(struct trainer *trainer, const struct train_settings *settings,
                  const struct version *version, const struct sequences *sequences,
                  struct thread_pool *pool, struct err *err) MUST_CHECK;
void trainer_close(struct trainer *trainer);

struct step_report {
    double find_loss, name_loss; /* mean nats per target */
    double gradient_norm, rate;
    size_t positions;
};

/* Runs the next step; the epoch follows from trainer->step. */
void trainer_step(struct trainer *trainer, struct step_report *report);
size_t trainer_epoch(const struct trainer *trainer);
double
trainer_flop_per_position(const struct shape *shape); /* useful, forward and backward, length 1 */

#endif
