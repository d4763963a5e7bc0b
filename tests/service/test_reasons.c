/*
 * Reasons as users meet them: trained in their stage, served in mode reason, and each claim of a
 * reply true of the catalogue as this test reads it through the API.
 */
#include "tests/service/client.h"

#include <curl/curl.h>
#include <math.h>

#define SMALL " --check_users 60 --dim 32 --heads 2 --kv_heads 2 --ffn 64 --judge_users 300 "
#define REASON                                                                                     \
    "train --stage reason --reason-steps 60 --rl-check-every 30 --reason-learning-rate 0.002 "     \
    "--state_every_steps 10" SMALL

#define CHAT "/v1/chat/completions"
#define CHAT_BODY                                                                                  \
    "{\"messages\":[{\"role\":\"user\",\"content\":\"I loved The Matrix (1999) and Interstellar "  \
    "(2014)\"}],\"mode\":\"reason\""

static char home[512];
static char trained[64]; /* the version that gives reasons */
static struct server server;

static int start(void **state)
{
    (void)state;
    curl_global_init(CURL_GLOBAL_ALL);
    home_copy(home, sizeof home, "reasons");
    return 0;
}

static int end(void **state)
{
    (void)state;
    int status = server.pid ? server_stop(&server) : 0;
    scratch_drop(home);
    return status;
}

static void a_version_without_reasons_says_so(void **state)
{
    (void)state;
    server = server_start(home, NULL, NULL);
    server_ready(&server);
    struct reply reply = ask(&server, "POST", "/v1/recommendations",
                             "{\"history\":[\"tt0133093\"],\"mode\":\"reason\"}");
    assert_int_equal(reply.status, 422);
    assert_non_null(strstr(reply.text, "--stage reason"));
    reply_drop(&reply);
    reply = ask(&server, "POST", CHAT, CHAT_BODY "}");
    assert_int_equal(reply.status, 422);
    assert_non_null(strstr(reply.text, "--stage reason"));
    reply_drop(&reply);
    json_t *slate =
        expect(&server, 200, "POST", "/v1/recommendations", "{\"history\":[\"tt0133093\"]}");
    json_t *modes = json_object_get(json_object_get(slate, "model"), "modes");
    assert_int_equal(json_array_size(modes), 1);
    assert_string_equal(json_string_value(json_object_get(slate, "mode")), "direct");
    assert_null(json_object_get(slate, "reasons"));
    json_decref(slate);
    assert_int_equal(server_stop(&server), 0);
    server.pid = 0;
}

/* The same bytes on one and on four threads, and after kill -9; the last goes into service. */
static void training_is_the_same_on_any_number_of_threads_and_after_a_kill(void **state)
{
    char want[2][SHA256_TEXT];
    char got[2][SHA256_TEXT];
    (void)state;
    for (int round = 0; round < 3; round++) {
        char other[600];
        char args[900];
        char command[2000];
        home_clone(other, sizeof other, home, "bytes");
        snprintf(args, sizeof args, REASON " --threads %d", round == 1 ? 4 : 1);
        if (round == 2) {
            snprintf(command, sizeof command,
                     "timeout -s KILL 2 " TESSERA " --home %s %s >%s/log 2>&1", other, args, other);
            (void)!system(command); /* wherever it was */
        }
        tessera_fine(other, args);
        home_weights(round == 0 ? want : got, other);
        if (round > 0) {
            assert_string_equal(want[0], got[0]);
            assert_string_equal(want[1], got[1]);
        }
        scratch_drop(other);
    }
    tessera_fine(home, REASON " --threads 2");
    home_newest(trained, home);
    char link[PATH_SIZE];
    char target[PATH_SIZE];
    snprintf(link, sizeof link, "%.400s/production/recommend", home);
    snprintf(target, sizeof target, "../models/%s", trained); /* even if the small one lost */
    unlink(link);
    assert_int_equal(symlink(target, link), 0);
}

static void the_judge_prints_what_they_are_worth(void **state)
{
    char args[900];
    char path[600];
    struct err err = {0};
    (void)state;
    snprintf(path, sizeof path, "%.500s/reasons.json", home);
    snprintf(args, sizeof args, "evaluate --reasons 40 --json %s" SMALL, path);
    tessera_fine(home, args);
    json_t *rows = json_load_file(path, 0, NULL);
    size_t found = 0;
    (void)err;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *what = json_string_value(json_object_get(row, "what"));
        double figure = json_number_value(json_object_get(row, "figure"));
        if (strncmp(what, "reasons", 7) != 0)
            continue;
        found++;
        assert_true(figure >= 0);
        if (strcmp(what, "reasons, served: precision before dropping, evidence") == 0 ||
            strcmp(what, "reasons, served: precision before dropping, preference") == 0)
            assert_true(figure == 1); /* facts let nothing else be said */
        if (strcmp(what, "reasons, grammar alone: precision before dropping") == 0)
            assert_true(figure < 0.95); /* so small a policy does not know them */
    }
    assert_true(found > 20);
    json_decref(rows);
}

