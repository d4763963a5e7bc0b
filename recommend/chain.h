/*
 * chain.h: a chain of reasons: what the policy says before it answers, and the grammar that it is
 * said under (GREAM's five parts, arXiv 2510.20815, in symbols instead of free text).
 *
 *     history
 *     <reason>  (<because> item item attribute)*       evidence: two of the history share it
 *     <likes>   (attribute tenth)+                     preference: how much of the history has it
 *     <next>    attribute tenth                        intent: what comes next, how sure
 *     <plan>    attribute                              plan: what kind of items
 *     <clean>   (<drop> item)* <end>  item item ...    the history without what does not fit
 *
 * An item is a row of the history, an attribute a token (attributes.h), a tenth a digit: d stands
 * for [d, d + 1) tenths.  Each stands alone, so that what is said next of an attribute is read at
 * the attribute itself: a trunk of one layer could not look back twice.
 * The copy at the end is not chosen.  What follows the last item is
 * the answer, read from its z as from a plain history.
 *
 * The grammar alone knows nothing of truth: a chain may say what is not so, and claims.h finds out.
 * With facts (a snapshot) it offers no evidence and no preference that the catalogue denies, no
 * intent that came next in fewer than INTENT_LEAST of the cases, of tenths only the one that is
 * counted, and nothing to drop that evidence was built on: a mask over reasons, as the trie is one
 * over names.  Evidence begins with an item of the third that idle[] says matters most, and
 * plans are of what plannable[] lets.  Which of all this is said stays the policy's choice.
 *
 * Threads   a writer belongs to one thread.
 */
#ifndef RECOMMEND_CHAIN_H
#define RECOMMEND_CHAIN_H

#include "model/tokenizer.h"
#include "recommend/snapshot.h"

#include <stdbool.h>

enum {
    CHAIN_HISTORY = 12, /* newest items that are read */
    CHAIN_EVIDENCE = 2,
    CHAIN_LIKES = 3,
    CHAIN_DROPS = 2,
    CHAIN_SYMBOLS = 48, /* after the history, the copy included: no chain has more */
    CHAIN_TENTHS = 10
};

extern const double INTENT_LEAST; /* 0.05 */

struct chain_evidence {
    uint32_t item[2]; /* rows of the history */
    uint32_t attribute;
};

struct chain_degree {
    uint32_t attribute;
    unsigned tenths; /* 0 .. 9 */
};

struct chain {
    struct chain_evidence evidence[CHAIN_EVIDENCE];
    struct chain_degree likes[CHAIN_LIKES], next;
    uint32_t plan; /* attribute */
    uint32_t drop[CHAIN_DROPS];
    size_t evidence_count, likes_count, drop_count;
};

enum chain_state {
    CHAIN_START,
    CHAIN_MORE_EVIDENCE,
    CHAIN_FIRST_ITEM,
    CHAIN_SECOND_ITEM,
    CHAIN_SHARED, /* the attribute of an evidence */
    CHAIN_LIKED,
    CHAIN_LIKED_TENTHS,
    CHAIN_AFTER_LIKES,
    CHAIN_INTENT,
    CHAIN_INTENT_TENTHS,
    CHAIN_PLAN_MARK,
    CHAIN_PLANNED,
    CHAIN_CLEAN_MARK,
    CHAIN_MORE_DROPS,
    CHAIN_DROPPED,
    CHAIN_COPY,
    CHAIN_DONE
};

struct chain_writer {
    const struct attributes *attributes;
    const struct snapshot *facts;    /* NULL: the grammar alone */
    uint32_t history[CHAIN_HISTORY]; /* oldest first */
    size_t history_count;
    bool kept[CHAIN_HISTORY], no_more_drops;
    /* How little the answer rests on an item, from 0: chain_begin() says 0, its caller more. */
    unsigned char idle[CHAIN_HISTORY];
    /* With facts: what may be planned; chain_begin() says everything, its caller less. */
    bool plannable[ATTRIBUTES_MAX];
    struct chain chain; /* so far */
    enum chain_state state;
    size_t copied;
    /* What may come next: symbols of the policy, all tokens or all items; none when it is done. */
    uint32_t choice[ATTRIBUTES_MAX + 2];
    size_t choices;
};

/* The newest CHAIN_HISTORY of the history; at least one.  facts: borrowed, or NULL. */
void chain_begin(struct chain_writer *writer, const struct attributes *attributes,
                 const struct snapshot *facts, const uint32_t *history, size_t count);
void chain_take(struct chain_writer *writer, uint32_t symbol); /* one of the choices */
/* Instead of an item to drop: none will be.  The <drop> before it is taken back. */
void chain_refuse(struct chain_writer *writer);
/* Before the copy has begun: what was dropped stays after all. */
void chain_keep(struct chain_writer *writer, uint32_t row);

/* With facts: how often an attribute came next after histories that have as much of it. */
double chain_next_share(const struct chain_writer *writer, uint32_t attribute);

/* What a chain says next in this state. */
uint32_t chain_symbol(const struct chain_writer *writer, const struct chain *chain);

static inline bool chain_decides(const struct chain_writer *writer)
{
    return writer->choices > 1;
}

/* The same two items, in whichever order. */
static inline bool same_pair(const uint32_t a[2], const uint32_t b[2])
{
    return (a[0] == b[0] && a[1] == b[1]) || (a[0] == b[1] && a[1] == b[0]);
}

/* A share as a tenth. */
static inline unsigned tenths_of(double share)
{
    int tenths = (int)(share * CHAIN_TENTHS);
    return tenths < 0 ? 0 : tenths > 9 ? 9 : (unsigned)tenths;
}

#endif
