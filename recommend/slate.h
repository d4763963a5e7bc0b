/*
 * slate.h: a history becomes a ranked list; the one definition that training, judging and serving
 * use.
 *
 *   history, query ─► z ─► name: beam over the trie ┐
 *                       └► find: inner products      ├► candidates ─► fused score ─► rank, or
 * explore history ─► votes: neighbours, words, both       ┘
 *
 *     score = sum of weights * features (version.h); a relative feature is log(REL_FLOOR + x / most
 * x among the candidates), so that it says how an item stands within this list
 *
 * With a query the text is the query's own and the weights are those of search.
 *
 * One mask holds for all sources: rows in work->skip are neither named nor found nor counted.
 * A list that the sources cannot fill is filled with the most popular items, marked so.
 *
 * Diversity comes after the score and before each rank: maximal marginal relevance (Carbonell and
 * Goldstein, SIGIR 1998) with the log-score as relevance, score - mmr * (largest cosine of content
 * with an item above); and a cap on the items of one category, which leaves out categories that
 * more than half of the candidates have (all of a shop's catalogue is in its root).
 *
 * Exploring (temperature > 0) draws rank by rank without replacement, p_k = exp(s_k / T) / sum over
 * what remains, and says p_k (the Plackett-Luce model); without, the propensity is 1.
 *
 * Threads   one slate_work per thread, laid out once for a number of rows.
 */
#ifndef RECOMMEND_SLATE_H
#define RECOMMEND_SLATE_H

#include "recommend/snapshot.h"

enum {
    SLATE_MAX = 200,
    BEAM_MAX = 200,
    FIND_MAX = 150,
    NEW_MAX = 20,
    COUNT_MAX = 100,
    CANDIDATES_MAX = 512,
    QUERY_TOKENS_MAX = 32,
    PROMPT_MAX = 128
};

enum slate_source {
    SOURCE_NAME,
    SOURCE_FIND,
    SOURCE_COUNT,
    SOURCE_TEXT,
    SOURCE_WALK,
    SOURCE_POPULAR,
    SOURCES
};
extern const char *const SLATE_SOURCES[SOURCES];

struct slate_item {
    uint32_t row;
    double score, propensity;
    double features[FEATURES]; /* as they enter the sum */
    enum slate_source source;  /* the source that ranked it highest */
    uint32_t because;          /* the nearest row of the history, or NO_ITEM */
};

struct slate_request {
    const uint32_t *history; /* rows, oldest first */
    size_t history_count;
    /*
     * What the policy reads in place of the history, at most PROMPT_MAX symbols: a history and a
     * chain of reasons (reason.h), or NULL.  Votes come from the history all the same.
     */
    const uint32_t *prompt;
    size_t prompt_count;
    const char *query; /* what is asked for in words, after the history; NULL: nothing */
    size_t n;          /* 1 .. SLATE_MAX */
    size_t beam;
    double explore;      /* temperature; 0: take the best */
    double mmr;          /* taken off a score for a cosine of 1 with what is above; 0: nothing */
    size_t category_max; /* items of one category; 0: any number */
    uint64_t seed;
};

struct slate {
    struct slate_item items[SLATE_MAX];
    size_t count;
    size_t candidates;       /* that were scored */
    double log_normaliser;   /* log sum exp(score / T) over all candidates; 0 when not exploring */
    const char *fallback;    /* NULL, "cold_user" or "filter_exhausted" */
    double name_ms, find_ms; /* time the two readings took */
};

struct slate_work {
    size_t rows_max, history_max;
    struct arena arena; /* owned; everything below lies in it */
    struct policy_work policy;
    struct decode_work decode;
    uint64_t *skip;           /* a bit per row that may not be shown; the caller fills it */
    uint32_t *allowed_before; /* [rows_max / 64 + 1] */
    uint64_t *skip_new;       /* the same mask for newcomers alone */
    uint32_t *new_before;
    float *find_scores; /* [rows_max] */
    struct tally votes, last, text_votes, walk;
    uint32_t *history;                 /* [history_max + 1 + QUERY_TOKENS_MAX] symbols */
    float *query;                      /* [dim] */
    struct hit *name_hits, *find_hits; /* what each source alone would say */
    struct hit *count_hits, *text_hits, *walk_hits;
    size_t name_count, find_count, count_count, text_count, walk_count;
    struct slate_item *candidates; /* [CANDIDATES_MAX] */
    struct hit *order;             /* [CANDIDATES_MAX] */
    float *likeness;               /* [CANDIDATES_MAX] largest cosine with what was taken */
};

bool slate_work_open(struct slate_work *work, const struct snapshot *snapshot, size_t late_max,
                     size_t history_max, struct err *err) MUST_CHECK;
void slate_work_close(struct slate_work *work);
bool slate_work_fits(const struct slate_work *work, const struct snapshot *snapshot);

/* skip = what the snapshot hides; the caller then adds its own bits. */
void slate_begin(struct slate_work *work, const struct snapshot *snapshot);

bool slate_make(struct slate *slate, struct slate_work *work, const struct snapshot *snapshot,
                const struct fusion *fusion, const struct slate_request *request,
                struct err *err) MUST_CHECK; /* fusion NULL: the version's own */

/*
 * What find looks for with these words alone: query [dim], to be compared with find vectors by
 * inner product.  Returns how many tokens were read, at most QUERY_TOKENS_MAX; 0: none, query
 * untouched.
 */
size_t slate_query(float *query, struct slate_work *work, const struct snapshot *snapshot,
                   const char *words, struct err *err);

/* Of rows[count] the one whose content is nearest to row's; NO_ITEM: none is like it at all. */
uint32_t slate_nearest(const struct snapshot *snapshot, uint32_t row, const uint32_t *rows,
                       size_t count);

/* The rows whose find vectors point where row's does: hits[n], cosine, best first. */
size_t slate_similar(struct hit *hits, size_t n, struct slate_work *work,
                     const struct snapshot *snapshot, uint32_t row);

#endif
