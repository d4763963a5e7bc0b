/*
 * dialogue_lists.h: the lists that stage dialogue imitates.
 *
 * For each prompt of a dialogue that teaches (dialogue_prompts.h) there is a teacher's list, by
 * default the item_knn list of what was named (dialogue_judge.h), counted without a tenth of the
 * dialogues, the prompt's own among them: a dialogue that votes for itself teaches its own answer,
 * which is no example of what to list where the answer is not known.  A share of the draws,
 * list_truth, puts what the assistant really went on to name first, what was liked before what was
 * not said to be; what was disliked is in no list.
 */
#ifndef TRAIN_DIALOGUE_LISTS_H
#define TRAIN_DIALOGUE_LISTS_H

#include "train/dialogue_judge.h"

enum { DIALOGUE_SYMBOLS_MAX = 256, TEACHER_FOLDS = 10 };

/* What all dialogues that teach say, but those of a fold (their place modulo TEACHER_FOLDS). */
bool dialogue_counts_but(struct dialogue_counts *counts, const struct dialogues *dialogues,
                         size_t fold, size_t items, struct err *err) MUST_CHECK;

struct dialogue_lists {
    struct dialogue_prompts prompts;
    size_t ranks;
    uint32_t *teacher; /* owned [prompts, ranks]; NO_ITEM where it ends */
};

bool dialogue_lists_make(struct dialogue_lists *lists, const struct dialogues *dialogues,
                         const struct snapshot *snapshot, const struct titles *titles, size_t ranks,
                         size_t symbols, struct err *err) MUST_CHECK;
void dialogue_lists_free(struct dialogue_lists *lists);

/* One of the lists of prompt `at`, list [ranks]; returns how many rows.  truth: see above. */
size_t dialogue_list(uint32_t *list, const struct dialogue_lists *lists, size_t at, bool truth);

#endif
