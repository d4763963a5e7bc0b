#include "recommend/claims.h"

#include <math.h>
#include <stdlib.h>

const char *const CLAIM_NAMES[CLAIM_KINDS] = {"evidence", "preference", "intent", "plan",
                                              "cleaned"};

const double PLAN_SHARE = 0.3;

struct checking {
    struct claim *claims;
    size_t count;
    const struct chain_writer *writer;
    const struct snapshot *snapshot;
};

static bool same_claim(const struct claim *a, const struct claim *b)
{
    bool same = a->kind == b->kind && a->attribute == b->attribute && a->items == b->items;
    return same && (a->items == 0 || same_pair(a->item, b->item));
}

static void add(struct checking *c, struct claim claim)
{
    for (size_t i = 0; i < c->count; i++)
        claim.holds = claim.holds && !same_claim(&c->claims[i], &claim);
    c->claims[c->count++] = claim;
}

static size_t having(const struct checking *c, const uint32_t *rows, size_t count, size_t attribute)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += snapshot_has_attribute(c->snapshot, rows[i], attribute);
    return found;
}

/* The middle of a tenth. */
static double middle(unsigned tenths)
{
    return (tenths + 0.5) / CHAIN_TENTHS;
}

static bool within_a_tenth(unsigned tenths, double share)
{
    return abs((int)tenths - (int)tenths_of(share)) <= 1;
}

static void check_evidence(struct checking *c, const struct chain_evidence *e)
{
    size_t found = having(c, e->item, 2, e->attribute);
    add(c, (struct claim){.kind = CLAIM_EVIDENCE,
                          .attribute = e->attribute,
                          .item = {e->item[0], e->item[1]},
                          .items = 2,
                          .said = 1,
                          .found = (double)found / 2,
                          .holds = found == 2 && e->item[0] != e->item[1]});
}

static void check_preference(struct checking *c, const struct chain_degree *d)
{
    const struct chain_writer *w = c->writer;
    double share =
        (double)having(c, w->history, w->history_count, d->attribute) / (double)w->history_count;
    add(c, (struct claim){.kind = CLAIM_PREFERENCE,
                          .attribute = d->attribute,
                          .said = middle(d->tenths),
                          .found = share,
                          .holds = share > 0 && within_a_tenth(d->tenths, share)});
}

static void check_intent(struct checking *c, const struct chain_degree *d)
{
    const struct chain_writer *w = c->writer;
    size_t found = having(c, w->history, w->history_count, d->attribute);
    double next = attributes_next(w->attributes, d->attribute, found, w->history_count);
    add(c, (struct claim){.kind = CLAIM_INTENT,
                          .attribute = d->attribute,
                          .said = middle(d->tenths),
                          .found = next,
                          .holds = next >= INTENT_LEAST && within_a_tenth(d->tenths, next)});
}

static void check_plan(struct checking *c, uint32_t attribute, const uint32_t *answer, size_t count)
{
    size_t found = having(c, answer, count, attribute);
    add(c, (struct claim){.kind = CLAIM_PLAN,
                          .attribute = attribute,
                          .said = 1,
                          .found = count ? (double)found / (double)count : 0,
                          .holds = count && (double)found >= PLAN_SHARE * (double)count});
}

size_t claims_check(struct claim claims[CLAIMS_MAX], const struct chain_writer *w,
                    const double *gains, const struct snapshot *snapshot, const uint32_t *answer,
                    size_t answer_count)
{
    struct checking c = {.claims = claims, .writer = w, .snapshot = snapshot};
    const struct chain *chain = &w->chain;
    for (size_t i = 0; i < chain->evidence_count; i++)
        check_evidence(&c, &chain->evidence[i]);
    for (size_t i = 0; i < chain->likes_count; i++)
        check_preference(&c, &chain->likes[i]);
    check_intent(&c, &chain->next);
    check_plan(&c, chain->plan, answer, answer_count);
    for (size_t i = 0; i < chain->drop_count; i++)
        add(&c, (struct claim){.kind = CLAIM_CLEANED,
                               .attribute = NO_ATTRIBUTE,
                               .item = {chain->drop[i], chain->drop[i]},
                               .items = 1,
                               .found = gains[i],
                               .holds = gains[i] > 0});
    return c.count;
}

void claim_text(struct text *text, const struct claim *claim, const struct attributes *attributes,
                const char *const *titles)
{
    const char *what = claim->attribute == NO_ATTRIBUTE ? "" : attributes->text[claim->attribute];
    int percent = (int)lround(claim->found * 100);
    switch (claim->kind) {
    case CLAIM_EVIDENCE:
        text_addf(text, "%s and %s are both %s.", titles[0], titles[1], what);
        break;
    case CLAIM_PREFERENCE:
        text_addf(text, "%d %% of what you liked lately is %s.", percent, what);
        break;
    case CLAIM_INTENT:
        text_addf(text, "After histories like this one, what came next was %s in %d of 100 cases.",
                  what, percent);
        break;
    case CLAIM_PLAN:
        text_addf(text, "So %d %% of this list is %s.", percent, what);
        break;
    default:
        text_addf(text, "%s does not fit the rest of what you liked and was left out.", titles[0]);
        break;
    }
}
