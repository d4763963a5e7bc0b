#include "recommend/chain.h"

#include "model/policy.h"

#include <assert.h>
#include <string.h>

const double INTENT_LEAST = 0.05;

static uint32_t mark(enum mark which)
{
    return TOKEN + TOKENIZER_MARKS_AT + which;
}

static void offer(struct chain_writer *w, uint32_t symbol)
{
    w->choice[w->choices++] = symbol;
}

/* ---- what may come next ---- */

static size_t having(const struct chain_writer *w, uint32_t attribute)
{
    size_t count = 0;
    for (size_t i = 0; i < w->history_count; i++)
        count += snapshot_has_attribute(w->facts, w->history[i], attribute);
    return count;
}

double chain_next_share(const struct chain_writer *w, uint32_t attribute)
{
    return attributes_next(w->attributes, attribute, having(w, attribute), w->history_count);
}

/* Whether catalogue and logs let it be said here. */
static bool may_be_said(const struct chain_writer *w, uint32_t attribute)
{
    const struct chain *c = &w->chain;
    if (!w->facts)
        return true;
    if (w->state == CHAIN_SHARED) {
        const uint32_t *pair = c->evidence[c->evidence_count].item;
        return snapshot_has_attribute(w->facts, pair[0], attribute) &&
               snapshot_has_attribute(w->facts, pair[1], attribute);
    }
    if (w->state == CHAIN_PLANNED)
        return w->plannable[attribute];
    if (w->state == CHAIN_INTENT)
        return chain_next_share(w, attribute) >= INTENT_LEAST;
    if (w->state != CHAIN_LIKED && w->state != CHAIN_AFTER_LIKES)
        return true;
    for (size_t i = 0; i < c->likes_count; i++)
        if (c->likes[i].attribute == attribute)
            return false;
    return having(w, attribute) > 0;
}

static void offer_attributes(struct chain_writer *w)
{
    for (uint32_t a = 0; a < w->attributes->count; a++)
        if (may_be_said(w, a))
            offer(w, TOKEN + w->attributes->token + a);
    if (w->choices || w->state == CHAIN_AFTER_LIKES)
        return;
    for (uint32_t a = 0; a < w->attributes->count; a++) /* a history that has none: whatever */
        offer(w, TOKEN + w->attributes->token + a);     /* is said will not hold */
}

/* True if two different items of the history have something in common. */
static bool share(const struct chain_writer *w, uint32_t a, uint32_t b)
{
    const struct snapshot *s = w->facts;
    if (a == b)
        return false;
    for (size_t k = s->attribute_first[a]; k < s->attribute_first[a + 1]; k++)
        if (snapshot_has_attribute(s, b, s->attribute[k]))
            return true;
    return false;
}

static bool is_cited(const struct chain *c, uint32_t a, uint32_t b)
{
    const uint32_t pair[2] = {a, b};
    for (size_t i = 0; i < c->evidence_count; i++)
        if (same_pair(c->evidence[i].item, pair))
            return true;
    return false;
}

/* Whether two items of the history may stand together in an evidence. */
static bool may_pair(const struct chain_writer *w, uint32_t a, uint32_t b)
{
    return w->facts ? share(w, a, b) && !is_cited(&w->chain, a, b) : a != b;
}

static bool has_partner(const struct chain_writer *w, uint32_t row)
{
    for (size_t i = 0; i < w->history_count; i++)
        if (may_pair(w, row, w->history[i]))
            return true;
    return false;
}

/* With facts the one that is counted. */
static void offer_tenths(struct chain_writer *w)
{
    const struct chain *c = &w->chain;
    bool next = w->state == CHAIN_INTENT_TENTHS;
    if (w->facts) {
        uint32_t attribute = next ? c->next.attribute : c->likes[c->likes_count].attribute;
        double counted = next ? chain_next_share(w, attribute)
                              : (double)having(w, attribute) / (double)w->history_count;
        offer(w, TOKEN + '0' + tenths_of(counted));
        return;
    }
    for (uint32_t d = 0; d < CHAIN_TENTHS; d++)
        offer(w, TOKEN + '0' + d);
}

static bool offered(const struct chain_writer *w, uint32_t row)
{
    return numbers_hold(w->choice, w->choices, row);
}

static bool is_dropped(const struct chain *c, uint32_t row)
{
    return numbers_hold(c->drop, c->drop_count, row);
}

/* The first `most` places in the order of what the answer rests on. */
static bool matters(const struct chain_writer *w, uint32_t row, size_t most)
{
    for (size_t i = 0; i < w->history_count; i++)
        if (w->history[i] == row && w->idle[i] < most)
            return true;
    return false;
}

/* Whether another one that matters, too, may stand beside the first. */
static bool has_second(const struct chain_writer *w, uint32_t first, size_t most)
{
    for (size_t i = 0; i < w->history_count; i++)
        if (w->idle[i] < most && may_pair(w, first, w->history[i]))
            return true;
    return false;
}

