/*
 * experience.h: what a frozen policy's lists teach, as a bias for each item
 * (recommend/experience.h).
 *
 *   prompts ─► `lists` lists each, drawn with the bias so far ─► rewards ─► advantages within the
 *   group ─► bias += step * advantages of an item / (listings of it + prior) ─► next round
 *
 * After Training-Free GRPO (arXiv 2510.08191): groups are drawn and compared as GRPO does, and what
 * told good lists from bad ones goes into a library instead of a gradient; no param of the policy
 * moves.  There a language model puts that difference into words that stand before every prompt;
 * here it is a number an item, so that policies which read no such words have it, too.  A rank is
 * paid as in Rank-GRPO (1 if its item is relevant, exp_inf), compared with the same rank of the
 * group's other lists:
 *
 *     A = (r - mean r) / (std r + 1e-4)       over the lists of a prompt, at one rank; std with n-1
 *
 * Where a rank is alike in all lists, it says nothing and does not count as seen: as there, only
 * groups that are partly right teach.
 *
 * Randomness    a list's draws are named by (seed, round, prompt, list): the same on any number of
 *               threads.
 * Memory        prompts * lists * ranks rows and three numbers an item, freed before the return.
 * Cost          a written list (list.h) for each prompt and list of a round.
 */
#ifndef TRAIN_EXPERIENCE_H
#define TRAIN_EXPERIENCE_H

#include "base/threads.h"
#include "recommend/list.h"

/* Flat and borrowed; [count + 1] each of the firsts. */
struct experience_prompts {
    size_t count;
    const uint32_t *symbol; /* what the policy reads before <list>: rows and tokens */
    const size_t *first;
    const uint32_t *known; /* rows that are not listed */
    const size_t *known_first;
    const uint32_t *relevant; /* rows that were right */
    const size_t *relevant_first;
};

struct experience_options {
    size_t prompts;     /* of a round, drawn without replacement; more than there are: all */
    size_t lists;       /* of a prompt, 2 .. EXPERIENCE_LISTS_MAX */
    size_t ranks;       /* of a list */
    size_t symbols;     /* newest of a prompt that are read */
    double temperature; /* of drawing */
    double prior;       /* listings that an item is taken to have had without any advantage */
    double step;
    uint64_t seed;
};

enum { EXPERIENCE_LISTS_MAX = 32 };

struct experience_report {
    size_t prompts, silent; /* of these: without a rank that told lists apart */
    size_t items;           /* whose bias was moved */
    double reward;          /* share of drawn ranks that were right */
};

/*
 * One round: bias [items] gets what is learnt from lists that the snapshot's version writes as it
 * is now, its own experience included.  A bias stays within EXPERIENCE_MOST.
 */
bool experience_round(float *bias, const struct experience_prompts *prompts,
                      const struct snapshot *snapshot, const struct experience_options *options,
                      size_t round, struct experience_report *report, struct thread_pool *pool,
                      struct err *err) MUST_CHECK;

/*
 * The lists of one prompt: adds to advantage [items] and seen [items].  item [lists, ranks],
 * NO_ITEM where a list ended.  Returns whether any rank told them apart.
 */
bool experience_compare(double *advantage, double *seen, const uint32_t *item, size_t lists,
                        size_t ranks, const uint32_t *relevant, size_t relevant_count);

#endif
