/*
 * rl.h: post-training: names are sampled, paid for, and their gradients added to a step's.
 *
 *   prompts (history -> what came next, kept from supervised training)
 *      └► z ► num_generations names each ► rewards ► objective ► dL/dlp, dL/dH ► depth head, trunk
 *
 * The mask of sampling is that of serving: items with events, without the prompt's own history; a
 * prompt whose target lies outside it is left out and counted.  Dropout is 0.  Name learns from
 * this alone; find and say go on with their supervised losses in the same step (trainer.h).
 *
 * Rows are cut into GRADIENTS parts by place, so the same bytes come out on any number of threads.
 * With num_iterations > 1 the same names are looked at again; states are saved only where new ones
 * are drawn.
 *
 * Memory    laid out with the trainer's; nothing is allocated in a step.
 */
#ifndef TRAIN_RL_H
#define TRAIN_RL_H

#include "index/trie.h"
#include "model/sample.h"
#include "objective/objective.h"
#include "recommend/item_words.h"
#include "train/batch.h"
#include "train/rows.h"

struct rl_prompts {
    size_t count, dropped;
    uint32_t *history; /* owned, flat rows */
    size_t *first;     /* owned [count + 1] */
    uint32_t *target;  /* owned [count] row */
};

struct rl_part {
    struct policy_work work;
    struct sample_work sample, reference_sample;
    struct sampled rows, reference_rows;
    struct packed packed;
    uint32_t *input, *last, *prompt; /* [positions], [prompts] their last position, [rows] */
    unsigned char *given;            /* [rows] from the log, not drawn */
    uint32_t *first;                 /* [prompts + 1] */
    uint64_t *skip;                  /* [prompts, words] */
    uint32_t *allowed_before;        /* [prompts, words] */
    struct trie_mask *mask;          /* [prompts] */
    struct legal_tiles *legal;       /* [prompts] */
    uint32_t *picked;                /* [prompts] which of the prompts */
    real *z, *z_reference, *dz;      /* [prompts, dim] */
    real *g_lp, *g_entropy;          /* [rows, levels + 1] */
    size_t prompts;
};

struct rl {
    const struct train_settings *settings;
    struct objective objective;
    const struct policy *policy; /* the trainer's, as it changes */
    struct policy reference;     /* as it was at the start; its params lie in the arena */
    const struct item_words *words;
    const struct trie *trie;
    const struct trie *no_late;
    const uint64_t *unseen; /* rows that no mask allows */
    struct rl_prompts prompts;
    struct rl_part parts[GRADIENTS];
    struct rollouts rollouts;
    struct thread_pool *pool;
    struct params *gradients; /* [GRADIENTS] the trainer's */
    real *reference_find, *reference_nodes;
    size_t prompts_a_part, drawn_a_prompt, rows_a_prompt, words_a_mask;
};

struct rl_report {
    struct objective_report objective;
    double loss, hit_rate, prefix; /* of the rows: exact, mean share of tiles that match */
    size_t rows;
};

/* Prompts in the rows of this version; data->histories are renamed.  An error if there are none. */
bool rl_prompts_make(struct rl_prompts *prompts, const struct row_data *data,
                     const struct version *version, size_t history_max, struct err *err) MUST_CHECK;
void rl_prompts_free(struct rl_prompts *prompts);

void rl_layout(struct rl *rl, const struct shape *shape, size_t width, struct arena *arena);
/* After the policy has its params: the reference becomes a copy of them. */
void rl_start(struct rl *rl, const struct shape *shape);

/* policy's find vectors and m are fresh.  Adds to the gradients. */
void rl_step(struct rl *rl, size_t step, struct rl_report *report);

#endif
