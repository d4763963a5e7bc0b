#include "service/routes.h"

#include <stdio.h>
#include <string.h>

#define MODEL(method, path, scope, answer, summary, body, reply)                                   \
    {                                                                                              \
        method, path, scope, ROUTE_MODEL, answer, NULL, NULL, NULL, summary, body, reply           \
    }
#define CHAT(method, path, scope, summary, body, reply)                                            \
    {                                                                                              \
        method, path, scope, ROUTE_CHAT, NULL, NULL, NULL, NULL, summary, body, reply              \
    }
#define AT_ONCE(method, path, scope, answer, summary, reply)                                       \
    {                                                                                              \
        method, path, scope, ROUTE_AT_ONCE, answer, NULL, NULL, NULL, summary, NULL, reply         \
    }
#define WRITE(method, path, scope, verb, summary, body, reply)                                     \
    {                                                                                              \
        method, path, scope, ROUTE_WRITE, NULL, prepare_##verb, apply_##verb, committed_##verb,    \
            summary, body, reply                                                                   \
    }

/* clang-format off */
const struct route ROUTES[] = {
    MODEL("POST", "/v1/recommendations", "recommend", answer_recommendations,
          "A slate for a user, a history, or both", "RecommendationRequest", "Slate"),
    MODEL("GET", "/v1/recommendations/{id}", "recommend", answer_slate, "A slate that was served", NULL, "Slate"),
    MODEL("GET", "/v1/items/{id}/similar", "recommend", answer_similar, "Items like this one", NULL, "SimilarItems"),
    MODEL("GET", "/v1/items", "catalog:read", answer_search, "Items whose title holds q", NULL, "ItemList"),
    MODEL("GET", "/v1/items/{id}", "catalog:read", answer_item, "One item", NULL, "Item"),
    WRITE("PUT", "/v1/items/{id}", "catalog:write", item_put, "Put an item; a new one is recommendable at once", "ItemPut", "Item"),
    WRITE("DELETE", "/v1/items/{id}", "catalog:write", item_delete, "Delete an item", NULL, NULL),
    WRITE("POST", "/v1/events", "events:write", events, "One event, an array, or NDJSON; the reply means they are on disk", "Events", "EventsResult"),
    CHAT("POST", "/v1/chat/completions", "chat", "A reply to a dialogue: a list of items, and words about it", "ChatRequest", "ChatCompletion"),
    AT_ONCE("GET", "/v1/models", "", answer_models, "The versions in production", "ModelList"),
    AT_ONCE("GET", "/v1/models/{id}", "", answer_model, "One of them", "Model"),
    MODEL("POST", "/v1/embeddings", "chat", answer_embeddings, "Vectors of items and texts in one space", "EmbeddingRequest", "EmbeddingList"),
    AT_ONCE("GET", "/healthz", NULL, answer_healthz, "The process is up", "Health"),
    AT_ONCE("GET", "/readyz", NULL, answer_readyz, "A version is in service", "Health"),
    AT_ONCE("GET", "/metrics", "metrics", answer_metrics, "Prometheus text", NULL),
    AT_ONCE("GET", "/openapi.json", "", answer_openapi, "This description", NULL),
    AT_ONCE("GET", "/", NULL, answer_page, "The page", NULL),
    AT_ONCE("GET", "/page.css", NULL, answer_page, "Its style", NULL),
    AT_ONCE("GET", "/page.js", NULL, answer_page, "Its script", NULL),
};
/* clang-format on */
const size_t ROUTES_COUNT = COUNT(ROUTES);

static bool path_matches(const struct call *call, const char *pattern)
{
    size_t at = 0;
    for (const char *p = pattern + 1; *p; at++) {
        size_t size = strcspn(p, "/");
        if (at == call->segments)
            return false;
        if (*p != '{' &&
            (strlen(call->segment[at]) != size || memcmp(call->segment[at], p, size) != 0))
            return false;
        p += size;
        p += *p == '/';
    }
    return at == call->segments;
}

const struct route *route_find(struct call *call, const char *method)
{
    static _Thread_local char allow[64];
    allow[0] = 0;
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (size_t i = 0; i < ROUTES_COUNT; i++) {
        if (!path_matches(call, ROUTES[i].path))
            continue;
        if (strcmp(ROUTES[i].method, method) == 0)
            return &ROUTES[i];
        snprintf(allow + strlen(allow), sizeof allow - strlen(allow), "%s%s", allow[0] ? ", " : "",
                 ROUTES[i].method);
    }
    if (allow[0]) {
        call_problem(call, 405, "method_not_allowed", NULL, "this path does not take that method");
        call->allow = allow;
    } else {
        call_problem(call, 404, "not_found", NULL, "no such path; GET /openapi.json lists them");
    }
    return NULL;
}
