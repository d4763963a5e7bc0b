/*
 * The conversation as clients that speak OpenAI's API meet it: streams and whole replies, what was
 * shown, what is refused and why.
 */
#include "tests/service/client.h"

#include "base/text.h"

#include <curl/curl.h>

#define CHAT "/v1/chat/completions"
#define USER(text) "{\"role\":\"user\",\"content\":\"" text "\"}"
#define ASK(text, more) "{\"messages\":[" USER(text) "]" more "}"

static char home[512];
static struct server server;

static int start(void **state)
{
    (void)state;
    served_copy(&server, home, sizeof home, "chat", "--body_max 2000000 --chat_words 8");
    return 0;
}

static int end(void **state)
{
    (void)state;
    return served_drop(&server, home);
}

static json_t *message_of(const json_t *reply)
{
    json_t *choice = json_array_get(json_object_get(reply, "choices"), 0);
    json_t *delta = json_object_get(choice, "delta");
    return delta ? delta : json_object_get(choice, "message");
}

static const json_t *items_of(const json_t *reply)
{
    return json_object_get(message_of(reply), "recommendations");
}

static const char *item_at(const json_t *reply, size_t rank)
{
    return text_at(json_array_get(items_of(reply), rank), "item_id");
}

static bool lists(const json_t *reply, const char *id)
{
    for (size_t i = 0; i < json_array_size(items_of(reply)); i++)
        if (strcmp(item_at(reply, i), id) == 0)
            return true;
    return false;
}

/* Title (Year) of an item of a list. */
static void name_at(char *name, size_t room, const json_t *reply, size_t rank)
{
    const json_t *item = json_object_get(json_array_get(items_of(reply), rank), "item");
    snprintf(name, room, "%s (%lld)", text_at(item, "title"),
             (long long)json_integer_value(
                 json_object_get(json_object_get(item, "attributes"), "year")));
}

static void a_reply_has_a_list_and_words_that_name_only_what_is_on_it(void **state)
{
    char first[200];
    (void)state;
    json_t *reply = expect(&server, 200, "POST", CHAT, ASK("Something like The Matrix (1999)", ""));
    json_t *message = message_of(reply);
    const char *words = text_at(message, "content");
    assert_string_equal(text_at(reply, "object"), "chat.completion");
    assert_string_equal(text_at(message, "role"), "assistant");
    assert_int_equal(json_array_size(items_of(reply)), 10);
    for (size_t i = 0; i < 10; i++) {
        const json_t *item = json_array_get(items_of(reply), i);
        assert_int_equal(json_integer_value(json_object_get(item, "rank")), i + 1);
        assert_int_equal(json_array_size(json_object_get(item, "semantic_id")), 4);
        assert_true(json_string_length(json_object_get(json_object_get(item, "item"), "title")) >
                    0);
        assert_string_not_equal(item_at(reply, i), "tt0133093"); /* it was named */
        const char *why = text_at(json_array_get(json_object_get(item, "reasons"), 0), "text");
        assert_null(strstr(why, "liked")); /* who knows? */
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(item_at(reply, i), item_at(reply, j));
    }
    name_at(first, sizeof first, reply, 0);
    assert_non_null(strstr(words, first));
    assert_null(strstr(words, "The Matrix (1999)"));
    assert_string_equal(text_at(message, "text_source"), "template");
    const json_t *choice = json_array_get(json_object_get(reply, "choices"), 0);
    assert_string_equal(text_at(choice, "finish_reason"), "stop"); /* chat_words cut no template */
    assert_int_equal(words[strlen(words) - 1], '.');
    assert_int_equal(json_array_size(json_object_get(message, "understood")) < 100, true);
    const json_t *usage = json_object_get(reply, "usage");
    json_int_t prompt = json_integer_value(json_object_get(usage, "prompt_tokens"));
    json_int_t said = json_integer_value(json_object_get(usage, "completion_tokens"));
    assert_true(prompt > 0 && said > 0);
    assert_int_equal(json_integer_value(json_object_get(usage, "total_tokens")), prompt + said);
    assert_true(strncmp(text_at(reply, "system_fingerprint"), "000", 3) == 0);
    json_decref(reply);
}

