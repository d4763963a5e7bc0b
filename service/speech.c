/*
 * speech.c: a chat's frames on their way from the speaker to a listener, and who holds a chat.
 */
#include "service/chat.h"

#include "base/files.h"
#include "base/log.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct chat *chat_new(struct call *call)
{
    struct chat *chat = calloc(1, sizeof *chat);
    if (!chat)
        return NULL;
    pthread_mutex_init(&chat->speech.lock, NULL);
    text_init(&chat->speech.out, REPLY_BYTES);
    atomic_init(&chat->holders, 1);
    chat->service = call->service;
    atomic_fetch_add(&chat->service->chats.alive, 1);
    chat->created_s = (int64_t)time(NULL);
    chat->speech.connection = call->connection;
    chat->speech.spoke_s = clock_s();
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    chat->speech.socket = info ? info->connect_fd : -1;
    id_make(chat->id, sizeof chat->id, "chatcmpl-");
    return chat;
}

struct chat *chat_hold(struct chat *chat)
{
    atomic_fetch_add(&chat->holders, 1);
    return chat;
}

void chat_drop(struct chat *chat)
{
    if (!chat || atomic_fetch_sub(&chat->holders, 1) != 1)
        return;
    chat_request_release(&chat->request);
    atomic_fetch_sub(&chat->service->chats.alive, 1);
    text_release(&chat->speech.out);
    pthread_mutex_destroy(&chat->speech.lock);
    free(chat);
}

void chat_left(struct chat *chat)
{
    struct speech *speech = &chat->speech;
    pthread_mutex_lock(&speech->lock);
    speech->gone = speech->gone || !speech->ended;
    speech->connection = NULL;
    pthread_mutex_unlock(&speech->lock);
    chat_drop(chat);
}

/* Called by a listener whenever the client can take more. */
static ssize_t speech_read(void *self, uint64_t position, char *bytes, size_t max)
{
    struct chat *chat = self;
    struct speech *speech = &chat->speech;
    ssize_t result = 0;
    (void)position;
    pthread_mutex_lock(&speech->lock);
    size_t left = speech->out.size - speech->sent;
    if (left > 0) {
        size_t take = left < max ? left : max;
        memcpy(bytes, speech->out.bytes + speech->sent, take);
        speech->sent += take;
        if (take == left) {
            text_reset(&speech->out);
            speech->sent = 0;
        }
        result = (ssize_t)take;
    } else if (speech->ended) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else if (speech->connection) {
        speech->suspended = true;
        MHD_suspend_connection(speech->connection);
    }
    pthread_mutex_unlock(&speech->lock);
    return result;
}

static void speech_unread(void *self)
{
    chat_drop(self);
}

struct MHD_Response *speech_response(struct chat *chat)
{
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, 16384, speech_read, chat_hold(chat), speech_unread);
    if (!response)
        chat_drop(chat);
    return response;
}

/* Under the lock. */
static void wake(struct speech *speech)
{
    if (!speech->suspended)
        return;
    speech->suspended = false;
    if (speech->connection)
        MHD_resume_connection(speech->connection);
}

/* Under the lock: what was read makes room. */
static void forget_read(struct speech *speech)
{
    struct text *out = &speech->out;
    if (speech->sent < SPEECH_BYTES)
        return;
    out->size -= speech->sent;
    memmove(out->bytes, out->bytes + speech->sent, out->size + 1);
    speech->sent = 0;
}

void speech_add(struct chat *chat, const char *bytes, size_t size)
{
    struct speech *speech = &chat->speech;
    pthread_mutex_lock(&speech->lock);
    if (speech->connection && !speech->gone && !speech->ended) {
        forget_read(speech);
        text_add(&speech->out, bytes, size);
        speech->largest = size > speech->largest ? size : speech->largest;
        size_t unread = speech->out.size - speech->sent;
        /* it reads far too slowly: nobody waits for it */
        speech->gone = speech->out.full || unread > SPEECH_BYTES + speech->largest;
        speech->spoke_s = clock_s();
        wake(speech);
    }
    pthread_mutex_unlock(&speech->lock);
}

void speech_end(struct chat *chat)
{
    struct speech *speech = &chat->speech;
    pthread_mutex_lock(&speech->lock);
    speech->ended = true;
    wake(speech);
    pthread_mutex_unlock(&speech->lock);
}

bool speech_gone(struct chat *chat)
{
    struct speech *speech = &chat->speech;
    pthread_mutex_lock(&speech->lock);
    if (!speech->gone && speech->connection) { /* the socket is open as long as both hold */
        struct pollfd look = {.fd = speech->socket, .events = POLLRDHUP};
        speech->gone = poll(&look, 1, 0) > 0 && look.revents != 0;
    }
    bool gone = speech->gone;
    pthread_mutex_unlock(&speech->lock);
    return gone;
}

double speech_silence(struct chat *chat, double now_s)
{
    pthread_mutex_lock(&chat->speech.lock);
    double silence = now_s - chat->speech.spoke_s;
    pthread_mutex_unlock(&chat->speech.lock);
    return silence;
}