/* ---- served ---- */

static bool has_tag(const char *id, const char *tag)
{
    char path[300];
    snprintf(path, sizeof path, "/v1/items/%s", id);
    json_t *item = expect(&server, 200, "GET", path, NULL);
    bool has = false;
    if (strncmp(tag, "category=", 9) == 0) {
        const json_t *names = json_object_get(item, "categories");
        for (size_t i = 0; i < json_array_size(names); i++)
            has = has || strcmp(json_string_value(json_array_get(names, i)), tag + 9) == 0;
    } else if (strncmp(tag, "year~", 5) == 0) {
        const json_t *year = json_object_get(json_object_get(item, "attributes"), "year");
        has = json_integer_value(year) / 10 == atoi(tag + 5);
    } else {
        fail_msg("no tag of films: %s", tag);
    }
    json_decref(item);
    return has;
}

/* Every claim of the reply against what the API says of the items. */
static void check_reply(const json_t *slate, const char *const *history, size_t count)
{
    const json_t *reasons = json_object_get(slate, "reasons");
    const char *whole = json_string_value(json_object_get(slate, "reasoning"));
    const json_t *claims = json_object_get(slate, "claims");
    assert_int_equal(json_array_size(reasons),
                     json_integer_value(json_object_get(claims, "said")) -
                         json_integer_value(json_object_get(claims, "dropped")));
    for (size_t i = 0; i < json_array_size(reasons); i++) {
        const json_t *reason = json_array_get(reasons, i);
        const char *kind = json_string_value(json_object_get(reason, "kind"));
        const char *tag = json_string_value(json_object_get(reason, "attribute"));
        const json_t *ids = json_object_get(reason, "item_ids");
        const json_t *supports = json_object_get(reason, "supports");
        double measured = json_number_value(json_object_get(reason, "measured"));
        assert_non_null(strstr(whole, json_string_value(json_object_get(reason, "text"))));
        for (size_t k = 0; k < json_array_size(supports); k++)
            assert_true(has_tag(json_string_value(json_array_get(supports, k)), tag));
        if (strcmp(kind, "evidence") == 0) {
            assert_int_equal(json_array_size(ids), 2);
            for (size_t k = 0; k < 2; k++)
                assert_true(has_tag(json_string_value(json_array_get(ids, k)), tag));
        } else if (strcmp(kind, "preference") == 0) {
            size_t having = 0;
            for (size_t k = 0; k < count; k++)
                having += has_tag(history[k], tag);
            assert_true(having > 0 && fabs((double)having / (double)count - measured) < 1e-6);
        } else if (strcmp(kind, "plan") == 0) {
            size_t items = json_array_size(json_object_get(slate, "items"));
            assert_true((double)json_array_size(supports) >= 0.3 * (double)items);
        }
    }
}

static json_t *reasoned(const char *const *history, size_t count, const char *more)
{
    char body[1000] = "{\"history\":[";
    for (size_t i = 0; i < count; i++)
        snprintf(body + strlen(body), sizeof body - strlen(body), "%s\"%s\"", i ? "," : "",
                 history[i]);
    snprintf(body + strlen(body), sizeof body - strlen(body), "],\"mode\":\"reason\"%s}", more);
    return expect(&server, 200, "POST", "/v1/recommendations", body);
}

static const char *const FILMS[] = {"tt0133093", "tt0816692", "tt1375666", "tt0468569",
                                    "tt0110912"};

static void what_is_claimed_is_true(void **state)
{
    (void)state;
    server = server_start(home, NULL, NULL);
    server_ready(&server);
    for (size_t count = 1; count <= 5; count++) {
        json_t *slate = reasoned(FILMS, count, ",\"n\":6");
        assert_string_equal(json_string_value(json_object_get(slate, "mode")), "reason");
        assert_int_equal(json_array_size(json_object_get(slate, "items")), 6);
        for (size_t i = 0; i < count; i++)
            assert_false(slate_has(slate, FILMS[i]));
        assert_true(json_array_size(json_object_get(slate, "reasons")) >= 2);
        check_reply(slate, FILMS, count);
        json_t *kept = NULL;
        char path[200];
        snprintf(path, sizeof path, "/v1/recommendations/%s",
                 json_string_value(json_object_get(slate, "request_id")));
        for (int tries = 0; tries < 50 && !kept; tries++) { /* written behind */
            struct reply reply = ask(&server, "GET", path, NULL);
            kept = reply.status == 200 ? json_incref(reply.json) : NULL;
            reply_drop(&reply);
            usleep(20000);
        }
        assert_non_null(kept); /* what was said is kept with the slate */
        assert_true(
            json_equal(json_object_get(kept, "reasons"), json_object_get(slate, "reasons")));
        json_decref(kept);
        json_decref(slate);
    }
    struct reply metrics = ask(&server, "GET", "/metrics", NULL);
    assert_non_null(strstr(metrics.text, "tessera_requests_total"));
    reply_drop(&metrics);
}

