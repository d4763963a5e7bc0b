/*
 * The page in headless Chromium, driven through chromedriver's WebDriver protocol: search, like,
 * read the slate, mark a film as seen and watch it leave.  A screenshot is left in build/reports.
 */
#include "tests/service/client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char home[512];
static char session[600]; /* /session/<id> */
static struct server server;
static struct server driver; /* chromedriver speaks HTTP too */

static json_t *drive(const char *method, const char *path, const char *body)
{
    char url[1200];
    snprintf(url, sizeof url, "%s%s", session, path);
    struct reply reply = ask(&driver, method, url, body);
    if (reply.status != 200)
        fail_msg("webdriver %s %s: %ld %.800s", method, path, reply.status, reply.text);
    json_t *value = json_incref(json_object_get(reply.json, "value"));
    reply_drop(&reply);
    return value;
}

static json_t *script(const char *code)
{
    json_t *body = json_pack("{s:s, s:[]}", "script", code, "args");
    char *text = json_dumps(body, 0);
    json_t *value = drive("POST", "/execute/sync", text);
    free(text);
    json_decref(body);
    return value;
}

/* Waits until the expression is true in the page. */
static void until(const char *expression)
{
    char code[500];
    snprintf(code, sizeof code, "return Boolean(%s)", expression);
    for (int i = 0; i < 200; i++) {
        json_t *value = script(code);
        bool there = json_is_true(value);
        json_decref(value);
        if (there)
            return;
        usleep(50000);
    }
    fail_msg("never true in the page: %s", expression);
}

static void click(const char *selector)
{
    char code[400];
    snprintf(code, sizeof code, "document.querySelector('%s').click()", selector);
    json_decref(script(code));
}

/* Even if the small version that gives reasons lost to the one before it. */
static void serve_newest(void)
{
    char link[PATH_SIZE];
    char target[PATH_SIZE];
    char version[64];
    home_newest(version, home);
    snprintf(link, sizeof link, "%.400s/production/recommend", home);
    snprintf(target, sizeof target, "../models/%s", version);
    unlink(link);
    assert_int_equal(symlink(target, link), 0);
}

static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static int start(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_ALL);
    home_copy(home, sizeof home, "page");
    tessera_fine(
        home,
        "train --stage reason --reason-steps 60 --rl-check-every 60 --reason-learning-rate 0.002 "
        "--check_users 60 --dim 32 --heads 2 --kv_heads 2 --ffn 64");
    serve_newest();
    server = server_start(home, NULL, NULL);
    server_ready(&server);
    driver.port = free_port();
    driver.pid = fork();
    if (driver.pid == 0) {
        char port[40];
        snprintf(port, sizeof port, "--port=%u", driver.port);
        setpgid(0, 0);
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(9);
        execlp("chromedriver", "chromedriver", port, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 600; i++) { /* half a minute: other tests run beside it */
        struct reply reply = ask(&driver, "GET", "/status", NULL);
        long status = reply.status;
        reply_drop(&reply);
        if (status == 200)
            break;
        usleep(50000);
    }
    char body[1200];
    snprintf(body, sizeof body,
             "{\"capabilities\":{\"alwaysMatch\":{\"goog:chromeOptions\":{\"args\":[\"--headless\","
             "\"--no-sandbox\",\"--disable-gpu\","
             "\"--disable-quic\",\"--no-first-run\",\"--disable-background-networking\",\"--"
             "disable-component-update\",\"--disable-sync\","
             "\"--disable-dev-shm-usage\",\"--window-size=1200,1000\",\"--user-data-dir=%s/"
             "chromium\"]}}}}",
             home);
    struct reply reply = ask(&driver, "POST", "/session", body);
    if (reply.status != 200) { /* a cold browser may take longer than its driver waits */
        reply_drop(&reply);
        reply = ask(&driver, "POST", "/session", body);
    }
    const char *id =
        json_string_value(json_object_get(json_object_get(reply.json, "value"), "sessionId"));
    if (!id)
        fail_msg("no browser: %.800s", reply.text);
    snprintf(session, sizeof session, "/session/%s", id);
    reply_drop(&reply);
    return 0;
}

