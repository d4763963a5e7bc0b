/*
 * What is kept of the body of a chat.  What is refused, and how it is said: test_chat.c.
 */
#include "tests/test.h"

#include "service/chat.h"

/* Of the body only what is used is held, when the call that brought it is gone. */
static void a_request_outlives_its_body(void **state)
{
    static const struct serve_settings settings = {.chat_words = 100};
    struct chat_request request;
    struct err err = {0};
    json_t *body =
        json_loads("{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"},"
                   "{\"role\":\"assistant\",\"content\":null,\"recommendations\":["
                   "{\"item_id\":\"one\",\"item\":{\"title\":\"One\"}},{},7,{\"item_id\":7}]},"
                   "{\"role\":\"user\",\"content\":\"Hello\"}],\"more\":[[],[],[]],"
                   "\"metadata\":{\"conversation_id\":\"c\",\"exclude\":[\"two\"],\"more\":{}},"
                   "\"undo\":\"0123456789abcdef\",\"model\":\"chat\",\"stop\":[\"enough\"]}",
                   0, NULL);
    json_t *more = json_incref(json_object_get(body, "more"));
    (void)state;
    assert_fine(chat_request_parse(&request, body, &settings, &err), err);
    json_decref(body);
    assert_int_equal(more->refcount, 1);
    json_decref(more);
    assert_string_equal(request.model, "chat");
    assert_string_equal(request.stops[0], "enough");
    assert_string_equal(request.conversation, "c");
    assert_string_equal(json_string_value(json_array_get(request.exclude, 0)), "two");
    assert_string_equal(json_string_value(json_array_get(request.undo, 0)), "0123456789abcdef");
    assert_int_equal(json_array_size(request.messages[1].recommendations), 1);
    assert_string_equal(json_string_value(json_array_get(request.messages[1].recommendations, 0)),
                        "one");
    chat_request_release(&request);
}

/* Of more messages than are kept the newest are read. */
static void the_newest_messages_are_kept(void **state)
{
    static const struct serve_settings settings = {.chat_words = 100};
    struct chat_request request;
    struct err err = {0};
    char text[20];
    json_t *body = json_pack("{s:[]}", "messages");
    (void)state;
    for (int i = 0; i < CHAT_MESSAGES_MAX + 5; i++) {
        snprintf(text, sizeof text, "%d", i);
        json_array_append_new(json_object_get(body, "messages"),
                              json_pack("{s:s, s:s}", "role", "user", "content", text));
    }
    assert_fine(chat_request_parse(&request, body, &settings, &err), err);
    json_decref(body);
    assert_int_equal(request.count, CHAT_MESSAGES_MAX);
    assert_string_equal(request.messages[0].text, "5");
    chat_request_release(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_outlives_its_body),
        TEST(the_newest_messages_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
