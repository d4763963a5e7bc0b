/*
 * serve.c: libmicrohttpd in front: reads requests, checks keys, hands calls on, sends replies.
 *
 * Shutting down, in this order, because libmicrohttpd aborts if it is stopped while a connection is
 * suspended: stop accepting; close the queues and let their threads finish what waits, which
 * resumes every connection; stop the daemon.
 */
#include "base/json.h"
#include "base/log.h"
#include "data/records.h"
#include "service/chat.h"
#include "service/routes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct setting SERVE_SETTINGS[] = {
    SETTING(TEXT, serve_settings, host, "127.0.0.1", 0, 0,
            "IPv4 address to listen on; another than loopback needs an API key"),
    SETTING(SIZE, serve_settings, port, "8080", 0, 65535, "TCP port; 0: any free one, printed"),
    SETTING(SIZE, serve_settings, listeners, "2", 1, 64,
            "threads that read and answer connections"),
    SETTING(SIZE, serve_settings, workers, "2", 1, 256, "threads that run the model"),
    SETTING(SIZE, serve_settings, queue_max, "256", 1, 65536,
            "calls waiting in each queue; one more gets 503"),
    SETTING(SIZE, serve_settings, connections_max, "1024", 1, 65536, "open connections"),
    SETTING(SIZE, serve_settings, timeout_s, "30", 1, 3600, "seconds a connection may be idle"),
    SETTING(SIZE, serve_settings, body_max, "8388608", 1024, 1073741824, "bytes of a request body"),
    SETTING(SIZE, serve_settings, events_max, "10000", 1, 1000000, "events in one request"),
    SETTING(SIZE, serve_settings, history_max, "50", 1, 1000,
            "newest positive events that the policy reads"),
    SETTING(SIZE, serve_settings, history_events, "1000", 1, 100000,
            "newest events of a user that are looked at"),
    SETTING(SIZE, serve_settings, late_items_max, "1024", 0, 1000000,
            "room for items that come after the version; more are laid out when they come"),
    SETTING(SIZE, serve_settings, beam, "50", 1, BEAM_MAX, "names kept at each level"),
    SETTING(SIZE, serve_settings, scan_items_max, "200000", 0, 100000000,
            "items up to which find looks at every vector"),
    SETTING(SIZE, serve_settings, watch_ms, "200", 10, 60000,
            "milliseconds between looks at production/recommend"),
    SETTING(SIZE, serve_settings, slates_max, "1000000", 0, 1000000000,
            "served slates that are kept"),
    SETTING(SIZE, serve_settings, slate_days, "90", 1, 36500, "days that a served slate is kept"),
    SETTING(SIZE, serve_settings, slate_queue_max, "10000", 1, 1000000,
            "slates waiting to be written; more are dropped and counted"),
    SETTING(SIZE, serve_settings, slate_write_ms, "100", 1, 1000, "milliseconds a slate may wait"),
    SETTING(SIZE, serve_settings, chat_streams, "16", 1, 64, "chats that are answered at once"),
    SETTING(SIZE, serve_settings, chat_threads, "1", 1, 256,
            "threads that work on one step of all chats"),
    SETTING(SIZE, serve_settings, chat_queue_max, "64", 1, 65536,
            "chats that wait for one of them; one more gets 503"),
    SETTING(SIZE, serve_settings, chat_words, "120", 1, 160,
            "tokens of text in a reply, at most, where the client asks for no less"),
    SETTING(SIZE, serve_settings, chat_positions, "1024", 256, 65536,
            "symbols of a chat that its stream holds: the dialogue's newest, list and words"),
    SETTING(SIZE, serve_settings, chat_beat_ms, "10000", 50, 600000,
            "milliseconds after which a silent stream gets a comment"),
    SETTING(SIZE, serve_settings, chat_grace_ms, "5000", 0, 600000,
            "milliseconds that chats may go on when the service goes down"),
    SETTING(SIZE, serve_settings, conversations_max, "10000", 1, 10000000,
            "conversations whose shown items are remembered"),
    SETTING(SIZE, serve_settings, conversation_hours, "24", 1, 87600,
            "hours that a silent conversation is remembered"),
    SETTING(BOOL, serve_settings, insecure_no_auth, "false", 0, 0,
            "listen beyond loopback without any API key"),
};
const size_t SERVE_SETTINGS_COUNT = COUNT(SERVE_SETTINGS);

