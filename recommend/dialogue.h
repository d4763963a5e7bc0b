/*
 * dialogue.h: a conversation as the policy reads it.
 *
 *     <user> words <item> row words ... <reply> words ... <user> words
 *
 * Whoever asks for a list appends <list> (MARK_LIST).  An item that a message names is two symbols:
 * the mark and its row.  A row beyond the version's items (a late item) stays words: the policy has
 * no symbol that was trained for it.
 *
 * Threads   reads only; any number.
 * Memory    one block for the longest message, freed before the return.
 * Cost      the newest messages that fit, and of a message no more than DIALOGUE_BYTES_A_SYMBOL
 *           bytes for each symbol that is left.
 */
#ifndef RECOMMEND_DIALOGUE_H
#define RECOMMEND_DIALOGUE_H

#include "recommend/titles.h"

enum speaker { SPEAKER_USER, SPEAKER_ASSISTANT };

struct message {
    enum speaker speaker;
    const char *text;
    /*
     * What is known to be named in it, or NULL: titles are looked for, exact ones first, loose ones
     * that are no running text between them.  If given, only these rows are found in the text, and
     * one that is not stands at the message's end.
     */
    const uint32_t *items;
    size_t item_count;
};

enum { DIALOGUE_BYTES_A_SYMBOL = 24, MESSAGE_HITS_MAX = 64 };

/*
 * Writes at most `most` symbols, the newest: the oldest messages go first, and the oldest that is
 * left may have lost its beginning, not its mark.  0 and an error if there is no memory; 0 without
 * one for no messages.
 */
size_t dialogue_symbols(uint32_t *symbols, size_t most, const struct snapshot *snapshot,
                        const struct titles *titles, const struct message *messages, size_t count,
                        struct err *err);

/*
 * The rows that messages name, in order and each once, and who named it first (by may be NULL); the
 * newest `most` of them.
 */
size_t dialogue_items(uint32_t *rows, enum speaker *by, size_t most, const struct titles *titles,
                      const struct message *messages, size_t count);

/* Where one message names items, from left to right; `items` that its text lacks are left out. */
size_t message_hits(struct title_hit *hits, size_t most, const struct titles *titles,
                    const struct message *message);

#endif
