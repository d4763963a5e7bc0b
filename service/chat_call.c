/*
 * chat_call.c: the listener's side of a chat: parsed, refused, or handed to the speaker.
 */
#include "service/chat.h"
#include "service/routes.h"

#include <string.h>

/* What is wrong with it is said at once, as plain HTTP. */
static bool parse(struct call *call)
{
    struct err err = {0};
    struct chat *chat = chat_new(call);
    call->chat = chat;
    if (!chat) {
        call_problem(call, 503, "overloaded", NULL, "no memory for a chat");
        return false;
    }
    if (!chat_request_parse(&chat->request, call->json, call->service->settings, &err)) {
        call_refuse(call, 422, chat->request.code, &err);
        return false;
    }
    json_decref(call->json); /* what of it is used is kept: a chat lasts, and many wait */
    call->json = NULL;
    text_release(&call->body);
    text_init(&call->body,
              call->service->settings->body_max); /* without a limit it would be awaited */
    chat->conversation = conversation_key(call_key(call), chat->request.conversation);
    return true;
}

static bool check_model(struct call *call)
{
    struct err err = {0};
    bool chats = false;
    const char *name = call->chat->request.model;
    struct snapshot *snapshot = model_snapshot(call->service, name, &chats);
    struct snapshot *any = service_chat_snapshot(call->service, NULL);
    bool fine = any && snapshot && chats;
    if (!any) {
        call_problem(call, 503, "not_ready", NULL, "no model version is in service yet");
    } else if (!snapshot) {
        model_refuse(call, name ? name : "");
    } else if (!chats) {
        err_set(&err, ERR_MISSING, "model: '%.100s' does not chat; expected chat or %.64s", name,
                any->version->name);
        call_refuse(call, 404, "model_not_found", &err);
    } else if (call->chat->request.reasons && !reasons_given(snapshot->version, &err)) {
        fine = false;
        call_refuse(call, 422, "invalid", &err);
    }
    snapshot_drop(snapshot);
    snapshot_drop(any);
    return fine;
}

static enum MHD_Result stream(struct call *call)
{
    struct MHD_Response *response = speech_response(call->chat);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "text/event-stream; charset=utf-8");
    MHD_add_response_header(response, "Cache-Control", "no-cache, no-transform");
    MHD_add_response_header(response, "X-Accel-Buffering", "no");
    MHD_add_response_header(response, "X-Request-ID", call->request_id);
    call->state = CALL_DONE;
    call->status = 200;
    enum MHD_Result result = MHD_queue_response(call->connection, 200, response);
    MHD_destroy_response(response);
    call_note(call);
    return result;
}

enum MHD_Result chat_begin_call(struct call *call)
{
    struct service *service = call->service;
    static const char hello[] = ": the dialogue is read\n\n";
    if (!parse(call) || !check_model(call))
        return call_send(call);
    bool streams = call->chat->request.stream;
    if (streams) {
        speech_add(call->chat, hello, sizeof hello - 1);
    } else {
        call->chat->call = call;
        call->state = CALL_QUEUED;
        MHD_suspend_connection(call->connection); /* before it waits: the speaker may be faster */
    }
    if (chat_wait(service, call->chat))
        return streams ? stream(call) : MHD_YES;
    atomic_fetch_add(&service->metrics.overloads, 1);
    call_problem(call, 503, "overloaded", NULL, "too many chats are waiting");
    if (streams)
        return call_send(call);
    call_done(call);
    return MHD_YES;
}
