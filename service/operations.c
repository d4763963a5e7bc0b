/*
 * operations.c: health, metrics, the description of the API, and the page.
 */
#include "service/routes.h"
#include "service/web.h"

#include <stdlib.h>
#include <string.h>

void answer_healthz(struct call *call, struct scratch *work, struct snapshot *snapshot)
{
    (void)work;
    (void)snapshot;
    call_reply_json(call, 200, json_pack("{s:s}", "status", "ok"));
}

void answer_readyz(struct call *call, struct scratch *work, struct snapshot *snapshot)
{
    struct service *service = call->service;
    char error[sizeof service->reload_error];
    (void)work;
    (void)snapshot;
    struct snapshot *current = service_snapshot(service);
    struct snapshot *chat = service_chat_snapshot(service, NULL);
    pthread_mutex_lock(&service->snapshot_lock);
    memcpy(error, service->reload_error, sizeof error);
    pthread_mutex_unlock(&service->snapshot_lock);
    bool ready = current && !atomic_load(&service->stopping);
    json_t *body =
        json_pack("{s:b, s:s?, s:s?, s:s?}", "ready", ready, "version",
                  current ? current->version->name : NULL, "chat_version",
                  chat ? chat->version->name : NULL, "reload_error", error[0] ? error : NULL);
    call_reply_json(call, ready ? 200 : 503, body);
    call->retry_after = !ready;
    snapshot_drop(chat);
    snapshot_drop(current);
}

void answer_metrics(struct call *call, struct scratch *work, struct snapshot *snapshot)
{
    struct service *service = call->service;
    struct snapshot *current = service_snapshot(service);
    const char *routes[ROUTES_MAX];
    char names[ROUTES_MAX][64];
    (void)work;
    (void)snapshot;
    for (size_t i = 0; i < ROUTES_COUNT; i++) {
        snprintf(names[i], sizeof names[i], "%s %s", ROUTES[i].method, ROUTES[i].path);
        routes[i] = names[i];
    }
    const struct gauges gauges = {
        current ? current->version->name : "", current ? current->version->index->items : 0,
        current ? current->late : 0,           service->model_queue.length,
        service->write_queue.length,           service->chats.length};
    text_reset(&call->reply);
    metrics_print(&call->reply, &service->metrics, routes, ROUTES_COUNT, &gauges);
    call->content_type = "text/plain; version=0.0.4";
    call->status = 200;
    snapshot_drop(current);
}

static json_t *content_of(const char *schema)
{
    char reference[128];
    snprintf(reference, sizeof reference, "#/components/schemas/%s", schema);
    return json_pack("{s:{s:{s:s}}}", "application/json", "schema", "$ref", reference);
}

static bool is_required(const json_t *schema, const char *name)
{
    const json_t *required = json_object_get(schema, "required");
    for (size_t i = 0; i < json_array_size(required); i++)
        if (strcmp(json_string_value(json_array_get(required, i)), name) == 0)
            return true;
    return false;
}

/* In requests null stands for a property that is not there: what is not required may be null. */
static void allow_nulls(json_t *schema)
{
    const char *name;
    json_t *of;
    void *next;
    json_t *choices = json_object_get(schema, "anyOf");
    json_t *properties = json_object_get(schema, "properties");
    for (size_t i = 0; i < json_array_size(choices); i++)
        allow_nulls(json_array_get(choices, i));
    if (json_object_get(schema, "items"))
        allow_nulls(json_object_get(schema, "items"));
    json_object_foreach_safe(properties, next, name, of)
    {
        allow_nulls(of);
        if (!is_required(schema, name))
            json_object_set_new(properties, name,
                                json_pack("{s:[O, {s:s}]}", "anyOf", of, "type", "null"));
    }
}

static json_t *schemas_all(void)
{
    json_t *schemas =
        json_loadb((const char *)web_schemas, (size_t)(web_schemas_end - web_schemas), 0, NULL);
    for (size_t i = 0; i < ROUTES_COUNT; i++)
        if (ROUTES[i].body)
            allow_nulls(json_object_get(schemas, ROUTES[i].body));
    allow_nulls(json_object_get(schemas, "Event")); /* a body refers to it */
    return schemas;
}

static json_t *count_parameter(const char *name, int most)
{
    return json_pack("{s:s, s:s, s:{s:s, s:i, s:i}}", "name", name, "in", "query", "schema", "type",
                     "integer", "minimum", 1, "maximum", most);
}

