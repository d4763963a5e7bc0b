/*
 * chat_reply.c: an answer in OpenAI's forms.
 *
 * A stream has only `data:` and comment frames, as the official clients take anything else for a
 * broken chunk.  What is ours stands inside delta, each in one frame: clients put deltas together
 * by name, and would not join two lists.
 */
#include "service/answer.h"

#include "base/log.h"

#include <string.h>

static const char *model_of(const struct chat *chat)
{
    return chat->request.model ? chat->request.model : "chat";
}

/* Ends the chat if a text has not all that it should hold. */
static bool is_too_large(struct chat *chat, const struct text *text)
{
    if (text->full)
        chat_fail(chat, 500, "internal", "the reply is larger than the service can send");
    return text->full;
}

/* `choices` with its brackets, or "[]"; usage: JSON, or NULL for none. */
static void add_frame(struct chat *chat, const char *choices, const char *usage)
{
    struct text frame;
    text_init(&frame, REPLY_BYTES);
    text_addf(&frame, "data: {\"id\":\"%s\",\"object\":\"chat.completion.chunk\",\"created\":%lld,",
              chat->id, (long long)chat->created_s);
    text_addf(&frame, "\"model\":");
    text_add_json(&frame, model_of(chat));
    text_addf(&frame, ",\"system_fingerprint\":\"%s\",\"choices\":%s",
              chat->answer->snapshot->version->name, choices);
    if (chat->request.usage)
        text_addf(&frame, ",\"usage\":%s", usage ? usage : "null");
    text_addf(&frame, "}\n\n");
    if (!is_too_large(chat, &frame))
        speech_add(chat, frame.bytes, frame.size);
    text_release(&frame);
}

/* delta: JSON of an object; finish: NULL while it goes on. */
static void add_delta(struct chat *chat, const char *delta, const char *finish)
{
    struct text choices;
    text_init(&choices, REPLY_BYTES);
    text_addf(&choices, "[{\"index\":0,\"delta\":%s,\"logprobs\":null,\"finish_reason\":", delta);
    if (finish)
        text_add_json(&choices, finish);
    else
        text_addf(&choices, "null");
    text_addf(&choices, "}]");
    if (!is_too_large(chat, &choices))
        add_frame(chat, choices.bytes, NULL);
    text_release(&choices);
}

static void add_json_delta(struct chat *chat, json_t *delta)
{
    char *text = json_dumps(delta, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (text)
        add_delta(chat, text, NULL);
    free(text);
    json_decref(delta);
}

/* What a message has beside its words. */
static json_t *extras(const struct chat *chat)
{
    const struct answer *a = chat->answer;
    json_t *out = json_pack("{s:s, s:O, s:O, s:O, s:{s:b, s:s?}}", "request_id", a->request_id,
                            "recommendations", a->recommendations, "understood", a->understood,
                            "not_understood", a->not_understood, "fallback", "used",
                            a->slate.fallback != NULL, "reason", a->slate.fallback);
    if (a->relaxed)
        json_object_set(out, "relaxed", a->relaxed);
    if (a->reasons)
        json_object_update_missing(out, a->reasons);
    return out;
}

void reply_list(struct chat *chat)
{
    if (!chat->request.stream)
        return;
    add_delta(chat, "{\"role\":\"assistant\",\"content\":\"\"}", NULL);
    add_json_delta(chat, extras(chat));
}

void reply_words(struct chat *chat, const char *words, size_t size)
{
    char piece[2048];
    struct text delta;
    if (!chat->request.stream)
        return;
    for (size_t at = 0; at < size; at += strlen(piece)) { /* on whole code points */
        size_t take = size - at < sizeof piece - 1 ? size - at : sizeof piece - 1;
        while (at + take < size && take > 1 && ((unsigned char)words[at + take] & 0xC0) == 0x80)
            take--;
        memcpy(piece, words + at, take);
        piece[take] = 0;
        text_init(&delta, SPEECH_BYTES);
        text_addf(&delta, "{\"content\":");
        text_add_json(&delta, piece);
        text_addf(&delta, "}");
        add_delta(chat, delta.bytes, NULL);
        text_release(&delta);
    }
}

static json_t *usage_of(const struct answer *a)
{
    return json_pack("{s:I, s:I, s:I}", "prompt_tokens", (json_int_t)a->prompt_tokens,
                     "completion_tokens", (json_int_t)a->tokens, "total_tokens",
                     (json_int_t)(a->prompt_tokens + a->tokens));
}

static void end_stream(struct chat *chat)
{
    char last[80];
    snprintf(last, sizeof last, "{\"text_source\":\"%s\"}", chat->answer->source);
    add_delta(chat, last, chat->answer->finish);
    if (chat->request.usage) {
        json_t *usage = usage_of(chat->answer);
        char *text = json_dumps(usage, JSON_COMPACT);
        add_frame(chat, "[]", text);
        free(text);
        json_decref(usage);
    }
    speech_add(chat, "data: [DONE]\n\n", 14);
    speech_end(chat);
}

void reply_end(struct chat *chat)
{
    struct answer *a = chat->answer;
    if (chat->request.stream) {
        end_stream(chat);
        return;
    }
    json_t *message = extras(chat);
    json_object_set_new(message, "role", json_string("assistant"));
    json_object_set_new(message, "content", json_string(a->words.bytes ? a->words.bytes : ""));
    json_object_set_new(message, "refusal", json_null());
    json_object_set_new(message, "text_source", json_string(a->source));
    speech_end(chat);
    call_reply_json(chat->call, 200,
                    json_pack("{s:s, s:s, s:I, s:s, s:s, s:[{s:i, s:o, s:n, s:s}], s:o}", "id",
                              chat->id, "object", "chat.completion", "created",
                              (json_int_t)chat->created_s, "model", model_of(chat),
                              "system_fingerprint", a->snapshot->version->name, "choices", "index",
                              0, "message", message, "logprobs", "finish_reason", a->finish,
                              "usage", usage_of(a)));
    call_done(chat->call);
}

void chat_fail(struct chat *chat, unsigned status, const char *code, const char *detail)
{
    if (!chat->request.stream) {
        speech_end(chat);
        call_problem(chat->call, status, code, NULL, detail);
        call_done(chat->call);
        return;
    }
    json_t *frame =
        json_pack("{s:{s:s, s:s, s:n, s:s}}", "error", "message", detail, "type",
                  status < 500 ? "invalid_request_error" : "server_error", "param", "code", code);
    char *json = json_dumps(frame, JSON_COMPACT);
    struct text text;
    text_init(&text, SPEECH_BYTES);
    text_addf(&text, "data: %s\n\n", json ? json : "{\"error\":{}}");
    speech_add(chat, text.bytes, text.size); /* and no [DONE] after it */
    text_release(&text);
    free(json);
    json_decref(frame);
    speech_end(chat);
}
