/* The API as its users meet it, over loopback, against a real server with a trained version. */
#include "tests/service/client.h"

#include <math.h>

static char home[512];
static struct server server;

static int start(void **state)
{
    (void)state;
    served_copy(&server, home, sizeof home, "api", NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    return served_drop(&server, home);
}

static void a_slate_says_what_why_and_how_likely(void **state)
{
    (void)state;
    json_t *slate = expect(&server, 200, "POST", "/v1/recommendations",
                           "{\"history\":[\"tt0133093\",\"tt9999999\"],\"n\":7}");
    json_t *items = json_object_get(slate, "items");
    assert_int_equal(json_array_size(items), 7);
    double last = INFINITY;
    for (size_t i = 0; i < 7; i++) {
        json_t *item = json_array_get(items, i);
        assert_int_equal(json_integer_value(json_object_get(item, "rank")), i + 1);
        assert_true(json_number_value(json_object_get(item, "score")) <= last);
        last = json_number_value(json_object_get(item, "score"));
        assert_true(json_number_value(json_object_get(item, "propensity")) == 1);
        assert_int_equal(json_array_size(json_object_get(item, "semantic_id")), 4);
        assert_true(json_string_length(json_object_get(json_object_get(item, "item"), "title")) >
                    0);
        assert_int_equal(json_array_size(json_object_get(item, "reasons")), 1);
        assert_string_not_equal(slate_item(slate, i), "tt0133093"); /* seen */
    }
    assert_true(json_is_true(json_object_get(json_object_get(slate, "policy"), "deterministic")));
    assert_true(json_is_false(json_object_get(json_object_get(slate, "fallback"), "used")));
    assert_int_equal(
        json_array_size(json_object_get(json_object_get(slate, "ignored"), "item_ids")),
        1); /* nobody knows it */
    json_decref(slate);
}

/* An event changes that user's next answer, and what was seen does not come back. */
static void an_event_changes_the_next_answer(void **state)
{
    char body[200];
    (void)state;
    json_t *cold =
        expect(&server, 200, "POST", "/v1/recommendations", "{\"user_id\":\"ann\",\"n\":5}");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(cold, "fallback"), "reason")),
        "cold_user");
    json_decref(expect(&server, 202, "POST", "/v1/events",
                       "{\"user_id\":\"ann\",\"item_id\":\"tt0133093\",\"type\":\"like\"}"));
    json_t *warm =
        expect(&server, 200, "POST", "/v1/recommendations", "{\"user_id\":\"ann\",\"n\":5}");
    assert_true(json_is_false(json_object_get(json_object_get(warm, "fallback"), "used")));
    for (int round = 0; round < 3; round++) {
        char first[64];
        snprintf(first, sizeof first, "%s", slate_item(warm, 0));
        snprintf(body, sizeof body, "{\"user_id\":\"ann\",\"item_id\":\"%s\",\"type\":\"seen\"}",
                 first);
        json_decref(expect(&server, 202, "POST", "/v1/events", body));
        json_decref(warm);
        warm = expect(&server, 200, "POST", "/v1/recommendations", "{\"user_id\":\"ann\",\"n\":5}");
        assert_int_equal(json_array_size(json_object_get(warm, "items")), 5);
        assert_false(slate_has(warm, first));
    }
    json_decref(cold);
    json_decref(warm);
}

static void exclusions_and_categories_hold(void **state)
{
    (void)state;
    json_t *open = expect(&server, 200, "POST", "/v1/recommendations",
                          "{\"history\":[\"tt0133093\"],\"n\":50}");
    char body[300];
    snprintf(body, sizeof body,
             "{\"history\":[\"tt0133093\"],\"n\":200,\"categories\":[\"Comedy\"],\"exclude\":{"
             "\"item_ids\":[\"%s\",\"%s\"],\"seen\":\"any\"}}",
             slate_item(open, 0), slate_item(open, 1));
    json_t *shut = expect(&server, 200, "POST", "/v1/recommendations", body);
    assert_int_equal(json_array_size(json_object_get(shut, "items")), 200);
    assert_false(slate_has(shut, slate_item(open, 0)));
    for (size_t i = 0; i < 200; i++) {
        json_t *entry = json_array_get(json_object_get(shut, "items"), i);
        json_t *categories = json_object_get(json_object_get(entry, "item"), "categories");
        bool comedy = false;
        for (size_t c = 0; c < json_array_size(categories); c++)
            comedy |= strcmp(json_string_value(json_array_get(categories, c)), "Comedy") == 0;
        assert_true(comedy);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(slate_item(shut, i), slate_item(shut, j));
    }
    json_t *none = expect(&server, 200, "POST", "/v1/recommendations",
                          "{\"history\":[\"tt0133093\"],\"categories\":[\"No such genre\"]}");
    assert_int_equal(json_array_size(json_object_get(none, "items")), 0);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(none, "fallback"), "reason")),
        "filter_exhausted");
    json_decref(open);
    json_decref(shut);
    json_decref(none);
}

