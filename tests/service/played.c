#include "tests/service/played.h"

#include "base/settings.h"
#include "base/text.h"
#include "data/store.h"
#include "recommend/talks.h"
#include "service/service.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

/* ---- the stand-in ---- */

struct play play;

enum { PLAY_STREAMS = 64 };

struct talks {
    struct snapshot *snapshot;
    size_t streams;
    struct talk *talk[PLAY_STREAMS];
    size_t at[PLAY_STREAMS]; /* letters said */
};

struct talks *talks_open(struct snapshot *snapshot, const struct talks_options *options,
                         struct err *err)
{
    struct talks *talks = calloc(1, sizeof *talks);
    (void)err;
    assert_non_null(talks);
    talks->snapshot = snapshot_hold(snapshot);
    talks->streams = options->streams;
    return talks;
}

void talks_close(struct talks *talks)
{
    if (talks)
        snapshot_drop(talks->snapshot);
    free(talks);
}

bool talks_speak(const struct talks *talks)
{
    return talks != NULL;
}

bool talks_add(struct talks *talks, struct talk *talk)
{
    for (size_t i = 0; i < talks->streams; i++)
        if (!talks->talk[i]) {
            talks->talk[i] = talk;
            talks->at[i] = 0;
            talk->state = TALK_READING;
            talk->listed = talk->said_count = 0;
            return true;
        }
    return false;
}

void talks_remove(struct talks *talks, struct talk *talk)
{
    for (size_t i = 0; i < talks->streams; i++)
        if (talks->talk[i] == talk) {
            talks->talk[i] = NULL;
            atomic_fetch_add(&play.removed, 1);
            atomic_store(&play.removed_at, atomic_load(&play.steps));
        }
}

static void list_all(struct talk *talk, const struct snapshot *s)
{
    for (uint32_t row = 0; row < s->version->index->items && talk->listed < talk->n; row++)
        if (!bit_get(talk->skip, row)) {
            talk->log_p[talk->listed] = -1;
            talk->rows[talk->listed++] = row;
        }
}

/* One letter; `#` is the first item of the list. */
static void say_one(struct talks *talks, size_t i)
{
    struct talk *talk = talks->talk[i];
    const char *first = atomic_load(&play.text[0]);
    const char *second = atomic_load(&play.text[1]);
    const char *text = talk->seed != 0 && second ? second : first;
    char letter = text[talks->at[i]];
    if (!letter || talk->said_count + 2 > TALK_WORDS_MAX || talk->said_count >= talk->words_max) {
        talk->state = TALK_DONE;
        talks->talk[i] = NULL;
        return;
    }
    talks->at[i]++;
    if (letter == '#') {
        talk->said[talk->said_count++] = TOKEN + talks->snapshot->version->policy.marks + MARK_ITEM;
        talk->said[talk->said_count++] = talk->rows[0];
    } else {
        talk->said[talk->said_count++] = TOKEN + (unsigned char)letter;
    }
}

static void take_time(void)
{
    struct timespec pause = {0, (long)atomic_load(&play.step_us) * 1000};
    double until_s = clock_s() + (double)atomic_load(&play.step_us) * 1e-6;
    if (!atomic_load(&play.burns))
        nanosleep(&pause, NULL);
    while (clock_s() < until_s)
        ;
}

size_t talks_step(struct talks *talks)
{
    size_t active = 0;
    take_time();
    atomic_fetch_add(&play.steps, 1);
    for (size_t i = 0; i < talks->streams; i++) {
        struct talk *talk = talks->talk[i];
        if (!talk)
            continue;
        active++;
        if (talk->state == TALK_READING) {
            talk->state = TALK_LISTING;
        } else if (talk->state == TALK_LISTING) {
            list_all(talk, talks->snapshot);
            talk->state = TALK_SAYING;
        } else {
            say_one(talks, i);
        }
    }
    if (active > atomic_load(&play.most))
        atomic_store(&play.most, active);
    return active;
}

/* ---- the service in this process ---- */

static char home[512];
static struct serve_settings settings;
static struct event_settings events;
struct server server;
static struct store *store;
static pthread_t serving;
static bool running;

static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void *serve(void *self)
{
    struct err err = {0};
    const struct serve_job job = {home, store, &settings, &events};
    (void)self;
    bool fine = job_serve(&job, &err);
    if (!fine)
        fprintf(stderr, "%s\n", err.text);
    return fine ? store : NULL;
}

void serve_with(const char *at, const char *text, size_t step_us, size_t streams, size_t waiting,
                size_t grace_ms)
{
    struct err err = {0};
    struct store_settings store_settings = {0};
    const struct settings tables[] = {{SERVE_SETTINGS, SERVE_SETTINGS_COUNT, &settings},
                                      {EVENT_SETTINGS, EVENT_SETTINGS_COUNT, &events},
                                      {STORE_SETTINGS, STORE_SETTINGS_COUNT, &store_settings}};
    settings_start(tables, COUNT(tables));
    snprintf(home, sizeof home, "%s", at);
    atomic_store(&play.text[0], text);
    atomic_store(&play.text[1], NULL);
    atomic_store(&play.step_us, step_us);
    atomic_store(&play.burns, false);
    atomic_store(&play.most, 0);
    atomic_store(&play.removed, 0);
    server.port = free_port();
    settings.port = server.port;
    settings.chat_streams = streams;
    settings.chat_queue_max = waiting;
    settings.chat_beat_ms = 100;
    settings.watch_ms = 20;
    settings.chat_grace_ms = grace_ms;
    store = store_open(home, &store_settings, false, &err);
    assert_fine(store, err);
    assert_int_equal(pthread_create(&serving, NULL, serve, NULL), 0);
    running = true;
    server_ready(&server);
}

void stop_serving(void)
{
    void *fine;
    running = false;
    kill(getpid(), SIGTERM);
    assert_int_equal(pthread_join(serving, &fine), 0);
    assert_non_null(fine);
    store_close(store);
}

bool is_serving(void)
{
    return running;
}

unsigned long metric(const char *name)
{
    char line[100];
    struct text text;
    char url[100];
    unsigned long value = 0;
    CURL *curl = curl_easy_init();
    snprintf(url, sizeof url, "http://127.0.0.1:%u/metrics", server.port);
    FILE *out = tmpfile();
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    assert_int_equal(curl_easy_perform(curl), CURLE_OK);
    curl_easy_cleanup(curl);
    text_init(&text, 1 << 20);
    rewind(out);
    snprintf(line, sizeof line, "\n%s ", name);
    for (int c; (c = fgetc(out)) != EOF;)
        text_add(&text, &(char){(char)c}, 1);
    fclose(out);
    const char *at = strstr(text.bytes, line);
    if (at)
        value = strtoul(at + strlen(line), NULL, 10);
    text_release(&text);
    return value;
}
