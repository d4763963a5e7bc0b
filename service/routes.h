/*
 * routes.h: one table says what may be asked, by whom, and who answers.
 *
 * Routing, scopes, metrics and openapi.json all walk it.  A pattern's `{id}` is one path segment.
 */
#ifndef SERVICE_ROUTES_H
#define SERVICE_ROUTES_H

#include "service/service.h"

/* ITEMS_FOUND_MAX: items that a search for a title gives at most */
enum { ITEMS_FOUND_MAX = 50 };

enum route_kind {
    ROUTE_AT_ONCE, /* answered by the listener; must not wait */
    ROUTE_MODEL,   /* answered by a worker */
    ROUTE_CHAT,    /* parsed by the listener, answered by the speaker */
    ROUTE_WRITE,   /* prepared by the listener, applied by the committer */
};

struct route {
    const char *method, *path;
    const char *scope; /* NULL: no key needed; "": any key */
    enum route_kind kind;
    void (*answer)(struct call *call, struct scratch *work, struct snapshot *snapshot);
    /* ROUTE_WRITE: false means the reply is already there (refused) */
    bool (*prepare)(struct call *call);
    bool (*apply)(struct call *call, const struct store_txn *txn, struct err *err);
    void (*committed)(struct call *call); /* after the commit: writes the reply */
    const char *summary, *body, *reply;   /* for openapi.json: names of schemas */
};

extern const struct route ROUTES[];
extern const size_t ROUTES_COUNT;

/* Finds the route and, on 404 or 405, writes that reply. */
const struct route *route_find(struct call *call, const char *method);

/* handlers, by file */
void answer_recommendations(struct call *call, struct scratch *work, struct snapshot *snapshot);
void answer_similar(struct call *call, struct scratch *work, struct snapshot *snapshot);
void answer_item(struct call *call, struct scratch *work, struct snapshot *snapshot);
void answer_search(struct call *call, struct scratch *work, struct snapshot *snapshot);
bool prepare_item_put(struct call *call);
bool apply_item_put(struct call *call, const struct store_txn *txn, struct err *err);
void committed_item_put(struct call *call);
bool prepare_item_delete(struct call *call);
bool apply_item_delete(struct call *call, const struct store_txn *txn, struct err *err);
void committed_item_delete(struct call *call);
bool prepare_events(struct call *call);
bool apply_events(struct call *call, const struct store_txn *txn, struct err *err);
void committed_events(struct call *call);
void answer_slate(struct call *call, struct scratch *work, struct snapshot *snapshot);
void answer_models(struct call *call, struct scratch *work, struct snapshot *snapshot);
void answer_model(struct call *call, struct scratch *work, struct snapshot *snapshot);
void answer_embeddings(struct call *call, struct scratch *work, struct snapshot *snapshot);
void answer_healthz(struct call *call, struct scratch *work, struct snapshot *snapshot);
void answer_readyz(struct call *call, struct scratch *work, struct snapshot *snapshot);
void answer_metrics(struct call *call, struct scratch *work, struct snapshot *snapshot);
void answer_openapi(struct call *call, struct scratch *work, struct snapshot *snapshot);
void answer_page(struct call *call, struct scratch *work, struct snapshot *snapshot);

/* Parses, refuses or lets the speaker answer: chat_call.c. */
enum MHD_Result chat_begin_call(struct call *call);

/* A share of the version that a model's name means (NULL: the one that chats), or NULL. */
struct snapshot *model_snapshot(struct service *service, const char *name, bool *chats);
void model_refuse(struct call *call, const char *name); /* 404: nothing has this name */

/* The item a write changed, for the next snapshot; false: none. */
bool call_changed_item(const struct call *call, uint32_t *number);

/* Whether the version gives reasons; if not, an error of the field `mode`. */
bool reasons_given(const struct version *version, struct err *err) MUST_CHECK;

/*
 * Adds "reasons", "reasoning" and "claims" to the reply of a reasoned slate, and counts the claims.
 */
bool reasons_reply(json_t *reply, struct metrics *metrics, const struct reasoned *reasoned,
                   const struct snapshot *snapshot, const struct store_txn *txn,
                   const struct slate *slate, struct err *err) MUST_CHECK;

/* The public form of a record: {"item_id", "title", "categories", "attributes", ...}. */
json_t *item_json(const char *id, json_t *record);

#endif