/* Words alone get an answer, and steer one that has a history too. */
static void words_are_answered(void **state)
{
    (void)state;
    json_t *asked = expect(&server, 200, "POST", "/v1/recommendations",
                           "{\"query\":\"the matrix reloaded\",\"n\":5}");
    bool found = false;
    assert_int_equal(json_array_size(json_object_get(asked, "items")), 5);
    assert_true(json_is_false(json_object_get(json_object_get(asked, "fallback"), "used")));
    for (size_t i = 0; i < 5; i++)
        found |= strcmp(slate_item(asked, i), "tt0234215") == 0;
    assert_true(found);
    json_t *reason = json_array_get(
        json_object_get(json_array_get(json_object_get(asked, "items"), 0), "reasons"), 0);
    assert_string_equal(json_string_value(json_object_get(reason, "code")), "matches_query");
    json_t *both = expect(&server, 200, "POST", "/v1/recommendations",
                          "{\"history\":[\"tt0133093\"],\"query\":\"horror\",\"n\":5}");
    json_t *plain = expect(&server, 200, "POST", "/v1/recommendations",
                           "{\"history\":[\"tt0133093\"],\"n\":5}");
    size_t same = 0;
    for (size_t i = 0; i < 5; i++) {
        same += strcmp(slate_item(both, i), slate_item(plain, i)) == 0;
        assert_string_not_equal(slate_item(both, i), "tt0133093"); /* seen is still not shown */
    }
    assert_true(same < 5);
    json_decref(
        expect(&server, 200, "POST", "/v1/recommendations", "{\"query\":\"\xe6\x98\xa0\"}"));
    json_decref(asked);
    json_decref(both);
    json_decref(plain);
}

/* A cap on categories holds but for what most candidates have; likeness costs rank. */
static void lists_can_be_made_diverse(void **state)
{
    (void)state;
    json_t *capped = expect(&server, 200, "POST", "/v1/recommendations",
                            "{\"history\":[\"tt0133093\",\"tt0816692\"],\"n\":10,"
                            "\"diversity\":{\"category_max\":2}}");
    size_t horror = 0;
    for (size_t i = 0; i < json_array_size(json_object_get(capped, "items")); i++) {
        json_t *entry = json_array_get(json_object_get(capped, "items"), i);
        if (strcmp(json_string_value(json_object_get(entry, "source")), "popular") == 0)
            continue; /* filled up: no candidate was left */
        json_t *categories = json_object_get(json_object_get(entry, "item"), "categories");
        for (size_t c = 0; c < json_array_size(categories); c++)
            horror += strcmp(json_string_value(json_array_get(categories, c)), "Horror") == 0;
    }
    assert_true(horror <= 2);
    json_t *plain = expect(&server, 200, "POST", "/v1/recommendations",
                           "{\"history\":[\"tt0133093\",\"tt0816692\"],\"n\":10}");
    json_t *spread = expect(&server, 200, "POST", "/v1/recommendations",
                            "{\"history\":[\"tt0133093\",\"tt0816692\"],\"n\":10,"
                            "\"diversity\":{\"mmr\":50}}");
    assert_string_equal(slate_item(plain, 0), slate_item(spread, 0)); /* the best stays first */
    size_t same = 0;
    for (size_t i = 0; i < 10; i++)
        same += strcmp(slate_item(plain, i), slate_item(spread, i)) == 0;
    assert_true(same < 10);
    json_decref(capped);
    json_decref(plain);
    json_decref(spread);
}

/* Plackett-Luce: the same seed draws the same list, p is exp(s/T) over what remains, and it is
 * stored. */
