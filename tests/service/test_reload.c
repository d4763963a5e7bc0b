/*
 * Versions come and go under load, items survive everything, and a broken version is not taken.
 */
#include "tests/service/client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

static char home[512];
static char first[64];
static char second[64];

static int start(void **state)
{
    (void)state;
    curl_global_init(CURL_GLOBAL_ALL);
    home_copy(home, sizeof home, "reload");
    home_versions(first, second, home);
    return 0;
}

static int end(void **state)
{
    (void)state;
    scratch_drop(home);
    return 0;
}

static void promote(const char *version)
{
    char args[200];
    char why[1000];
    snprintf(args, sizeof args, "promote --version %s", version);
    if (tessera(why, sizeof why, home, args) != 0)
        fail_msg("promote %s: %s", version, why);
}

static void wait_for(const struct server *server, const char *version)
{
    for (int i = 0; i < 600; i++) {
        struct reply reply = ask(server, "GET", "/readyz", NULL);
        const char *found = json_string_value(json_object_get(reply.json, "version"));
        bool there = found && strcmp(found, version) == 0;
        reply_drop(&reply);
        if (there)
            return;
        usleep(20000);
    }
    fail_msg("version %s did not come into service", version);
}

static void is_recommended(const struct server *server, const char *id)
{
    json_t *slate = expect(server, 200, "POST", "/v1/recommendations",
                           "{\"history\":[\"tt0133093\"],\"categories\":[\"Late\"],\"n\":10}");
    if (!slate_has(slate, id))
        fail_msg("%s is not recommended", id);
    json_decref(slate);
}

static void name_of(char *name, size_t room, const struct server *server, const char *id)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/items/%s", id);
    json_t *item = expect(server, 200, "GET", path, NULL);
    const char *found = json_string_value(json_object_get(item, "semantic_id_text"));
    assert_non_null(found);
    snprintf(name, room, "%s", found);
    json_decref(item);
}

/* PUT, kill -9, restart, switch version, roll back: still recommended, and under the same name. */
static void a_late_item_survives_everything(void **state)
{
    char path[100];
    char before[100];
    char after[100];
    (void)state;
    promote(first);
    struct server server = server_start(home, NULL, NULL);
    wait_for(&server, first);
    for (int i = 0; i < 3; i++) { /* twins: their last tiles must stay apart */
        snprintf(path, sizeof path, "/v1/items/late%d", i);
        json_decref(expect(&server, 201, "PUT", path,
                           "{\"title\":\"A late film\",\"categories\":[\"Late\",\"Drama\"]}"));
    }
    is_recommended(&server, "late1");
    name_of(before, sizeof before, &server, "late2");
    json_decref(expect(&server, 204, "DELETE", "/v1/items/late1", NULL));
    server_kill(&server);

    server = server_start(home, NULL, NULL);
    wait_for(&server, first);
    is_recommended(&server, "late2");
    name_of(after, sizeof after, &server, "late2");
    assert_string_equal(before, after);
    json_decref(expect(&server, 201, "PUT", "/v1/items/late9",
                       "{\"title\":\"A late film\",\"categories\":[\"Late\",\"Drama\"]}"));
    name_of(after, sizeof after, &server, "late9"); /* takes no ordinal that was ever given */
    assert_string_not_equal(before, after);
    promote(second);
    wait_for(&server, second);
    is_recommended(&server, "late2");
    promote("previous");
    wait_for(&server, first);
    is_recommended(&server, "late2");
    is_recommended(&server, "late9");
    name_of(after, sizeof after, &server, "late2");
    assert_string_equal(before, after);
    assert_int_equal(server_stop(&server), 0);
}

struct load {
    const struct server *server;
    atomic_uint done, failed, stale, changing;
};

