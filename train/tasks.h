/*
 * tasks.h: sequences of words and items that align the two.
 */
#ifndef TRAIN_TASKS_H
#define TRAIN_TASKS_H

#include "model/policy.h"

enum { TASK_LENGTH = 64 };

struct task_sequence {
    uint32_t input[TASK_LENGTH], target[TASK_LENGTH];
    real weight[TASK_LENGTH];
    size_t length;
};

struct tasks {
    size_t per_epoch;
};

static inline size_t tasks_per_step(const struct tasks *tasks, size_t steps)
{
    return (tasks->per_epoch + steps - 1) / steps;
}
static inline size_t tasks_make(struct task_sequence *out, size_t count, const struct tasks *tasks,
                                size_t step)
{
    (void)out, (void)count, (void)tasks, (void)step;
    return 0;
}

#endif