/* One data: frame after another; asserts that nothing else but comments stands between them. */
struct frames {
    json_t *chunks[400];
    size_t count;
    size_t comments;
    bool done;
};

static struct frames frames_of(const char *text)
{
    struct frames frames = {0};
    while (*text) {
        size_t size = strcspn(text, "\n");
        if (text[0] == ':') {
            frames.comments++;
        } else if (size) {
            assert_true(strncmp(text, "data: ", 6) == 0);
            assert_false(frames.done);
            frames.done = strncmp(text, "data: [DONE]", size) == 0;
            if (!frames.done) {
                assert_true(frames.count < COUNT(frames.chunks));
                frames.chunks[frames.count] = json_loadb(text + 6, size - 6, 0, NULL);
                assert_non_null(frames.chunks[frames.count++]);
            }
        }
        text += size;
        text += *text == '\n';
    }
    return frames;
}

static void frames_drop(struct frames *frames)
{
    for (size_t i = 0; i < frames->count; i++)
        json_decref(frames->chunks[i]);
}

static size_t take(char *bytes, size_t size, size_t count, void *self)
{
    struct text *text = self;
    text_add(text, bytes, size * count);
    return size * count;
}

/* The whole stream as text; owned. */
static char *stream(const char *body)
{
    char url[200];
    struct text text;
    CURL *curl = curl_easy_init();
    snprintf(url, sizeof url, "http://127.0.0.1:%u" CHAT, server.port);
    text_init(&text, 1u << 24);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &text);
    assert_int_equal(curl_easy_perform(curl), CURLE_OK);
    curl_easy_cleanup(curl);
    assert_non_null(text.bytes);
    return text.bytes;
}

/* The same list and words as without a stream, in the order that clients put together. */
static void a_stream_tells_the_same_in_order(void **state)
{
    char words[8000] = "";
    (void)state;
    json_t *whole = expect(&server, 200, "POST", CHAT, ASK("Something like Alien (1979)", ""));
    char *text = stream(ASK("Something like Alien (1979)",
                            ",\"stream\":true,\"stream_options\":{\"include_usage\":true}"));
    struct frames frames = frames_of(text);
    assert_true(frames.done && frames.comments > 0 && frames.count > 5);
    for (size_t i = 0; i < frames.count; i++) {
        const json_t *chunk = frames.chunks[i];
        assert_string_equal(text_at(chunk, "object"), "chat.completion.chunk");
        assert_string_equal(text_at(chunk, "id"), text_at(frames.chunks[0], "id"));
        const char *piece = text_at(message_of(chunk), "content");
        snprintf(words + strlen(words), sizeof words - strlen(words), "%s", piece);
        const json_t *choice = json_array_get(json_object_get(chunk, "choices"), 0);
        if (i + 2 < frames.count)
            assert_true(json_is_null(json_object_get(choice, "finish_reason")));
    }
    assert_string_equal(text_at(message_of(frames.chunks[0]), "role"), "assistant");
    assert_int_equal(json_array_size(items_of(frames.chunks[1])), 10); /* the list, then words */
    for (size_t i = 0; i < 10; i++)
        assert_string_equal(item_at(frames.chunks[1], i), item_at(whole, i));
    assert_string_equal(words, text_at(message_of(whole), "content"));
    const json_t *last = frames.chunks[frames.count - 1];
    assert_int_equal(json_array_size(json_object_get(last, "choices")), 0);
    assert_true(json_is_object(json_object_get(last, "usage")));
    const json_t *ending =
        json_array_get(json_object_get(frames.chunks[frames.count - 2], "choices"), 0);
    assert_string_equal(text_at(ending, "finish_reason"), "stop");
    frames_drop(&frames);
    json_decref(whole);
    free(text);
}