static json_t *operation_of(const struct route *route)
{
    json_t *operation = json_pack("{s:s, s:{}}", "summary", route->summary, "responses");
    json_t *responses = json_object_get(operation, "responses");
    json_t *fine = json_pack("{s:s}", "description", "done");
    if (route->reply)
        json_object_set_new(fine, "content", content_of(route->reply));
    const char *status = route->apply == apply_events        ? "202"
                         : route->apply == apply_item_delete ? "204"
                                                             : "200";
    json_object_set_new(responses, status, fine);
    if (route->apply == apply_item_put)
        json_object_set(responses, "201", fine);
    json_t *problem =
        json_pack("{s:s, s:{s:{s:{s:s}}}}", "description", "a problem", "content",
                  "application/problem+json", "schema", "$ref", "#/components/schemas/Problem");
    if (route->apply == apply_events) { /* no event was accepted, or the body is none */
        json_t *refused = json_deep_copy(problem);
        json_t *content = content_of(route->reply);
        json_object_update(json_object_get(refused, "content"), content);
        json_decref(content);
        json_object_set_new(responses, "422", refused);
    }
    json_object_set_new(responses, "default", problem);
    json_t *parameters = json_array();
    if (strstr(route->path, "{id}"))
        json_array_append_new(parameters, json_pack("{s:s, s:s, s:b, s:{s:s}}", "name", "id", "in",
                                                    "path", "required", 1, "schema", "$ref",
                                                    "#/components/schemas/Id"));
    if (route->answer == answer_search)
        json_array_append_new(parameters,
                              json_pack("{s:s, s:s, s:b, s:{s:s}}", "name", "q", "in", "query",
                                        "required", 1, "schema", "type", "string"));
    if (route->answer == answer_similar)
        json_array_append_new(parameters, count_parameter("n", SLATE_MAX));
    if (route->answer == answer_search)
        json_array_append_new(parameters, count_parameter("limit", ITEMS_FOUND_MAX));
    json_object_set_new(operation, "parameters", parameters);
    if (route->body)
        json_object_set_new(
            operation, "requestBody",
            json_pack("{s:b, s:o}", "required", 1, "content", content_of(route->body)));
    if (route->scope)
        json_object_set_new(operation, "security",
                            json_pack("[{s:[]}, {s:[]}]", "bearer", "header"));
    return operation;
}

void answer_openapi(struct call *call, struct scratch *work, struct snapshot *snapshot)
{
    (void)work;
    (void)snapshot;
    json_t *paths = json_object();
    for (size_t i = 0; i < ROUTES_COUNT; i++) {
        char method[8] = "";
        for (size_t c = 0; ROUTES[i].method[c] && c < 7; c++)
            method[c] = (char)(ROUTES[i].method[c] + 'a' - 'A');
        json_t *path = json_object_get(paths, ROUTES[i].path);
        if (!path) {
            path = json_object();
            json_object_set_new(paths, ROUTES[i].path, path);
        }
        json_object_set_new(path, method, operation_of(&ROUTES[i]));
    }
    json_t *schemas = schemas_all();
    json_t *components =
        json_pack("{s:o?, s:{s:{s:s, s:s}, s:{s:s, s:s, s:s}}}", "schemas", schemas,
                  "securitySchemes", "bearer", "type", "http", "scheme", "bearer", "header", "type",
                  "apiKey", "in", "header", "name", "X-API-Key");
    call_reply_json(call, 200,
                    json_pack("{s:s, s:{s:s, s:s}, s:o, s:o}", "openapi", "3.1.0", "info", "title",
                              "Tessera", "version", "0.1.0", "paths", paths, "components",
                              components));
}

void answer_page(struct call *call, struct scratch *work, struct snapshot *snapshot)
{
    (void)work;
    (void)snapshot;
    const char *name = call->segments ? call->segment[0] : "";
    const unsigned char *first = strcmp(name, "page.css") == 0  ? web_css
                                 : strcmp(name, "page.js") == 0 ? web_js
                                                                : web_html;
    const unsigned char *end = strcmp(name, "page.css") == 0  ? web_css_end
                               : strcmp(name, "page.js") == 0 ? web_js_end
                                                              : web_html_end;
    call->file = first;
    call->file_size = (size_t)(end - first);
    call->content_type = first == web_css  ? "text/css"
                         : first == web_js ? "text/javascript"
                                           : "text/html; charset=utf-8";
    call->status = 200;
}
