/*
 * What OpenAI's clients ask beside a chat: which models there are, and vectors of items and texts.
 */
#include "tests/service/client.h"

#include <math.h>

static char home[512];
static struct server server;

static int start(void **state)
{
    (void)state;
    served_copy(&server, home, sizeof home, "models", NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    return served_drop(&server, home);
}

static void models_are_those_in_production(void **state)
{
    (void)state;
    json_t *list = expect(&server, 200, "GET", "/v1/models", NULL);
    const json_t *first = json_array_get(json_object_get(list, "data"), 0);
    assert_string_equal(text_at(list, "object"), "list");
    assert_string_equal(text_at(first, "id"), "chat");
    assert_string_equal(text_at(first, "object"), "model");
    assert_true(json_is_true(json_object_get(first, "chats")));
    assert_true(json_integer_value(json_object_get(first, "created")) > 1500000000);
    char path[200];
    snprintf(path, sizeof path, "/v1/models/%s", text_at(first, "version"));
    json_t *one = expect(&server, 200, "GET", path, NULL);
    assert_string_equal(text_at(one, "id"), text_at(first, "version"));
    json_t *none = expect(&server, 404, "GET", "/v1/models/gpt-4o", NULL);
    assert_string_equal(text_at(json_object_get(none, "error"), "code"), "model_not_found");
    json_decref(list);
    json_decref(one);
    json_decref(none);
}

static double product(const json_t *list, size_t a, size_t b)
{
    const json_t *x = json_object_get(json_array_get(list, a), "embedding");
    const json_t *y = json_object_get(json_array_get(list, b), "embedding");
    double sum = 0;
    for (size_t i = 0; i < json_array_size(x); i++)
        sum += json_real_value(json_array_get(x, i)) * json_real_value(json_array_get(y, i));
    return sum;
}

/* What /similar calls the nearest item is the nearest by these vectors, too. */
static void items_and_texts_are_vectors_of_one_space(void **state)
{
    char body[400];
    (void)state;
    json_t *similar = expect(&server, 200, "GET", "/v1/items/tt0133093/similar?n=2", NULL);
    const json_t *nearest = json_array_get(json_object_get(similar, "items"), 0);
    snprintf(body, sizeof body,
             "{\"model\":\"recommend\",\"input\":[\"item:tt0133093\",\"item:%s\",\"the matrix "
             "reloaded\"],\"dimensions\":32}",
             text_at(nearest, "item_id"));
    json_t *reply = expect(&server, 200, "POST", "/v1/embeddings", body);
    const json_t *data = json_object_get(reply, "data");
    assert_int_equal(json_array_size(data), 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(fabs(product(data, i, i) - 1) < 1e-5);
    assert_true(fabs(product(data, 0, 1) - json_number_value(json_object_get(nearest, "score"))) <
                1e-4);
    json_decref(similar);
    json_t *packed = expect(&server, 200, "POST", "/v1/embeddings",
                            "{\"model\":\"chat\",\"input\":\"item:tt0133093\",\"encoding_format\":"
                            "\"base64\"}");
    const char *base64 = text_at(json_array_get(json_object_get(packed, "data"), 0), "embedding");
    assert_int_equal(strlen(base64), (32 * 4 + 2) / 3 * 4);
    static const struct {
        const char *body, *param;
        long status;
    } bad[] = {
        {"{\"input\":[]}", "input", 422},
        {"{}", "input", 422},
        {"{\"input\":[1,2]}", "input[0]", 422},
        {"{\"input\":\"  \"}", "input[0]", 422},
        {"{\"input\":\"item:nobody\"}", "input[0]", 404},
        {"{\"input\":\"x\",\"dimensions\":16}", "dimensions", 422},
        {"{\"input\":\"x\",\"encoding_format\":\"hex\"}", "encoding_format", 422},
        {"{\"input\":\"x\",\"model\":\"ada\"}", "model", 404},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        json_t *problem = expect(&server, bad[i].status, "POST", "/v1/embeddings", bad[i].body);
        assert_string_equal(text_at(json_object_get(problem, "error"), "param"), bad[i].param);
        json_decref(problem);
    }
    json_decref(reply);
    json_decref(packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(models_are_those_in_production),
        TEST(items_and_texts_are_vectors_of_one_space),
    };
    return cmocka_run_group_tests(tests, start, end);
}