static void exploring_says_its_propensities(void **state)
{
    static const char *const body =
        "{\"history\":[\"tt0133093\"],\"n\":5,\"explore\":{\"temperature\":0.7},\"seed\":11}";
    char path[200];
    (void)state;
    json_t *a = expect(&server, 200, "POST", "/v1/recommendations", body);
    json_t *b = expect(&server, 200, "POST", "/v1/recommendations", body);
    double z = json_number_value(json_object_get(json_object_get(a, "policy"), "log_normaliser"));
    double taken = 0;
    for (size_t i = 0; i < 5; i++) {
        json_t *item = json_array_get(json_object_get(a, "items"), i);
        double s = json_number_value(json_object_get(item, "score")) / 0.7;
        double p = json_number_value(json_object_get(item, "propensity"));
        assert_string_equal(slate_item(a, i), slate_item(b, i));
        assert_true(fabs(p - exp(s - z) / (1 - taken)) < 1e-6);
        taken += exp(s - z);
    }
    snprintf(path, sizeof path, "/v1/recommendations/%s",
             json_string_value(json_object_get(a, "request_id")));
    struct reply kept = {0};
    for (int tries = 0; tries < 50 && kept.status != 200;
         tries++) { /* written behind, within 100 ms */
        usleep(20000);
        reply_drop(&kept);
        kept = ask(&server, "GET", path, NULL);
    }
    assert_int_equal(kept.status, 200);
    assert_string_equal(slate_item(kept.json, 4), slate_item(a, 4));
    reply_drop(&kept);
    json_decref(a);
    json_decref(b);
}

static void items_are_put_found_listed_and_deleted(void **state)
{
    (void)state;
    json_decref(expect(&server, 404, "GET", "/v1/items/new%2Ffilm", NULL));
    json_decref(expect(&server, 201, "PUT", "/v1/items/new%2Ffilm",
                       "{\"title\":\"Brandnew Matrix\",\"categories\":[\"Sci-Fi\",\"Onlyone\"]}"));
    json_decref(
        expect(&server, 200, "PUT", "/v1/items/new%2Ffilm",
               "{\"title\":\"Brandnew "
               "Matrix\",\"categories\":[\"Sci-Fi\",\"Onlyone\"],\"attributes\":{\"year\":1999}}"));
    json_t *item = expect(&server, 200, "GET", "/v1/items/new%2Ffilm", NULL);
    assert_string_equal(json_string_value(json_object_get(item, "item_id")), "new/film");
    assert_non_null(json_object_get(item, "semantic_id_text"));
    json_decref(item);
    json_t *found = expect(&server, 200, "GET", "/v1/items?q=brandNEW+matrix", NULL);
    assert_int_equal(json_array_size(json_object_get(found, "data")), 1);
    json_decref(found);
    json_t *slate = expect(&server, 200, "POST", "/v1/recommendations",
                           "{\"history\":[\"tt0133093\"],\"categories\":[\"Onlyone\"],\"n\":3}");
    assert_string_equal(slate_item(slate, 0), "new/film"); /* recommendable at once */
    assert_string_not_equal(json_string_value(json_object_get(
                                json_array_get(json_object_get(slate, "items"), 0), "source")),
                            "popular");
    json_decref(slate);
    json_t *similar = expect(&server, 200, "GET", "/v1/items/new%2Ffilm/similar?n=3", NULL);
    assert_int_equal(json_array_size(json_object_get(similar, "items")), 3);
    json_decref(similar);
    json_decref(
        expect(&server, 200, "PUT", "/v1/items/new%2Ffilm",
               "{\"title\":\"Brandnew Matrix\",\"categories\":[\"Onlyone\"],\"available\":false}"));
    slate = expect(&server, 200, "POST", "/v1/recommendations",
                   "{\"history\":[\"tt0133093\"],\"categories\":[\"Onlyone\"],\"n\":3}");
    assert_int_equal(json_array_size(json_object_get(slate, "items")), 0);
    json_decref(slate);
    json_decref(expect(&server, 204, "DELETE", "/v1/items/new%2Ffilm", NULL));
    json_decref(expect(&server, 404, "DELETE", "/v1/items/new%2Ffilm", NULL));
    json_decref(expect(&server, 404, "GET", "/v1/items/new%2Ffilm/similar", NULL));
}

