/*
 * chat_request.c: the body of POST /v1/chat/completions, read and refused.
 *
 * Whole numbers may come as 1.0, as some clients write them, and in metadata as text, as OpenAI's
 * metadata is a map of texts.
 */
#include "base/json.h"
#include "recommend/wishes.h"
#include "service/chat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool refuse(struct chat_request *r, const char *code)
{
    r->code = code;
    return false;
}

#define REFUSE(code, ...) (err_set(err, ERR_INPUT, __VA_ARGS__), refuse(r, code))

/* A number without a fraction, or a text of one. */
static bool whole(size_t *out, const json_t *object, const char *place, const char *name,
                  size_t least, size_t most, struct err *err)
{
    const json_t *value = json_object_get(object, name);
    double number = -1;
    uint64_t parsed;
    if (!value || json_is_null(value))
        return true;
    if (json_is_number(value))
        number = json_number_value(value);
    else if (json_is_string(value) && *place &&
             parse_u64(&parsed, json_string_value(value), 0, most))
        number = (double)parsed;
    else
        return err_set(err, ERR_INPUT, "%s%s: expected a whole number, found %s", place, name,
                       json_kind(value));
    if (number != floor(number) || number < (double)least || number > (double)most)
        return err_set(err, ERR_INPUT, "%s%s: expected a whole number from %zu to %zu, found %g",
                       place, name, least, most, number);
    *out = (size_t)number;
    return true;
}

