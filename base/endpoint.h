/*
 * endpoint.h: asks a large model that a user named, through the OpenAI-compatible
 * POST <endpoint>/chat/completions (OpenAI API reference, "Create chat completion").
 *
 * Nothing here runs unless a command was given an endpoint.  The key is read from the environment,
 * TESSERA_ENDPOINT_KEY, so that it stands in no file, no process list and no log.
 *
 * Threads   one question at a time per worker; workers side by side.
 * Errors    a reply of 408, 429 or 5xx, and a connection that fails, are tried again, with
 *           ENDPOINT_TRIES in all, after 1, 4, 16 s or what Retry-After says, at most 60 s.  Then
 *           ERR_SYSTEM names the address, what was expected and what came.  ERR_INPUT: this one
 *           question is refused (400, 413, 422, no content); others may be answered.
 * Cost      a round trip; connections are kept.
 */
#ifndef BASE_ENDPOINT_H
#define BASE_ENDPOINT_H

#include "base/settings.h"

enum { ENDPOINT_TRIES = 4, ENDPOINT_REPLY_MAX = 1 << 20 };

struct endpoint_settings {
    char endpoint[SETTING_TEXT_SIZE], endpoint_model[SETTING_TEXT_SIZE];
    size_t endpoint_parallel, endpoint_timeout_s;
};

extern const struct setting ENDPOINT_SETTINGS[];
extern const size_t ENDPOINT_SETTINGS_COUNT;

struct endpoint;

struct endpoint *endpoint_open(const struct endpoint_settings *settings,
                               struct err *err) MUST_CHECK;
void endpoint_close(struct endpoint *endpoint); /* NULL is fine */

/*
 * The model's answer to one message, a valid UTF-8 text; the caller frees it.  worker <
 * endpoint_parallel.  answer_tokens: at most so many.
 */
bool endpoint_ask(char **answer, struct endpoint *endpoint, size_t worker, const char *system,
                  const char *message, size_t answer_tokens, struct err *err) MUST_CHECK;

#endif
