/*
 * search.h: queries whose answer is known, to fit the weights of search and to judge it.
 *
 *   title     words of a title that tasks.h keeps out of training; no history.  Half of these items
 *             choose (validation), the other half judge (test)
 *   tags      one or two words of the tags of a held-out event's item; no history: many items fit,
 *             the target is the one somebody took
 *   history   that user's history, and one or two words of the item's title and tags
 *
 * Beside the policy stands TF-IDF over the whole catalogue text, which does know a title's words.
 */
#ifndef TRAIN_SEARCH_H
#define TRAIN_SEARCH_H

#include "train/judge.h"
#include "train/tasks.h"

enum search_kind { SEARCH_TITLE, SEARCH_TAGS, SEARCH_HISTORY, SEARCH_KINDS };

struct search_queries {
    struct cases cases;             /* each has a query; the kinds lie one after another */
    size_t first[SEARCH_KINDS + 1]; /* case */
};

/*
 * users: cases of the same part.  Items without training events are left out: the policy was never
 * told their words.
 */
bool search_queries_make(struct search_queries *queries, const struct item_words *words,
                         const struct tokenizer *tokenizer, const unsigned char *seen,
                         const struct cases *users, enum part part, struct err *err) MUST_CHECK;

/* rank [cases]: of the target by cosine of TF-IDF rows, 0 beyond LIST_MAX. */
bool search_tf_idf(uint32_t *rank, const struct cases *cases, const struct version *version,
                   struct store *store, struct err *err) MUST_CHECK;

#endif