/* By the conversation's id; by the items that a message of ours brings back; by its text. */
static void what_was_shown_is_not_shown_again(void **state)
{
    char body[4000];
    char name[200];
    (void)state;
    json_t *first =
        expect(&server, 200, "POST", CHAT,
               ASK("Like The Matrix (1999)", ",\"metadata\":{\"conversation_id\":\"a\"}"));
    json_t *second =
        expect(&server, 200, "POST", CHAT,
               ASK("Like The Matrix (1999)", ",\"metadata\":{\"conversation_id\":\"a\"}"));
    json_t *other =
        expect(&server, 200, "POST", CHAT,
               ASK("Like The Matrix (1999)", ",\"metadata\":{\"conversation_id\":\"b\"}"));
    for (size_t i = 0; i < 10; i++) {
        assert_false(lists(second, item_at(first, i)));
        assert_true(lists(other, item_at(first, i)));
    }
    name_at(name, sizeof name, first, 0);
    snprintf(
        body, sizeof body,
        "{\"messages\":[" USER(
            "Like The Matrix (1999)") ",{\"role\":\"assistant\",\"content\":"
                                      "\"How about "
                                      "%s?\",\"recommendations\":[{\"item_id\":\"%s\"}]}," USER(
                                          "More") "],"
                                                  "\"exclude\":[\"%s\"],\"metadata\":{\"n\":\"50\"}"
                                                  "}",
        name, item_at(first, 1), item_at(first, 2));
    json_t *third = expect(&server, 200, "POST", CHAT, body);
    assert_int_equal(json_array_size(items_of(third)), 50);
    for (size_t i = 0; i < 3; i++)
        assert_false(lists(third, item_at(first, i)));
    json_decref(first);
    json_decref(second);
    json_decref(other);
    json_decref(third);
}

/* What a user did, as the events tell it, is what the list is made of, and is not listed. */
static void a_user_brings_a_history(void **state)
{
    (void)state;
    json_decref(expect(&server, 202, "POST", "/v1/events",
                       "{\"user_id\":\"cat\",\"item_id\":\"tt0133093\",\"type\":\"like\"}"));
    json_t *cold = expect(&server, 200, "POST", CHAT, ASK("Surprise me", ""));
    json_t *warm = expect(&server, 200, "POST", CHAT,
                          ASK("Surprise me", ",\"metadata\":{\"user_id\":\"cat\"}"));
    size_t same = 0;
    for (size_t i = 0; i < 10; i++)
        same += lists(cold, item_at(warm, i));
    assert_true(same < 10);
    assert_false(lists(warm, "tt0133093"));
    char path[200];
    snprintf(path, sizeof path, "/v1/recommendations/%s", text_at(message_of(warm), "request_id"));
    json_t *kept = NULL;
    for (int i = 0; i < 100 && !kept; i++) { /* it is written behind */
        struct reply reply = ask(&server, "GET", path, NULL);
        kept = reply.status == 200 ? json_incref(reply.json) : NULL;
        reply_drop(&reply);
        usleep(20000);
    }
    assert_string_equal(slate_item(kept, 0), item_at(warm, 0));
    assert_string_equal(text_at(kept, "user_id"), "cat");
    json_decref(kept);
    json_decref(cold);
    json_decref(warm);
}

