/*
 * gather.h: what a request brings together before anything is listed, and items as replies show
 * them.
 *
 *     ids, the user's events, what was shown ─► rows of the history, bits that may not be listed
 *
 * Threads   a gathering belongs to one thread and one transaction.
 */
#ifndef SERVICE_GATHER_H
#define SERVICE_GATHER_H

#include "recommend/slate.h"
#include "service/service.h"

enum { HISTORY_MAX = 1000 };

enum seen_rule { SEEN_ANY, SEEN_POSITIVE, SEEN_NONE };

/* What a request removed, by reason; a row counts for the first reason that removes it. */
struct filtered {
    size_t seen, excluded, category, unavailable;
};

struct gathering {
    uint64_t *skip; /* borrowed: a bit per row of the snapshot */
    struct scratch *scratch;
    const struct snapshot *snapshot;
    const struct store_txn *txn;
    uint32_t history[HISTORY_MAX]; /* oldest first; the newest are kept */
    size_t count;
    json_t *ignored; /* ids that nobody knows */
    const char *words;
    bool in_dialogue; /* items of the history were named there, which is not yet liked */
    struct filtered filtered;
};

void gather_hide(struct gathering *g, uint32_t row, size_t *reason);
void gather_remember(struct gathering *g, uint32_t row);

/* The row of a public id, or NO_ITEM; err only if the id is none. */
uint32_t gather_row(const struct gathering *g, const char *id, struct err *err);

/* The user's stored events: the liked ones are remembered, the seen ones hidden by the rule. */
bool gather_user(struct gathering *g, const char *user, enum seen_rule rule,
                 const struct service *service, struct err *err) MUST_CHECK;

/* {"item_id", "rank", "score", "reasons", "semantic_id", "item", ...}, or NULL if it is gone. */
json_t *gather_item(const struct gathering *g, const struct slate_item *item, size_t rank,
                    struct err *err);

json_t *semantic_id_json(const struct snapshot *snapshot, uint32_t row);

#endif