static void *take_uri(void *self, const char *uri, struct MHD_Connection *connection)
{
    struct call *call = call_new(self, uri);
    if (call)
        call->connection = connection;
    return call;
}

static void request_ended(void *self, struct MHD_Connection *connection, void **slot,
                          enum MHD_RequestTerminationCode code)
{
    (void)self;
    (void)connection;
    (void)code;
    call_free(*slot);
    *slot = NULL;
}

static void note_request_id(struct call *call)
{
    const char *given =
        MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, "X-Request-ID");
    if (!given || !*given || strlen(given) > 128)
        return;
    for (const char *at = given; *at; at++)
        if (*at <= ' ' || *at > '~')
            return;
    snprintf(call->request_id, sizeof call->request_id, "%s", given);
}

void call_note(const struct call *call)
{
    if (call->route)
        metrics_note(&call->service->metrics, (size_t)(call->route - ROUTES), call->status,
                     clock_s() - call->begin_s);
}

enum MHD_Result call_send(struct call *call)
{
    struct MHD_Response *response =
        call->file ? MHD_create_response_from_buffer(call->file_size, (void *)(uintptr_t)call->file,
                                                     MHD_RESPMEM_PERSISTENT)
                   : MHD_create_response_from_buffer(call->reply.size, call->reply.bytes,
                                                     MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    if (call->status != 204)
        MHD_add_response_header(response, "Content-Type", call->content_type);
    MHD_add_response_header(response, "X-Request-ID", call->request_id);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    if (call->file)
        MHD_add_response_header(response, "Content-Security-Policy", "default-src 'self'");
    if (call->retry_after)
        MHD_add_response_header(response, "Retry-After", "1");
    if (call->allow)
        MHD_add_response_header(response, "Allow", call->allow);
    if (call->status == 401)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    enum MHD_Result result = MHD_queue_response(call->connection, call->status, response);
    MHD_destroy_response(response);
    call_note(call);
    return result;
}

const char *call_key(const struct call *call)
{
    const char *bearer =
        MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, "Authorization");
    if (bearer && strncasecmp(bearer, "Bearer ", 7) == 0)
        return bearer + 7;
    return MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, "X-API-Key");
}

static bool has_scope(const char *scopes, const char *scope)
{
    size_t size = strlen(scope);
    for (const char *at = scopes; *at; at += strcspn(at, " "), at += strspn(at, " "))
        if (size == 0 || (strcspn(at, " ") == size && memcmp(at, scope, size) == 0))
            return true;
    return false;
}

/* True if the call may go on; otherwise the reply is there. */
static bool check_key(struct call *call)
{
    struct err err = {0};
    struct store_txn txn;
    char scopes[256];
    if (!call->route->scope)
        return true;
    if (!store_begin(&txn, call->service->store, false, &err)) {
        call_fail(call, &err);
        return false;
    }
    bool needed = !call->service->open_to_all || api_keys_count(&txn) > 0;
    const char *key = call_key(call);
    bool known = needed && key && api_key_scopes(scopes, sizeof scopes, &txn, key, &err);
    store_abort(&txn);
    if (!needed)
        return true;
    if (!known)
        call_problem(call, 401, "unauthenticated", NULL,
                     key ? "this key is not known"
                         : "expected Authorization: Bearer KEY or X-API-Key");
    else if (!has_scope(scopes, call->route->scope))
        call_problem(call, 403, "forbidden", NULL, "the key lacks the scope this path needs");
    else
        return true;
    return false;
}

static bool read_json(struct call *call)
{
    struct err err = {0};
    if (!call->route->body || call->route->apply == apply_events)
        return true;
    call->json =
        json_parse(call->body.bytes ? call->body.bytes : "", call->body.size, "body", &err);
    if (!call->json) {
        call_problem(call, 400, "malformed", NULL, err.text);
        return false;
    }
    if (json_is_object(call->json))
        return true;
    err_set(&err, ERR_INPUT, "body: expected an object, found %s", json_kind(call->json));
    call_fail(call, &err);
    return false;
}

