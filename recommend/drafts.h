/*
 * drafts.h: whether what a policy has written names something that is not on its list.
 *
 * In the words of a reply items stand as <item> and a row, and names are rendered.  A policy that
 * speaks can still spell a name.  A draft is looked through for
 *
 *     titles of the whole catalogue, as titles_loose() finds them (two words or more, in quotes, or
 *     with a year)
 *     what looks like a name though no item has it: a year in brackets, or capitalised words in
 *     quotes
 *
 * and whatever is not part of a listed item's name is a false name.  Running text is not taken for
 * a title: words without capitals that are all among the most common ("the best of it").  Whoever
 * asked writes a draft with a false name once more, and then falls back to a template (reply.h).
 *
 * Threads   reads only; any number.
 * Memory    none is taken.
 * Cost      titles_loose() and titles_among() of the text.
 */
#ifndef RECOMMEND_DRAFTS_H
#define RECOMMEND_DRAFTS_H

#include "recommend/titles.h"

struct false_name {
    size_t from, to; /* bytes [from, to) of the draft */
    uint32_t row;    /* whose name it is; NO_ITEM: nobody's */
};

/*
 * False names in a draft beside a list of `count` rows, titles of the catalogue first; at most
 * `most`, and returns how many.  A text of more titles than DRAFT_HITS_MAX is looked through up to
 * there.
 */
enum { DRAFT_HITS_MAX = 64 };
size_t draft_false_names(struct false_name *names, size_t most, const struct titles *titles,
                         const char *draft, const uint32_t *rows, size_t count);

/* How many words a text has; bytes[size] is 0, or size is 0. */
size_t draft_words(const char *bytes, size_t size);

static inline bool draft_is_clean(const struct titles *titles, const char *draft,
                                  const uint32_t *rows, size_t count)
{
    struct false_name name;
    return draft_false_names(&name, 1, titles, draft, rows, count) == 0;
}

#endif
