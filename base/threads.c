#include "base/threads.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct thread_pool {
    size_t count; /* workers, the caller's thread included */
    pthread_t *threads;
    struct seat *seats;
    pthread_mutex_t lock; /* guards everything below */
    pthread_cond_t work;  /* a run has begun, or the pool ends */
    pthread_cond_t done;  /* the last piece has ended */
    piece_fn *fn;
    void *self;
    size_t next;    /* the next piece to hand out */
    size_t pieces;  /* of this run */
    size_t pending; /* handed out or waiting */
    bool ending;
};

struct seat {
    struct thread_pool *pool;
    size_t worker;
};

/* Called and left with the lock held. */
static void work_off(struct thread_pool *pool, size_t worker)
{
    while (pool->next < pool->pieces) {
        size_t piece = pool->next++;
        pthread_mutex_unlock(&pool->lock);
        pool->fn(pool->self, piece, worker);
        pthread_mutex_lock(&pool->lock);
        if (--pool->pending == 0)
            pthread_cond_signal(&pool->done);
    }
}

static void *worker_main(void *self)
{
    struct seat *seat = self;
    struct thread_pool *pool = seat->pool;
    pthread_mutex_lock(&pool->lock);
    while (!pool->ending) {
        work_off(pool, seat->worker);
        if (!pool->ending)
            pthread_cond_wait(&pool->work, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* The cores this process may use: fewer than the machine has in a container or under taskset. */
static size_t cores_allowed(void)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        return (size_t)CPU_COUNT(&allowed);
    long cores = sysconf(_SC_NPROCESSORS_ONLN); /* more of them than a cpu_set_t holds */
    return cores > 0 ? (size_t)cores : 1;
}

struct thread_pool *thread_pool_new(size_t count, struct err *err)
{
    if (count == 0)
        count = cores_allowed();
    struct thread_pool *pool = calloc(1, sizeof *pool);
    if (pool) {
        pool->threads = calloc(count, sizeof *pool->threads);
        pool->seats = calloc(count, sizeof *pool->seats);
    }
    if (!pool || !pool->threads || !pool->seats) {
        err_set(err, ERR_SYSTEM, "no memory for a pool of %zu threads", count);
        if (pool) {
            free(pool->threads);
            free(pool->seats);
        }
        free(pool);
        return NULL;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->count = 1;
    for (size_t i = 1; i < count; i++) {
        pool->seats[i] = (struct seat){pool, i};
        int code = pthread_create(&pool->threads[i], NULL, worker_main, &pool->seats[i]);
        if (code) {
            err_set(err, ERR_SYSTEM, "cannot start thread %zu of %zu: %s", i, count,
                    strerror(code));
            thread_pool_free(pool);
            return NULL;
        }
        pool->count++;
    }
    return pool;
}

void thread_pool_free(struct thread_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 1; i < pool->count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool->seats);
    free(pool);
}

size_t thread_pool_count(const struct thread_pool *pool)
{
    return pool->count;
}

void thread_pool_run(struct thread_pool *pool, size_t pieces, piece_fn *fn, void *self)
{
    if (pieces == 0)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->fn = fn;
    pool->self = self;
    pool->next = 0;
    pool->pieces = pieces;
    pool->pending = pieces;
    pthread_cond_broadcast(&pool->work);
    work_off(pool, 0);
    while (pool->pending > 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void meet(struct meeting *m)
{
    if (m->count == 1)
        return;
    unsigned round = atomic_load(&m->round);
    if (atomic_fetch_add(&m->arrived, 1) + 1 == m->count) {
        atomic_store(&m->arrived, 0);
        atomic_store(&m->round, round + 1);
        syscall(SYS_futex, &m->round, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
        return;
    }
    while (atomic_load(&m->round) == round)
        syscall(SYS_futex, &m->round, FUTEX_WAIT_PRIVATE, round, NULL, NULL, 0);
}
