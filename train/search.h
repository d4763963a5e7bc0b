/*
 * search.h: how well words find items: queries that no training sequence held.
 *
 * The title words that tasks.h keeps out of training are asked for; the item they belong to is the
 * target.  Half of these items choose (validation), the other half judge (test).  Beside the policy
 * stands TF-IDF over the whole catalogue text, which does know those words.
 */
#ifndef TRAIN_SEARCH_H
#define TRAIN_SEARCH_H

#include "train/judge.h"
#include "train/tasks.h"

/* Items without training events are left out: the policy was never told their words. */
bool search_cases(struct cases *cases, const struct item_words *words,
                  const struct tokenizer *tokenizer, const unsigned char *seen, enum part part,
                  struct err *err) MUST_CHECK;

/* rank [cases]: of the target by cosine of TF-IDF rows, 0 beyond LIST_MAX. */
bool search_tf_idf(uint32_t *rank, const struct cases *cases, const struct version *version,
                   struct store *store, struct err *err) MUST_CHECK;

#endif
