#include "service/metrics.h"

static const double BOUND_S[LATENCY_BUCKETS] = {.0005, .001, .002, .003, .005, .01,
                                                .02,   .05,  .1,   .5,   1,    5};

void metrics_note(struct metrics *m, size_t route, unsigned status, double seconds)
{
    size_t bucket = 0;
    while (bucket < LATENCY_BUCKETS && seconds > BOUND_S[bucket])
        bucket++;
    atomic_fetch_add(&m->requests[route][status / 100 < 6 ? status / 100 : 5], 1);
    atomic_fetch_add(&m->latency[route][bucket], 1);
    atomic_fetch_add(&m->latency_us[route], (unsigned long)(seconds * 1e6));
}

static void print_counter(struct text *text, const char *name, const char *help,
                          unsigned long value)
{
    text_addf(text, "# HELP %s %s\n# TYPE %s counter\n%s %lu\n", name, help, name, name, value);
}

static void print_gauge(struct text *text, const char *name, const char *help, size_t value)
{
    text_addf(text, "# HELP %s %s\n# TYPE %s gauge\n%s %zu\n", name, help, name, name, value);
}

static void print_latency(struct text *text, const struct metrics *m, const char *const *routes,
                          size_t count)
{
    text_addf(text, "# HELP tessera_request_seconds Time from the first byte to the reply.\n"
                    "# TYPE tessera_request_seconds histogram\n");
    for (size_t r = 0; r < count; r++) {
        unsigned long total = 0;
        for (size_t b = 0; b <= LATENCY_BUCKETS; b++) {
            total += atomic_load(&m->latency[r][b]);
            if (b < LATENCY_BUCKETS)
                text_addf(text, "tessera_request_seconds_bucket{route=\"%s\",le=\"%g\"} %lu\n",
                          routes[r], BOUND_S[b], total);
            else
                text_addf(text, "tessera_request_seconds_bucket{route=\"%s\",le=\"+Inf\"} %lu\n",
                          routes[r], total);
        }
        text_addf(text, "tessera_request_seconds_sum{route=\"%s\"} %.6f\n", routes[r],
                  (double)atomic_load(&m->latency_us[r]) / 1e6);
        text_addf(text, "tessera_request_seconds_count{route=\"%s\"} %lu\n", routes[r], total);
    }
}

void metrics_print(struct text *text, const struct metrics *m, const char *const *routes,
                   size_t count, const struct gauges *gauges)
{
    text_addf(text, "# HELP tessera_requests_total Requests by route and status.\n# TYPE "
                    "tessera_requests_total counter\n");
    for (size_t r = 0; r < count; r++)
        for (size_t s = 1; s < 6; s++)
            if (atomic_load(&m->requests[r][s]))
                text_addf(text, "tessera_requests_total{route=\"%s\",status=\"%zuxx\"} %lu\n",
                          routes[r], s, atomic_load(&m->requests[r][s]));
    print_latency(text, m, routes, count);
    print_counter(text, "tessera_events_accepted_total", "Events on disk.",
                  atomic_load(&m->events_accepted));
    print_counter(text, "tessera_events_duplicate_total", "Events that were there already.",
                  atomic_load(&m->events_duplicate));
    print_counter(text, "tessera_events_rejected_total", "Events refused.",
                  atomic_load(&m->events_rejected));
    print_counter(text, "tessera_commits_total", "Commits of the store.", atomic_load(&m->commits));
    print_counter(text, "tessera_slates_written_total", "Served slates on disk.",
                  atomic_load(&m->slates_written));
    print_counter(text, "tessera_slates_dropped_total", "Served slates dropped under pressure.",
                  atomic_load(&m->slates_dropped));
    print_counter(text, "tessera_fallbacks_total", "Slates that needed the fallback.",
                  atomic_load(&m->fallbacks));
    text_addf(text,
              "# HELP tessera_claims_total Claims of reasons, by kind and whether they held.\n"
              "# TYPE tessera_claims_total counter\n");
    for (size_t k = 0; k < CLAIM_KINDS; k++)
        for (size_t held = 0; held < 2; held++)
            text_addf(text, "tessera_claims_total{kind=\"%s\",held=\"%s\"} %lu\n", CLAIM_NAMES[k],
                      held ? "true" : "false", atomic_load(&m->claims[k][held]));
    print_counter(text, "tessera_reloads_total", "Versions taken into service.",
                  atomic_load(&m->reloads));
    print_counter(text, "tessera_reload_failures_total", "Versions that could not be opened.",
                  atomic_load(&m->reload_failures));
    print_counter(text, "tessera_overloads_total", "Requests refused because a queue was full.",
                  atomic_load(&m->overloads));
    print_counter(text, "tessera_chats_total", "Chats that were begun.", atomic_load(&m->chats));
    print_counter(text, "tessera_chats_gone_total", "Chats whose client left before the end.",
                  atomic_load(&m->chats_gone));
    print_counter(text, "tessera_chat_tokens_total", "Tokens of text said in chats.",
                  atomic_load(&m->chat_tokens));
    print_counter(text, "tessera_drafts_refused_total",
                  "Drafts that named what is not on their list.", atomic_load(&m->drafts_refused));
    print_gauge(text, "tessera_chats_active", "Chats being answered.",
                atomic_load(&m->chats_active));
    print_gauge(text, "tessera_items", "Items of the version in service.", gauges->items);
    print_gauge(text, "tessera_late_items", "Items that came after it.", gauges->late_items);
    print_gauge(text, "tessera_model_queue", "Calls waiting for a worker.", gauges->model_queue);
    print_gauge(text, "tessera_write_queue", "Calls waiting for the committer.",
                gauges->write_queue);
    print_gauge(text, "tessera_chat_queue", "Chats waiting for the speaker.", gauges->chat_queue);
    text_addf(
        text,
        "# HELP tessera_version_info The version in service.\n# TYPE tessera_version_info gauge\n"
        "tessera_version_info{version=\"%s\"} 1\n",
        gauges->version);
}