static void the_text_ends_where_it_is_told_to(void **state)
{
    char begin[200] = "";
    char body[600];
    (void)state;
    json_t *whole = expect(&server, 200, "POST", CHAT, ASK("Like Alien (1979)", ""));
    const char *words = text_at(message_of(whole), "content");
    for (size_t at = 0, spaces = 0; words[at] && spaces < 3; at++)
        if ((spaces += words[at] == ' ') < 3)
            begin[at] = words[at]; /* three words */
    json_t *cut =
        expect(&server, 200, "POST", CHAT, ASK("Like Alien (1979)", ",\"max_tokens\":3.0"));
    const json_t *choice = json_array_get(json_object_get(cut, "choices"), 0);
    assert_string_equal(text_at(choice, "finish_reason"), "length");
    assert_string_equal(text_at(message_of(cut), "content"), begin);
    const char *last = strrchr(begin, ' ');
    snprintf(body, sizeof body, ASK("Like Alien (1979)", ",\"stop\":[\"%s\"]"), last);
    json_t *stopped = expect(&server, 200, "POST", CHAT, body);
    choice = json_array_get(json_object_get(stopped, "choices"), 0);
    assert_string_equal(text_at(choice, "finish_reason"), "stop");
    const char *said = text_at(message_of(stopped), "content");
    assert_int_equal(strlen(said), last - begin);
    assert_int_equal(strncmp(said, begin, strlen(said)), 0);
    json_decref(whole);
    json_decref(cut);
    json_decref(stopped);
}

static bool all_in(const json_t *reply, const char *category)
{
    for (size_t i = 0; i < json_array_size(items_of(reply)); i++) {
        const json_t *item = json_object_get(json_array_get(items_of(reply), i), "item");
        const json_t *categories = json_object_get(item, "categories");
        bool in = false;
        for (size_t c = 0; c < json_array_size(categories); c++)
            in |= strcmp(json_string_value(json_array_get(categories, c)), category) == 0;
        if (!in)
            return false;
    }
    return json_array_size(items_of(reply)) > 0;
}

/* Wishes filter, are told, can be undone by their id; what cannot be mapped is said aloud. */
static void wishes_are_told_and_can_be_undone(void **state)
{
    char body[900];
    (void)state;
    json_t *reply = expect(
        &server, 200, "POST", CHAT,
        "{\"messages\":[" USER(
            "Something like Alien (1979)") ","
                                           "{\"role\":\"assistant\",\"content\":\"How about Aliens "
                                           "(1986)?\"}," USER(
                                               "only comedies please, starring Tom Hanks") "]}");
    const json_t *understood = json_object_get(message_of(reply), "understood");
    const json_t *missed = json_object_get(message_of(reply), "not_understood");
    const json_t *only = NULL;
    for (size_t i = 0; i < json_array_size(understood); i++)
        if (strcmp(text_at(json_array_get(understood, i), "value"), "Comedy") == 0)
            only = json_array_get(understood, i);
    assert_non_null(only);
    assert_int_equal(strlen(text_at(only, "id")), 16);
    assert_true(all_in(reply, "Comedy"));
    assert_false(lists(reply, "tt0090605")); /* Aliens was shown */
    assert_true(json_array_size(missed) > 0);
    assert_non_null(strstr(text_at(message_of(reply), "content"), "Hanks"));
    snprintf(body, sizeof body,
             "{\"messages\":[" USER("Something like Alien (1979)") "," USER(
                 "only comedies please") "],\"undo\":[\"%s\"]}",
             text_at(only, "id"));
    json_t *undone = expect(&server, 200, "POST", CHAT, body);
    assert_false(all_in(undone, "Comedy"));
    json_t *count =
        expect(&server, 200, "POST", CHAT, ASK("Give me three films like Alien (1979)", ""));
    assert_int_equal(json_array_size(items_of(count)), 3);
    json_decref(reply);
    json_decref(undone);
    json_decref(count);
}

