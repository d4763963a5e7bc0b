#include "service/call.h"

#include "service/chat.h"

#include "base/files.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct call *call_new(struct service *service, const char *uri)
{
    struct call *call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->service = service;
    call->begin_s = clock_s();
    call->uri = strdup(uri);
    call->content_type = "application/json";
    text_init(&call->reply, REPLY_BYTES);
    id_make(call->request_id, sizeof call->request_id, "req_");
    if (call->uri)
        return call;
    free(call);
    return NULL;
}

void call_free(struct call *call)
{
    if (!call)
        return;
    if (call->chat)
        chat_left(call->chat);
    free(call->uri);
    if (call->write && call->write_free)
        call->write_free(call->write);
    else
        free(call->write);
    text_release(&call->body);
    text_release(&call->reply);
    json_decref(call->json);
    free(call);
}

bool call_split(struct call *call, struct err *err)
{
    static char none[] = "";
    if (strlen(call->uri) > URI_MAX)
        return err_set(err, ERR_LIMIT, "URI: expected at most %d bytes, found %zu", URI_MAX,
                       strlen(call->uri));
    call->query = strchr(call->uri, '?');
    if (call->query)
        *call->query++ = 0;
    else
        call->query = none;
    char *at = call->uri;
    while (*at == '/')
        *at++ = 0; /* `//v1` is `/v1` */
    while (at && *at) {
        char *end = strchr(at, '/');
        if (end)
            *end = 0;
        if (call->segments == SEGMENTS_MAX)
            return err_set(err, ERR_MISSING, "no such path");
        size_t size = percent_decode(at, strlen(at));
        if (size == SIZE_MAX)
            return err_set(err, ERR_INPUT, "path: a broken %%-escape or %%00");
        at[size] = 0;
        if (!utf8_valid(at, size))
            return err_set(err, ERR_INPUT, "path: not valid UTF-8");
        call->segment[call->segments++] = at;
        at = end ? end + 1 : NULL;
    }
    return true;
}

bool call_argument(char *value, size_t room, const struct call *call, const char *name,
                   struct err *err)
{
    size_t name_size = strlen(name);
    for (const char *at = call->query; *at;) {
        size_t size = strcspn(at, "&");
        if (size > name_size && at[name_size] == '=' && strncmp(at, name, name_size) == 0) {
            size_t length = size - name_size - 1;
            if (length >= room)
                return err_set(err, ERR_INPUT, "%s: expected fewer than %zu bytes", name, room);
            memcpy(value, at + name_size + 1, length);
            for (size_t i = 0; i < length; i++)
                value[i] = value[i] == '+' ? ' ' : value[i];
            length = percent_decode(value, length);
            if (length == SIZE_MAX || !utf8_valid(value, length))
                return err_set(err, ERR_INPUT, "%s: a broken %%-escape or bad UTF-8", name);
            value[length] = 0;
            return true;
        }
        at += size;
        at += *at == '&';
    }
    return false;
}

void call_reply_json(struct call *call, unsigned status, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    call->status = text ? status : 500;
    text_reset(&call->reply);
    if (text)
        text_add(&call->reply, text, strlen(text));
    if (call->reply.full) {
        text_reset(&call->reply);
        call->status = 500;
    }
    free(text);
    json_decref(json);
}

static const struct {
    unsigned status;
    const char *type, *title, *error_type;
} PROBLEMS[] = {
    {400, "malformed-request", "Malformed request", "invalid_request_error"},
    {401, "unauthenticated", "A key is needed", "authentication_error"},
    {403, "forbidden", "The key may not do this", "permission_error"},
    {404, "not-found", "Not found", "not_found_error"},
    {405, "method", "Method not allowed", "invalid_request_error"},
    {413, "too-large", "Too large", "invalid_request_error"},
    {415, "media-type", "Unsupported media type", "invalid_request_error"},
    {422, "validation", "Validation failed", "invalid_request_error"},
    {500, "internal", "Internal error", "server_error"},
    {503, "not-ready", "Not ready", "server_error"},
    {507, "storage-full", "Storage full", "server_error"},
};

void call_problem(struct call *call, unsigned status, const char *code, const char *param,
                  const char *detail)
{
    size_t i = 0;
    char instance[200];
    while (i + 1 < COUNT(PROBLEMS) && PROBLEMS[i].status != status)
        i++;
    snprintf(instance, sizeof instance, "urn:request:%s", call->request_id);
    json_t *error = json_pack("{s:s, s:s, s:s?, s:s}", "message", detail, "type",
                              PROBLEMS[i].error_type, "param", param, "code", code);
    json_t *body =
        json_pack("{s:s+, s:s, s:i, s:s, s:s, s:o}", "type", "/problems/", PROBLEMS[i].type,
                  "title", PROBLEMS[i].title, "status", (int)status, "detail", detail, "instance",
                  instance, "error", error ? error : json_null());
    if (body && param)
        json_object_set_new(
            body, "errors",
            json_pack("[{s:s+, s:s, s:s}]", "pointer", "/", param, "code", code, "detail", detail));
    call_reply_json(call, status, body);
    call->content_type = "application/problem+json";
    call->retry_after = status == 503;
}

/* "n: expected 1 to 200, found 0" names its field before the colon. */
static const char *field_of(char *field, size_t room, const char *text)
{
    size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyz_[]0123456789.");
    if (size == 0 || size >= room || text[size] != ':')
        return NULL;
    memcpy(field, text, size);
    field[size] = 0;
    return field;
}

void call_refuse(struct call *call, unsigned status, const char *code, const struct err *err)
{
    char field[64];
    call_problem(call, status, code, field_of(field, sizeof field, err->text), err->text);
}

void call_fail(struct call *call, const struct err *err)
{
    char field[64];
    const char *param = field_of(field, sizeof field, err->text);
    if (err->code == ERR_FORMAT || err->code == ERR_SYSTEM)
        log_error("request.failed id=%s why=\"%s\"", call->request_id, err->text);
    switch (err->code) {
    case ERR_INPUT:
    case ERR_LIMIT:
        call_problem(call, 422, "invalid", param, err->text);
        break;
    case ERR_MISSING:
        call_problem(call, 404, "not_found", param, err->text);
        break;
    case ERR_FULL:
        call_problem(call, 507, "storage_full", NULL, err->text);
        break;
    case ERR_FORMAT:
    case ERR_SYSTEM:
    case ERR_NONE:
        call_problem(call, 500, "internal", NULL,
                     "the service could not do this; its log says why");
        break;
    }
}
