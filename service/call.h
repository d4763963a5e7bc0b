/*
 * call.h: one HTTP request from its first byte to its reply.
 *
 * The path is split on the raw URI before anything is decoded, then each segment is decoded by
 * itself: an id may hold a `/` as %2F, and %00 or bad UTF-8 is refused.  (libmicrohttpd decodes the
 * path before its handler sees it, which makes `a%2Fb` and `a/b` one and cuts at %00.)
 *
 * Threads   a call belongs to its listener, then to the thread that took it from a queue, then to
 *           the listener again; never to two at once.
 */
#ifndef SERVICE_CALL_H
#define SERVICE_CALL_H

#include "base/err.h"
#include "base/text.h"
#include "data/ids.h"

#include <jansson.h>
#include <microhttpd.h>

enum { SEGMENTS_MAX = 6, URI_MAX = 8192, ITEM_CHANGES_MAX = 1, REPLY_BYTES = 64 << 20 };

struct service;
struct route;
struct chat;

enum call_state { CALL_READING, CALL_QUEUED, CALL_DONE };

struct call {
    struct call *next; /* in a queue */
    struct service *service;
    struct MHD_Connection *connection;
    const struct route *route;
    enum call_state state;
    double begin_s;
    char request_id[160];
    char *uri;                   /* owned: the raw one */
    char *segment[SEGMENTS_MAX]; /* into uri, decoded */
    size_t segments;
    char *query; /* into uri, raw, or "" */
    struct text body;
    json_t *json;                    /* owned: the body, parsed */
    void *write;                     /* owned: what the committer will apply */
    void (*write_free)(void *write); /* NULL: free() */
    struct chat *chat;               /* held; NULL: it is none */
    /* reply */
    unsigned status;
    struct text reply;
    const char *content_type;
    const char *allow; /* for 405 */
    const void *file;  /* a reply that is not owned, instead of `reply` */
    size_t file_size;
    const char *etag;
    bool retry_after;
};

struct call *call_new(struct service *service, const char *uri);
void call_free(struct call *call);
bool call_split(struct call *call, struct err *err) MUST_CHECK; /* uri into segments and query */

/* Decodes the value of a query argument into value[room]; false if it is not there. */
bool call_argument(char *value, size_t room, const struct call *call, const char *name,
                   struct err *err);

void call_reply_json(struct call *call, unsigned status, json_t *json); /* takes json */

/* The error envelope: problem+json with an `error` member that OpenAI clients read. */
void call_problem(struct call *call, unsigned status, const char *code, const char *param,
                  const char *detail);
void call_fail(struct call *call, const struct err *err); /* status and code from err */
/* An err whose text begins with the field it is about, under a code of the caller's. */
void call_refuse(struct call *call, unsigned status, const char *code, const struct err *err);

enum MHD_Result call_send(struct call *call);  /* by its listener */
void call_note(const struct call *call);       /* into the metrics */
void call_done(struct call *call);             /* resumes it: the reply is there */
const char *call_key(const struct call *call); /* the API key that came with it, or NULL */

#endif