static bool is_nothing(const json_t *value)
{
    return !value || json_is_null(value) || json_is_false(value) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* What would make another answer than the one that is given must not be passed over in silence. */
static bool refuse_unsupported(struct chat_request *r, const json_t *body, struct err *err)
{
    static const char *const fields[] = {
        "tools",      "functions", "logprobs",          "top_logprobs",
        "logit_bias", "audio",     "web_search_options"};
    size_t n = 1;
    for (size_t i = 0; i < COUNT(fields); i++) {
        const json_t *value = json_object_get(body, fields[i]);
        bool zero = json_is_number(value) && json_number_value(value) == 0;
        if (!is_nothing(value) && !zero)
            return REFUSE("unsupported_parameter", "%s: not offered here; expected none",
                          fields[i]);
    }
    if (!whole(&n, body, "", "n", 0, 1000000, err))
        return refuse(r, "invalid");
    if (n != 1)
        return REFUSE("unsupported_parameter",
                      "n: expected 1 choice, found %zu (metadata.n says how many items)", n);
    const json_t *format = json_object_get(body, "response_format");
    if (!is_nothing(format) && !is_text(json_object_get(format, "type"), "text"))
        return REFUSE("unsupported_parameter",
                      "response_format: expected {\"type\": \"text\"}; what was found for the "
                      "dialogue stands in message.recommendations");
    const json_t *modalities = json_object_get(body, "modalities");
    for (size_t i = 0; i < json_array_size(modalities); i++)
        if (!is_text(json_array_get(modalities, i), "text"))
            return REFUSE("unsupported_parameter", "modalities[%zu]: expected text", i);
    const json_t *choice = json_object_get(body, "tool_choice");
    if (choice && !json_is_null(choice) && !is_text(choice, "none") && !is_text(choice, "auto"))
        return REFUSE("unsupported_parameter", "tool_choice: no tools are offered here");
    return true;
}

/* ---- messages ---- */

static bool read_role(enum chat_role *role, struct chat_request *r, const json_t *message,
                      size_t at, struct err *err)
{
    static const struct {
        const char *name;
        enum chat_role role;
    } roles[] = {{"system", CHAT_SYSTEM},
                 {"developer", CHAT_SYSTEM},
                 {"user", CHAT_USER},
                 {"assistant", CHAT_ASSISTANT}};
    const json_t *value = json_object_get(message, "role");
    for (size_t i = 0; i < COUNT(roles); i++)
        if (is_text(value, roles[i].name)) {
            *role = roles[i].role;
            return true;
        }
    if (is_text(value, "tool") || is_text(value, "function"))
        return REFUSE("unsupported_value",
                      "messages[%zu].role: no tools are offered here; expected system, developer, "
                      "user or assistant, found %s",
                      at, json_string_value(value));
    return REFUSE("invalid",
                  "messages[%zu].role: expected system, developer, user or assistant, found %.40s",
                  at, json_is_string(value) ? json_string_value(value) : json_kind(value));
}

/* One part of a content that is an array. */
static bool add_part(struct text *text, struct chat_request *r, const json_t *part, size_t message,
                     size_t at, struct err *err)
{
    const json_t *type = json_object_get(part, "type");
    const char *field = is_text(type, "refusal") ? "refusal" : "text";
    if (!json_is_object(part))
        return REFUSE("invalid", "messages[%zu].content[%zu]: expected an object, found %s",
                      message, at, json_kind(part));
    if (!is_text(type, "text") && !is_text(type, "input_text") && !is_text(type, "output_text") &&
        !is_text(type, "refusal"))
        return REFUSE("unsupported_value",
                      "messages[%zu].content[%zu].type: this model reads text only, found %.40s",
                      message, at,
                      json_is_string(type) ? json_string_value(type) : json_kind(type));
    const json_t *words = json_object_get(part, field);
    if (!json_is_string(words))
        return REFUSE("invalid", "messages[%zu].content[%zu].text: expected a text, found %s",
                      message, at, json_kind(words));
    if (text->size)
        text_add(text, "\n", 1);
    text_add(text, json_string_value(words), json_string_length(words));
    return true;
}

static bool read_content(struct text *text, struct chat_request *r, const json_t *message,
                         enum chat_role role, size_t at, struct err *err)
{
    const json_t *content = json_object_get(message, "content");
    if (json_is_string(content)) {
        text_add(text, json_string_value(content), json_string_length(content));
        return true;
    }
    if (json_is_array(content)) {
        for (size_t i = 0; i < json_array_size(content); i++)
            if (!add_part(text, r, json_array_get(content, i), at, i, err))
                return false;
        return true;
    }
    if (role == CHAT_ASSISTANT && (!content || json_is_null(content)))
        return true; /* it only called a tool, or refused */
    return REFUSE("invalid",
                  "messages[%zu].content: expected a text or an array of parts, found %s", at,
                  content ? json_kind(content) : "nothing");
}

/* The ids of items, the first that can be referred to; NULL: none. */
static json_t *ids_of(const json_t *items)
{
    json_t *ids = json_array_size(items) ? json_array() : NULL;
    for (size_t i = 0; i < json_array_size(items) && i < WISH_SHOWN_MAX; i++) {
        json_t *id = json_object_get(json_array_get(items, i), "item_id");
        if (json_string_length(id) && json_string_length(id) <= ID_SIZE_MAX)
            json_array_append(ids, id);
    }
    return ids;
}

static bool read_message(struct chat_message *out, struct chat_request *r, const json_t *message,
                         size_t at, struct err *err)
{
    struct text text;
    if (!json_is_object(message))
        return REFUSE("invalid", "messages[%zu]: expected an object, found %s", at,
                      json_kind(message));
    if (!read_role(&out->role, r, message, at, err))
        return false;
    text_init(&text, SIZE_MAX / 2);
    text_add(&text, "", 0);
    bool fine = read_content(&text, r, message, out->role, at, err);
    out->text = text.bytes;
    if (fine && !out->text)
        fine = REFUSE("invalid", "messages[%zu]: no memory", at);
    if (out->role == CHAT_ASSISTANT)
        out->recommendations = ids_of(json_object_get(message, "recommendations"));
    return fine;
}

/* Cuts a text to its newest `most` bytes, at the beginning of a letter. */
static void keep_end(char *text, size_t most)
{
    size_t size = strlen(text);
    if (size <= most)
        return;
    const char *from = text + size - most;
    while (((unsigned char)*from & 0xC0) == 0x80)
        from++;
    memmove(text, from, strlen(from) + 1);
}

/* The newest CHAT_TEXT_MAX bytes are read: far more than any policy's positions hold. */
static void keep_newest(struct chat_request *r)
{
    size_t left = CHAT_TEXT_MAX;
    for (size_t i = r->count; i-- > 0;) {
        keep_end(r->messages[i].text, left);
        left -= strlen(r->messages[i].text);
    }
}

static bool read_messages(struct chat_request *r, const json_t *body, struct err *err)
{
    const json_t *messages = json_object_get(body, "messages");
    size_t count = json_array_size(messages);
    bool asked = false;
    if (!json_is_array(messages) || count == 0)
        return REFUSE("invalid", "messages: expected an array of one message or more, found %s",
                      json_is_array(messages) ? "none" : json_kind(messages));
    size_t first = count > CHAT_MESSAGES_MAX ? count - CHAT_MESSAGES_MAX : 0;
    r->messages = calloc(count - first, sizeof *r->messages);
    if (!r->messages)
        return REFUSE("invalid", "messages: no memory for %zu", count - first);
    for (size_t i = first; i < count; i++) {
        struct chat_message *message = &r->messages[r->count++];
        if (!read_message(message, r, json_array_get(messages, i), i, err))
            return false;
        asked = asked || message->role == CHAT_USER;
    }
    if (!asked)
        return REFUSE("invalid", "messages: expected one of role user, found none");
    keep_newest(r);
    return true;
}

/* ---- what is ours ---- */

/* An array of texts, or one text, from metadata or from the body itself (extra_body). */
static bool read_ids(const json_t **out, struct chat_request *r, const json_t *body,
                     const char *name, struct err *err)
{
    json_t *value = json_object_get(json_object_get(body, "metadata"), name);
    if (is_nothing(value))
        value = json_object_get(body, name);
    if (is_nothing(value))
        return true;
    if (json_is_object(value) && json_object_get(value, "item_ids")) /* as in /v1/recommendations */
        value = json_object_get(value, "item_ids");
    if (json_is_string(value)) {
        json_t *list = json_array();
        json_array_append(list, value);
        json_array_append_new(r->kept, list);
        value = list;
    } else {
        json_array_append(r->kept, value);
    }
    if (!json_is_array(value))
        return REFUSE("invalid", "%s: expected an array of ids, found %s", name, json_kind(value));
    if (json_array_size(value) > CHAT_IDS_MAX)
        return REFUSE("invalid", "%s: expected at most %d, found %zu", name, CHAT_IDS_MAX,
                      json_array_size(value));
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!json_is_string(json_array_get(value, i)))
            return REFUSE("invalid", "%s[%zu]: expected a text, found %s", name, i,
                          json_kind(json_array_get(value, i)));
    *out = value;
    return true;
}

