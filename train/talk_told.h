/*
 * talk_told.h: what a large model that a user named would list in dialogues (`tessera texts --talks
 * true`): the teacher of Rank-GRPO's imitation (arXiv 2510.20150), asked as there: the dialogue so
 * far, then twenty titles.
 *
 * A question stands before each turn of the assistant that names an item for the first time, in
 * dialogues that teach alone; it holds what was said before that turn and nothing after it.  An
 * answer is kept under a hash of the dialogue and the turn, with a hash of the question's text: one
 * about other words is stale and not read.  (Two questions of one hash, one pair in 4e9, take each
 * other's place.)
 *
 * Memory    owned flat arrays, freed by who got them.
 */
#ifndef TRAIN_TALK_TOLD_H
#define TRAIN_TALK_TOLD_H

#include "base/text.h"
#include "train/dialogue_prompts.h"
#include "train/told_titles.h"

extern const char TALK_ASKS[]; /* what the model is asked to do */
enum { TALK_TEXT_MAX = 12000 };

struct talk_question {
    uint32_t dialogue, turn;
    uint32_t number; /* what the answer is kept under */
    uint64_t of;     /* hash of the text */
};

/* questions [*count], to be freed; before or after dialogues_name(). */
bool talk_questions_make(struct talk_question **questions, size_t *count,
                         const struct dialogues *dialogues, struct err *err) MUST_CHECK;
/* Who said what before the turn; the newest TALK_TEXT_MAX bytes or so, whole turns. */
void talk_question_text(struct text *text, const struct dialogues *dialogues, size_t dialogue,
                        size_t turn);

struct talk_told_report {
    size_t lists, stale;
};

/*
 * teacher [prompts, TEACHER_RANKS]: the lists of the prompts that were answered take the place of
 * what stands there; titles that the catalogue lacks go into `titles`.
 */
bool talk_told_load(uint32_t *teacher, struct told_titles *titles,
                    const struct dialogue_prompts *prompts, const struct dialogues *dialogues,
                    struct store *store, struct talk_told_report *report,
                    struct err *err) MUST_CHECK;

#endif
