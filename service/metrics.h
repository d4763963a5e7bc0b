/*
 * metrics.h: counters and latencies, as the Prometheus text format 0.0.4.
 *
 * Threads   every field is an atomic; nobody waits.
 */
#ifndef SERVICE_METRICS_H
#define SERVICE_METRICS_H

#include "recommend/claims.h"

#include <stdatomic.h>

enum { ROUTES_MAX = 24, LATENCY_BUCKETS = 12 };

struct metrics {
    atomic_ulong requests[ROUTES_MAX][6]; /* by route and hundreds of the status */
    atomic_ulong latency[ROUTES_MAX][LATENCY_BUCKETS + 1];
    atomic_ulong latency_us[ROUTES_MAX];
    atomic_ulong events_accepted, events_duplicate, events_rejected;
    atomic_ulong commits, slates_written, slates_dropped, reloads, reload_failures, overloads;
    atomic_ulong fallbacks;
    atomic_ulong chats, chats_gone, drafts_refused, chat_tokens;
    atomic_ulong chats_active;           /* a gauge: chats that the speaker answers now */
    atomic_ulong claims[CLAIM_KINDS][2]; /* of reasons: that did not hold, and that did */
};

void metrics_note(struct metrics *metrics, size_t route, unsigned status, double seconds);

struct gauges {
    const char *version;
    size_t items, late_items, model_queue, write_queue, chat_queue;
};

void metrics_print(struct text *text, const struct metrics *metrics, const char *const *routes,
                   size_t count, const struct gauges *gauges);

#endif