/* With facts nothing is left out that something was built on. */
static bool may_be_dropped(const struct chain_writer *w, uint32_t row)
{
    const struct chain *c = &w->chain;
    for (size_t i = 0; w->facts && i < c->evidence_count; i++)
        if (c->evidence[i].item[0] == row || c->evidence[i].item[1] == row)
            return false;
    return !is_dropped(c, row);
}

static bool any_to_drop(const struct chain_writer *w)
{
    for (size_t i = 0; i < w->history_count; i++)
        if (may_be_dropped(w, w->history[i]))
            return true;
    return false;
}

/* First comes one of the third that matters most, then one of the half, if any goes with it. */
static bool may_be_cited(const struct chain_writer *w, uint32_t row)
{
    const struct chain *c = &w->chain;
    size_t third = (w->history_count + 2) / 3;
    size_t half = (w->history_count + 1) / 2;
    if (w->state == CHAIN_DROPPED)
        return may_be_dropped(w, row);
    if (w->state == CHAIN_SECOND_ITEM) {
        uint32_t first = c->evidence[c->evidence_count].item[0];
        return may_pair(w, first, row) && (matters(w, row, half) || !has_second(w, first, half));
    }
    return matters(w, row, third) && has_partner(w, row);
}

/* Rows of the history, each once. */
static void offer_items(struct chain_writer *w)
{
    for (size_t i = 0; i < w->history_count; i++)
        if (may_be_cited(w, w->history[i]) && !offered(w, w->history[i]))
            offer(w, w->history[i]);
}

static bool any_partners(const struct chain_writer *w)
{
    for (size_t i = 0; i < w->history_count; i++)
        if (w->idle[i] < (w->history_count + 2) / 3 && has_partner(w, w->history[i]))
            return true;
    return false;
}

/* Different items that are not dropped. */
static size_t different_left(const struct chain_writer *w)
{
    size_t count = 0;
    for (size_t i = 0; i < w->history_count; i++) {
        bool again = is_dropped(&w->chain, w->history[i]);
        for (size_t k = 0; k < i && !again; k++)
            again = w->history[k] == w->history[i];
        count += !again;
    }
    return count;
}

/* The next place to copy. */
static size_t next_kept(const struct chain_writer *w)
{
    size_t at = w->copied;
    while (at < w->history_count && !w->kept[at])
        at++;
    return at;
}

static void offer_copy(struct chain_writer *w)
{
    size_t at = next_kept(w);
    if (at < w->history_count)
        offer(w, w->history[at]);
    else
        w->state = CHAIN_DONE;
}

static void offer_next(struct chain_writer *w)
{
    const struct chain *c = &w->chain;
    w->choices = 0;
    switch (w->state) {
    case CHAIN_START:
        offer(w, mark(MARK_REASON));
        break;
    case CHAIN_MORE_EVIDENCE:
        if (c->evidence_count < CHAIN_EVIDENCE && any_partners(w))
            offer(w, mark(MARK_BECAUSE));
        offer(w, mark(MARK_LIKES));
        break;
    case CHAIN_FIRST_ITEM:
    case CHAIN_SECOND_ITEM:
    case CHAIN_DROPPED:
        offer_items(w);
        break;
    case CHAIN_AFTER_LIKES:
        if (c->likes_count < CHAIN_LIKES)
            offer_attributes(w);
        offer(w, mark(MARK_NEXT));
        break;
    case CHAIN_SHARED:
    case CHAIN_LIKED:
    case CHAIN_INTENT:
    case CHAIN_PLANNED:
        offer_attributes(w);
        break;
    case CHAIN_LIKED_TENTHS:
    case CHAIN_INTENT_TENTHS:
        offer_tenths(w);
        break;
    case CHAIN_PLAN_MARK:
        offer(w, mark(MARK_PLAN));
        break;
    case CHAIN_CLEAN_MARK:
        offer(w, mark(MARK_CLEAN));
        break;
    case CHAIN_MORE_DROPS:
        if (!w->no_more_drops && c->drop_count < CHAIN_DROPS && different_left(w) > 1 &&
            any_to_drop(w))
            offer(w, mark(MARK_DROP));
        offer(w, mark(MARK_END));
        break;
    case CHAIN_COPY:
        offer_copy(w);
        break;
    case CHAIN_DONE:
        break;
    }
}

void chain_begin(struct chain_writer *w, const struct attributes *attributes,
                 const struct snapshot *facts, const uint32_t *history, size_t count)
{
    size_t newest = count < CHAIN_HISTORY ? count : CHAIN_HISTORY;
    assert(newest > 0 && attributes->count > 0);
    memset(w, 0, offsetof(struct chain_writer, choice));
    w->attributes = attributes;
    w->facts = facts;
    w->history_count = newest;
    memcpy(w->history, history + count - newest, newest * sizeof *history);
    for (size_t i = 0; i < newest; i++)
        w->kept[i] = true;
    for (size_t a = 0; a < attributes->count; a++)
        w->plannable[a] = true;
    w->state = CHAIN_START;
    offer_next(w);
}

/* ---- what was said ---- */

static void take_drop(struct chain_writer *w, uint32_t row)
{
    w->chain.drop[w->chain.drop_count++] = row;
    for (size_t i = 0; i < w->history_count; i++)
        if (w->history[i] == row)
            w->kept[i] = false;
}

