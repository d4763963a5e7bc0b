#include "train/batch.h"

#include <stdlib.h>
#include <string.h>

/* Sequences become windows from the newest end, so that short ends fall on the oldest events. */
static bool cut_windows(struct batches *b, const struct sequences *sequences, struct err *err)
{
    size_t room = sequences->events + 1;
    b->windows = calloc(room, sizeof *b->windows);
    if (!b->windows)
        return err_set(err, ERR_SYSTEM, "no memory for %zu windows", room);
    for (size_t u = 0; u < sequences->users; u++) {
        size_t begin = sequences->first[u];
        size_t end = sequences->first[u + 1]; /* the last item is only a target */
        while (end > begin + 1) {
            size_t length = end - 1 - begin;
            if (length > b->settings->window)
                length = b->settings->window;
            b->windows[b->window_count++] = (struct window){end - 1 - length, (uint32_t)length};
            end -= length;
        }
    }
    if (b->window_count == 0)
        return err_set(
            err, ERR_INPUT,
            "nothing to learn from: no user has two positive training events (see positive_rating "
            "and positive_types in `tessera help train`)");
    b->order = calloc(b->window_count, sizeof *b->order);
    return b->order || err_set(err, ERR_SYSTEM, "no memory for %zu windows", b->window_count);
}

bool batches_open(struct batches *b, const struct train_settings *settings,
                  const struct sequences *sequences, const struct tasks *tasks, struct err *err)
{
    *b = (struct batches){.settings = settings, .item = sequences->item, .tasks = tasks};
    if (!cut_windows(b, sequences, err))
        return false;
    b->steps_per_epoch = (b->window_count + settings->batch - 1) / settings->batch;
    b->task_max = tasks ? tasks_per_step(tasks, b->steps_per_epoch) : 0;
    b->extras = calloc(b->task_max + 1, sizeof *b->extras);
    if (!b->extras)
        return err_set(err, ERR_SYSTEM, "no memory for %zu tasks", b->task_max);
    size_t windows = (settings->batch + GRADIENTS - 1) / GRADIENTS;
    size_t extras = (b->task_max + GRADIENTS - 1) / GRADIENTS;
    b->sequences_max = windows + extras;
    b->length_max = tasks ? tasks_length(tasks) : 0;
    b->positions_max = windows * settings->window + extras * b->length_max;
    if (b->length_max < settings->window)
        b->length_max = settings->window;
    return true;
}

void batches_layout(struct batches *b, struct arena *arena)
{
    for (size_t g = 0; g < GRADIENTS; g++) {
        struct slice *p = &b->parts[g];
        p->input = arena_take(arena, b->positions_max, sizeof *p->input);
        p->target = arena_take(arena, b->positions_max, sizeof *p->target);
        p->weight = arena_take(arena, b->positions_max, sizeof *p->weight);
        p->first = arena_take(arena, b->sequences_max + 1, sizeof *p->first);
    }
}

void batches_close(struct batches *b)
{
    free(b->windows);
    free(b->order);
    free(b->extras);
}

static int compare_lengths(const void *a, const void *b, void *self)
{
    const struct batches *batches = self;
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    if (batches->windows[x].length != batches->windows[y].length)
        return batches->windows[x].length > batches->windows[y].length ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void shuffle(struct batches *b, size_t epoch)
{
    for (size_t i = 0; i < b->window_count; i++)
        b->order[i] = (uint32_t)i;
    struct rng rng = rng_stream(b->settings->seed, 0x0e90c4, epoch);
    rng_shuffle(&rng, b->order, b->window_count);
}

static void take_window(struct slice *p, const struct batches *b, struct window window)
{
    size_t at = p->examples.packed.positions;
    memcpy(p->input + at, b->item + window.first, window.length * sizeof(uint32_t));
    memcpy(p->target + at, b->item + window.first + 1, window.length * sizeof(uint32_t));
    for (size_t i = 0; i < window.length; i++)
        p->weight[at + i] = 1;
    p->examples.packed.positions += window.length;
    p->first[++p->examples.packed.sequences] = (uint32_t)p->examples.packed.positions;
}

static void take_task(struct slice *p, const struct task_sequence *t)
{
    size_t at = p->examples.packed.positions;
    memcpy(p->input + at, t->input, t->length * sizeof(uint32_t));
    memcpy(p->target + at, t->target, t->length * sizeof(uint32_t));
    memcpy(p->weight + at, t->weight, t->length * sizeof(real));
    p->examples.packed.positions += t->length;
    p->first[++p->examples.packed.sequences] = (uint32_t)p->examples.packed.positions;
}

/* The part with the fewest positions, of those that have not taken their share of this kind. */
static struct slice *lightest(struct batches *b, size_t taken[GRADIENTS], size_t share)
{
    size_t best = SIZE_MAX;
    for (size_t g = 0; g < GRADIENTS; g++)
        if (taken[g] < share && (best == SIZE_MAX || b->parts[g].examples.packed.positions <
                                                         b->parts[best].examples.packed.positions))
            best = g;
    taken[best]++;
    return &b->parts[best];
}

size_t batches_fill(struct batches *b, size_t step)
{
    size_t batch = b->settings->batch;
    size_t begin = step % b->steps_per_epoch * batch;
    size_t end = begin + batch < b->window_count ? begin + batch : b->window_count;
    size_t windows[GRADIENTS] = {0};
    size_t extras[GRADIENTS] = {0};
    size_t targets = 0;
    shuffle(b, step / b->steps_per_epoch);
    qsort_r(b->order + begin, end - begin, sizeof *b->order, compare_lengths, b);
    for (size_t g = 0; g < GRADIENTS; g++) {
        struct slice *p = &b->parts[g];
        p->first[0] = 0;
        p->examples = (struct examples){{.first = p->first}, p->input, p->target, p->weight};
    }
    for (size_t i = begin; i < end; i++) {
        struct window window = b->windows[b->order[i]];
        take_window(lightest(b, windows, (batch + GRADIENTS - 1) / GRADIENTS), b, window);
        targets += window.length;
    }
    size_t count = b->task_max ? tasks_make(b->extras, b->task_max, b->tasks, step) : 0;
    for (size_t i = 0; i < count; i++)
        take_task(lightest(b, extras, (b->task_max + GRADIENTS - 1) / GRADIENTS), &b->extras[i]);
    return targets;
}
