/*
 * histories.h: all users' events as flat arrays, the form that learning and judging read.
 *
 * Only joined events of kind positive, seen or excludes are taken, up to a sequence number.  The
 * read transaction is closed before this returns: no job keeps the store's pages alive.
 *
 * Memory    owned arrays; histories_free().
 */
#ifndef DATA_HISTORIES_H
#define DATA_HISTORIES_H

#include "data/events.h"

struct histories {
    size_t users; /* users with at least one event here */
    size_t events;
    uint32_t *user;      /* [users] their numbers in the store */
    size_t *first;       /* [users + 1] into the arrays below */
    uint32_t *item;      /* [events] item numbers; histories_rename() makes them rows */
    int64_t *time_ms;    /* [events] rising within a user */
    unsigned char *kind; /* [events] enum event_kind */
    uint64_t upto;       /* the last sequence number looked at */
    size_t unjoined;     /* events left out because their item has no record */
    size_t positive;
    double value_max; /* the largest value of a rating event */
};

/* upto 0 means everything that is there. */
struct histories *histories_load(struct store *store, const struct event_settings *settings,
                                 uint64_t upto, struct err *err) MUST_CHECK;
void histories_free(struct histories *histories); /* NULL is fine */

#endif