/* The words of a reply as a client sends them back within a JSON string. */
static char *spoken(const json_t *reply)
{
    json_t *text = json_string(text_at(message_of(reply), "content"));
    char *quoted = json_dumps(text, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    json_decref(text);
    memmove(quoted, quoted + 1, strlen(quoted));
    quoted[strlen(quoted) - 1] = 0;
    return quoted;
}

/* Who liked Alien was told `said`, and says what is next; more: fields of the request. */
static void alien_then(char *body, size_t room, const char *said, const char *next,
                       const char *more)
{
    snprintf(body, room,
             "{\"messages\":[{\"role\":\"user\",\"content\":\"Like Alien (1979)\"},"
             "{\"role\":\"assistant\",\"content\":\"%s\"},"
             "{\"role\":\"user\",\"content\":\"%s\"}]%s}",
             said, next, more);
}

static json_int_t prompt_of(const json_t *reply)
{
    return json_integer_value(json_object_get(json_object_get(reply, "usage"), "prompt_tokens"));
}

/* "The fourth" of a list by what the reply said of it, as a client sends it back; by the
 * conversation's id whatever is sent back. */
static void ranks_are_those_of_the_list_that_was_shown(void **state)
{
    char name[5][200];
    char body[4000];
    (void)state;
    for (int with_id = 0; with_id < 2; with_id++) {
        json_t *first = expect(
            &server, 200, "POST", CHAT,
            ASK("Like Alien (1979)", ",\"metadata\":{\"conversation_id\":\"ranks\",\"n\":\"5\"}"));
        for (size_t i = 0; i < 5; i++)
            name_at(name[i], sizeof name[i], first, i);
        char *said = with_id ? strdup("Here you are.") : spoken(first);
        alien_then(body, sizeof body, said, "more like the fourth",
                   with_id ? ",\"metadata\":{\"conversation_id\":\"ranks\"}" : "");
        free(said);
        json_t *reply = expect(&server, 200, "POST", CHAT, body);
        const json_t *wishes = json_object_get(message_of(reply), "understood");
        const json_t *newest = json_array_get(wishes, json_array_size(wishes) - 1);
        assert_string_equal(text_at(newest, "kind"), "like");
        assert_string_equal(text_at(newest, "value"), name[3]);
        size_t used = strlen(body) - 1; /* the policy reads it once more than without the wish */
        snprintf(body + used, sizeof body - used, ",\"undo\":[\"%s\"]}", text_at(newest, "id"));
        json_t *undone = expect(&server, 200, "POST", CHAT, body);
        assert_int_equal(prompt_of(reply), prompt_of(undone) + 1);
        json_decref(first);
        json_decref(reply);
        json_decref(undone);
    }
}

/* Two lists answered the same words; the client goes on from the first, which it sends back. */
static void a_list_that_is_sent_back_is_surer_than_the_newest(void **state)
{
    static const char id[] = ",\"metadata\":{\"conversation_id\":\"branch\",\"n\":\"5\"}";
    char body[2000];
    char name[200];
    (void)state;
    snprintf(body, sizeof body, ASK("Like Alien (1979)", "%s"), id);
    json_t *first = expect(&server, 200, "POST", CHAT, body);
    snprintf(body, sizeof body, ASK("Like Alien (1979)", "%s,\"exclude\":[\"%s\",\"%s\"]"), id,
             item_at(first, 0), item_at(first, 1));
    json_t *again = expect(&server, 200, "POST", CHAT, body);
    assert_string_not_equal(item_at(first, 1), item_at(again, 1));
    name_at(name, sizeof name, first, 1);
    snprintf(body, sizeof body,
             "{\"messages\":[" USER(
                 "Like Alien (1979)") ",{\"role\":\"assistant\",\"content\":\"Here.\","
                                      "\"recommendations\":[{\"item_id\":\"%s\"},"
                                      "{\"item_id\":\"%s\"}]}," USER("more like the second") "]%s}",
             item_at(first, 0), item_at(first, 1), id);
    json_t *reply = expect(&server, 200, "POST", CHAT, body);
    const json_t *wishes = json_object_get(message_of(reply), "understood");
    const json_t *newest = json_array_get(wishes, json_array_size(wishes) - 1);
    assert_string_equal(text_at(newest, "value"), name);
    json_decref(first);
    json_decref(again);
    json_decref(reply);
}

/* "Older" and "the second" are of the list before, also when the message comes again: a retry, or a
 * wish that is taken back. */
static void what_is_sent_again_means_what_it_meant(void **state)
{
    static const char next[] = "older, and more like the second";
    static const char twice_of_five[] = ",\"metadata\":{\"conversation_id\":\"twice\",\"n\":\"5\"}";
    char more[300];
    char body[2000];
    (void)state;
    json_decref(expect(
        &server, 200, "POST", CHAT,
        ASK("Like Alien (1979)", ",\"metadata\":{\"conversation_id\":\"twice\",\"n\":\"5\"}")));
    alien_then(body, sizeof body, "Here.", next, twice_of_five);
    json_t *once = expect(&server, 200, "POST", CHAT, body);
    json_t *twice = expect(&server, 200, "POST", CHAT, body);
    const json_t *wishes = json_object_get(message_of(once), "understood");
    assert_int_equal(json_array_size(wishes), 3); /* like Alien, older, like the second */
    assert_true(json_equal(wishes, json_object_get(message_of(twice), "understood")));
    const char *older = NULL;
    for (size_t i = 0; i < json_array_size(wishes); i++)
        if (strcmp(text_at(json_array_get(wishes, i), "kind"), "years") == 0)
            older = text_at(json_array_get(wishes, i), "id");
    assert_non_null(older);
    snprintf(more, sizeof more, "%s,\"undo\":[\"%s\"]", twice_of_five, older);
    alien_then(body, sizeof body, "Here.", next, more);
    json_t *undone = expect(&server, 200, "POST", CHAT, body);
    assert_int_equal(json_array_size(json_object_get(message_of(undone), "understood")), 2);
    json_decref(once);
    json_decref(twice);
    json_decref(undone);
}

/* Each is refused with the field's name; none with a status that clients try again by themselves.
 */
static void what_is_not_offered_is_refused_by_name(void **state)
{
    static const struct {
        const char *body, *param, *code;
        long status;
    } bad[] = {
        {"[]", "body", "invalid", 422},
        {"{\"messages\":[" USER("x") "],\"n\":2}", "n", "unsupported_parameter", 422},
        {"{\"messages\":[" USER("x") "],\"n\":\"1\"}", "n", "invalid", 422},
        {"{\"messages\":[" USER("x") "],\"n\":1.5}", "n", "invalid", 422},
        {"{\"messages\":[" USER("x") "],\"tools\":[{\"type\":\"function\"}]}", "tools",
         "unsupported_parameter", 422},
        {"{\"messages\":[" USER("x") "],\"response_format\":{\"type\":\"json_object\"}}",
         "response_format", "unsupported_parameter", 422},
        {"{\"messages\":[" USER("x") "],\"logprobs\":true}", "logprobs", "unsupported_parameter",
         422},
        {"{\"messages\":[" USER("x") "],\"modalities\":[\"text\",\"audio\"]}", "modalities[1]",
         "unsupported_parameter", 422},
        {"{}", "messages", "invalid", 422},
        {"{\"messages\":[]}", "messages", "invalid", 422},
        {"{\"messages\":\"hello\"}", "messages", "invalid", 422},
        {"{\"messages\":[7]}", "messages[0]", "invalid", 422},
        {"{\"messages\":[{\"role\":\"assistant\",\"content\":\"x\"}]}", "messages", "invalid", 422},
        {"{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "messages[0].role",
         "unsupported_value", 422},
        {"{\"messages\":[{\"role\":\"robot\",\"content\":\"x\"}]}", "messages[0].role", "invalid",
         422},
        {"{\"messages\":[{\"role\":\"user\"}]}", "messages[0].content", "invalid", 422},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{"
         "\"url\":\"http://x\"}}]}]}",
         "messages[0].content[0].type", "unsupported_value", 422},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\"}]}]}",
         "messages[0].content[0].type", "unsupported_value", 422},
        {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":5}]}]}",
         "messages[0].content[0].text", "invalid", 422},
        {"{\"messages\":[" USER("x") "],\"temperature\":3}", "temperature", "invalid", 422},
        {"{\"messages\":[" USER("x") "],\"max_tokens\":0}", "max_tokens", "invalid", 422},
        {"{\"messages\":[" USER("x") "],\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}", "stop",
         "invalid", 422},
        {"{\"messages\":[" USER("x") "],\"stream\":\"yes\"}", "stream", "invalid", 422},
        {"{\"messages\":[" USER("x") "],\"stream_options\":{\"include_usage\":true}}",
         "stream_options", "invalid", 422},
        {"{\"messages\":[" USER("x") "],\"metadata\":{\"n\":\"51\"}}", "metadata.n", "invalid",
         422},
        {"{\"messages\":[" USER("x") "],\"metadata\":{\"n\":0}}", "metadata.n", "invalid", 422},
        {"{\"messages\":[" USER("x") "],\"metadata\":[]}", "metadata", "invalid", 422},
        {"{\"messages\":[" USER("x") "],\"exclude\":[5]}", "exclude[0]", "invalid", 422},
        {"{\"messages\":[" USER("x") "],\"undo\":[\"zz\"]}", "undo[0]", "invalid", 422},
        {"{\"messages\":[" USER("x") "],\"mode\":\"loud\"}", "mode", "invalid", 422},
        {"{\"messages\":[" USER("x") "],\"model\":\"gpt-4o\"}", "model", "model_not_found", 404},
        /* a name that is cut inside a character */
        {"{\"messages\":[" USER("x") "],\"model\":\"ああああああああああああああああああああ"
                                     "ああああああああああああああああああああ\"}",
         "model", "model_not_found", 404},
        {"{\"messages\":[" USER("x") "],\"model\":7}", "model", "invalid", 422},
        {"{\"messages\":[" USER("x") "]", NULL, "malformed", 400},
        {"{\"messages\":[" USER("\xff") "]}", NULL, "malformed", 400},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        for (int streams = 0; streams < 2; streams++) {
            char body[1000];
            size_t size = strlen(bad[i].body);
            snprintf(body, sizeof body, "%s", bad[i].body);
            if (streams && size > 2 && body[size - 1] == '}' && !strstr(body, "\"stream"))
                snprintf(body + size - 1, sizeof body - size, ",\"stream\":true}");
            struct reply reply = ask(&server, "POST", CHAT, body);
            const json_t *error = json_object_get(reply.json, "error");
            const char *param = json_string_value(json_object_get(error, "param"));
            if (reply.status != bad[i].status || strcmp(text_at(error, "code"), bad[i].code) != 0 ||
                strcmp(param ? param : "-", bad[i].param ? bad[i].param : "-") != 0)
                fail_msg("%s: %ld %s", body, reply.status, reply.text);
            assert_string_equal(text_at(error, "type"),
                                bad[i].status == 404 ? "not_found_error" : "invalid_request_error");
            assert_true(json_string_length(json_object_get(error, "message")) > 0);
            assert_non_null(strstr(reply.headers, "application/problem+json"));
            reply_drop(&reply);
        }
    }
}

