/*
 * told.h: what a large model said of items and users (data/texts.h), as runs of tokens for tasks.h.
 *
 * Of an item it says what somebody who wants it would type; of a user what her items have in
 * common: GREAM's intentions and preferences (arXiv 2510.20815, 3.2).  A user's text speaks of her
 * training events but the last, so that the last may be its target; one that was made from other
 * events (of another split, of yesterday) is left out, and so nothing that is judged is ever read.
 *
 * Memory    owned flat arrays; told_free().
 */
#ifndef TRAIN_TOLD_H
#define TRAIN_TOLD_H

#include "data/texts.h"
#include "recommend/item_words.h"
#include "train/rows.h"

enum { TOLD_EVENTS = 20, TOLD_TOKENS = 24, TOLD_LINES = 4 };

struct told_list {
    size_t *first; /* [owners + 1] lines */
    size_t lines;
};

struct told {
    struct told_list items, users; /* owners: rows of the version; users as in the histories */
    size_t *at;                    /* [lines of both + 1] into token: the items' lines first */
    uint32_t *token;               /* without TOKEN */
    size_t tokens;
};

/* The numbers of a user's training items but the last, the newest TOLD_EVENTS, oldest first. */
size_t told_events(uint32_t number[TOLD_EVENTS], const struct row_data *data, size_t user);
/* The hash of such numbers. */
uint64_t told_of(const uint32_t *number, size_t count);

/* What a large model is shown of an item: title, tags, the beginning of its text. */
bool told_item_message(struct text *message, const json_t *record, struct err *err) MUST_CHECK;

/*
 * NULL and no error: nobody was asked.  Lines that hold a title word which is kept out of training
 * (tasks.h) are left out.  revision: of the texts the training's hash was made of; another by now
 * is an error.
 */
struct told *told_load(const struct row_data *data, const struct version *version,
                       const struct item_words *words, uint64_t revision, struct err *err);
void told_free(struct told *told); /* NULL is fine */

#endif
