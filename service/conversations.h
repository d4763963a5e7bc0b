/*
 * conversations.h: what each conversation was shown, so that it is not shown again.
 *
 * A table of fixed size.  A conversation is found by a hash of the API key and its id, so nobody
 * reaches another key's; an entry that was not touched for age_s is forgotten.  When the table is
 * full the one that was touched longest ago goes: among the key's own, if it holds half the table
 * or more, so that one key cannot push out all others'.
 *
 * Each list is kept with what it answered: a hash of the user's messages up to then.  So the list
 * that stood before a message is found even if that message is sent again (a retry, a wish that was
 * taken back): "the second" and "older" mean what they meant.
 *
 * Threads   one at a time (the speaker).
 * Memory    max * (SHOWN_MAX * 4 + SHOWN_LISTS_MAX * 16 + 56) bytes, taken once.
 * Cost      a look at every entry's hash: 10,000 in about 10 us.
 */
#ifndef SERVICE_CONVERSATIONS_H
#define SERVICE_CONVERSATIONS_H

#include "base/err.h"

#include <stdint.h>

enum { SHOWN_MAX = 400, SHOWN_LISTS_MAX = 64 }; /* items and lists of a conversation, the newest */

struct conversation_key {
    uint64_t owner; /* 0: the chat has no id, nothing is remembered */
    uint64_t hash[2];
};

struct conversations;

struct conversations *conversations_new(size_t max, double age_s, struct err *err) MUST_CHECK;
void conversations_free(struct conversations *conversations); /* NULL is fine */

/* id NULL or "": a key that remembers nothing.  api_key NULL: a client without one. */
struct conversation_key conversation_key(const char *api_key, const char *id);

struct shown_list {
    uint64_t asked;        /* what it answered: conversation_asked() */
    uint32_t first, count; /* of shown */
};

struct shown {
    uint32_t numbers[SHOWN_MAX]; /* [count] of items (of the store), as they were shown */
    struct shown_list list[SHOWN_LISTS_MAX]; /* [lists] oldest first */
    size_t count, lists;
};

/* The user's messages so far, from those before and the next one; before the first: 0. */
uint64_t conversation_asked(uint64_t before, const char *message);

/* What is known of a conversation; nothing: counts are 0. */
void conversations_shown(struct shown *shown, struct conversations *conversations,
                         const struct conversation_key *key, double now_s);
void conversations_note(struct conversations *conversations, const struct conversation_key *key,
                        uint64_t asked, const uint32_t *numbers, size_t count, double now_s);

/* The newest list that answered `asked`; NULL: none that is known. */
const struct shown_list *shown_for(const struct shown *shown, uint64_t asked);
/* The newest list that answered something else; NULL: none. */
const struct shown_list *shown_before(const struct shown *shown, uint64_t asked);

#endif