static bool read_text(const char **out, struct chat_request *r, const json_t *object,
                      const char *place, const char *name, size_t most, struct err *err)
{
    json_t *value = json_object_get(object, name);
    if (!value || json_is_null(value))
        return true;
    if (!json_is_string(value))
        return REFUSE("invalid", "%s%s: expected a text, found %s", place, name, json_kind(value));
    if (json_string_length(value) > most)
        return REFUSE("invalid", "%s%s: expected at most %zu bytes, found %zu", place, name, most,
                      json_string_length(value));
    if (json_string_length(value)) {
        *out = json_string_value(value);
        json_array_append(r->kept, value);
    }
    return true;
}

static bool check_ids(struct chat_request *r, struct err *err)
{
    char id[ID_SIZE_MAX + 1];
    uint64_t wish;
    for (size_t i = 0; i < json_array_size(r->exclude); i++) {
        const json_t *value = json_array_get(r->exclude, i);
        char field[40];
        snprintf(field, sizeof field, "exclude[%zu]", i);
        if (!id_normalise(id, json_string_value(value), json_string_length(value), field, err))
            return refuse(r, "invalid");
    }
    for (size_t i = 0; i < json_array_size(r->undo); i++) {
        const char *text = json_string_value(json_array_get(r->undo, i));
        if (!wish_id_read(&wish, text))
            return REFUSE("invalid", "undo[%zu]: expected the id of a wish, found '%.40s'", i,
                          text);
    }
    if (json_array_size(r->undo) <= WISHES_MAX)
        return true;
    return REFUSE("invalid", "undo: expected at most %d ids, found %zu", WISHES_MAX,
                  json_array_size(r->undo));
}

static bool read_ours(struct chat_request *r, const json_t *body, struct err *err)
{
    const json_t *metadata = json_object_get(body, "metadata");
    const char *mode = NULL;
    if (metadata && !json_is_null(metadata) && !json_is_object(metadata))
        return REFUSE("invalid", "metadata: expected an object, found %s", json_kind(metadata));
    if (!read_text(&r->user, r, body, "", "user", ID_SIZE_MAX, err) ||
        !read_text(&r->user, r, metadata, "metadata.", "user_id", ID_SIZE_MAX, err) ||
        !read_text(&r->conversation, r, metadata, "metadata.", "conversation_id",
                   CONVERSATION_ID_MAX, err) ||
        !read_text(&mode, r, body, "", "mode", 40, err) ||
        !read_text(&mode, r, metadata, "metadata.", "mode", 40, err) ||
        !whole(&r->n, metadata, "metadata.", "n", 1, CHAT_ITEMS_MAX, err) ||
        !read_ids(&r->exclude, r, body, "exclude", err) ||
        !read_ids(&r->undo, r, body, "undo", err) || !check_ids(r, err))
        return false;
    char id[ID_SIZE_MAX + 1];
    if (r->user && !id_normalise(id, r->user, strlen(r->user), "user", err))
        return refuse(r, "invalid");
    r->reasons = mode && strcmp(mode, "reason") == 0;
    if (mode && !r->reasons && strcmp(mode, "direct") != 0)
        return REFUSE("invalid", "mode: expected direct or reason, found '%.40s'", mode);
    return true;
}