/* The whole request is here.  Suspends the connection if the call has to wait for another thread.
 */
static enum MHD_Result begin_call(struct call *call, const char *method)
{
    struct err err = {0};
    struct service *service = call->service;
    note_request_id(call);
    if (!call_split(call, &err)) {
        if (err.code == ERR_MISSING)
            call_problem(call, 404, "not_found", NULL, err.text);
        else
            call_problem(call, 400, "malformed", NULL, err.text);
        return call_send(call);
    }
    call->route = route_find(call, method);
    if (!call->route || !check_key(call) || !read_json(call))
        return call_send(call);
    if (call->route->kind == ROUTE_AT_ONCE) {
        call->route->answer(call, NULL, NULL);
        return call_send(call);
    }
    if (call->route->kind == ROUTE_CHAT)
        return chat_begin_call(call);
    if (call->route->kind == ROUTE_WRITE && !call->route->prepare(call))
        return call_send(call);
    if (atomic_load(&service->stopping)) {
        call_problem(call, 503, "overloaded", NULL, "the service is going down");
        return call_send(call);
    }
    call->state = CALL_QUEUED;
    MHD_suspend_connection(call->connection); /* before the push: the other thread may be faster */
    struct call_queue *queue =
        call->route->kind == ROUTE_WRITE ? &service->write_queue : &service->model_queue;
    if (queue_push(queue, call, service->settings->queue_max))
        return MHD_YES;
    atomic_fetch_add(&service->metrics.overloads, 1);
    call_problem(call, 503, "overloaded", NULL, "too many calls are waiting");
    call->state = CALL_DONE;
    MHD_resume_connection(call->connection);
    return MHD_YES;
}

static enum MHD_Result on_request(void *self, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **slot)
{
    struct service *service = self;
    struct call *call = *slot;
    (void)connection;
    (void)url;
    (void)version;
    if (!call)
        return MHD_NO;
    if (call->state == CALL_DONE)
        return call_send(call);
    if (call->body.limit == 0) { /* the first look: headers only */
        text_init(&call->body, service->settings->body_max);
        return MHD_YES;
    }
    if (*size) {
        text_add(&call->body, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (call->body.full) {
        char why[96];
        snprintf(why, sizeof why, "body: expected at most %zu bytes", service->settings->body_max);
        call_problem(call, 413, "too_large", NULL, why);
        return call_send(call);
    }
    return begin_call(call, method);
}

static void mhd_says(void *self, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void mhd_says(void *self, const char *format, va_list args)
{
    char text[400];
    (void)self;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = 0;
    log_debug("http %s", text);
}

static struct MHD_Daemon *listen_on(struct service *service, struct err *err)
{
    const struct serve_settings *s = service->settings;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
    if (inet_pton(AF_INET, s->host, &address.sin_addr) != 1) {
        err_set(err, ERR_INPUT, "host: expected an IPv4 address, found '%s'", s->host);
        return NULL;
    }
    bool loopback = (ntohl(address.sin_addr.s_addr) >> 24) == 127;
    struct store_txn txn;
    if (!store_begin(&txn, service->store, false, err))
        return NULL;
    size_t keys = api_keys_count(&txn);
    store_abort(&txn);
    if (!loopback && keys == 0 && !s->insecure_no_auth) {
        err_set(err, ERR_INPUT,
                "host: %s is not loopback and there is no API key; make one with `tessera --home "
                "%s key` first",
                s->host, service->home);
        return NULL;
    }
    service->open_to_all = loopback || s->insecure_no_auth;
    errno = 0;
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
        (uint16_t)s->port, NULL, NULL, on_request, service, MHD_OPTION_EXTERNAL_LOGGER, mhd_says,
        NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_THREAD_POOL_SIZE,
        (unsigned)s->listeners, MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)s->timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)65536, MHD_OPTION_URI_LOG_CALLBACK, take_uri, service, MHD_OPTION_NOTIFY_COMPLETED,
        request_ended, service, MHD_OPTION_LISTENING_ADDRESS_REUSE, 0u, MHD_OPTION_END);
    if (!daemon)
        err_set(err, ERR_SYSTEM, "cannot listen on %s:%zu: %s", s->host, s->port,
                errno ? strerror(errno) : "port in use?");
    return daemon;
}

