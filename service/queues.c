#include "service/service.h"

#include <time.h>

void queue_init(struct call_queue *queue)
{
    pthread_condattr_t clock;
    *queue = (struct call_queue){0};
    pthread_mutex_init(&queue->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->filled, &clock);
    pthread_condattr_destroy(&clock);
}

void queue_release(struct call_queue *queue)
{
    pthread_cond_destroy(&queue->filled);
    pthread_mutex_destroy(&queue->lock);
}

bool queue_push(struct call_queue *queue, struct call *call, size_t max)
{
    pthread_mutex_lock(&queue->lock);
    bool room = !queue->closed && queue->length < max;
    if (room) {
        call->next = NULL;
        if (queue->last)
            queue->last->next = call;
        else
            queue->first = call;
        queue->last = call;
        queue->length++;
        pthread_cond_signal(&queue->filled);
    }
    pthread_mutex_unlock(&queue->lock);
    return room;
}

struct call *queue_take(struct call_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    while (!queue->first && !queue->closed)
        pthread_cond_wait(&queue->filled, &queue->lock);
    struct call *call = queue->first;
    if (call) {
        queue->first = call->next;
        if (!queue->first)
            queue->last = NULL;
        queue->length--;
    }
    pthread_mutex_unlock(&queue->lock);
    return call;
}

struct call *queue_take_all(struct call_queue *queue, int wait_ms, bool *closed)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    until.tv_sec += wait_ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&queue->lock);
    while (!queue->first && !queue->closed &&
           pthread_cond_timedwait(&queue->filled, &queue->lock, &until) == 0)
        ;
    struct call *chain = queue->first;
    queue->first = queue->last = NULL;
    queue->length = 0;
    *closed = queue->closed;
    pthread_mutex_unlock(&queue->lock);
    return chain;
}

void queue_close(struct call_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}
