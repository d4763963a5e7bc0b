/*
 * threads.h: a pool that runs numbered pieces of work.
 *
 * The caller cuts the work into pieces by its size alone, never by the number of threads; each
 * piece writes its own output.  So the result does not depend on how many threads there are or on
 * which of them ran what.  There is no spinning: with a foreign process on one core, a spinning
 * pool was measured 14 times slower.
 *
 * Threads   one caller at a time; the caller works too.  fn(self, piece, worker) runs with
 *           worker < thread_pool_count(), so scratch memory can be kept per worker.
 */
#ifndef BASE_THREADS_H
#define BASE_THREADS_H

#include "base/err.h"

#include <stdatomic.h>

struct thread_pool;

typedef void piece_fn(void *self, size_t piece, size_t worker);

struct thread_pool *thread_pool_new(size_t count, struct err *err) MUST_CHECK; /* 0: all cores */
void thread_pool_free(struct thread_pool *pool);                               /* NULL is fine */
size_t thread_pool_count(const struct thread_pool *pool);
void thread_pool_run(struct thread_pool *pool, size_t pieces, piece_fn *fn, void *self);

/*
 * Where `count` threads wait for each other, again and again: what each wrote before meet() all may
 * read after it.  Who waits, sleeps.  Within thread_pool_run() there are as many pieces as the
 * pool has threads, or fewer, and each piece meets as often as the others.
 */
struct meeting {
    atomic_uint arrived, round;
    unsigned count; /* 1: nobody waits */
};
void meet(struct meeting *meeting);

#endif
