/*
 * rl.h: post-training: names are sampled, paid for, and their gradients added to a step's.
 *
 *   prompts (history -> what came next, kept from supervised training)
 *      └► z ► num_generations names each ► rewards ► objective ► dL/dlp, dL/dH ► depth head, trunk
 *
 * With lists, a prompt is answered by num_generations ranked lists of `ranks` names each: prompt,
 * <list>, then an item position a rank, drawn one after another without an item twice; a rank is a
 * unit with credit of its own (Rank-GRPO, arXiv 2510.20150), and relevant is all that the user took
 * next.  The lists of a prompt share it in sampling, scoring and on the way back (trunk.h).
 *
 * In reasoning mode a row is a chain of reasons and then a name (rl_chains.c); what the chain says
 * is paid by what the name is worth, as in GREAM, whose format is here the grammar's.
 *
 * A prompt whose names (not chains) are all worth the same says nothing: igpo gives some of its
 * rows the target's first tiles, and other prompts take the places of those that stay silent
 * (max_num_gen_batches).
 *
 * Over dialogues (rl_source dialogues) a prompt is what was said, and relevant is what the
 * assistant went on to name from there on.  With rl_turns prompts that follow each other in a
 * dialogue are drawn together: the lists of one place are one rollout of many turns, which
 * adv=turns pays by what all of them came to.  What the user says next is the log's, whatever was
 * listed.
 *
 * The mask of sampling is that of serving: items with events, without the prompt's own history or
 * what the dialogue has named; a prompt whose target lies outside it is left out and counted.  What
 * stands above in a list is in the mask and is drawn again, as list.h passes it over.
 * Dropout is 0.  The supervised losses go on in the same step (trainer.h) with weight rl_beside,
 * with lists also that of the lists to imitate: without them the trunk moves away under the heads
 * that are paid.  Over dialogues nothing goes on beside, as in the paper: imitation's gradient is
 * thirty times the objective's, which then changes nothing (docs/QUALITY.md).
 *
 * Prompts are cut into GRADIENTS parts by place, so the same bytes come out on any number of
 * threads.  With num_iterations > 1 the same names are looked at again; states are saved only where
 * new ones are drawn.
 *
 * Memory    laid out with the trainer's; nothing is allocated in a step.
 */
#ifndef TRAIN_RL_H
#define TRAIN_RL_H

#include "index/trie.h"
#include "model/sample.h"
#include "objective/prompts.h"
#include "recommend/item_words.h"
#include "recommend/reason.h"
#include "train/batch.h"
#include "train/dialogue_prompts.h"
#include "train/lists.h"
#include "train/rl_anchors.h"

struct rl_prompts {
    size_t count, dropped;
    size_t disliked;        /* prompts without anything relevant: what came next was not liked */
    uint32_t *logged;       /* owned [count] what came next; not of lists */
    uint32_t *history;      /* owned, flat symbols: rows, and what is said in dialogues */
    size_t *first;          /* owned [count + 1] */
    uint32_t *seen;         /* owned, flat rows that no mask allows; NULL: those of the history */
    size_t *seen_first;     /* owned [count + 1] */
    uint32_t *relevant;     /* owned, flat rows: of a name one or none */
    size_t *relevant_first; /* owned [count + 1] */
    uint32_t *dialogue;     /* owned [count] which it is of, rising; NULL: of none */
};

/* A context is a z and what may be named there: of a prompt, or of a rank of a list. */
struct rl_part {
    struct policy_work work, reference_work;
    struct sample_work sample, reference_sample;
    struct sampled names, reference_names; /* [ranks, rows] */
    struct packed packed;
    uint32_t *input;            /* [positions] prompts, then lists rank by rank */
    uint32_t *first;            /* [prompts + 1] */
    uint32_t *picked;           /* [prompts] which of the prompts */
    uint32_t *talk;             /* [prompts] turns of one dialogue have the same; 0: alone */
    struct hit *room;           /* [prompts] of picking */
    uint32_t *of_row;           /* [rows] the place of its prompt */
    uint32_t *context;          /* [names] */
    uint32_t *listed;           /* [rows, ranks] what stands in each list */
    uint32_t *redrawn, *drawn;  /* [rows] of a rank: whose name is drawn, and what it is */
    unsigned char *forced;      /* [names] tiles that are not drawn, of sample_names() */
    unsigned char *hint;        /* [names] of the target's tiles that were given away */
    uint32_t *missed;           /* [rows] what was drawn before a hint */
    unsigned char *again;       /* [prompts] to be drawn */
    uint32_t *others;           /* [prompts] in the places of those that say nothing */
    uint64_t *skip;             /* [prompts, words] */
    uint32_t *allowed_before;   /* [prompts, words] */
    struct trie_mask *mask;     /* [contexts] */
    struct legal_tiles *legal;  /* [contexts] */
    real *z, *z_reference, *dz; /* [contexts, dim] */
    real *g_lp, *g_entropy;     /* [names, levels + 1] */
    /* in reasoning mode: of each row's chain, a place a symbol [rows, CHAIN_SYMBOLS] */
    double *chain_lp, *chain_entropy, *chain_lp_ref, *chain_g_lp, *chain_g_entropy;
    unsigned char *chain_decided;
    uint32_t *chain_length;       /* [rows] symbols */
    struct chain_writer *writers; /* [rows] */
    real *logits, *query;         /* of one choice */
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
    struct anchors anchors;       /* owned; of NEEDS_ANCHORS */
    struct prompts past;          /* what rollouts said of them */
    uint32_t *asked;              /* [groups] which prompt each is of */
    bool lists, reasons;          /* what a row is: a list, or a chain and a name; or a name */
    const struct snapshot *facts; /* of chains */
    size_t ranks;                 /* of a list; 1 without */
    struct rl_part parts[GRADIENTS];
    struct rollouts rollouts;
    struct thread_pool *pool;
    struct params *gradients; /* [GRADIENTS] the trainer's */
    real *reference_find, *reference_nodes;
    size_t prompts_a_part, drawn_a_prompt, rows_a_prompt, words_a_mask;
    size_t prompt_max; /* symbols of the longest prompt */
};