/* Whole, and in a stream within one delta. */
static void a_chat_gives_them_as_reasoning_content(void **state)
{
    (void)state;
    json_t *reply = expect(&server, 200, "POST", CHAT, CHAT_BODY "}");
    const json_t *choice = json_array_get(json_object_get(reply, "choices"), 0);
    const json_t *message = json_object_get(choice, "message");
    const char *whole = text_at(message, "reasoning_content");
    const json_t *reasons = json_object_get(message, "reasons");
    assert_true(*whole && json_array_size(reasons) >= 2);
    for (size_t i = 0; i < json_array_size(reasons); i++)
        assert_non_null(strstr(whole, text_at(json_array_get(reasons, i), "text")));
    assert_non_null(json_object_get(message, "claims"));
    json_decref(reply);
    struct reply stream =
        ask(&server, "POST", CHAT, CHAT_BODY ",\"stream\":true,\"metadata\":{\"n\":\"1\"}}");
    assert_int_equal(stream.status, 200);
    assert_non_null(strstr(stream.text, "\"reasoning_content\":\""));
    reply_drop(&stream);
    reply =
        expect(&server, 200, "POST", CHAT,
               "{\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"mode\":\"reason\"}");
    choice = json_array_get(json_object_get(reply, "choices"), 0);
    assert_null(json_object_get(json_object_get(choice, "message"), "reasoning_content"));
    json_decref(reply); /* nothing follows from nothing */
}

/* The catalogue of now decides, not that of training: it says nothing of what has lost its tags. */
static void a_changed_item_is_no_longer_spoken_of(void **state)
{
    static const char *const one[] = {"tt0816692"};
    (void)state;
    json_t *before = reasoned(one, 1, "");
    json_t *after;
    size_t said[2] = {0, 0};
    json_decref(expect(&server, 200, "PUT", "/v1/items/tt0816692", "{\"title\":\"Interstellar\"}"));
    after = reasoned(one, 1, "");
    check_reply(after, one, 1);
    for (size_t i = 0; i < 2; i++) {
        const json_t *reasons = json_object_get(i ? after : before, "reasons");
        for (size_t k = 0; k < json_array_size(reasons); k++)
            said[i] +=
                strcmp(json_string_value(json_object_get(json_array_get(reasons, k), "kind")),
                       "preference") == 0;
    }
    assert_true(said[0] > 0);
    assert_int_equal(said[1], 0);
    json_decref(before);
    json_decref(after);
}

static void newcomers_and_strangers_are_answered(void **state)
{
    static const char *const history[] = {"new-1", "tt0133093"};
    (void)state;
    json_decref(expect(&server, 201, "PUT", "/v1/items/new-1",
                       "{\"title\":\"The New Matrix\",\"categories\":[\"Action\",\"Sci-Fi\"]}"));
    json_t *slate = reasoned(history, 2, ",\"exclude\":{\"item_ids\":[\"tt0110912\"]}");
    check_reply(slate, history, 2);
    assert_false(slate_has(slate, "tt0110912"));
    json_decref(slate);
    slate = reasoned(history, 1, ""); /* one item that nobody has ever taken */
    check_reply(slate, history, 1);
    json_decref(slate);
    slate = expect(&server, 200, "POST", "/v1/recommendations",
                   "{\"user_id\":\"nobody\",\"mode\":\"reason\"}");
    assert_true(json_is_true(json_object_get(json_object_get(slate, "fallback"), "used")));
    assert_null(json_object_get(slate, "reasons")); /* nothing follows from nothing */
    json_decref(slate);
}

static void bad_modes_are_refused(void **state)
{
    (void)state;
    struct reply reply = ask(&server, "POST", "/v1/recommendations",
                             "{\"history\":[\"tt0133093\"],\"mode\":\"think\"}");
    assert_int_equal(reply.status, 422);
    assert_non_null(strstr(reply.text, "expected direct or reason, found 'think'"));
    reply_drop(&reply);
    reply = ask(&server, "POST", "/v1/recommendations",
                "{\"history\":[\"tt0133093\"],\"mode\":\"reason\",\"query\":\"space\"}");
    assert_int_equal(reply.status, 422);
    assert_non_null(strstr(reply.text, "no query"));
    reply_drop(&reply);
    char why[4000];
    assert_int_equal(tessera(why, sizeof why, home, REASON " --task_share 0"), 2);
    assert_non_null(strstr(why, "task_share"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_version_without_reasons_says_so),
        TEST(training_is_the_same_on_any_number_of_threads_and_after_a_kill),
        TEST(the_judge_prints_what_they_are_worth),
        TEST(what_is_claimed_is_true),
        TEST(a_chat_gives_them_as_reasoning_content),
        TEST(a_changed_item_is_no_longer_spoken_of),
        TEST(newcomers_and_strangers_are_answered),
        TEST(bad_modes_are_refused),
    };
    return cmocka_run_group_tests(tests, start, end);
}