static void *ask_on(void *self)
{
    struct load *load = self;
    for (int i = 0; i < 8; i++) {
        unsigned before = atomic_load(&load->changing);
        struct reply reply = ask(load->server, "POST", "/v1/recommendations",
                                 "{\"history\":[\"tt0133093\",\"tt0468569\"],\"n\":10}");
        const char *version =
            json_string_value(json_object_get(json_object_get(reply.json, "model"), "version"));
        if (reply.status != 200 || json_array_size(json_object_get(reply.json, "items")) != 10)
            atomic_fetch_add(&load->failed, 1);
        /* once the new version was seen to be in service, no answer may come from the old one */
        else if (before == 2 && (!version || strcmp(version, second) != 0))
            atomic_fetch_add(&load->stale, 1);
        for (size_t k = 0; k < json_array_size(json_object_get(reply.json, "items")); k++) {
            json_t *item =
                json_object_get(json_array_get(json_object_get(reply.json, "items"), k), "item");
            if (!json_string_length(json_object_get(item, "title")))
                atomic_fetch_add(&load->stale, 1); /* an id that the catalogue does not know */
        }
        reply_drop(&reply);
        atomic_fetch_add(&load->done, 1);
    }
    return NULL;
}

static void no_request_fails_while_the_version_changes(void **state)
{
    enum { CLIENTS = 100 };
    static pthread_t clients[CLIENTS];
    (void)state;
    promote(first);
    struct server server = server_start(home, NULL, NULL);
    wait_for(&server, first);
    struct load load = {.server = &server};
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&clients[i], NULL, ask_on, &load), 0);
    while (atomic_load(&load.done) < CLIENTS)
        usleep(1000);
    promote(second);
    atomic_store(&load.changing, 1);
    wait_for(&server, second);
    atomic_store(&load.changing, 2);
    for (size_t i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    assert_int_equal(atomic_load(&load.failed), 0);
    assert_int_equal(atomic_load(&load.stale), 0);
    assert_int_equal(atomic_load(&load.done), CLIENTS * 8);
    assert_int_equal(server_stop(&server), 0);
}

/* A file of the next version is cut or bent: the old one goes on serving, and readyz names the
 * file. */
static void a_broken_version_is_not_taken(void **state)
{
    static const char *const damages[] = {
        "truncate -s 1000 %s/models/%s/items.safetensors",
        "printf x | dd of=%s/models/%s/semantic_ids.safetensors bs=1 seek=9000 conv=notrunc "
        "2>/dev/null",
        "rm %s/models/%s/config.json",
        "printf '{' > %s/models/%s/manifest.json",
    };
    static const char *const files[] = {"items.safetensors", "semantic_ids.safetensors",
                                        "config.json", "manifest.json"};
    char command[1400];
    (void)state;
    promote(first);
    struct server server = server_start(home, NULL, NULL);
    wait_for(&server, first);
    for (size_t i = 0; i < COUNT(damages); i++) {
        snprintf(command, sizeof command, "cp -a %s/models/%s %s/kept", home, second, home);
        assert_int_equal(system(command), 0);
        snprintf(command, sizeof command, damages[i], home, second);
        assert_int_equal(system(command), 0);
        promote(second);
        bool named = false;
        for (int tries = 0; tries < 200 && !named; tries++) {
            usleep(20000);
            struct reply reply = ask(&server, "GET", "/readyz", NULL);
            assert_int_equal(reply.status, 200);
            const char *error = json_string_value(json_object_get(reply.json, "reload_error"));
            named = error && strstr(error, files[i]);
            reply_drop(&reply);
        }
        if (!named)
            fail_msg("readyz does not name %s", files[i]);
        json_t *slate =
            expect(&server, 200, "POST", "/v1/recommendations", "{\"history\":[\"tt0133093\"]}");
        assert_string_equal(
            json_string_value(json_object_get(json_object_get(slate, "model"), "version")), first);
        json_decref(slate);
        snprintf(command, sizeof command, "rm -rf %s/models/%s && mv %s/kept %s/models/%s", home,
                 second, home, home, second);
        assert_int_equal(system(command), 0);
        wait_for(&server, second); /* mended: taken without being asked again */
        promote(first);
        wait_for(&server, first);
    }
    assert_int_equal(server_stop(&server), 0);
}