static void what_clients_send_beside_it_does_no_harm(void **state)
{
    (void)state;
    json_t *reply = expect(
        &server, 200, "POST", CHAT,
        "{\"model\":\"chat\",\"n\":1.0,\"tools\":[],\"tool_choice\":\"auto\",\"store\":false,"
        "\"logprobs\":"
        "false,\"top_p\":0.9,\"presence_penalty\":0.1,\"frequency_penalty\":0,\"seed\":-5,"
        "\"response_format\":{\"type\":\"text\"},\"stop\":null,\"what_is_this\":{\"a\":1},"
        "\"temperature\":0.7,\"messages\":[{\"role\":\"developer\",\"content\":\"Be brief.\"},"
        "{\"role\":\"system\",\"content\":\"Be kind.\",\"name\":\"x\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Something like\"},{\"type\":"
        "\"text\",\"text\":\"Alien "
        "(1979)\"}]},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":"
        "[]}," USER("and then?") "]}");
    assert_int_equal(json_array_size(items_of(reply)), 10);
    assert_false(lists(reply, "tt0078748"));
    json_decref(reply);
}

/* Of a dialogue that is far too long the newest part is read; a body beyond body_max is refused. */
static void long_dialogues_are_read_from_their_end(void **state)
{
    enum { SIZE = 1500000 };
    char *body = malloc(SIZE * 2);
    (void)state;
    size_t at = (size_t)sprintf(body, "{\"messages\":[");
    while (at < SIZE)
        at += (size_t)sprintf(
            body + at,
            USER(
                "I do not know what to see tonight, do you?") ","
                                                              "{\"role\":\"assistant\",\"content\":"
                                                              "\"What did you like?\"},");
    sprintf(body + at, USER("Something like Alien (1979)") "]}");
    json_t *reply = expect(&server, 200, "POST", CHAT, body);
    json_int_t prompt =
        json_integer_value(json_object_get(json_object_get(reply, "usage"), "prompt_tokens"));
    assert_true(prompt > 100 && prompt <= 1100);
    assert_int_equal(json_array_size(items_of(reply)), 10);
    assert_false(lists(reply, "tt0078748")); /* the newest words were read */
    json_decref(reply);
    memset(body, ' ', SIZE * 2 - 1);
    body[SIZE * 2 - 1] = 0;
    json_decref(expect(&server, 413, "POST", CHAT, body));
    free(body);
}

