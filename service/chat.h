/*
 * chat.h: POST /v1/chat/completions: many chats at once, answered by one thread, the speaker.
 *
 *     listener: parse, refuse ─► waiting ─► speaker: begin ─► list ─► words, step by step ─► end
 *        ▲                                                     │ frames
 *        └── reader; suspends itself when there is nothing ◄── speech
 *
 * A chat is counted: its call, its response (if it streams) and the speaker hold it.  What the
 * speaker has to say goes into `speech` under its lock; whoever adds to it resumes the connection
 * if its reader sleeps.  A reader never sleeps after the end, so that no connection is suspended
 * when the daemon stops.
 *
 * A client that is gone is seen by looking at its socket before each step (a suspended connection
 * notices nothing by itself), and the chat's work stops there.
 *
 * Threads   `speech` has its own lock, taken last; the rest of a chat belongs to the listener until
 *           it waits, to the speaker from then on.
 * Memory    bounded: chat_queue_max chats wait, chat_streams are answered, each keeps of its body
 *           CHAT_TEXT_MAX bytes of CHAT_MESSAGES_MAX messages and ids, and has one text of at most
 *           SPEECH_BYTES that are not read yet, beside its largest frame, its list.
 */
#ifndef SERVICE_CHAT_H
#define SERVICE_CHAT_H

#include "service/conversations.h"
#include "service/service.h"

enum {
    CHAT_STOPS = 4,
    CHAT_TEXT_MAX = 1 << 18, /* bytes of messages that are read, the newest */
    CHAT_MESSAGES_MAX = 2048,
    CHAT_ITEMS_MAX = 50,
    CHAT_IDS_MAX = 10000,
    CHAT_TOKENS_MAX = 1 << 20,
    CONVERSATION_ID_MAX = 128,
    SPEECH_BYTES = 1 << 20
};

enum chat_role { CHAT_SYSTEM, CHAT_USER, CHAT_ASSISTANT };

struct chat_message {
    enum chat_role role;
    char *text;              /* owned */
    json_t *recommendations; /* owned: ids of an assistant's items, or NULL */
};

struct chat_request {
    struct chat_message *messages; /* owned [count], oldest first: the newest CHAT_MESSAGES_MAX */
    size_t count;
    size_t n;         /* items wanted */
    size_t words_max; /* tokens of the model's text, chat_words at most */
    size_t asked_max; /* tokens of any text, as the client asks; SIZE_MAX: not said */
    double temperature;
    uint64_t seed;
    const char *stops[CHAT_STOPS]; /* these and the rest: of `kept` */
    size_t stop_count;
    const char *model, *user, *conversation; /* NULL: not given */
    const json_t *exclude, *undo;            /* arrays of texts, or NULL */
    bool stream, usage, reasons;
    json_t *kept;     /* owned: what of the body is used, which goes when it was read */
    const char *code; /* of a refusal: why, for machines */
};

/*
 * Reads a body; false: refused, err says what was expected and out->code why.  Fields that nobody
 * knows are ignored, as every OpenAI-compatible server does; those that would change the answer and
 * are not offered are refused.
 */
bool chat_request_parse(struct chat_request *out, const json_t *body,
                        const struct serve_settings *settings, struct err *err) MUST_CHECK;
void chat_request_release(struct chat_request *request);

/* The frames on their way to a client. */
struct speech {
    pthread_mutex_t lock;
    struct MHD_Connection *connection; /* NULL: the request is over */
    int socket;
    struct text out; /* [sent, size) is yet to be read */
    size_t sent;
    size_t largest; /* bytes of the largest frame */
    bool suspended; /* its reader sleeps */
    bool ended;     /* nothing comes after `out` */
    bool gone;      /* nobody reads any more */
    double spoke_s; /* when something was added last */
};

struct answer;

struct chat {
    struct chat *next; /* in a list: waiting, or answered */
    struct service *service;
    struct chat_request request;
    char id[64];
    int64_t created_s;
    struct conversation_key conversation; /* of API key and conversation id */
    atomic_uint holders;
    struct speech speech;
    struct call *call;     /* of a chat that does not stream: suspended until its reply is there */
    struct answer *answer; /* owned, the speaker's; NULL: not begun */
};

/* ---- the listener's side ---- */

struct chat *chat_new(struct call *call); /* held by the call; NULL: no memory */
struct chat *chat_hold(struct chat *chat);
void chat_drop(struct chat *chat); /* NULL is fine */
void chat_left(struct chat *chat); /* the request is over; drops the call's hold */

/* A response that reads the frames of the chat as they come. */
struct MHD_Response *speech_response(struct chat *chat);

/* ---- the speaker's side ---- */

void speech_add(struct chat *chat, const char *bytes, size_t size);
void speech_end(struct chat *chat);
bool speech_gone(struct chat *chat);                    /* looks at the socket */
double speech_silence(struct chat *chat, double now_s); /* seconds since something was added */

/* Ends a chat with an error, in whatever form the client asked for. */
void chat_fail(struct chat *chat, unsigned status, const char *code, const char *detail);

/* ---- the speaker ---- */

void speaker_init(struct service *service); /* before any thread */
void speaker_release(struct service *service);
/* False: too many wait, or the service is going down.  Holds the chat. */
bool chat_wait(struct service *service, struct chat *chat);
void *speaker_main(void *service);
void speaker_close(struct service *service); /* nobody waits any more; those answered may end */

#endif
