/*
 * claims.h: what a chain of reasons claims, each checked against catalogue, history and logs before
 * anyone sees it.
 *
 *     evidence     both items have the attribute                            (catalogue)
 *     preference   the attribute's share of the history, within a tenth     (catalogue, history)
 *     intent       how often the attribute came next after such histories,
 *                  within a tenth, and not below INTENT_LEAST               (logs: attributes.next)
 *     plan         PLAN_SHARE or more of the answer has the attribute       (catalogue, answer)
 *     cleaned      without the item the rest of the history is likelier     (policy: reason.h)
 *
 * What is said twice does not hold the second time.
 */
#ifndef RECOMMEND_CLAIMS_H
#define RECOMMEND_CLAIMS_H

#include "base/text.h"
#include "recommend/chain.h"
#include "recommend/snapshot.h"

enum claim_kind {
    CLAIM_EVIDENCE,
    CLAIM_PREFERENCE,
    CLAIM_INTENT,
    CLAIM_PLAN,
    CLAIM_CLEANED,
    CLAIM_KINDS
};
extern const char *const CLAIM_NAMES[CLAIM_KINDS];

extern const double PLAN_SHARE; /* 0.3 */

enum { CLAIMS_MAX = CHAIN_EVIDENCE + CHAIN_LIKES + 2 + CHAIN_DROPS, NO_ATTRIBUTE = UINT32_MAX };

struct claim {
    enum claim_kind kind;
    uint32_t attribute; /* NO_ATTRIBUTE: of cleaned */
    uint32_t item[2];   /* rows that it names */
    size_t items;
    double said;  /* share in the middle of the tenth; evidence, plan: 1; cleaned: 0 */
    double found; /* the same, measured; cleaned: nats an item of the rest gains */
    bool holds;
};

/*
 * gains [drop_count]: of each dropped item.  The answer may be empty: then no plan holds.
 * Returns how many claims.
 */
size_t claims_check(struct claim claims[CLAIMS_MAX], const struct chain_writer *writer,
                    const double *gains, const struct snapshot *snapshot, const uint32_t *answer,
                    size_t answer_count);

/* A sentence, with the figures that were found; titles [claim->items]. */
void claim_text(struct text *text, const struct claim *claim, const struct attributes *attributes,
                const char *const *titles);

#endif
