/*
 * folding.h: a text byte by byte as titles are compared: see titles.h.
 *
 * A run of white space is one space; what was folded away (marks) is skipped.  Reads [at, end) and
 * takes no memory.
 */
#ifndef RECOMMEND_FOLDING_H
#define RECOMMEND_FOLDING_H

#include <stdbool.h>
#include <stddef.h>

struct folding {
    const char *at, *end;   /* what was not read yet */
    unsigned char held[32]; /* of the code point read last */
    unsigned next, count;
};

static inline struct folding folding_of(const char *text, size_t size)
{
    return (struct folding){.at = text, .end = text + size};
}

int folding_next(struct folding *folding); /* a byte, or -1 at the end */

/* Whether all bytes of the code points read so far were given out. */
static inline bool folding_whole(const struct folding *folding)
{
    return folding->next == folding->count;
}

/* Whether a letter, digit or mark of one begins, or ends, at this place. */
bool word_begins(const char *at, const char *end);
bool word_ends(const char *begin, const char *at);
/* The size of the code point at a place; 1 for a byte that begins none. */
size_t code_size(const char *at, const char *end);

#endif