void chain_take(struct chain_writer *w, uint32_t symbol)
{
    struct chain *c = &w->chain;
    uint32_t attribute = symbol - TOKEN - w->attributes->token;
    switch (w->state) {
    case CHAIN_START:
        w->state = CHAIN_MORE_EVIDENCE;
        break;
    case CHAIN_MORE_EVIDENCE:
        w->state = symbol == mark(MARK_BECAUSE) ? CHAIN_FIRST_ITEM : CHAIN_LIKED;
        break;
    case CHAIN_FIRST_ITEM:
        c->evidence[c->evidence_count].item[0] = symbol;
        w->state = CHAIN_SECOND_ITEM;
        break;
    case CHAIN_SECOND_ITEM:
        c->evidence[c->evidence_count].item[1] = symbol;
        w->state = CHAIN_SHARED;
        break;
    case CHAIN_SHARED:
        c->evidence[c->evidence_count++].attribute = attribute;
        w->state = CHAIN_MORE_EVIDENCE;
        break;
    case CHAIN_LIKED:
    case CHAIN_AFTER_LIKES:
        w->state = symbol == mark(MARK_NEXT) ? CHAIN_INTENT : CHAIN_LIKED_TENTHS;
        if (w->state == CHAIN_LIKED_TENTHS)
            c->likes[c->likes_count].attribute = attribute;
        break;
    case CHAIN_LIKED_TENTHS:
        c->likes[c->likes_count++].tenths = symbol - TOKEN - '0';
        w->state = CHAIN_AFTER_LIKES;
        break;
    case CHAIN_INTENT:
        c->next.attribute = attribute;
        w->state = CHAIN_INTENT_TENTHS;
        break;
    case CHAIN_INTENT_TENTHS:
        c->next.tenths = symbol - TOKEN - '0';
        w->state = CHAIN_PLAN_MARK;
        break;
    case CHAIN_PLAN_MARK:
        w->state = CHAIN_PLANNED;
        break;
    case CHAIN_PLANNED:
        c->plan = attribute;
        w->state = CHAIN_CLEAN_MARK;
        break;
    case CHAIN_CLEAN_MARK:
        w->state = CHAIN_MORE_DROPS;
        break;
    case CHAIN_MORE_DROPS:
        w->state = symbol == mark(MARK_DROP) ? CHAIN_DROPPED : CHAIN_COPY;
        break;
    case CHAIN_DROPPED:
        take_drop(w, symbol);
        w->state = CHAIN_MORE_DROPS;
        break;
    case CHAIN_COPY:
        w->copied = next_kept(w) + 1;
        break;
    case CHAIN_DONE:
        break;
    }
    offer_next(w);
}

void chain_refuse(struct chain_writer *w)
{
    assert(w->state == CHAIN_DROPPED);
    w->state = CHAIN_MORE_DROPS;
    w->no_more_drops = true;
    offer_next(w);
}

void chain_keep(struct chain_writer *w, uint32_t row)
{
    assert(w->copied == 0);
    for (size_t i = 0; i < w->history_count; i++)
        if (w->history[i] == row)
            w->kept[i] = true;
    offer_next(w);
}

/* ---- following a chain ---- */

static uint32_t attribute_symbol(const struct chain_writer *w, uint32_t id)
{
    return TOKEN + w->attributes->token + id;
}

uint32_t chain_symbol(const struct chain_writer *w, const struct chain *c)
{
    const struct chain *so_far = &w->chain;
    switch (w->state) {
    case CHAIN_MORE_EVIDENCE:
        return mark(so_far->evidence_count < c->evidence_count ? MARK_BECAUSE : MARK_LIKES);
    case CHAIN_FIRST_ITEM:
        return c->evidence[so_far->evidence_count].item[0];
    case CHAIN_SECOND_ITEM:
        return c->evidence[so_far->evidence_count].item[1];
    case CHAIN_SHARED:
        return attribute_symbol(w, c->evidence[so_far->evidence_count].attribute);
    case CHAIN_LIKED:
        return attribute_symbol(w, c->likes[so_far->likes_count].attribute);
    case CHAIN_LIKED_TENTHS:
        return TOKEN + '0' + c->likes[so_far->likes_count].tenths;
    case CHAIN_AFTER_LIKES:
        return so_far->likes_count < c->likes_count
                   ? attribute_symbol(w, c->likes[so_far->likes_count].attribute)
                   : mark(MARK_NEXT);
    case CHAIN_INTENT:
        return attribute_symbol(w, c->next.attribute);
    case CHAIN_INTENT_TENTHS:
        return TOKEN + '0' + c->next.tenths;
    case CHAIN_PLANNED:
        return attribute_symbol(w, c->plan);
    case CHAIN_MORE_DROPS:
        return mark(so_far->drop_count < c->drop_count ? MARK_DROP : MARK_END);
    case CHAIN_DROPPED:
        return c->drop[so_far->drop_count];
    default:
        return w->choices ? w->choice[0] : NO_ITEM;
    }
}
