/*
 * readings.h: how z is read, each reading forward and backward; used by policy.c alone.
 *
 * All work on the targets that policy_learn() gathered: want[count], weight[count], zt[count, dim].
 * Each adds into dzt and into grads.
 */
#ifndef MODEL_READINGS_H
#define MODEL_READINGS_H

#include "model/policy.h"

struct reading {
    struct policy_work *work;
    struct params *grads;
    real *dfind;
    struct losses *losses;
    const struct policy *policy;
    const struct loss_options *options;
    size_t count;
};

/* The legal children of a node for target k, without those that hold listed items alone. */
size_t reading_children(const struct reading *reading, size_t k, struct tile_node node,
                        size_t level);
/* Leaves find's opinions for name in work->teach if name is to be taught. */
void find_learn(const struct reading *reading);
void name_learn(const struct reading *reading);
void say_learn(const struct reading *reading);

static inline void axpy(real *to, real scale, const real *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] += scale * from[i];
}

static inline real dot(const real *a, const real *b, size_t count)
{
    real sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Where the node of a child lies among all nodes, or SIZE_MAX: only late items are under it. */
static inline size_t child_node(const struct policy *policy, const struct tile_child *child,
                                size_t level)
{
    const struct item_table *items = &policy->items;
    return child->node.last > child->node.first
               ? items->node[level * items->count + child->node.first]
               : SIZE_MAX;
}

/* True if find sees every item that may be named: only then it can teach. */
static inline bool find_teaches(const struct reading *r)
{
    return r->options->name_teach > 0 && r->options->find_weight > 0 &&
           (!r->options->find->row || r->options->find->before);
}

static inline size_t find_place(const struct find_set *find, uint32_t row)
{
    return find->place ? find->place[row] : row;
}

#endif
