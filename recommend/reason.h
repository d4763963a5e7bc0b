/*
 * reason.h: the policy writes a chain of reasons (chain.h), whose symbols then stand before the
 * answer in what it reads.
 *
 *     history ─► z ─► a choice of the grammar ─► read as the next position ─► z ─► ...  ─► slate
 *
 * A choice is one of model/choice.h.
 *
 * What is dropped from the history is checked on the way: an item stays if the rest is not likelier
 * without it, so that the answer never rests on a claim that does not hold.  With facts the
 * policy's next choices are tried before nothing is dropped.
 *
 * With facts only what PLAN_SHARE of the ten likeliest plain answers have is planned, and evidence
 * begins with an item of the third that the likeliest plain answer would lose
 * most without: it is what the answer rests on.
 *
 * Threads   one reason_work per thread.
 * Cost      the history, then a position a symbol; with facts a plain history for each item of it,
 * and two for each item that might be dropped.
 */
#ifndef RECOMMEND_REASON_H
#define RECOMMEND_REASON_H

#include "base/rng.h"
#include "model/choice.h"
#include "recommend/claims.h"

struct reason_work {
    size_t rows_max;
    struct arena arena; /* owned; everything below lies in it */
    struct policy_work policy, plain;
    struct decode_work decode;
    uint32_t *input; /* [CHAIN_HISTORY + CHAIN_SYMBOLS] */
    real *query;     /* [dim] */
    real *logits;    /* [choices] */
    uint64_t *skip;  /* a bit per row, of a plain answer */
    uint32_t *allowed_before;
};

struct reasoned {
    struct chain_writer writer;                      /* done */
    uint32_t symbols[CHAIN_HISTORY + CHAIN_SYMBOLS]; /* history and chain: what the answer reads */
    size_t count;
    double gains[CHAIN_DROPS]; /* of what was to be dropped */
    double log_probability;    /* of the choices but, with facts, of whether and what to drop */
};

struct reason_options {
    double temperature; /* 0: the likeliest choice, of equal ones the first */
    bool facts;         /* the grammar is given the catalogue (chain.h) */
};

bool reason_work_open(struct reason_work *work, const struct snapshot *snapshot, size_t late_max,
                      struct err *err) MUST_CHECK;
void reason_work_close(struct reason_work *work);

/* The version has attributes, the history one item or more. */
void reason_write(struct reasoned *out, struct reason_work *work, const struct snapshot *snapshot,
                  const uint32_t *history, size_t count, const struct reason_options *options,
                  struct rng *rng);

/* The whole history without what the chain left out of it; returns how many.  cleaned [count]. */
size_t reason_clean(uint32_t *cleaned, const struct reasoned *reasoned, const uint32_t *history,
                    size_t count);

/* log p(name of row | the rows before it), by the whole trie. */
double reason_log_name(struct reason_work *work, const struct snapshot *snapshot,
                       const uint32_t *before, size_t count, uint32_t row);
/* A history without a row, wherever it stands; returns how many are left.  out [count]. */
size_t reason_without(uint32_t *out, const uint32_t *history, size_t count, uint32_t row);
/*
 * How many nats an item of the rest is likelier, on average, without this row; 0 where none comes
 * after it that has something before it both ways.
 */
double reason_gain(struct reason_work *work, const struct snapshot *snapshot,
                   const uint32_t *history, size_t count, uint32_t row);

#endif