static void keys_guard_every_path_and_scope(void **state)
{
    char key[100] = "";
    char other[100] = "";
    char command[1200];
    char why[1000];
    char header[200];
    (void)state;
    promote(first);
    assert_int_equal(tessera(why, sizeof why, home, "serve --host 0.0.0.0 --port 0"), 2);
    assert_non_null(strstr(why, "no API key"));
    struct server server = server_start(home, NULL, NULL);
    wait_for(&server, first);
    snprintf(command, sizeof command,
             TESSERA " --home %s key --name app --scopes 'recommend' && " TESSERA
                     " --home %s key --scopes 'events:write metrics'",
             home, home);
    FILE *pipe = popen(command, "r");
    assert_int_equal(fscanf(pipe, "%99s %99s", key, other), 2);
    pclose(pipe);
    static const struct {
        const char *method, *path, *body;
        long without, with_key, with_other;
    } cases[] = {
        {"POST", "/v1/recommendations", "{\"history\":[\"tt0133093\"]}", 401, 200, 403},
        {"GET", "/v1/recommendations/x", NULL, 401, 404, 403},
        {"GET", "/v1/items/tt0133093/similar", NULL, 401, 200, 403},
        {"GET", "/v1/items?q=matrix", NULL, 401, 403, 403},
        {"GET", "/v1/items/tt0133093", NULL, 401, 403, 403},
        {"PUT", "/v1/items/y", "{}", 401, 403, 403},
        {"DELETE", "/v1/items/y", NULL, 401, 403, 403},
        {"POST", "/v1/events", "{\"user_id\":\"k\",\"item_id\":\"y\",\"type\":\"click\"}", 401, 403,
         202},
        {"GET", "/metrics", NULL, 401, 403, 200},
        {"GET", "/openapi.json", NULL, 401, 200, 200},
        {"GET", "/healthz", NULL, 200, 200, 200},
        {"GET", "/readyz", NULL, 200, 200, 200},
        {"GET", "/", NULL, 200, 200, 200},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *keys[] = {"nothing: x", key, other};
        const long want[] = {cases[i].without, cases[i].with_key, cases[i].with_other};
        for (size_t k = 0; k < 3; k++) {
            snprintf(header, sizeof header,
                     k ? (k == 1 ? "Authorization: Bearer %s" : "X-API-Key: %s") : "%s", keys[k]);
            struct reply reply = ask_with(&server, cases[i].method, cases[i].path, cases[i].body,
                                          cases[i].body ? strlen(cases[i].body) : 0, header);
            if (reply.status != want[k])
                fail_msg("%s %s with key %zu: expected %ld, found %ld", cases[i].method,
                         cases[i].path, k, want[k], reply.status);
            reply_drop(&reply);
        }
    }
    struct reply wrong =
        ask_with(&server, "GET", "/metrics", NULL, 0, "Authorization: Bearer tk_wrong");
    assert_int_equal(wrong.status, 401);
    assert_non_null(strstr(wrong.headers, "WWW-Authenticate: Bearer"));
    reply_drop(&wrong);
    assert_int_equal(server_stop(&server), 0);
}