/* ---- how to say it ---- */

static bool read_stops(struct chat_request *r, const json_t *body, struct err *err)
{
    json_t *stop = json_object_get(body, "stop");
    size_t count = json_array_size(stop);
    if (!stop || json_is_null(stop))
        return true;
    if (json_is_string(stop))
        r->stops[r->stop_count++] = json_string_value(stop);
    else if (!json_is_array(stop) || count > CHAT_STOPS)
        return REFUSE("invalid", "stop: expected a text or at most %d of them, found %s",
                      CHAT_STOPS, json_is_array(stop) ? "more" : json_kind(stop));
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(stop, i));
        if (!text)
            return REFUSE("invalid", "stop[%zu]: expected a text, found %s", i,
                          json_kind(json_array_get(stop, i)));
        r->stops[r->stop_count++] = text;
    }
    json_array_append(r->kept, stop);
    for (size_t i = 0; i < r->stop_count; i++)
        if (!*r->stops[i])
            return REFUSE("invalid", "stop: expected texts that are not empty");
    return true;
}

static bool read_manner(struct chat_request *r, const json_t *body,
                        const struct serve_settings *settings, struct err *err)
{
    double unused = 0; /* read for their errors alone: README.md says what they do not do */
    size_t most = SIZE_MAX;
    size_t seed = 0;
    r->words_max = settings->chat_words;
    if (!json_real64(&r->temperature, body, "temperature", 0, 2, err) ||
        !json_real64(&unused, body, "top_p", 0, 1, err) ||
        !json_real64(&unused, body, "presence_penalty", -2, 2, err) ||
        !json_real64(&unused, body, "frequency_penalty", -2, 2, err) ||
        !whole(&most, body, "", "max_tokens", 1, CHAT_TOKENS_MAX, err) ||
        !whole(&most, body, "", "max_completion_tokens", 1, CHAT_TOKENS_MAX, err) ||
        !json_flag(&r->stream, body, "stream", err))
        return refuse(r, "invalid");
    const json_t *number = json_object_get(body, "seed");
    if (json_is_integer(number) && json_integer_value(number) < 0) /* a 64-bit seed of any sign */
        r->seed = (uint64_t)json_integer_value(number);
    else if (whole(&seed, body, "", "seed", 0, (size_t)1 << 53, err))
        r->seed = seed;
    else
        return refuse(r, "invalid");
    r->asked_max = most;
    r->words_max = most < r->words_max ? most : r->words_max;
    const json_t *options = json_object_get(body, "stream_options");
    if (options && !json_is_null(options) && !json_is_object(options))
        return REFUSE("invalid", "stream_options: expected an object, found %s",
                      json_kind(options));
    if (!json_flag(&r->usage, options, "include_usage", err))
        return err_prefix(err, "stream_options"), refuse(r, "invalid");
    if (!is_nothing(options) && !r->stream)
        return REFUSE("invalid", "stream_options: expected only with stream: true");
    return true;
}

bool chat_request_parse(struct chat_request *r, const json_t *body,
                        const struct serve_settings *settings, struct err *err)
{
    *r = (struct chat_request){.n = 10, .kept = json_array(), .code = "invalid"};
    return refuse_unsupported(r, body, err) &&
           read_text(&r->model, r, body, "", "model", 256, err) && read_messages(r, body, err) &&
           read_manner(r, body, settings, err) && read_stops(r, body, err) &&
           read_ours(r, body, err);
}

void chat_request_release(struct chat_request *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->messages[i].text);
        json_decref(r->messages[i].recommendations);
    }
    free(r->messages);
    json_decref(r->kept);
    *r = (struct chat_request){0};
}