static int end(void **state)
{
    (void)state;
    if (session[0])
        json_decref(drive("DELETE", "", NULL));
    kill(-driver.pid, SIGTERM);
    waitpid(driver.pid, NULL, 0);
    int status = server_stop(&server);
    scratch_drop(home);
    return status;
}

static unsigned digit(char c)
{
    return c >= 'A' && c <= 'Z'   ? (unsigned)(c - 'A')
           : c >= 'a' && c <= 'z' ? (unsigned)(c - 'a') + 26
           : c >= '0' && c <= '9' ? (unsigned)(c - '0') + 52
           : c == '+'             ? 62
                                  : 63;
}

static void save_screenshot(const char *name)
{
    char path[600];
    snprintf(path, sizeof path, SCRATCH "/%s", name);
    json_t *value = drive("GET", "/screenshot", NULL);
    const char *text = json_string_value(value);
    assert_non_null(text);
    FILE *file = fopen(path, "wb");
    if (file) {
        for (; text[0] && text[1] && text[2] && text[3]; text += 4) {
            unsigned bits =
                digit(text[0]) << 18 | digit(text[1]) << 12 | digit(text[2]) << 6 | digit(text[3]);
            fputc((int)(bits >> 16 & 255), file);
            if (text[2] != '=')
                fputc((int)(bits >> 8 & 255), file);
            if (text[3] != '=')
                fputc((int)(bits & 255), file);
        }
        fclose(file);
    }
    json_decref(value);
}

static void type_and_like(const char *words, const char *title)
{
    char code[500];
    snprintf(code, sizeof code,
             "const s = document.getElementById('search'); s.value = '%s'; s.dispatchEvent(new "
             "Event('input'))",
             words);
    json_decref(script(code));
    snprintf(
        code, sizeof code,
        "[...document.querySelectorAll('#found button')].some(b => b.textContent.startsWith('%s'))",
        title);
    until(code);
    snprintf(code, sizeof code,
             "[...document.querySelectorAll('#found button')].find(b => "
             "b.textContent.startsWith('%s')).click()",
             title);
    json_decref(script(code));
}

static void search_like_read_and_mark_as_seen(void **state)
{
    char url[100];
    (void)state;
    snprintf(url, sizeof url, "{\"url\":\"http://127.0.0.1:%u/\"}", server.port);
    json_decref(drive("POST", "/url", url));
    until("document.getElementById('message').textContent.includes('Like something')");
    type_and_like("matrix", "The Matrix (1999)");
    until("document.querySelectorAll('#slate li').length === 10");
    type_and_like("toy story", "Toy Story (1995)");
    until("document.querySelectorAll('#liked li').length === 2");
    until("document.querySelectorAll('#slate li').length === 10");
    /* every card: a title with a year, genres, a reason, tiles */
    until("[...document.querySelectorAll('#slate .why')].every(p => /Because you liked|Fits "
          "what|Liked by/.test(p.textContent))");
    until("[...document.querySelectorAll('#slate .tiles')].every(t => t.children.length === 4)");
    /* claims that were checked stand above the list, and go when they are not asked for */
    until("!document.getElementById('reasoning').hidden && "
          "document.querySelectorAll('#reasons li').length >= 2");
    until("/claims, each checked/.test(document.getElementById('claims').textContent)");
    save_screenshot("page.png");
    click("#reason");
    until("document.getElementById('reasoning').hidden && "
          "document.querySelectorAll('#slate li').length === 10");
    click("#reason");
    until("!document.getElementById('reasoning').hidden");
    json_t *first = script("return document.querySelector('#slate li').dataset.item");
    char gone[300];
    snprintf(gone, sizeof gone,
             "![...document.querySelectorAll('#slate li')].some(li => li.dataset.item === '%s') && "
             "document.querySelectorAll('#slate li').length === 10",
             json_string_value(first));
    click("#slate li .seen");
    until(gone);
    json_decref(first);
    click("#liked li button"); /* the first film is taken back */
    until("document.querySelectorAll('#liked li').length === 1");
    json_decref(script("const m = document.getElementById('mood'); m.value = 'matrix reloaded'; "
                       "m.dispatchEvent(new Event('input'))")); /* words steer the list */
    until("[...document.querySelectorAll('#slate .title')].some(t => t.textContent.startsWith('The "
          "Matrix Reloaded'))");
    save_screenshot("page-words.png");
    click("#forget");
    until("document.querySelectorAll('#slate li').length === 0");
}

