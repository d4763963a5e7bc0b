/*
 * bench_serve.c: the service under load, over HTTP on loopback.
 *
 * usage: bench_serve recommend PORT SECONDS      one client, then 16: p50, p99 in ms, requests/s
 *        bench_serve events PORT SECONDS         16 clients, batches of 100: events/s acknowledged
 *        bench_serve fsync FOLDER                the disk's own fsync/s
 *
 * Each prints one JSON line.  A client keeps its connection, as a real one does.
 */
#include "base/files.h"
#include "base/rng.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLIENTS = 16, HISTORY = 20, BATCH = 100, SAMPLES = 2000000 };

struct client {
    const char *kind, *port;
    char **items;
    size_t item_count, number;
    double until_s;
    double *seconds; /* [SAMPLES] */
    size_t count, failed;
};

static size_t drop(char *bytes, size_t size, size_t count, void *self)
{
    (void)bytes;
    (void)self;
    return size * count;
}

static size_t write_body(char *body, const struct client *c, struct rng *rng)
{
    size_t size = 0;
    if (strcmp(c->kind, "recommend") == 0) {
        size += (size_t)sprintf(body, "{\"n\":10,\"history\":[");
        for (size_t i = 0; i < HISTORY; i++)
            size += (size_t)sprintf(body + size, "%s\"%s\"", i ? "," : "",
                                    c->items[rng_below(rng, c->item_count)]);
        return size + (size_t)sprintf(body + size, "]}");
    }
    for (size_t i = 0; i < BATCH; i++)
        size += (size_t)sprintf(
            body + size, "%s{\"user_id\":\"u%zu\",\"item_id\":\"%s\",\"type\":\"click\"}",
            i ? "," : "[", rng_below(rng, 10000), c->items[rng_below(rng, c->item_count)]);
    return size + (size_t)sprintf(body + size, "]");
}

static void *run(void *self)
{
    struct client *c = self;
    char url[120];
    char *body = malloc(BATCH * 400);
    struct rng rng = rng_stream(42, c->number, 0);
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    snprintf(url, sizeof url, "http://127.0.0.1:%s/v1/%s", c->port,
             strcmp(c->kind, "recommend") == 0 ? "recommendations" : "events");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    while (clock_s() < c->until_s && c->count < SAMPLES) {
        long status = 0;
        size_t size = write_body(body, c, &rng);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)size);
        double start = clock_s();
        if (curl_easy_perform(curl) == CURLE_OK)
            curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        c->seconds[c->count++] = clock_s() - start;
        c->failed += status != 200 && status != 202;
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    free(body);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void load(const char *kind, const char *port, double seconds, size_t clients, char **items,
                 size_t item_count)
{
    static struct client all[CLIENTS];
    pthread_t threads[CLIENTS];
    size_t total = 0;
    size_t failed = 0;
    double start = clock_s();
    for (size_t i = 0; i < clients; i++) {
        all[i] = (struct client){
            kind, port, items, item_count, i, start + seconds, malloc(SAMPLES * sizeof(double)),
            0,    0};
        pthread_create(&threads[i], NULL, run, &all[i]);
    }
    for (size_t i = 0; i < clients; i++)
        pthread_join(threads[i], NULL);
    double spent = clock_s() - start;
    double *merged = malloc((size_t)clients * SAMPLES * sizeof *merged);
    for (size_t i = 0; i < clients; i++) {
        memcpy(merged + total, all[i].seconds, all[i].count * sizeof *merged);
        total += all[i].count;
        failed += all[i].failed;
        free(all[i].seconds);
    }
    qsort(merged, total, sizeof *merged, compare);
    printf("{\"kind\": \"%s\", \"clients\": %zu, \"requests_per_s\": %.1f, \"p50_ms\": %.3f, "
           "\"p99_ms\": %.3f, \"failed\": %zu}\n",
           kind, clients, (double)total / spent, merged[total / 2] * 1000,
           merged[total * 99 / 100] * 1000, failed);
    free(merged);
}

/* What LMDB asks of the disk at each commit: a write and an fdatasync. */
static int bench_fsync(const char *folder)
{
    char path[600];
    char page[4096] = {1};
    snprintf(path, sizeof path, "%s/fsync.tmp", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    size_t count = 0;
    if (fd < 0)
        return 1;
    for (int i = 0; i < 256; i++)
        if (pwrite(fd, page, sizeof page, i * 4096) < 0)
            return 1;
    fsync(fd);
    double start = clock_s();
    while (clock_s() - start < 3) {
        if (pwrite(fd, page, sizeof page, (off_t)(count % 256) * 4096) < 0 || fdatasync(fd) != 0)
            return 1;
        count++;
    }
    printf("{\"kind\": \"fsync\", \"per_s\": %.1f}\n", (double)count / (clock_s() - start));
    close(fd);
    unlink(path);
    return 0;
}

int main(int argc, char **argv)
{
    static char *items[20000];
    size_t count = 0;
    char id[400];
    if (argc == 3 && strcmp(argv[1], "fsync") == 0)
        return bench_fsync(argv[2]);
    if (argc < 4)
        return 2;
    curl_global_init(CURL_GLOBAL_ALL);
    while (count < 20000 && scanf("%399s", id) == 1) /* item ids on stdin */
        items[count++] = strdup(id);
    if (count == 0)
        return 2;
    double seconds = strtod(argv[3], NULL);
    if (strcmp(argv[1], "recommend") == 0)
        load(argv[1], argv[2], seconds, 1, items, count);
    load(argv[1], argv[2], seconds, CLIENTS, items, count);
    return 0;
}