/* No version, no items, a port in use, a full store: each says so, and what is stored stays. */
static void empty_and_full_homes_are_told_plainly(void **state)
{
    char empty[512];
    char why[2000];
    char args[200];
    (void)state;
    snprintf(empty, sizeof empty, "%s", scratch_folder("empty"));
    assert_int_equal(tessera(why, sizeof why, empty, "index"), 2);
    assert_non_null(strstr(why, "import"));
    struct server server = server_start(empty, "--map_mib 1", NULL);
    json_decref(expect(&server, 503, "GET", "/readyz", NULL));
    struct reply early = ask(&server, "POST", "/v1/recommendations", "{\"history\":[\"x\"]}");
    assert_int_equal(early.status, 503);
    assert_non_null(strstr(early.headers, "Retry-After"));
    reply_drop(&early);
    json_decref(
        expect(&server, 202, "POST", "/v1/events",
               "{\"event_id\":\"one\",\"user_id\":\"u\",\"item_id\":\"x\",\"type\":\"click\"}"));
    snprintf(args, sizeof args, "serve --port %u", server.port);
    assert_int_equal(tessera(why, sizeof why, empty, args), 1);
    assert_non_null(strstr(why, "cannot listen on 127.0.0.1"));
    bool full = false;
    for (int i = 0; i < 2000 && !full; i++) {
        char body[1300];
        char text[1001];
        memset(text, 'x', 1000);
        text[1000] = 0;
        snprintf(body, sizeof body, "{\"title\":\"%s\"}", text);
        char path[60];
        snprintf(path, sizeof path, "/v1/items/item%d", i);
        struct reply reply = ask(&server, "PUT", path, body);
        full = reply.status == 507;
        if (full)
            assert_non_null(strstr(reply.text, "map_mib"));
        else
            assert_int_equal(reply.status, 201);
        reply_drop(&reply);
    }
    assert_true(full);
    json_t *again =
        expect(&server, 202, "POST", "/v1/events",
               "{\"event_id\":\"one\",\"user_id\":\"u\",\"item_id\":\"x\",\"type\":\"click\"}");
    assert_int_equal(json_integer_value(json_object_get(again, "duplicates")), 1); /* it was kept */
    json_decref(again);
    assert_int_equal(server_stop(&server), 0);
    assert_int_equal(tessera(why, sizeof why, empty, "index"), 0);
    assert_int_equal(tessera(why, sizeof why, empty, "train"), 2);
    assert_non_null(strstr(why, "positive"));
    scratch_drop(empty);
}

/* A disk without room: writes are refused with 507, reads go on, nothing stored is lost. */
static void a_full_disk_is_told_plainly(void **state)
{
    char small[512];
    char command[700];
    char body[5000];
    char why[2000];
    (void)state;
    snprintf(small, sizeof small, "%s", scratch_folder("disk"));
    snprintf(command, sizeof command, "mount -t tmpfs -o size=3m tmpfs %s 2>/dev/null", small);
    if (geteuid() != 0 || system(command) != 0) {
        scratch_drop(small);
        skip(); /* only root can make a small disk */
    }
    struct server server = server_start(small, NULL, NULL);
    json_decref(
        expect(&server, 202, "POST", "/v1/events",
               "{\"event_id\":\"one\",\"user_id\":\"u\",\"item_id\":\"x\",\"type\":\"click\"}"));
    memset(body, 'x', sizeof body);
    memcpy(body, "{\"title\":\"t\",\"text\":\"", 21);
    snprintf(body + 4000, 4, "\"}");
    bool full = false;
    for (int i = 0; i < 2000 && !full; i++) {
        char path[60];
        snprintf(path, sizeof path, "/v1/items/item%d", i);
        struct reply reply = ask(&server, "PUT", path, body);
        full = reply.status == 507;
        if (full)
            assert_non_null(strstr(reply.text, "disk"));
        else
            assert_int_equal(reply.status, 201);
        reply_drop(&reply);
    }
    assert_true(full);
    json_decref(expect(&server, 200, "GET", "/healthz", NULL));
    assert_int_equal(server_stop(&server), 0);
    server = server_start(small, NULL, NULL); /* and once more from what is on the disk */
    json_t *again =
        expect(&server, 202, "POST", "/v1/events",
               "{\"event_id\":\"one\",\"user_id\":\"u\",\"item_id\":\"x\",\"type\":\"click\"}");
    assert_int_equal(json_integer_value(json_object_get(again, "duplicates")), 1);
    json_decref(again);
    assert_int_equal(server_stop(&server), 0);
    assert_int_equal(tessera(why, sizeof why, small, "verify"), 0);
    snprintf(command, sizeof command, "umount %s", small);
    assert_int_equal(system(command), 0);
    scratch_drop(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_late_item_survives_everything), TEST(no_request_fails_while_the_version_changes),
        TEST(a_broken_version_is_not_taken),   TEST(empty_and_full_homes_are_told_plainly),
        TEST(keys_guard_every_path_and_scope), /* last: from here on this home wants keys */
    };
    return cmocka_run_group_tests(tests, start, end);
}
