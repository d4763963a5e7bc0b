/*
 * batch.h: what one step learns from, cut into GRADIENTS parts.
 *
 * A step takes `batch` windows of training sequences and `task_count` sequences of words and items
 * (tasks.h).  It is cut by place in the batch, never by the number of threads: the longest sequence
 * first, each to the part with the fewest positions, so that the parts take about the same time.
 * All randomness comes from streams named by (seed, epoch or step).
 */
#ifndef TRAIN_BATCH_H
#define TRAIN_BATCH_H

#include "base/arena.h"
#include "train/jobs.h"
#include "train/split.h"
#include "train/tasks.h"

enum { GRADIENTS = 4 };

struct window {
    size_t first; /* of its inputs in the flat sequences */
    uint32_t length;
};

struct slice {
    struct examples examples; /* over the arrays below */
    uint32_t *input, *target, *first;
    real *weight;
};

struct batches {
    const struct train_settings *settings;
    const struct tasks *tasks; /* NULL: no words */
    const uint32_t *item;      /* flat sequences, rows; borrowed */
    struct window *windows;    /* owned */
    size_t window_count, steps_per_epoch;
    uint32_t *order;              /* owned [windows] of this epoch */
    struct task_sequence *extras; /* owned [task_max] */
    size_t task_max;              /* in a step */
    struct slice parts[GRADIENTS];
    size_t sequences_max, positions_max; /* in a part */
    size_t length_max;                   /* of a sequence */
};

bool batches_open(struct batches *batches, const struct train_settings *settings,
                  const struct sequences *sequences, const struct tasks *tasks,
                  struct err *err) MUST_CHECK;
void batches_layout(struct batches *batches, struct arena *arena);
void batches_close(struct batches *batches);

/* Fills the parts for a step; returns the number of targets of windows, which scales the loss. */
size_t batches_fill(struct batches *batches, size_t step);

#endif
