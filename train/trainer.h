/*
 * trainer.h: supervised training: the next item at every position, by name and by find, and words.
 *
 * Each part of a step (batch.h) sums its gradient into a buffer of its own and the buffers are
 * added in order, so the same seed gives the same bytes on 1, 2 or 4 threads.  All randomness is
 * drawn from streams named by (seed, step, part): a run that was killed goes on as if it had not
 * been.
 *
 * Items without training events take no part.  Find compares all others, or, above `softmax_items`
 * of them, a sample: every target of the step with its collision, and `negatives` drawn uniformly.
 *
 * The preset `sasrec` (Kang and McAuley, ICDM 2018, with the full softmax) is the trunk and find
 * over the items' own embeddings: content and tiles are frozen at 0, find_query at 1.
 *
 * A pretrained trunk (words that are not ours) learns at its share of the learning rate; at 0, or
 * with adapters (lora.h), its matrices take no gradient, no moments and no place in the state.  A
 * part of such a step goes through the trunk some sequences at a time, which bounds the
 * activations.
 *
 * Memory    everything is taken at start; a step allocates nothing.  Of a trunk of n weights and
 *           its words: 9 n numbers where it learns, 2 n with adapters.
 */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "train/batch.h"
#include "train/optimiser.h"
#include "train/rl.h"

struct trainer {
    const struct train_settings *settings;
    struct shape shape;
    struct shape plain;          /* without adapters: that of versions */
    struct policy policy;        /* params are the learned ones */
    struct params base;          /* of adapters: the matrices that do not move */
    uint64_t still;              /* params that no step moves and no state holds */
    size_t piece_positions;      /* that a work takes at a time */
    struct params first, second; /* Adam's moments */
    struct params average;       /* of the params over the last steps: what is judged */
    struct params best;          /* the average at the best look at validation */
    struct params gradient[GRADIENTS];
    struct batches batches;
    struct optimiser optimiser;
    struct policy_work *works; /* [threads] */
    uint32_t **firsts;         /* [threads, sequences of a part + 1] */
    struct losses losses[GRADIENTS];
    /* the set that find compares */
    bool sampled, sasrec;
    struct find_set find;
    size_t find_max, negatives;
    uint32_t *find_row, *find_place; /* [find_max], [items] */
    size_t seen_count;
    uint32_t *seen_row, *seen_before; /* [seen_count], [items + 1] */
    uint64_t *unseen;                 /* a bit per row */
    uint32_t *allowed_before;
    uint32_t *marks;     /* [items] 1 + step of the last time in the set */
    uint32_t *touched;   /* rows that a step changes, rising */
    real *log_inclusion; /* [find_max] */
    real *find_content, *find_vectors, *node_vectors;
    real *dfind[GRADIENTS];
    const uint32_t *events; /* [items] */
    double events_total;
    struct trie_mask mask;
    struct trie no_late;
    struct legal_tiles legal;
    struct thread_pool *pool;
    struct arena arena, rl_arena;
    struct rl *rl;      /* borrowed; NULL: supervised alone */
    real *all_find;     /* [items, dim] find vectors of all rows, for rl */
    size_t step, steps; /* done; in all */
};

bool trainer_open(struct trainer *trainer, const struct train_settings *settings,
                  const struct version *version, const struct sequences *sequences,
                  const struct tasks *tasks, struct thread_pool *pool, struct err *err) MUST_CHECK;
/*
 * Goes on from params instead of a start; with rl (its settings, objective, prompts and words
 * filled) as post-training.  Before the first step.
 */
bool trainer_continue(struct trainer *trainer, const struct params *params, struct rl *rl,
                      struct err *err) MUST_CHECK;
void trainer_close(struct trainer *trainer);
/* to, of a version's shape, becomes what one of the trainer's sets of params makes of the trunk. */
void trainer_export(const struct trainer *trainer, struct params *to, const struct params *from);

struct step_report {
    double find_loss, name_loss, say_loss; /* mean nats per target of windows, or per token */
    double gradient_norm, rate;
    size_t targets;
    struct rl_report rl; /* of post-training */
};

/* Runs the next step; the epoch follows from trainer->step. */
void trainer_step(struct trainer *trainer, struct step_report *report);
size_t trainer_epoch(const struct trainer *trainer);
double trainer_flop_per_position(
    const struct trainer *trainer); /* useful, forward and backward, length 1 */

#endif