static void events_come_in_every_shape_and_once(void **state)
{
    (void)state;
    static const char *const lines =
        "{\"event_id\":\"e1\",\"user_id\":\"u\",\"item_id\":\"tt0133093\",\"type\":\"click\"}\n\n"
        "{\"event_id\":\"e2\",\"user_id\":\"u\",\"item_id\":\"nobody\",\"type\":\"click\","
        "\"timestamp\":\"2026-01-02T03:04:05+01:00\"}\n";
    struct reply reply = ask_with(&server, "POST", "/v1/events", lines, strlen(lines),
                                  "Content-Type: application/x-ndjson");
    assert_int_equal(reply.status, 202);
    assert_int_equal(json_integer_value(json_object_get(reply.json, "accepted")), 2);
    assert_int_equal(json_integer_value(json_object_get(reply.json, "unjoined")), 1);
    reply_drop(&reply);
    json_t *again =
        expect(&server, 202, "POST", "/v1/events",
               "{\"events\":[{\"event_id\":\"e1\",\"user_id\":\"u\",\"item_id\":\"tt0133093\","
               "\"type\":\"click\"},{\"user_id\":\"u\",\"item_id\":\"x\",\"type\":\"Bad\"}]}");
    assert_int_equal(json_integer_value(json_object_get(again, "duplicates")), 1);
    assert_int_equal(json_integer_value(json_object_get(again, "rejected")), 1);
    assert_int_equal(json_integer_value(json_object_get(
                         json_array_get(json_object_get(again, "errors"), 0), "index")),
                     1);
    json_decref(again);
}