/* A key needs the scope; two keys share no conversation. */
static void keys_have_a_scope_and_conversations_of_their_own(void **state)
{
    char key[2][100];
    char header[2][200];
    static const char body[] =
        ASK("Like The Matrix (1999)", ",\"metadata\":{\"conversation_id\":\"k\"}");
    char first[64] = "";
    char why[400];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char command[1200];
        snprintf(command, sizeof command,
                 TESSERA " --home '%s' key --name k%zu --scopes chat 2>/dev/null", home, i);
        FILE *pipe = popen(command, "r");
        assert_non_null(pipe);
        assert_non_null(fgets(key[i], sizeof key[i], pipe));
        pclose(pipe);
        key[i][strcspn(key[i], "\n")] = 0;
        snprintf(header[i], sizeof header[i], "Authorization: Bearer %.99s", key[i]);
    }
    assert_int_equal(tessera(why, sizeof why, home, "key --name other --scopes recommend"), 0);
    for (int round = 0; round < 3; round++) { /* key 0, key 1, key 0 again */
        json_t *reply = NULL;
        struct reply answer =
            ask_with(&server, "POST", CHAT, body, strlen(body), header[round == 1]);
        assert_int_equal(answer.status, 200);
        /* the text is cut, the JSON is whole */
        reply = json_incref(answer.json);
        if (round == 0)
            snprintf(first, sizeof first, "%s", item_at(reply, 0));
        assert_int_equal(lists(reply, first), round < 2);
        json_decref(reply);
        reply_drop(&answer);
    }
    json_decref(expect(&server, 401, "POST", CHAT, body));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_reply_has_a_list_and_words_that_name_only_what_is_on_it),
        TEST(a_stream_tells_the_same_in_order),
        TEST(what_was_shown_is_not_shown_again),
        TEST(a_user_brings_a_history),
        TEST(the_text_ends_where_it_is_told_to),
        TEST(wishes_are_told_and_can_be_undone),
        TEST(ranks_are_those_of_the_list_that_was_shown),
        TEST(a_list_that_is_sent_back_is_surer_than_the_newest),
        TEST(what_is_sent_again_means_what_it_meant),
        TEST(what_is_not_offered_is_refused_by_name),
        TEST(what_clients_send_beside_it_does_no_harm),
        TEST(long_dialogues_are_read_from_their_end),
        TEST(keys_have_a_scope_and_conversations_of_their_own),
    };
    return cmocka_run_group_tests(tests, start, end);
}
