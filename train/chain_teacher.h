/*
 * chain_teacher.h: what a large model argues, when a user named one (`tessera texts --chains
 * true`): GREAM's "reverse thinking" (arXiv 2510.20815, its construct_cot.py).  It is shown what
 * somebody took, with attributes, and what came next, and says which items and attributes lead
 * there:
 *
 *     because 2 5: Drama        likes: Drama; from the 1990s        next: Drama        drop 3
 *
 * It chooses what is said; whether it is so stays with catalogue and logs: a line that is not true
 * or not of this form is left out, and what it leaves open is counted as without it (chains.h).  A
 * user's argument speaks of her training events alone, and one made of other events is not read.
 *
 * Memory    owned flat arrays; chain_teacher_free().
 */
#ifndef TRAIN_CHAIN_TEACHER_H
#define TRAIN_CHAIN_TEACHER_H

#include "recommend/chain.h"
#include "train/rows.h"

extern const char CHAIN_ASKS[]; /* what the model is asked to do */
enum { CHAIN_ANSWER_LINES = 8 };

/* What a user's question is about: her newest training items, oldest first, and the last of all. */
struct chain_question {
    uint32_t history[CHAIN_HISTORY]; /* numbers of the store */
    size_t count;
    uint32_t next;
    uint64_t of; /* hash of these */
};
/* False if she has fewer than three. */
bool chain_question_make(struct chain_question *question, const struct row_data *data, size_t user);
bool chain_question_text(struct text *message, const struct chain_question *question,
                         const struct store_txn *txn, struct err *err) MUST_CHECK;

/* An argument as a chain: what was not said has no entry; next.attribute may be NO_ATTRIBUTE. */
struct chain_wish {
    bool there;
    uint32_t next;      /* row of what it argues towards */
    struct chain chain; /* items are rows */
};

struct chain_teacher {
    struct chain_wish *wishes; /* owned [sequences] */
    size_t count, stale, lines, unread;
};

/* None and no error: nobody was asked. */
bool chain_teacher_load(struct chain_teacher *teacher, const struct row_data *data,
                        const struct version *version, const struct attributes *attributes,
                        struct err *err) MUST_CHECK;
void chain_teacher_free(struct chain_teacher *teacher);

/* One line of an answer into the wish; rows [count] are those of the question.  False: not read. */
bool chain_line_read(struct chain *wish, const char *line, const uint32_t *rows, size_t count,
                     const struct attributes *attributes);

#endif
