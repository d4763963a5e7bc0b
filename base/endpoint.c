#include "base/endpoint.h"

#include "base/json.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct setting ENDPOINT_SETTINGS[] = {
    SETTING(TEXT, endpoint_settings, endpoint, "", 0, 0,
            "address of an OpenAI-compatible model, such as http://127.0.0.1:8000/v1"),
    SETTING(TEXT, endpoint_settings, endpoint_model, "", 0, 0, "its name there"),
    SETTING(SIZE, endpoint_settings, endpoint_parallel, "4", 1, 64, "questions asked at a time"),
    SETTING(SIZE, endpoint_settings, endpoint_timeout_s, "60", 1, 3600, "seconds for one answer"),
};
const size_t ENDPOINT_SETTINGS_COUNT = COUNT(ENDPOINT_SETTINGS);

enum { WAIT_MOST_S = 60, QUOTED = 200 };

struct endpoint {
    const struct endpoint_settings *settings;
    char url[SETTING_TEXT_SIZE + 32];
    const char *key; /* NULL: none */
    struct curl_slist *headers;
    CURL *calls[64]; /* [endpoint_parallel] */
};

static size_t take_bytes(char *bytes, size_t one, size_t count, void *self)
{
    struct text *reply = self;
    text_add(reply, bytes, one * count);
    return reply->full ? 0 : one * count;
}

static bool add_header(struct endpoint *e, const char *line, struct err *err)
{
    struct curl_slist *longer = curl_slist_append(e->headers, line);
    if (!longer)
        return err_set(err, ERR_SYSTEM, "no memory for an endpoint's headers");
    e->headers = longer;
    return true;
}

static bool prepare(struct endpoint *e, struct err *err)
{
    struct text line;
    e->key = getenv("TESSERA_ENDPOINT_KEY");
    e->key = e->key && *e->key ? e->key : NULL;
    if (!add_header(e, "Content-Type: application/json", err))
        return false;
    text_init(&line, 1 << 16);
    text_addf(&line, "Authorization: Bearer %s", e->key ? e->key : "");
    bool fine = !e->key || add_header(e, line.bytes, err);
    text_release(&line);
    for (size_t w = 0; fine && w < e->settings->endpoint_parallel; w++)
        if (!(e->calls[w] = curl_easy_init()))
            return err_set(err, ERR_SYSTEM, "no memory for a connection");
    return fine;
}

/* user:password in an address would stand in every message. */
static bool has_password(const char *address)
{
    const char *host = strstr(address, "//") + 2;
    return memchr(host, '@', strcspn(host, "/?#")) != NULL;
}

struct endpoint *endpoint_open(const struct endpoint_settings *s, struct err *err)
{
    if (strncmp(s->endpoint, "http://", 7) != 0 && strncmp(s->endpoint, "https://", 8) != 0) {
        err_set(err, ERR_INPUT, "endpoint: expected an address http(s)://..., found '%.80s'",
                s->endpoint);
        return NULL;
    }
    if (has_password(s->endpoint)) {
        err_set(err, ERR_INPUT,
                "endpoint: expected no password in the address; give the key in "
                "TESSERA_ENDPOINT_KEY");
        return NULL;
    }
    if (!*s->endpoint_model) {
        err_set(err, ERR_INPUT, "endpoint_model: expected the name of a model, found nothing");
        return NULL;
    }
    struct endpoint *e = calloc(1, sizeof *e);
    if (!e || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(e);
        err_set(err, ERR_SYSTEM, "no memory for an endpoint");
        return NULL;
    }
    size_t size = strlen(s->endpoint);
    while (size && s->endpoint[size - 1] == '/')
        size--;
    e->settings = s;
    snprintf(e->url, sizeof e->url, "%.*s/chat/completions", (int)size, s->endpoint);
    if (prepare(e, err))
        return e;
    endpoint_close(e);
    return NULL;
}

void endpoint_close(struct endpoint *e)
{
    if (!e)
        return;
    for (size_t w = 0; w < COUNT(e->calls); w++)
        if (e->calls[w])
            curl_easy_cleanup(e->calls[w]);
    curl_slist_free_all(e->headers);
    curl_global_cleanup();
    free(e);
}

static char *question(const struct endpoint *e, const char *system, const char *message,
                      size_t answer_tokens)
{
    json_t *body = json_pack("{s:s, s:I, s:i, s:[{s:s, s:s}, {s:s, s:s}]}", "model",
                             e->settings->endpoint_model, "max_tokens", (json_int_t)answer_tokens,
                             "temperature", 0, "messages", "role", "system", "content", system,
                             "role", "user", "content", message);
    char *bytes = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return bytes;
}

