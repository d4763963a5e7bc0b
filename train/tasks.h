/*
 * tasks.h: sequences of words and items that align the two: GREAM's Collaborative-Semantic
 * Alignment (arXiv 2510.20815, its code's task names), built over the position format.
 *
 *     seqrec            history -> next item: the windows of batch.h
 *     item2index        <title> words | <about> words | both, either first -> item
 *     index2item        item <title> | item <about> -> words
 *     fusionseqrec      history <title> -> the next item's words; <title> words of the last -> next
 *     itemsearch        [history] [<likes> words] <query> some words of it -> item
 *     preferenceobtain  history <likes> -> what its items have in common, of all or of the newest
 *
 * GREAM has a large model write preferences and intentions; here they are built from the data: the
 * tags that a history's items share, and words of the target's title and tags.  Where a large model
 * was asked (told.h), every other one is in its words.
 *
 * In the stage that imitates lists (lists.h) a sequence is history, <list>, and the list's items;
 * in that of reasons (chains.h) some are history, chain, and then the next item; in that of
 * dialogues (dialogue_lists.h) the first of a step are what was said, <list>, and a list's items,
 * and of a policy that speaks <reply> and what was really replied under a list that it names.
 *
 * Of one item in SEARCH_HOLDOUT a few title words are kept out of every sequence: with them the
 * search is judged (recommend/search_queries).
 *
 * Threads   read-only; tasks_make() draws from streams named by (seed, step, place).
 */
#ifndef TRAIN_TASKS_H
#define TRAIN_TASKS_H

#include "recommend/item_words.h"
#include "train/chains.h"
#include "train/dialogue_lists.h"
#include "train/lists.h"
#include "train/split.h"
#include "train/told.h"

/* Symbols of a sequence: without dialogues, and at most. */
enum { TASK_LENGTH = 96, TASK_MOST = DIALOGUE_SYMBOLS_MAX + LIST_RANKS_MAX + REPLY_SYMBOLS + 2 };
enum { SEARCH_HOLDOUT = 20, HELD_WORDS = 3 };

struct task_sequence {
    uint32_t input[TASK_MOST], target[TASK_MOST];
    real weight[TASK_MOST];
    size_t length;
};

struct tasks {
    const struct item_words *words;
    const struct told *told;                /* NULL: no large model was asked */
    const struct sequences *sequences;      /* training events, rows */
    const struct list_examples *lists;      /* NULL, or these in place of all tasks */
    const struct chain_examples *chains;    /* NULL, or these among them, chains_density() */
    const struct dialogue_lists *dialogues; /* NULL, or these beside the tasks */
    size_t dialogues_a_step;
    double list_truth; /* see dialogue_lists.h */
    double reason_share, reason_weight;
    size_t steps;              /* of the stage; 0: no curriculum */
    uint32_t marks;            /* as in struct policy */
    const unsigned char *seen; /* [items]: only those are targets */
    size_t per_epoch;
    double item_weight, word_weight; /* of a target's loss, beside 1 for a window's */
    uint64_t seed;
};

size_t tasks_per_step(const struct tasks *tasks, size_t steps_per_epoch);
/* Of the longest sequence. */
size_t tasks_length(const struct tasks *tasks);
/* Writes up to `count` sequences of a step and returns how many (some draws give nothing). */
size_t tasks_make(struct task_sequence *out, size_t count, const struct tasks *tasks, size_t step);

/*
 * The title words of a row that no training sequence holds: their places among the title's words,
 * at most HELD_WORDS; 0 for the rows that hold nothing back.  Follows from the words themselves.
 */
size_t held_words(size_t places[HELD_WORDS], const struct item_words *words, size_t row);

#endif
