/*
 * played.h: a service within this process whose conversation is a stand-in: it lists the first rows
 * that are allowed and says a text of the test's, a letter a step, as slowly as the test wants.
 * (It takes the place of recommend/talks.c when a program is linked with it.)
 *
 * So a test sees who is answered, when, and when the work for somebody who left ends.
 *
 * Threads   one service at a time, in a thread of its own; `play` may be changed while it runs.
 */
#ifndef TESTS_SERVICE_PLAYED_H
#define TESTS_SERVICE_PLAYED_H

#include "tests/service/client.h"

#include <stdatomic.h>

struct play {
    _Atomic(const char *) text[2]; /* what is said; the second by those with another seed than 0 */
    atomic_size_t step_us;         /* a step takes */
    atomic_bool burns;             /* as work, not as sleep */
    atomic_size_t steps;           /* made so far */
    atomic_size_t most;            /* talks at once */
    atomic_size_t removed;         /* talks that ended before they were done */
    atomic_size_t removed_at;      /* the last of them: steps */
};

extern struct play play;
extern struct server server; /* its port */

/* The service over a home: chats at once, and chats that may wait; grace_ms: those answered may go
 * on when it goes down. */
void serve_with(const char *home, const char *text, size_t step_us, size_t streams, size_t waiting,
                size_t grace_ms);
void stop_serving(void); /* it must end well */
bool is_serving(void);

unsigned long metric(const char *name); /* of /metrics; 0: not there */

#endif