/* Bad input: the status, and words that say what was expected and found. */
static void bad_input_gets_a_clear_error(void **state)
{
    static const struct {
        const char *method, *path, *body;
        long status;
        const char *says;
    } cases[] = {
        {"POST", "/v1/recommendations", "{\"history\":", 400, "not JSON"},
        {"POST", "/v1/recommendations", "", 400, "not JSON"},
        {"POST", "/v1/recommendations", "[1]", 422, "expected an object, found an array"},
        {"POST", "/v1/recommendations", "{}", 422, "user_id, history, query, or several"},
        {"POST", "/v1/recommendations", "{\"user_id\":5}", 422,
         "user_id: expected a string, found a whole number"},
        {"POST", "/v1/recommendations", "{\"user_id\":\"\"}", 422, "1 to 256 bytes"},
        {"POST", "/v1/recommendations", "{\"user_id\":\"a\",\"usr\":1}", 422, "usr: unknown field"},
        {"POST", "/v1/recommendations", "{\"user_id\":\"a\",\"user_id\":\"b\"}", 400, "duplicate"},
        {"POST", "/v1/recommendations", "{\"user_id\":\"a\",\"n\":0}", 422,
         "n: expected 1 to 200, found 0"},
        {"POST", "/v1/recommendations", "{\"user_id\":\"a\",\"n\":1000000}", 422,
         "n: expected 1 to 200, found 1000000"},
        {"POST", "/v1/recommendations", "{\"user_id\":\"a\",\"n\":2.5}", 422,
         "n: expected a whole number"},
        {"POST", "/v1/recommendations", "{\"history\":[1]}", 422, "history[0]"},
        {"POST", "/v1/recommendations", "{\"user_id\":\"a\",\"exclude\":{\"seen\":\"maybe\"}}", 422,
         "any, positive or none"},
        {"POST", "/v1/recommendations", "{\"user_id\":\"a\",\"explore\":{\"temperature\":-1}}", 422,
         "temperature"},
        {"POST", "/v1/recommendations", "{\"user_id\":\"\xff\"}", 400,
         "unable to decode byte 0xff"},
        {"POST", "/v1/events", "{\"user_id\":\"a\",\"item_id\":\"b\"}", 422, "type: missing"},
        {"POST", "/v1/events",
         "{\"user_id\":\"a\",\"item_id\":\"b\",\"type\":\"x\",\"timestamp\":\"yesterday\"}", 422,
         "RFC 3339"},
        {"POST", "/v1/events",
         "{\"user_id\":\"a\",\"item_id\":\"b\",\"type\":\"x\",\"timestamp\":9999999999999999}", 422,
         "future"},
        {"POST", "/v1/recommendations", "{\"query\":7}", 422, "query: expected a string"},
        {"POST", "/v1/recommendations", "{\"query\":\" \"}", 422, "query: expected words"},
        {"POST", "/v1/recommendations", "{\"user_id\":\"a\",\"diversity\":{\"mmr\":-1}}", 422,
         "diversity: mmr: expected"},
        {"POST", "/v1/recommendations", "{\"user_id\":\"a\",\"diversity\":{\"mrr\":1}}", 422,
         "mrr: unknown field"},
        {"POST", "/v1/events", "[]", 422, "1 to 10000"},
        {"POST", "/v1/events", "7", 422, "expected an event"},
        {"PUT", "/v1/items/x", "{\"title\":7}", 422, "title: expected a string"},
        {"PUT", "/v1/items/x", "{\"titel\":\"x\"}", 422, "titel: unknown field"},
        {"PUT", "/v1/items/x", "{\"categories\":\"Drama\"}", 422, "categories: expected an array"},
        {"GET", "/v1/items/nobody", NULL, 404, "no item"},
        {"GET", "/v1/items/nobody/similar", NULL, 404, "no item"},
        {"GET",
         "/v1/items/"
         "%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%"
         "82%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%"
         "81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%82%E3%81%82",
         NULL, 404, "no item"},
        {"POST", "/v1/events", "{\"events\":null}", 422, "events: expected an array"},
        {"POST", "/v1/recommendations", "{\"user_id\":\"a\",\"explore\":{\"temperature\":1e-308}}",
         422, "0.001 to 100"},
        {"GET", "/v1/items/tt0133093/similar?n=0", NULL, 422, "1 to 200"},
        {"GET", "/v1/items/a%00b", NULL, 400, "%00"},
        {"GET", "/v1/items/a%zz", NULL, 400, "broken"},
        {"GET", "/v1/items/%ff", NULL, 400, "UTF-8"},
        {"GET", "/v1/items", NULL, 422, "words of a title"},
        {"GET", "/v1/nothing", NULL, 404, "no such path"},
        {"GET", "/../../etc/passwd", NULL, 404, "no such path"},
        {"DELETE", "/v1/events", NULL, 405, "does not take that method"},
        {"GET", "/v1/recommendations/rec_none", NULL, 404, "no slate"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct reply reply = ask(&server, cases[i].method, cases[i].path, cases[i].body);
        if (reply.status != cases[i].status || !strstr(reply.text, cases[i].says))
            fail_msg("%s %s %s: expected %ld with '%s', found %ld %s", cases[i].method,
                     cases[i].path, cases[i].body ? cases[i].body : "", cases[i].status,
                     cases[i].says, reply.status, reply.text);
        json_t *error = json_object_get(reply.json, "error");
        assert_true(json_is_string(json_object_get(error, "message")) &&
                    json_is_string(json_object_get(error, "type")));
        assert_non_null(strstr(reply.headers, "application/problem+json"));
        reply_drop(&reply);
    }
    size_t size = 9 << 20;
    char *large = malloc(size);
    assert_non_null(large);
    memset(large, ' ', size);
    struct reply reply = ask_with(&server, "POST", "/v1/recommendations", large, size, NULL);
    assert_int_equal(reply.status, 413);
    assert_non_null(strstr(reply.text, "8388608"));
    reply_drop(&reply);
    free(large);
    json_decref(expect(&server, 200, "GET", "/healthz", NULL)); /* it is still there */
}

static void it_describes_and_counts_itself(void **state)
{
    (void)state;
    json_t *api = expect(&server, 200, "GET", "/openapi.json", NULL);
    assert_non_null(
        json_object_get(json_object_get(json_object_get(api, "paths"), "/v1/items/{id}"), "put"));
    assert_true(json_object_size(json_object_get(json_object_get(api, "components"), "schemas")) >=
                8);
    json_decref(api);
    struct reply metrics = ask(&server, "GET", "/metrics", NULL);
    assert_int_equal(metrics.status, 200);
    assert_non_null(strstr(
        metrics.text, "tessera_requests_total{route=\"POST /v1/recommendations\",status=\"2xx\"}"));
    reply_drop(&metrics);
    struct reply page = ask(&server, "GET", "/", NULL);
    assert_int_equal(page.status, 200);
    assert_non_null(strstr(page.text, "<title>Tessera</title>"));
    assert_non_null(strstr(page.headers, "text/html"));
    reply_drop(&page);
    struct reply named = ask_with(&server, "GET", "/healthz", NULL, 0, "X-Request-ID: mine-7");
    assert_non_null(strstr(named.headers, "X-Request-ID: mine-7"));
    reply_drop(&named);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_slate_says_what_why_and_how_likely),
        TEST(an_event_changes_the_next_answer),
        TEST(exclusions_and_categories_hold),
        TEST(exploring_says_its_propensities),
        TEST(words_are_answered),
        TEST(lists_can_be_made_diverse),
        TEST(items_are_put_found_listed_and_deleted),
        TEST(events_come_in_every_shape_and_once),
        TEST(bad_input_gets_a_clear_error),
        TEST(it_describes_and_counts_itself),
    };
    return cmocka_run_group_tests(tests, start, end);
}