static void say_in_the_conversation(const char *words)
{
    char code[500];
    snprintf(code, sizeof code,
             "document.getElementById('words').value = '%s'; "
             "document.getElementById('ask').requestSubmit()",
             words);
    json_decref(script(code));
    until("document.getElementById('stop').hidden && !document.getElementById('send').disabled");
    until("!/The service says/.test(document.getElementById('turns').textContent)");
}

/* What is asked for is answered by words and cards; a card's buttons go on from it. */
static void a_conversation_beside_the_slate(void **state)
{
    (void)state;
    say_in_the_conversation("something like Toy Story (1995)");
    until("document.querySelectorAll('.answer').length === 1 && "
          "document.querySelectorAll('.answer .cards li').length === 5");
    until("document.querySelector('.answer .words').textContent.length > 20 && "
          "!document.querySelector('.writing')");
    until("[...document.querySelectorAll('.cards .tiles')].every(t => t.children.length === 4)");
    save_screenshot("page-talk.png");
    click(".cards .seen");
    until("document.querySelector('.cards .title').classList.contains('gone')");
    click(".cards li:nth-child(2) .more");
    until("document.querySelectorAll('.answer').length === 2 && "
          "document.getElementById('stop').hidden && !document.getElementById('send').disabled");
    until("document.querySelectorAll('.answer:last-child .cards li').length === 5");
    until("document.querySelectorAll('.mine')[1].textContent.startsWith('More like ')");
    /* nothing that was shown or seen comes a second time */
    until("new Set([...document.querySelectorAll('.cards li')].map(c => c.dataset.item)).size === "
          "10");
    click("#anew");
    until("document.querySelectorAll('.answer').length === 0");
}

/* What was understood is a chip, and goes when it is taken back; what was not is said. */
static void wishes_are_chips_that_can_be_taken_back(void **state)
{
    (void)state;
    say_in_the_conversation("only comedies, and with Tom Hanks please");
    until("document.querySelectorAll('#chips button').length === 1");
    until("[...document.querySelectorAll('.answer .cards li')].every(c => "
          "/Comedy/.test(c.textContent))");
    until("/Tom Hanks/.test(document.querySelector('.answer .missed').textContent)");
    save_screenshot("page-wishes.png");
    click("#chips button");
    until("document.getElementById('wishes').hidden && "
          "!document.getElementById('send').disabled");
    until("document.querySelectorAll('.answer').length === 1 && "
          "document.querySelectorAll('.answer .cards li').length === 5");
    click("#anew");
}

static void what_the_catalogue_says_is_text_not_markup(void **state)
{
    (void)state;
    json_decref(expect(&server, 201, "PUT", "/v1/items/evil",
                       "{\"title\":\"Zzyzx <img src=x "
                       "onerror=document.title='owned'>\",\"categories\":[\"<b>x</b>\"]}"));
    type_and_like("zzyzx", "Zzyzx");
    until("document.querySelectorAll('#liked li').length === 1");
    until("document.title === 'Tessera' && !document.querySelector('#liked img')");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(search_like_read_and_mark_as_seen),
        TEST(a_conversation_beside_the_slate),
        TEST(wishes_are_chips_that_can_be_taken_back),
        TEST(what_the_catalogue_says_is_text_not_markup),
    };
    return cmocka_run_group_tests(tests, start, end);
}