struct rl_report {
    struct objective_report objective;
    double loss, hit_rate, prefix; /* of the names: exact, mean share of tiles that match */
    double ndcg;                   /* of the rows */
    size_t rows;
};

/*
 * Prompts in the rows of this version; data->histories are renamed.  ranks 0: each kept event is a
 * target, and with `dislikes` those that were not positive are prompts without one; else a user's
 * kept events, LIST_RELEVANT_LEAST to `ranks` of them, are what is relevant. An error if there are
 * none.
 */
bool rl_prompts_make(struct rl_prompts *prompts, const struct row_data *data,
                     const struct version *version, size_t history_max, size_t ranks, bool dislikes,
                     struct err *err) MUST_CHECK;
/*
 * The prompts of dialogues that teach: what was said, and as relevant what the assistant went on to
 * name and the user did not dislike, at most `ranks`; one is enough.
 */
bool rl_prompts_talk(struct rl_prompts *prompts, const struct dialogue_prompts *dialogues,
                     size_t ranks, struct err *err) MUST_CHECK;
void rl_prompts_free(struct rl_prompts *prompts);

/* Drawn together: a step's prompts are cut into GRADIENTS parts. */
static inline size_t rl_prompts_a_part(const struct train_settings *settings)
{
    return (settings->rl_prompts + GRADIENTS - 1) / GRADIENTS;
}

void rl_layout(struct rl *rl, const struct shape *shape, size_t width, struct arena *arena);
/* After the policy has its params: the reference becomes a copy of them. */
void rl_start(struct rl *rl, const struct shape *shape);

/* Rollouts of a part: new ones, or with `fresh` false the same, scored by the policy as it is. */
void rl_draw(struct rl *rl, size_t part, size_t step, bool fresh);

/* Names lie rank by rank: those of one rank stand together. */
static inline size_t rl_name_at(const struct rl_part *p, const struct rl *rl, size_t row,
                                size_t rank)
{
    return rank * (p->names.rows / rl->ranks) + row;
}

/* The rows of a prompt: what was drawn, what the log says, an anchor. */
static inline enum row_kind rl_kind(const struct rl *rl, size_t row)
{
    size_t place = row % rl->rows_a_prompt;
    bool last = place + 1 == rl->rows_a_prompt;
    return place < rl->drawn_a_prompt                      ? ROW_ROLLOUT
           : last && (rl->objective.needs & NEEDS_ANCHORS) ? ROW_ANCHOR
                                                           : ROW_LOGGED;
}

/* Whether each name is read from a z of its own, not from its prompt's. */
static inline bool rl_rows_have_z(const struct rl *rl)
{
    return rl->lists || rl->reasons;
}

/* rl_chains.c: chains of a part; pack_prompts() came before.  Scores go by the z of all positions.
 */
void rl_chains_layout(struct rl_part *part, size_t rows, const struct shape *shape,
                      struct arena *arena);
void rl_chains_draw(struct rl *rl, struct rl_part *part, struct rng *rng);
void rl_chains_score(struct rl *rl, struct rl_part *part, bool by_reference);
void rl_chains_backward(struct rl *rl, struct rl_part *part); /* adds to work.dz and gradients */
size_t rl_answer_at(const struct rl *rl, const struct rl_part *part, size_t row);

size_t rl_tiles_shared(const struct rl *rl, uint32_t item, uint32_t target);

/* policy's find vectors and m are fresh.  Adds to the gradients. */
void rl_step(struct rl *rl, size_t step, struct rl_report *report);

#endif
