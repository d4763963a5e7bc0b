#include "tests/service/client.h"

#include <curl/curl.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

void home_copy(char *home, size_t room, const char *name)
{
    char command[1600];
    snprintf(home, room, "%s", scratch_folder(name));
    snprintf(command, sizeof command, "cp -a " SCRATCH "/trained/. %s/", home);
    assert_int_equal(system(command), 0);
}

void home_versions(char first[64], char second[64], const char *home)
{
    char path[600];
    snprintf(path, sizeof path, "%s/models", home);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    first[0] = second[0] = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strncmp(entry->d_name, "0001-", 5) == 0)
            snprintf(first, 64, "%.60s", entry->d_name);
        if (strncmp(entry->d_name, "0002-", 5) == 0)
            snprintf(second, 64, "%.60s", entry->d_name);
    }
    closedir(dir);
    assert_true(first[0] && second[0]);
}

void home_clone(char *home, size_t room, const char *from, const char *name)
{
    char command[1300];
    snprintf(home, room, "%s-%s", from, name);
    snprintf(command, sizeof command, "rm -rf %s && cp -r %s %s", home, from, home);
    assert_int_equal(system(command), 0);
}

void home_forget(const char *home, bool indexes)
{
    char command[2600];
    snprintf(command, sizeof command, "cd %s && rm -rf models production training %s", home,
             indexes ? "indexes" : "");
    assert_int_equal(system(command), 0);
}

void home_newest(char version[64], const char *home)
{
    char folder[PATH_SIZE];
    snprintf(folder, sizeof folder, "%.400s/models", home);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    version[0] = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, version) > 0)
            snprintf(version, 64, "%.60s", entry->d_name);
    closedir(dir);
    assert_true(version[0]);
}

void home_weights(char digests[2][SHA256_TEXT], const char *home)
{
    static const char *const files[] = {"model.safetensors", "items.safetensors"};
    struct err err = {0};
    char version[64];
    char path[PATH_SIZE];
    home_newest(version, home);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%.400s/models/%s/%s", home, version, files[i]);
        assert_fine(file_sha256(digests[i], path, &err), err);
    }
}

void the_same_weights(char digests[2][SHA256_TEXT], const char *base, const char *args,
                      const char *seconds, bool ends)
{
    char got[2][SHA256_TEXT];
    for (int round = 0; round < 3; round++) {
        char home[600];
        char run[1200];
        home_clone(home, sizeof home, base, "bytes");
        snprintf(run, sizeof run, "%s --threads %d", args, round == 1 ? 4 : 1);
        if (round == 2) {
            char command[2400];
            snprintf(command, sizeof command,
                     "timeout -s KILL %s " TESSERA " --home %s %s >%s/log 2>&1", seconds, home, run,
                     home);
            bool ended = system(command) == 0;
            assert_true(ends || !ended);
        }
        tessera_fine(home, run);
        home_weights(round == 0 ? digests : got, home);
        if (round > 0) {
            assert_string_equal(digests[0], got[0]);
            assert_string_equal(digests[1], got[1]);
        }
        scratch_drop(home);
    }
}

