/*
 * conversations.h: what each conversation was shown, so that it is not shown again.
 *
 * A table of fixed size.  A conversation is found by a hash of the API key and its id, so nobody
 * reaches another key's; an entry that was not touched for age_s is forgotten.  When the table is
 * full the one that was touched longest ago goes: among the key's own, if it holds half the table
 * or more, so that one key cannot push out all others'.
 *
 * Threads   one at a time (the speaker).
 * Memory    max * (SHOWN_MAX * 4 + 48) bytes, taken once.
 * Cost      a look at every entry's hash: 10,000 in about 10 us.
 */
#ifndef SERVICE_CONVERSATIONS_H
#define SERVICE_CONVERSATIONS_H

#include "base/err.h"

#include <stdint.h>

enum { SHOWN_MAX = 400 }; /* items of one conversation, the newest */

struct conversation_key {
    uint64_t owner; /* 0: the chat has no id, nothing is remembered */
    uint64_t hash[2];
};

struct conversations;

struct conversations *conversations_new(size_t max, double age_s, struct err *err) MUST_CHECK;
void conversations_free(struct conversations *conversations); /* NULL is fine */

/* id NULL or "": a key that remembers nothing.  api_key NULL: a client without one. */
struct conversation_key conversation_key(const char *api_key, const char *id);

/*
 * Writes numbers of items (of the store) into shown[SHOWN_MAX], as they were shown, and returns how
 * many; the last *newest of them are the newest list.
 */
size_t conversations_shown(uint32_t *shown, size_t *newest, struct conversations *conversations,
                           const struct conversation_key *key, double now_s);
void conversations_note(struct conversations *conversations, const struct conversation_key *key,
                        const uint32_t *numbers, size_t count, double now_s);

#endif
