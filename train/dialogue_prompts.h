/*
 * dialogue_prompts.h: the places of dialogues where a list is asked for.
 *
 * A prompt is what was said before a turn of the assistant that names an item for the first time in
 * its dialogue, as symbols (recommend/dialogue.h) without <list>.  A dialogue that begins so has
 * the prompt <user>.
 *
 *     labels     what that very turn names first: what is judged
 *     relevant   what the assistant names first from that turn on and the user does not dislike;
 *                what the user likes comes first (`liked` of them): what is imitated and paid for
 *     named      all that was named before: what may not be listed again
 *     replies    the turn itself as symbols, without <reply>, at most REPLY_SYMBOLS; only for
 *                policies that speak (foreign words), and only if all that it names is relevant,
 *                else none
 *
 * Only items that may be named are relevant: with training events, mentions counted.  Labels are
 * all that the version has.
 *
 * Memory    owned flat arrays; dialogue_prompts_free().
 */
#ifndef TRAIN_DIALOGUE_PROMPTS_H
#define TRAIN_DIALOGUE_PROMPTS_H

#include "train/dialogues.h"

/* Rows of prompt p: row[first[p] .. first[p + 1]). */
struct row_lists {
    uint32_t *row;
    size_t *first; /* [count + 1] */
    size_t rows, room;
};

struct dialogue_prompts {
    size_t count;
    uint32_t *dialogue; /* [count] */
    uint32_t *turn;     /* [count] which is about to be said */
    uint32_t *liked;    /* [count] so many of the relevant come first and are liked */
    struct row_lists symbols, labels, relevant, named, replies;
};

enum { REPLY_SYMBOLS = 64 };

/* The newest `most` symbols of each are kept.  dialogues were named.  No prompt is no error. */
bool dialogue_prompts_make(struct dialogue_prompts *prompts, const struct dialogues *dialogues,
                           enum dialogue_part part, size_t most, const struct snapshot *snapshot,
                           const struct titles *titles, struct err *err) MUST_CHECK;
/* Those of the dialogues before one: a view into prompts, not to be freed. */
struct dialogue_prompts dialogue_prompts_before(const struct dialogue_prompts *prompts,
                                                size_t dialogue);
void dialogue_prompts_free(struct dialogue_prompts *prompts);

static inline size_t row_lists_count(const struct row_lists *lists, size_t at)
{
    return lists->first[at + 1] - lists->first[at];
}

static inline const uint32_t *row_lists_at(const struct row_lists *lists, size_t at)
{
    return lists->row + lists->first[at];
}

#endif