struct server server_start(const char *home, const char *extra, const char *preload)
{
    int fds[2];
    char line[256] = "";
    char command[2048];
    struct server server = {0};
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    snprintf(command, sizeof command,
             "exec " TESSERA
             " --home '%s' serve --port 0 --listeners 2 --workers 2 %s 2>>'%s/serve.log'",
             home, extra ? extra : "", home);
    snprintf(server.log, sizeof server.log, "%.580s/serve.log", home);
    server.pid = fork();
    if (server.pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        if (preload) {
            setenv("LD_PRELOAD", preload, 1);
            setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
        }
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    server.out = fds[0];
    FILE *out = fdopen(dup(fds[0]), "r");
    while (fgets(line, sizeof line, out) &&
           sscanf(line, "listening on http://%*[0-9.]:%u/", &server.port) != 1)
        ;
    fclose(out);
    if (server.port == 0)
        fail_msg("the server did not start: see %s/serve.log", home);
    return server;
}

void server_kill(struct server *server)
{
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    close(server->out);
}

/* What it said last, where it did not end well. */
static void show_log(const struct server *server)
{
    char command[700];
    snprintf(command, sizeof command, "tail -n 5 '%s' >&2", server->log);
    if (system(command) != 0)
        fprintf(stderr, "%s cannot be read\n", server->log);
}

int server_stop(struct server *server)
{
    int status;
    kill(server->pid, SIGTERM);
    assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
    close(server->out);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        show_log(server);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void server_ready(const struct server *server)
{
    for (int i = 0; i < 600; i++) {
        const struct timespec pause = {0, 50000000};
        struct reply reply = ask(server, "GET", "/readyz", NULL);
        long status = reply.status;
        reply_drop(&reply);
        if (status == 200)
            return;
        nanosleep(&pause, NULL);
    }
    fail_msg("not ready after 30 s");
}

void served_copy(struct server *server, char *home, size_t room, const char *name,
                 const char *extra)
{
    curl_global_init(CURL_GLOBAL_ALL);
    home_copy(home, room, name);
    *server = server_start(home, extra, NULL);
    server_ready(server);
}

int served_drop(struct server *server, const char *home)
{
    int status = server_stop(server);
    scratch_drop(home);
    return status;
}

int tessera(char *err, size_t room, const char *home, const char *args)
{
    char command[2048];
    snprintf(command, sizeof command, TESSERA " --home '%s' %s 2>&1 >/dev/null", home, args);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t size = fread(err, 1, room - 1, pipe);
    err[size] = 0;
    while (fgetc(pipe) != EOF) /* a program that writes more must not die of it */
        ;
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void tessera_fine(const char *home, const char *args)
{
    char why[8000];
    if (tessera(why, sizeof why, home, args) != 0)
        fail_msg("tessera %s: %s", args, why);
}

struct sink {
    char *bytes;
    size_t size;
};

static size_t take(char *bytes, size_t size, size_t count, void *self)
{
    struct sink *sink = self;
    char *more = realloc(sink->bytes, sink->size + size * count + 1);
    if (!more)
        return 0;
    sink->bytes = more;
    memcpy(more + sink->size, bytes, size * count);
    sink->size += size * count;
    more[sink->size] = 0;
    return size * count;
}

struct reply ask_with(const struct server *server, const char *method, const char *path,
                      const char *body, size_t body_size, const char *header)
{
    char url[4096];
    struct reply reply = {0};
    struct sink out = {0};
    struct sink headers = {0};
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    CURL *curl = curl_easy_init();
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", server->port, path);
    if (header)
        list = curl_slist_append(list, header);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &out);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &headers);
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body_size);
    }
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
    if (out.bytes) {
        snprintf(reply.text, sizeof reply.text, "%s", out.bytes);
        reply.json = json_loadb(out.bytes, out.size, 0, NULL);
    }
    if (headers.bytes)
        snprintf(reply.headers, sizeof reply.headers, "%s", headers.bytes);
    free(out.bytes);
    free(headers.bytes);
    curl_slist_free_all(list);
    curl_easy_cleanup(curl);
    return reply;
}

struct reply ask(const struct server *server, const char *method, const char *path,
                 const char *body)
{
    return ask_with(server, method, path, body, body ? strlen(body) : 0, NULL);
}

void reply_drop(struct reply *reply)
{
    json_decref(reply->json);
    reply->json = NULL;
}

json_t *expect(const struct server *server, long status, const char *method, const char *path,
               const char *body)
{
    struct reply reply = ask(server, method, path, body);
    if (reply.status != status)
        fail_msg("%s %s %.200s: expected %ld, found %ld %.400s", method, path, body ? body : "",
                 status, reply.status, reply.text);
    return reply.json;
}

const char *text_at(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

const char *slate_item(const json_t *slate, size_t rank)
{
    return text_at(json_array_get(json_object_get(slate, "items"), rank), "item_id");
}

bool slate_has(const json_t *slate, const char *id)
{
    for (size_t i = 0; i < json_array_size(json_object_get(slate, "items")); i++)
        if (strcmp(slate_item(slate, i), id) == 0)
            return true;
    return false;
}
