/*
 * models.c: GET /v1/models and /v1/models/{id}: the versions in production, under the names of
 * their links and under their own.
 */
#include "service/routes.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct snapshot *model_snapshot(struct service *service, const char *name, bool *chats)
{
    struct snapshot *chat = service_chat_snapshot(service, NULL);
    struct snapshot *recommend = service_snapshot(service);
    struct snapshot *found = NULL;
    if (chat && (!name || strcmp(name, "chat") == 0 || strcmp(name, chat->version->name) == 0))
        found = chat;
    else if (recommend && (strcmp(name ? name : "", "recommend") == 0 ||
                           strcmp(name ? name : "", recommend->version->name) == 0))
        found = recommend;
    *chats = found && chat && found->version == chat->version;
    if (found)
        snapshot_hold(found);
    snapshot_drop(chat);
    snapshot_drop(recommend);
    return found;
}

/* Seconds since 1970 at which the version was made. */
static json_int_t made_at(const struct service *service, const char *version)
{
    char path[1200];
    struct stat facts;
    snprintf(path, sizeof path, "%s/models/%s/manifest.json", service->home, version);
    return stat(path, &facts) == 0 ? (json_int_t)facts.st_mtime : 0;
}

static json_t *model_json(const struct service *service, const char *id,
                          const struct snapshot *snapshot, bool chats)
{
    const struct version *version = snapshot->version;
    json_t *modes =
        version->attributes ? json_pack("[s, s]", "direct", "reason") : json_pack("[s]", "direct");
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:b, s:o, s:I, s:I}", "id", id, "object", "model",
                     "created", made_at(service, version->name), "owned_by", "tessera", "version",
                     version->name, "chats", chats, "modes", modes, "dimensions",
                     (json_int_t)version->policy.shape.dim, "items", (json_int_t)snapshot->rows);
}

void answer_models(struct call *call, struct scratch *work, struct snapshot *snapshot)
{
    static const char *const links[] = {"chat", "recommend"};
    struct service *service = call->service;
    json_t *list = json_array();
    char seen[2][64] = {"", ""};
    (void)work;
    (void)snapshot;
    for (size_t i = 0; i < COUNT(links); i++) {
        bool chats;
        struct snapshot *model = model_snapshot(service, links[i], &chats);
        if (!model)
            continue;
        json_array_append_new(list, model_json(service, links[i], model, chats));
        snprintf(seen[i], sizeof seen[i], "%s", model->version->name);
        if (i == 0 || strcmp(seen[0], seen[1]) != 0)
            json_array_append_new(list, model_json(service, model->version->name, model, chats));
        snapshot_drop(model);
    }
    call_reply_json(call, 200, json_pack("{s:s, s:o}", "object", "list", "data", list));
}

void model_refuse(struct call *call, const char *name)
{
    struct err err = {0};
    err_set(&err, ERR_MISSING, "model: there is no '%.100s'; GET /v1/models lists what there is",
            name);
    call_refuse(call, 404, "model_not_found", &err);
}

void answer_model(struct call *call, struct scratch *work, struct snapshot *snapshot)
{
    bool chats;
    const char *id = call->segment[2];
    struct snapshot *model = model_snapshot(call->service, id, &chats);
    (void)work;
    (void)snapshot;
    if (model) {
        call_reply_json(call, 200, model_json(call->service, id, model, chats));
        snapshot_drop(model);
        return;
    }
    model_refuse(call, id);
}