struct threads {
    pthread_t list[256 + 3]; /* workers, then speaker, committer and watcher */
    size_t workers, writers;
};

static bool start_threads(struct threads *threads, struct service *service, struct err *err)
{
    int code = 0;
    for (; !code && threads->workers < service->settings->workers; threads->workers += !code)
        code = pthread_create(&threads->list[threads->workers], NULL, worker_main, service);
    void *(*const writers[])(void *) = {speaker_main, committer_main, watcher_main};
    for (; !code && threads->writers < COUNT(writers); threads->writers += !code)
        code = pthread_create(&threads->list[threads->workers + threads->writers], NULL,
                              writers[threads->writers], service);
    return code == 0 || err_set(err, ERR_SYSTEM, "cannot start a thread: %s", strerror(code));
}

static void stop_threads(struct threads *threads, struct service *service)
{
    speaker_close(service);
    queue_close(&service->model_queue);
    for (size_t i = 0; i < threads->workers; i++)
        pthread_join(threads->list[i], NULL);
    if (threads->writers > 0)
        pthread_join(threads->list[threads->workers], NULL);
    queue_close(&service->write_queue); /* after the workers: their slates are written too */
    for (size_t i = 1; i < threads->writers; i++)
        pthread_join(threads->list[threads->workers + i], NULL);
}

static void say_where(const struct serve_settings *s, struct MHD_Daemon *daemon)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    printf("listening on http://%s:%u/\n", s->host, info ? info->port : (unsigned)s->port);
    fflush(stdout);
}

/*
 * Signals may come to any thread, those that libraries started before main() among them, which
 * block nothing: so a handler, and not sigwait().
 */
static sem_t asked_to_stop;
static volatile sig_atomic_t stop_signal;

static void ask_to_stop(int signal)
{
    int kept = errno;
    stop_signal = signal;
    sem_post(&asked_to_stop);
    errno = kept;
}

static void expect_signals(void)
{
    struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = SA_RESTART};
    sem_init(&asked_to_stop, 0, 0);
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void wait_for_signal(void)
{
    while (sem_wait(&asked_to_stop) != 0)
        ;
    log_info("serve.stopping signal=%d", (int)stop_signal);
}

bool job_serve(const struct serve_job *job, struct err *err)
{
    struct service *service = calloc(1, sizeof *service);
    struct threads threads = {0};
    if (!service)
        return err_set(err, ERR_SYSTEM, "no memory for the service");
    service->settings = job->settings;
    service->events = job->events;
    service->home = job->home;
    service->store = job->store;
    queue_init(&service->model_queue);
    queue_init(&service->write_queue);
    pthread_mutex_init(&service->snapshot_lock, NULL);
    pthread_mutex_init(&service->snapshot_change, NULL);
    pthread_mutex_init(&service->slate_lock, NULL);
    speaker_init(service);
    service->slates_end = &service->slates;
    expect_signals();

    struct err first = {0};
    if (!service_reload(service, &first)) /* nothing to serve yet is no reason not to take events */
        log_error("version.not_taken why=\"%s\"", first.text);
    snprintf(service->reload_error, sizeof service->reload_error, "%s", first.text);
    bool fine =
        start_threads(&threads, service, err); /* before any call can wait for one of them */
    struct MHD_Daemon *daemon = fine ? listen_on(service, err) : NULL;
    fine = fine && daemon;
    if (fine) {
        say_where(job->settings, daemon);
        wait_for_signal();
    }
    atomic_store(&service->stopping, true);
    /* no MHD_quiesce_daemon(): 0.9.75 may find the socket gone from its epoll set, and aborts */
    stop_threads(&threads, service);
    if (daemon)
        MHD_stop_daemon(daemon);
    snapshot_drop(service->snapshot);
    snapshot_drop(service->chat_snapshot);
    speaker_release(service);
    queue_release(&service->model_queue);
    queue_release(&service->write_queue);
    free(service);
    return fine;
}
