/*
 * events.c: POST /v1/events.  Rows are checked by the listener and applied by the committer; the
 * reply is written after the commit, so it means they are on disk.
 */
#include "base/json.h"
#include "data/catalogue.h"
#include "service/routes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ERRORS_MAX = 100, DAY_MS = 86400000 };

struct event_row {
    struct event event;
    char user[ID_SIZE_MAX + 1], item[ID_SIZE_MAX + 1];
    char *properties; /* owned or NULL */
};

struct events_write {
    size_t count, accepted, duplicates, rejected, unjoined;
    json_t *errors; /* owned */
    struct event_row rows[];
};

/* 2026-11-24T02:49:55.123Z, or with +01:00, or a bare date: milliseconds since 1970. */
static bool parse_rfc3339(int64_t *time_ms, const char *text)
{
    struct tm utc = {0};
    const char *at = strptime(text, "%Y-%m-%d", &utc);
    double fraction = 0;
    long offset_s = 0;
    if (!at)
        return false;
    if (*at == 'T' || *at == 't' || *at == ' ') {
        at = strptime(at + 1, "%H:%M:%S", &utc);
        if (!at)
            return false;
        if (*at == '.') {
            char *end;
            fraction = strtod(at, &end);
            at = end;
        }
        if (*at == 'Z' || *at == 'z') {
            at++;
        } else if ((*at == '+' || *at == '-') && strlen(at) == 6 && at[3] == ':') {
            long hours = strtol(at + 1, NULL, 10);
            long minutes = strtol(at + 4, NULL, 10);
            offset_s = (hours * 60 + minutes) * 60 * (*at == '+' ? 1 : -1);
            at += 6;
        } else {
            return false; /* a time without a zone could mean anything */
        }
    }
    *time_ms = ((int64_t)timegm(&utc) - offset_s) * 1000 + (int64_t)(fraction * 1000);
    return *at == 0;
}

static bool parse_time(int64_t *time_ms, const json_t *row, struct err *err)
{
    const json_t *value = json_object_get(row, "timestamp");
    int64_t now = now_ms();
    *time_ms = now;
    if (!value || json_is_null(value))
        return true;
    if (json_is_integer(value))
        *time_ms = (int64_t)json_integer_value(value);
    else if (!json_is_string(value) || !parse_rfc3339(time_ms, json_string_value(value)))
        return err_set(err, ERR_INPUT,
                       "timestamp: expected RFC 3339 with a zone or whole milliseconds, found %s",
                       json_is_string(value) ? json_string_value(value) : json_kind(value));
    if (*time_ms > now + DAY_MS)
        return err_set(err, ERR_INPUT,
                       "timestamp: %lld is more than a day in the future (milliseconds?)",
                       (long long)*time_ms);
    if (*time_ms < -DAY_MS * 365ll * 300)
        return err_set(err, ERR_INPUT, "timestamp: %lld is too long ago", (long long)*time_ms);
    return true;
}

static bool parse_properties(struct event_row *out, const json_t *row, struct err *err)
{
    const json_t *properties = json_object_get(row, "properties");
    out->event.properties = "";
    if (!properties || json_is_null(properties))
        return true;
    if (!json_is_object(properties))
        return err_set(err, ERR_INPUT, "properties: expected an object, found %s",
                       json_kind(properties));
    out->properties = json_dumps(properties, JSON_COMPACT);
    if (!out->properties || strlen(out->properties) > PROPERTIES_MAX)
        return err_set(err, ERR_LIMIT, "properties: expected at most %d bytes", PROPERTIES_MAX);
    out->event.properties = out->properties;
    return true;
}

static bool required(const char *text, const char *name, struct err *err)
{
    return text || err_set(err, ERR_INPUT, "%s: missing", name);
}

static bool parse_row(struct event_row *out, const json_t *row, struct err *err)
{
    static const char *const fields[] = {"event_id",   "type",     "user_id",
                                         "item_id",    "value",    "timestamp",
                                         "request_id", "position", "properties"};
    const char *id = NULL;
    const char *user = NULL;
    const char *item = NULL;
    const char *type = NULL;
    const char *request = "";
    size_t position = 0;
    double value = NAN;
    char made[64];
    if (!json_fields(row, fields, COUNT(fields), err) || !json_text(&id, row, "event_id", err) ||
        !json_text(&type, row, "type", err) || !json_text(&user, row, "user_id", err) ||
        !json_text(&item, row, "item_id", err) ||
        !json_real64(&value, row, "value", -1e12, 1e12, err) ||
        !json_text(&request, row, "request_id", err) ||
        !json_size(&position, row, "position", 0, 1000000, err) || !required(type, "type", err) ||
        !required(user, "user_id", err) || !required(item, "item_id", err) ||
        !event_type_check(type, err) ||
        !id_normalise(out->user, user, strlen(user), "user_id", err) ||
        !id_normalise(out->item, item, strlen(item), "item_id", err) ||
        !parse_properties(out, row, err))
        return false;
    if (strlen(request) > REQUEST_ID_MAX)
        return err_set(err, ERR_LIMIT, "request_id: expected at most %d bytes, found %zu",
                       REQUEST_ID_MAX, strlen(request));
    if (id && (!*id || strlen(id) > REQUEST_ID_MAX))
        return err_set(err, ERR_LIMIT, "event_id: expected 1 to %d bytes, found %zu",
                       REQUEST_ID_MAX, strlen(id));
    if (!id) {
        id_make(made, sizeof made, "evt_");
        id = made;
    }
    event_key(out->event.key, id, strlen(id));
    out->event.user = out->user;
    out->event.item = out->item;
    out->event.type = type;
    out->event.value = value;
    out->event.request_id = request;
    out->event.position = (uint32_t)position;
    return parse_time(&out->event.time_ms, row, err);
}

