/* client.h: a server of our own on a free port, and requests to it.  Test code: any failure aborts
 * the test. */
#ifndef TESTS_SERVICE_CLIENT_H
#define TESTS_SERVICE_CLIENT_H

#include "tests/test.h"

#include "base/files.h"

#include <jansson.h>
#include <sys/types.h>

struct server {
    pid_t pid;
    unsigned port;
    int out;       /* its stdout */
    char log[600]; /* its stderr, appended to */
};

/* Copies the trained home of the fixture to a fresh folder; two versions lie in it. */
void home_copy(char *home, size_t room, const char *name);
void home_versions(char first[64], char second[64], const char *home);
/* The same of any home, beside it. */
void home_clone(char *home, size_t room, const char *from, const char *name);
/* Without versions and trainings; with its indexes, or without those too. */
void home_forget(const char *home, bool indexes);
/* The newest version's name, and the SHA-256 of its two files of weights. */
void home_newest(char version[64], const char *home);
void home_weights(char digests[2][SHA256_TEXT], const char *home);
/*
 * Runs a training three times in clones of a home: on one thread, on four, and on one after it was
 * killed `seconds` in.  The weights must be the same; they are left in `digests`.  ends: it may be
 * fast enough to end before it is killed.
 */
void the_same_weights(char digests[2][SHA256_TEXT], const char *base, const char *args,
                      const char *seconds, bool ends);

/* extra: more arguments, or NULL.  preload: a library for LD_PRELOAD, or NULL. */
struct server server_start(const char *home, const char *extra, const char *preload);
void server_kill(struct server *server); /* -9 */
int server_stop(struct server *server);  /* SIGTERM; returns the exit status */
void server_ready(const struct server *server);
/* A copy of the fixture's home with a server on it, ready; and the end of both: the exit status. */
void served_copy(struct server *server, char *home, size_t room, const char *name,
                 const char *extra);
int served_drop(struct server *server, const char *home);

/* Runs `tessera --home HOME ARGS`, its stderr into err[room]; returns the exit status. */
int tessera(char *err, size_t room, const char *home, const char *args);
void tessera_fine(const char *home, const char *args); /* it must succeed */

struct reply {
    long status;  /* 0: no reply */
    json_t *json; /* owned; NULL if it was no JSON */
    char text[4096];
    char headers[2048];
};

struct reply ask(const struct server *server, const char *method, const char *path,
                 const char *body);
struct reply ask_with(const struct server *server, const char *method, const char *path,
                      const char *body, size_t body_size, const char *header);
void reply_drop(struct reply *reply);

/* Asks and checks the status; the JSON is the caller's. */
json_t *expect(const struct server *server, long status, const char *method, const char *path,
               const char *body);

/* The text of a field, or "". */
const char *text_at(const json_t *object, const char *name);
/* The id at a rank of a slate, or "". */
const char *slate_item(const json_t *slate, size_t rank);
bool slate_has(const json_t *slate, const char *id);

#endif