/* The beginning of a reply as one line, without the key if it was echoed. */
static void quote(char quoted[QUOTED + 1], const struct endpoint *e, const struct text *reply)
{
    snprintf(quoted, QUOTED + 1, "%s", reply->size ? reply->bytes : "nothing");
    utf8_repair(quoted);
    for (char *c = quoted; *c; c++)
        *c = (unsigned char)*c < ' ' || *c == 127 ? ' ' : *c;
    if (e->key && strstr(reply->size ? reply->bytes : "", e->key))
        snprintf(quoted, QUOTED + 1, "a reply that holds the key");
}

/* One try; *again: another may fare better, after *wait_s if it says so. */
static bool post(struct text *reply, struct endpoint *e, CURL *call, const char *body, bool *again,
                 curl_off_t *wait_s, struct err *err)
{
    char why[CURL_ERROR_SIZE] = "";
    char quoted[QUOTED + 1];
    long status = 0;
    text_reset(reply);
    curl_easy_reset(call);
    curl_easy_setopt(call, CURLOPT_URL, e->url);
    curl_easy_setopt(call, CURLOPT_HTTPHEADER, e->headers);
    curl_easy_setopt(call, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(call, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(call, CURLOPT_WRITEDATA, reply);
    curl_easy_setopt(call, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(call, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(call, CURLOPT_TIMEOUT, (long)e->settings->endpoint_timeout_s);
    CURLcode code = curl_easy_perform(call);
    *wait_s = 0;
    if (code != CURLE_OK) {
        *again = code != CURLE_URL_MALFORMAT && code != CURLE_UNSUPPORTED_PROTOCOL &&
                 code != CURLE_WRITE_ERROR && code != CURLE_PEER_FAILED_VERIFICATION;
        return err_set(err, ERR_SYSTEM, "%s: expected an answer, found: %s", e->url,
                       reply->full ? "one beyond a MiB"
                       : *why      ? why
                                   : curl_easy_strerror(code));
    }
    curl_easy_getinfo(call, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(call, CURLINFO_RETRY_AFTER, wait_s);
    *again = status == 408 || status == 429 || status >= 500;
    if (status == 200)
        return true;
    quote(quoted, e, reply);
    bool this_one = status == 400 || status == 413 || status == 422;
    return err_set(err, this_one ? ERR_INPUT : ERR_SYSTEM, "%s: expected status 200, found %ld: %s",
                   e->url, status, quoted);
}

static char *answer_in(const struct endpoint *e, const struct text *reply, struct err *err)
{
    struct err why = {0};
    json_t *root = json_parse(reply->bytes ? reply->bytes : "", reply->size, "reply", &why);
    json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
    const json_t *content = json_object_get(json_object_get(choice, "message"), "content");
    char *answer = json_is_string(content) ? strdup(json_string_value(content)) : NULL;
    if (!answer) {
        char quoted[QUOTED + 1];
        quote(quoted, e, reply);
        err_set(err, ERR_INPUT, "%s: expected choices[0].message.content, found %s", e->url,
                quoted);
    }
    json_decref(root);
    return answer;
}

bool endpoint_ask(char **answer, struct endpoint *e, size_t worker, const char *system,
                  const char *message, size_t answer_tokens, struct err *err)
{
    struct text reply;
    char *body = question(e, system, message, answer_tokens);
    bool fine = body || err_set(err, ERR_INPUT, "a question for an endpoint is not valid UTF-8");
    text_init(&reply, ENDPOINT_REPLY_MAX);
    *answer = NULL;
    unsigned pause_s = 1;
    for (size_t tries = 1; fine; tries++, pause_s *= 4) {
        bool again = false;
        curl_off_t wait_s = 0;
        *err = (struct err){0};
        fine = post(&reply, e, e->calls[worker], body, &again, &wait_s, err);
        if (fine || !again || tries == ENDPOINT_TRIES)
            break;
        fine = true;
        unsigned wait =
            wait_s > 0 ? (unsigned)(wait_s < WAIT_MOST_S ? wait_s : WAIT_MOST_S) : pause_s;
        sleep(wait);
    }
    if (fine)
        *answer = answer_in(e, &reply, err);
    text_release(&reply);
    free(body);
    return *answer != NULL;
}
