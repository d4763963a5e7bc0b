/*
 * `tessera texts` against an endpoint of our own: what it is asked, that it is asked once, what
 * happens when it fails; and that training reads what was told of this split alone.
 */
#include "tests/service/client.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <pthread.h>

enum { ALL_WELL, BUSY_FIRST, REFUSES, BABBLES, WILL_NOT, SAYS_NOTHING };

static struct MHD_Daemon *endpoint;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int mood;
static size_t asked, refused;
static char authorization[128];
static size_t argued, listed;
static size_t arguments; /* questions how one would argue */
static size_t lists;     /* questions for a list */
static char wrong[400];  /* what was not as it should be, or empty; asserted in the main thread */

static enum MHD_Result say(struct MHD_Connection *connection, unsigned status, const char *body)
{
    struct MHD_Response *reply = MHD_create_response_from_buffer(
        strlen(body), (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(reply, "Retry-After", "1");
    enum MHD_Result result = MHD_queue_response(connection, status, reply);
    MHD_destroy_response(reply);
    return result;
}

static void expect_text(const char *what, const char *found, const char *expected)
{
    if (!found || strcmp(found, expected) != 0)
        snprintf(wrong, sizeof wrong, "%s: expected '%s', found '%.100s'", what, expected,
                 found ? found : "nothing");
}

static void check_question(const char *bytes, size_t size)
{
    json_t *root = json_loadb(bytes, size, 0, NULL);
    const json_t *messages = json_object_get(root, "messages");
    const json_t *message = json_array_get(messages, 1);
    const char *content = json_string_value(json_object_get(message, "content"));
    expect_text("model", json_string_value(json_object_get(root, "model")), "model-1");
    expect_text("role", json_string_value(json_object_get(message, "role")), "user");
    expect_text("role", json_string_value(json_object_get(json_array_get(messages, 0), "role")),
                "system");
    bool argues = strstr(json_string_value(json_object_get(json_array_get(messages, 0), "content")),
                         "to argue") != NULL;
    arguments += argues;
    if (argues && (!content || strncmp(content, "1. ", 3) != 0 || !strstr(content, "\nNext: ")))
        snprintf(wrong, sizeof wrong, "an argument about '%.100s'", content ? content : "");
    lists += strstr(json_string_value(json_object_get(json_array_get(messages, 0), "content")),
                    "Name twenty") != NULL;
    if (!content || !*content)
        snprintf(wrong, sizeof wrong, "a question without words");
    json_decref(root);
}

static enum MHD_Result answer(void *self, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *bytes,
                              size_t *size, void **state)
{
    (void)self;
    (void)version;
    struct text *body = *state;
    if (!body) {
        body = calloc(1, sizeof *body);
        text_init(body, 1 << 20);
        *state = body;
        return MHD_YES;
    }
    if (*size) {
        text_add(body, bytes, *size);
        *size = 0;
        return MHD_YES;
    }
    pthread_mutex_lock(&lock);
    expect_text("path", url, "/v1/chat/completions");
    expect_text("method", method, "POST");
    const char *key = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    snprintf(authorization, sizeof authorization, "%s", key ? key : "");
    check_question(body->bytes, body->size);
    bool busy = mood == BUSY_FIRST && refused == 0;
    bool argues = arguments > argued;
    argued = arguments;
    bool names = lists > listed;
    listed = lists;
    refused += busy;
    asked += !busy;
    bool first = asked == 1;
    int now = busy ? BUSY_FIRST : mood == BUSY_FIRST ? ALL_WELL : mood;
    pthread_mutex_unlock(&lock);
    text_release(body);
    free(body);
    if (now == BUSY_FIRST)
        return say(connection, 429, "{\"error\":\"slow down\"}");
    if (now == REFUSES)
        return say(connection, 401, "{\"error\":{\"message\":\"wrong key\"}}");
    if (now == WILL_NOT && first)
        return say(connection, 400, "{\"error\":\n{\"message\":\"I must not\"}}");
    if (now == SAYS_NOTHING)
        return say(connection, 200,
                   "{\"choices\":[{\"message\":{\"content\":\"Here are three:\"}}]}");
    if (argues)
        return say(
            connection, 200,
            "{\"choices\":[{\"message\":{\"content\":\"Because 1 2: comedy\\nlikes: Comedy; "
            "from the 2010s; Nothing\\nnext: Comedy\\ndrop 1\\nbecause 1 99: Comedy\\nI am sure "
            "of it\"}}]}");
    if (names)
        return say(connection, 200,
                   "{\"choices\":[{\"message\":{\"content\":\"1. Gravity (2013)\\n2. The Hobbit "
                   "Goes To Mars (2031)\\n3. Gravity (2013)\\n4. \\\"World War Z (2013)\\\"\"}}]}");
    if (now == BABBLES)
        return say(connection, 200, "{\"choices\":[]}");
    return say(connection, 200,
               "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":"
               "\"Here are some:\\n1. 90s films for a rainy evening\\n- \\\"something with "
               "heart\\\"\\n\\n\"}}]}");
}

static int start(void **state)
{
    (void)state;
    endpoint = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, NULL, MHD_OPTION_SOCK_ADDR,
        &(struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
        MHD_OPTION_END);
    setenv("TESSERA_ENDPOINT_KEY", "secret-key", 1);
    return endpoint ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    MHD_stop_daemon(endpoint);
    return 0;
}

static int texts(char *why, size_t room, const char *home, int what, const char *more)
{
    char args[600];
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(endpoint, MHD_DAEMON_INFO_BIND_PORT);
    mood = what;
    asked = refused = 0;
    snprintf(args, sizeof args,
             "texts --endpoint http://127.0.0.1:%u/v1/ --endpoint-model model-1 %s", info->port,
             more);
    int status = tessera(why, room, home, args);
    if (*wrong)
        fail_msg("%s", wrong);
    return status;
}

/* The rows of a table, as `tessera verify` counts them. */
static size_t rows_of(const char *home, const char *table)
{
    char command[700];
    char line[200];
    size_t rows = 0;
    snprintf(command, sizeof command, TESSERA " --home %s verify", home);
    FILE *pipe = popen(command, "r");
    while (fgets(line, sizeof line, pipe))
        if (strncmp(line, table, strlen(table)) == 0 && line[strlen(table)] == ' ')
            rows = strtoul(line + strlen(table), NULL, 10);
    assert_int_equal(pclose(pipe), 0);
    return rows;
}

static void each_question_is_asked_once(void **state)
{
    char home[512];
    char why[4000];
    (void)state;
    home_copy(home, sizeof home, "texts");
    assert_int_equal(texts(why, sizeof why, home, ALL_WELL, "--texts-max 70"), 0);
    assert_int_equal(asked, 70);
    assert_int_equal(rows_of(home, "texts"), 70);
    assert_string_equal(authorization, "Bearer secret-key");
    assert_null(strstr(why, "secret-key"));
    assert_int_equal(texts(why, sizeof why, home, BUSY_FIRST, "--texts-max 10"), 0);
    assert_int_equal(refused, 1);
    assert_int_equal(asked, 10);
    assert_int_equal(rows_of(home, "texts"), 80);
    assert_int_equal(texts(why, sizeof why, home, ALL_WELL, ""), 0);
    size_t all = rows_of(home, "texts");
    assert_int_equal(asked, all - 80);
    assert_int_equal(texts(why, sizeof why, home, REFUSES, ""), 0); /* nobody is asked any more */
    assert_int_equal(asked, 0);
    scratch_drop(home);
}

static void failures_say_what_came_and_keep_what_was_told(void **state)
{
    char home[512];
    char why[4000];
    (void)state;
    home_copy(home, sizeof home, "texts-fail");
    assert_int_equal(texts(why, sizeof why, home, ALL_WELL, "--texts-max 5"), 0);
    assert_int_equal(texts(why, sizeof why, home, REFUSES, "--texts-max 5"), 1);
    assert_non_null(strstr(why, "expected status 200, found 401"));
    assert_non_null(strstr(why, "wrong key"));
    assert_int_equal(texts(why, sizeof why, home, BABBLES, "--texts-max 5"), 2);
    assert_non_null(strstr(why, "expected choices[0].message.content, found {\"choices\":[]}"));
    assert_int_equal(texts(why, sizeof why, home, SAYS_NOTHING, "--texts-max 5"), 2);
    assert_non_null(strstr(why, "expected lines of words, found 'Here are three:'"));
    assert_int_equal(rows_of(home, "texts"), 5);
    /* one that the model will not answer does not stop the others, nor the next run */
    assert_int_equal(texts(why, sizeof why, home, WILL_NOT, "--texts-max 20"), 0);
    assert_non_null(strstr(why, "texts.refused count=1 "));
    assert_non_null(strstr(why, "found 400: {\"error\": {\"message\":\"I must not\"}}"));
    assert_int_equal(rows_of(home, "texts"), 24);
    assert_int_equal(
        tessera(why, sizeof why, home, "texts --endpoint http://me:secret@127.0.0.1:1"), 2);
    assert_non_null(strstr(why, "expected no password in the address"));
    assert_null(strstr(why, "secret@"));
    assert_int_equal(tessera(why, sizeof why, home, "texts"), 2);
    assert_non_null(strstr(why, "endpoint: expected an address http(s)://..., found ''"));
    assert_int_equal(tessera(why, sizeof why, home, "texts --endpoint http://127.0.0.1:1"), 2);
    assert_non_null(strstr(why, "endpoint_model: expected the name of a model, found nothing"));
    scratch_drop(home);
}

static size_t told_of_users(const char *log)
{
    const char *at = strstr(log, " users_lines=");
    assert_non_null(at);
    return strtoul(at + strlen(" users_lines="), NULL, 10);
}

/* What was told of users under one split is not read under another, which hides other events. */
static void training_reads_what_was_told_of_its_own_events(void **state)
{
    static const char *const small = " --dim 32 --ffn 64 --heads 2 --kv_heads 2 --epochs 1";
    char home[512];
    char why[16000];
    char args[400];
    (void)state;
    home_copy(home, sizeof home, "texts-train");
    assert_int_equal(texts(why, sizeof why, home, ALL_WELL, "--split none"), 0);
    snprintf(args, sizeof args, "train%s", small);
    assert_int_equal(tessera(why, sizeof why, home, args), 0);
    const char *told = strstr(why, "train.texts ");
    assert_non_null(told);
    assert_null(strstr(told, "items_lines=0 "));
    size_t first = told_of_users(told); /* who has too few events to hide any stays */
    assert_int_equal(texts(why, sizeof why, home, ALL_WELL, ""), 0);
    snprintf(args, sizeof args, "train%s --seed 2", small);
    assert_int_equal(tessera(why, sizeof why, home, args), 0);
    assert_true(told_of_users(why) > 2 * first);
    snprintf(args, sizeof args, "train%s --seed 2 --texts false", small);
    assert_int_equal(tessera(why, sizeof why, home, args), 0);
    assert_null(strstr(why, "train.texts "));
    scratch_drop(home);
}

/* Arguments are read where they were made of these very events, and only lines of their form. */
static void arguments_are_read_line_by_line(void **state)
{
    static const char *const small =
        " --dim 32 --ffn 64 --heads 2 --kv_heads 2 --check_users 60 --judge_users 300 "
        "--reason-steps 4 --rl-check-every 4 --promote false ";
    char home[512];
    char why[16000];
    char args[400];
    (void)state;
    home_copy(home, sizeof home, "texts-chains");
    arguments = argued = 0;
    assert_int_equal(texts(why, sizeof why, home, ALL_WELL, "--chains true"), 0);
    assert_true(arguments > 100);
    size_t all = arguments;
    assert_int_equal(texts(why, sizeof why, home, ALL_WELL, "--chains true"), 0);
    assert_int_equal(arguments, all); /* each is asked once */
    snprintf(args, sizeof args, "train --stage reason%s", small);
    assert_int_equal(tessera(why, sizeof why, home, args), 0);
    const char *told = strstr(why, "train.arguments ");
    assert_non_null(told);
    assert_int_equal(strtoul(strstr(told, "users=") + 6, NULL, 10), all);
    assert_int_equal(strtoul(strstr(told, "stale=") + 6, NULL, 10), 0);
    /* of six lines two are of no use; more where an argument is about two items */
    assert_true(strtoul(strstr(told, "lines=") + 6, NULL, 10) >= 3 * all);
    assert_true(strtoul(strstr(told, "unread=") + 7, NULL, 10) >= 2 * all);
    home_forget(home, true);
    assert_int_equal(tessera(why, sizeof why, home, "index --split none"), 0);
    snprintf(args, sizeof args, "train --split none --epochs 1%s", small);
    char *promote = strstr(args, "--promote false");
    memset(promote, ' ', strlen("--promote false"));
    assert_int_equal(tessera(why, sizeof why, home, args), 0);
    snprintf(args, sizeof args, "train --split none --stage reason%s", small);
    assert_int_equal(tessera(why, sizeof why, home, args), 0);
    told = strstr(why, "train.arguments ");
    assert_non_null(told);
    assert_true(strtoul(strstr(told, "stale=") + 6, NULL, 10) > 0); /* they knew less */
    scratch_drop(home);
}

static size_t number_after(const char *log, const char *what)
{
    const char *at = strstr(log, what);
    assert_non_null(at);
    return strtoul(at + strlen(what), NULL, 10);
}

/* Titles of the catalogue become rows, others vectors; lists of another seed's cuts are stale. */
static void lists_are_read_by_their_titles(void **state)
{
    static const char *const small =
        " --dim 32 --ffn 64 --heads 2 --kv_heads 2 --check_users 60 --judge_users 300 --stage "
        "lists "
        "--list-items 8 --rl-steps 2 --rl-check-every 2 --promote false --list-teacher rra";
    char home[512];
    char why[16000];
    char args[500];
    (void)state;
    home_copy(home, sizeof home, "texts-lists");
    lists = listed = 0;
    assert_int_equal(texts(why, sizeof why, home, ALL_WELL, "--lists true"), 0);
    size_t all = lists;
    assert_true(all > 100);
    assert_int_equal(texts(why, sizeof why, home, ALL_WELL, "--lists true"), 0);
    assert_int_equal(lists, all); /* each is asked once */
    snprintf(args, sizeof args, "train%s", small);
    assert_int_equal(tessera(why, sizeof why, home, args), 0);
    assert_int_equal(number_after(why, "train.told_lists count="), all);
    assert_int_equal(number_after(strstr(why, "train.told_lists"), " stale="), 0);
    assert_int_equal(number_after(why, " known_titles="), 3 * all);
    assert_int_equal(number_after(why, " other_titles="), all);
    snprintf(args, sizeof args, "train%s --seed 2", small);
    assert_int_equal(tessera(why, sizeof why, home, args), 0);
    assert_true(number_after(strstr(why, "train.told_lists"), " stale=") > all / 4);
    snprintf(args, sizeof args, "train%s --list-teacher nobody", small);
    assert_int_equal(tessera(why, sizeof why, home, args), 2);
    assert_non_null(strstr(why, "list_teacher: expected slate or rra, found 'nobody'"));
    scratch_drop(home);
}

/*
 * A dialogue's answers are read for the very words that were asked about; titles of the catalogue
 * become rows.
 */
static void lists_in_dialogues_are_read(void **state)
{
    static const char *const small =
        " --dim 32 --ffn 64 --heads 2 --kv_heads 2 --check_users 20 --judge_users 200 "
        "--stage dialogue --list-items 8 --dialogue-steps 2 --rl-check-every 2 --promote false "
        "--list-teacher rra";
    char home[512];
    char why[16000];
    char args[500];
    (void)state;
    home_copy(home, sizeof home, "texts-talks");
    lists = listed = 0;
    assert_int_equal(texts(why, sizeof why, home, ALL_WELL, "--talks true --texts-max 40"), 0);
    assert_int_equal(asked, 40);
    assert_int_equal(lists, 40); /* they come first */
    assert_int_equal(texts(why, sizeof why, home, ALL_WELL, "--talks true --texts-max 20"), 0);
    assert_int_equal(lists, 60); /* each is asked once */
    snprintf(args, sizeof args, "train%s", small);
    assert_int_equal(tessera(why, sizeof why, home, args), 0);
    const char *told = strstr(why, "train.told_talks ");
    assert_non_null(told);
    size_t count = number_after(told, " count=");
    assert_int_equal(count + number_after(told, " stale="), 60);
    assert_true(count > 50); /* some name nothing that the version may list */
    assert_int_equal(number_after(told, " known_titles="), 3 * count);
    assert_int_equal(number_after(told, " other_titles="), count);
    scratch_drop(home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_question_is_asked_once),
        TEST(failures_say_what_came_and_keep_what_was_told),
        TEST(training_reads_what_was_told_of_its_own_events),
        TEST(arguments_are_read_line_by_line),
        TEST(lists_are_read_by_their_titles),
        TEST(lists_in_dialogues_are_read),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