/* NDJSON becomes the array it stands for. */
static json_t *parse_lines(const struct text *body, struct err *err)
{
    json_t *rows = json_array();
    size_t number = 0;
    for (size_t at = 0; at < body->size;) {
        const char *line = body->bytes + at;
        const char *end = memchr(line, '\n', body->size - at);
        size_t size = end ? (size_t)(end - line) : body->size - at;
        char what[32];
        number++;
        at += size + 1;
        if (strspn(line, " \t\r") >= size)
            continue;
        snprintf(what, sizeof what, "line %zu", number);
        json_t *row = json_parse(line, size, what, err);
        if (!row) {
            json_decref(rows);
            return NULL;
        }
        json_array_append_new(rows, row);
    }
    return rows;
}

static bool is_ndjson(const struct call *call)
{
    const char *type =
        MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, "Content-Type");
    return type && (strncasecmp(type, "application/x-ndjson", 20) == 0 ||
                    strncasecmp(type, "application/ndjson", 18) == 0);
}

static void reject(struct events_write *write, size_t index, const char *reason)
{
    write->rejected++;
    if (json_array_size(write->errors) < ERRORS_MAX)
        json_array_append_new(
            write->errors, json_pack("{s:I, s:s}", "index", (json_int_t)index, "problem", reason));
}

/* The rows of the body: one event, an array, or {"events": [..]}.  Borrowed from call->json. */
static json_t *rows_of(struct call *call, struct err *err)
{
    if (is_ndjson(call))
        call->json = parse_lines(&call->body, err);
    else
        call->json =
            json_parse(call->body.bytes ? call->body.bytes : "", call->body.size, "body", err);
    if (!call->json)
        return NULL;
    if (json_is_object(call->json) && json_object_get(call->json, "events")) {
        json_t *inner = NULL;
        static const char *const fields[] = {"events"};
        if (!json_fields(call->json, fields, 1, err) ||
            !json_list(&inner, call->json, "events", err))
            return NULL;
        if (!inner)
            err_set(err, ERR_INPUT, "events: expected an array, found null");
        return inner;
    }
    if (json_is_object(call->json)) {
        json_t *array = json_array();
        json_array_append_new(array, call->json);
        call->json = array;
    }
    if (!json_is_array(call->json)) {
        err_set(err, ERR_INPUT, "body: expected an event, an array or NDJSON, found %s",
                json_kind(call->json));
        return NULL;
    }
    return call->json;
}

static void write_free(void *self)
{
    struct events_write *write = self;
    for (size_t i = 0; i < write->count; i++)
        free(write->rows[i].properties);
    json_decref(write->errors);
    free(write);
}

bool prepare_events(struct call *call)
{
    struct err err = {0};
    size_t max = call->service->settings->events_max;
    json_t *rows = rows_of(call, &err);
    size_t count = json_array_size(rows);
    if (!rows) {
        if (err.code == ERR_INPUT && !call->json)
            call_problem(call, 400, "malformed", NULL, err.text);
        else
            call_fail(call, &err);
        return false;
    }
    struct events_write *write = NULL;
    if (count == 0 || count > max)
        err_set(&err, ERR_LIMIT, "events: expected 1 to %zu in a request, found %zu", max, count);
    else if (!(write = calloc(1, sizeof *write + count * sizeof *write->rows)))
        err_set(&err, ERR_SYSTEM, "no memory for %zu events", count);
    if (!write) {
        call_fail(call, &err);
        return false;
    }
    call->write = write;
    call->write_free = write_free;
    write->errors = json_array();
    for (size_t i = 0; i < count; i++) {
        struct err row = {0};
        if (parse_row(&write->rows[write->count], json_array_get(rows, i), &row)) {
            write->count++;
        } else {
            free(write->rows[write->count].properties);
            write->rows[write->count].properties = NULL;
            reject(write, i, row.text);
            err = row;
        }
    }
    atomic_fetch_add(&call->service->metrics.events_rejected, write->rejected);
    if (write->count)
        return true;
    if (count == 1)
        call_fail(call, &err);
    else
        committed_events(call);
    if (count > 1)
        call->status = 422;
    return false;
}

bool apply_events(struct call *call, const struct store_txn *txn, struct err *err)
{
    struct events_write *write = call->write;
    write->accepted = write->duplicates = write->unjoined =
        0; /* a group that failed is tried again one by one */
    for (size_t i = 0; i < write->count; i++) {
        enum event_result result;
        bool joined;
        if (!events_append(&result, &joined, txn, &write->rows[i].event, err))
            return false;
        write->accepted += result == EVENT_ACCEPTED;
        write->duplicates += result == EVENT_DUPLICATE;
        write->unjoined += result == EVENT_ACCEPTED && !joined;
    }
    return true;
}

void committed_events(struct call *call)
{
    struct events_write *write = call->write;
    atomic_fetch_add(&call->service->metrics.events_accepted, write->accepted);
    atomic_fetch_add(&call->service->metrics.events_duplicate, write->duplicates);
    json_t *errors = write->errors;
    write->errors = NULL;
    call_reply_json(call, 202,
                    json_pack("{s:I, s:I, s:I, s:I, s:o}", "accepted", (json_int_t)write->accepted,
                              "duplicates", (json_int_t)write->duplicates, "rejected",
                              (json_int_t)write->rejected, "unjoined", (json_int_t)write->unjoined,
                              "errors", errors));
}
