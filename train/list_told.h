/*
 * list_told.h: the lists of a teacher for the users whose events are cut (lists.h), and what is
 * made of them (list_teacher.h).
 *
 * The teacher is our own slate: retrieval and co-occurrence.  Where a user named a large model
 * (`tessera texts --lists true`), it was shown the titles before the cut and said titles of its
 * own; its list takes the place of the slate's.  An exact name is a row of the catalogue; other
 * titles are vectors of their words.  A list that was made of other events is not read.
 *
 * Memory    owned flat arrays; list_told_free().
 */
#ifndef TRAIN_LIST_TOLD_H
#define TRAIN_LIST_TOLD_H

#include "train/dialogue_lists.h"
#include "train/list_teacher.h"
#include "train/lists.h"
#include "train/told.h"

extern const char LIST_ASKS[]; /* what the model is asked to do */

/* The numbers of what a user took before her cut, the newest TOLD_EVENTS, oldest first. */
struct list_question {
    uint32_t history[TOLD_EVENTS];
    size_t count;
    uint64_t of; /* hash of these */
};
/* False if she has too few events for a list. */
bool list_question_make(struct list_question *question, const struct row_data *data, size_t user,
                        uint64_t seed);

struct list_told {
    uint32_t *teacher; /* [users of the sequences, TEACHER_RANKS] rows; items + i: extra i; NO_ITEM
                          ends, and stands first where nobody was asked */
    float *extra;      /* [extras, dims] unit length */
    size_t extras, lists, stale, known; /* known: titles that are in the catalogue */
};

/* All of NO_ITEM and no error: nobody was asked. */
bool list_told_load(struct list_told *told, const struct row_data *data,
                    const struct snapshot *snapshot, uint64_t seed, struct err *err) MUST_CHECK;
void list_told_free(struct list_told *told);

/*
 * Fills the lists of examples up (what is given stays first and is what w and b are fitted on).
 * teacher [count, TEACHER_RANKS], extra as above.
 */
bool list_examples_teach(struct list_examples *examples, const uint32_t *teacher,
                         const float *extra, const struct snapshot *snapshot,
                         struct thread_pool *pool, struct err *err) MUST_CHECK;

/*
 * The teacher's lists of dialogues, a large model's where it was asked (talk_told.h), become what
 * is made of them: w and b are fitted on what is relevant, `talk` is what was said before the
 * prompt (half of its words, half of what it names), the judge is what dialogues of other folds
 * name together, and what a dialogue dislikes is never listed.
 */
bool dialogue_lists_teach(struct dialogue_lists *lists, const struct dialogues *dialogues,
                          const struct snapshot *snapshot, const struct titles *titles,
                          struct store *store, struct thread_pool *pool,
                          struct err *err) MUST_CHECK;

#endif
