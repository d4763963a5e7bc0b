/*
 * reply.h: what is said about a list by templates: for policies that cannot speak, and where a
 * draft named what is not on the list (drafts.h).
 *
 * One to three sentences: what the list was made for, what stands first on it, and what else there
 * is to say.  Of several ways to say each the seed chooses.  Names are those of the catalogue, and
 * REPLY_NAMES of them are said: who sends back the text alone tells us by it what was shown.
 *
 * Threads   any.
 * Memory    grows the caller's text.
 */
#ifndef RECOMMEND_REPLY_H
#define RECOMMEND_REPLY_H

#include "base/text.h"

enum { REPLY_NAMES = 10 };

struct reply_facts {
    const char *const *names; /* [count] of the list, the best first, as people read them */
    size_t count;
    size_t wanted;             /* ranks that were asked for; more than count: said so */
    const char *const *wishes; /* [wish_count] as wish_say() puts them: "Comedy", "no Horror" */
    size_t wish_count;
    uint64_t seed;
};

void reply_write(struct text *text, const struct reply_facts *facts);
/* Only what is listed, behind what a policy said about it; count is at least 1. */
void reply_ranks(struct text *text, const struct reply_facts *facts);

#endif
