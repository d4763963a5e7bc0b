/*
 * What was acknowledged is there: 200,000 events by 8 clients while the server is killed ten times,
 * and a power cut that throws away what was not synced.
 */
#include "tests/service/client.h"

#include "data/events.h"
#include "data/store.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

enum { CLIENTS = 8, EVENTS = 200000, BATCH = 100, KILLS = 10 };

static const struct store_settings SETTINGS = {.map_mib = 4096, .sync = true};

struct run {
    struct server server;
    pthread_rwlock_t lock; /* write-held while there is no server */
    atomic_uint acknowledged, next;
    unsigned char *is_acknowledged; /* [EVENTS / BATCH] */
    atomic_bool stop;
};

/* A batch that got no answer is sent again, under the same event ids, until it is acknowledged. */
static void *post(void *self)
{
    struct run *run = self;
    char *body = malloc(BATCH * 160);
    for (;;) {
        unsigned batch = atomic_fetch_add(&run->next, 1);
        if (batch >= EVENTS / BATCH)
            break;
        size_t size = 0;
        for (unsigned i = 0; i < BATCH; i++) {
            unsigned event = batch * BATCH + i;
            size += (size_t)sprintf(body + size,
                                    "{\"event_id\":\"e%u\",\"user_id\":\"user%u\",\"item_id\":"
                                    "\"tt0133093\",\"type\":\"click\",\"timestamp\":%u}\n",
                                    event, event % 997, 1000 + event);
        }
        while (!atomic_load(&run->stop)) {
            pthread_rwlock_rdlock(&run->lock);
            struct reply reply = ask_with(&run->server, "POST", "/v1/events", body, size,
                                          "Content-Type: application/x-ndjson");
            pthread_rwlock_unlock(&run->lock);
            bool fine = reply.status == 202;
            reply_drop(&reply);
            if (fine) {
                run->is_acknowledged[batch] = 1;
                atomic_fetch_add(&run->acknowledged, 1);
                break;
            }
            usleep(1000);
        }
    }
    free(body);
    return NULL;
}

struct census {
    unsigned char *times; /* [EVENTS] how often event i is in the store */
    size_t all;
};

static bool count_event(void *self, const struct stored_event *event, struct err *err)
{
    struct census *census = self;
    (void)err;
    int64_t number = event->time_ms - 1000;
    assert_true(number >= 0 && number < EVENTS);
    census->times[number]++;
    census->all++;
    return true;
}

static void take_census(struct census *census, const char *home)
{
    struct err err = {0};
    struct store_txn txn;
    size_t rows[TABLE_COUNT];
    struct store *store = store_open(home, &SETTINGS, false, &err);
    assert_fine(store, err);
    assert_fine(store_verify(store, rows, &err), err);
    assert_fine(
        store_begin(&txn, store, false, &err) && events_each(&txn, count_event, census, &err), err);
    assert_int_equal(store_sequence(&txn), census->all);
    store_abort(&txn);
    store_close(store);
}

static void acknowledged_events_outlive_ten_kills(void **state)
{
    char home[512];
    pthread_t clients[CLIENTS];
    static struct run run;
    (void)state;
    snprintf(home, sizeof home, "%s", scratch_folder("kills"));
    run.is_acknowledged = calloc(EVENTS / BATCH, 1);
    pthread_rwlock_init(&run.lock, NULL);
    run.server = server_start(home, NULL, NULL);
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&clients[i], NULL, post, &run), 0);
    for (unsigned k = 1; k <= KILLS; k++) {
        while (atomic_load(&run.acknowledged) < k * (EVENTS / BATCH) / (KILLS + 1))
            usleep(500);
        kill(run.server.pid, SIGKILL); /* while clients are in the middle of it */
        pthread_rwlock_wrlock(&run.lock);
        waitpid(run.server.pid, NULL, 0);
        close(run.server.out);
        run.server = server_start(home, NULL, NULL);
        pthread_rwlock_unlock(&run.lock);
    }
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    assert_int_equal(server_stop(&run.server), 0);
    struct census census = {.times = calloc(EVENTS, 1)};
    take_census(&census, home);
    for (unsigned i = 0; i < EVENTS; i++)
        if (census.times[i] != 1)
            fail_msg("event %u is there %d times", i, census.times[i]);
    assert_int_equal(census.all, EVENTS);
    free(census.times);
    free(run.is_acknowledged);
    scratch_drop(home);
}

/* Posts while the power goes; returns how many acknowledged events are missing afterwards. */
static size_t lost_in_a_power_cut(const char *name, const char *extra)
{
    char home[512];
    char dir[600];
    pthread_t clients[CLIENTS];
    struct run *run = calloc(1, sizeof *run);
    snprintf(home, sizeof home, "%s", scratch_folder(name));
    snprintf(dir, sizeof dir, "%s/store", home);
    setenv("POWERCUT_DIR", dir, 1);
    run->is_acknowledged = calloc(EVENTS / BATCH, 1);
    pthread_rwlock_init(&run->lock, NULL);
    run->server = server_start(home, extra, POWERCUT);
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&clients[i], NULL, post, run), 0);
    while (atomic_load(&run->acknowledged) < 300)
        usleep(200);
    kill(run->server.pid, SIGUSR1);
    int status;
    assert_int_equal(waitpid(run->server.pid, &status, 0), run->server.pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 99)
        fail_msg("the power cut ended with status %x", status);
    atomic_store(&run->stop, true);
    atomic_store(&run->next, EVENTS);
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    close(run->server.out);
    unsetenv("POWERCUT_DIR");
    struct census census = {.times = calloc(EVENTS, 1)};
    struct err err = {0};
    struct store *store = store_open(home, &SETTINGS, false, &err);
    bool whole = store != NULL;
    store_close(store);
    if (whole)
        take_census(&census, home);
    size_t lost = 0;
    for (unsigned i = 0; i < EVENTS; i++)
        lost += run->is_acknowledged[i / BATCH] && census.times[i] != 1;
    free(census.times);
    free(run->is_acknowledged);
    free(run);
    scratch_drop(home);
    return lost;
}

static void acknowledged_events_outlive_a_power_cut(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++)
        assert_int_equal(lost_in_a_power_cut("power", NULL), 0);
}

/* The test itself is tested: a server that does not sync must be caught. */
static void a_server_that_does_not_sync_is_caught(void **state)
{
    (void)state;
    assert_true(lost_in_a_power_cut("nosync", "--sync false") > 0);
}

int main(void)
{
    curl_global_init(CURL_GLOBAL_ALL);
    const struct CMUnitTest tests[] = {
        TEST(acknowledged_events_outlive_ten_kills),
        TEST(acknowledged_events_outlive_a_power_cut),
        TEST(a_server_that_does_not_sync_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
