/*
 * attributes.h: what items have in common that can be said in words: the vocabulary of reasons.
 *
 * An attribute is a tag of item_document.h (a category, a short text such as a brand, a decade)
 * that ATTRIBUTE_ITEMS_LEAST or more items with events have, and no more than half of them.  Each
 * is a token of its own behind those of the tokenizer, which begins as the mean of its words.
 *
 * `next` says what the logs know of an attribute: the share of training events that have it, by how
 * much of the history before had it; what is counted rarely leans on all attributes' mean.
 *
 * Memory    owned flat arrays; attributes_free().
 * Threads   never change once made.
 */
#ifndef RECOMMEND_ATTRIBUTES_H
#define RECOMMEND_ATTRIBUTES_H

#include "base/text.h"

#include <jansson.h>
#include <stdint.h>

enum {
    ATTRIBUTES_MAX = 1024,
    ATTRIBUTE_ITEMS_LEAST = 10,
    ATTRIBUTES_AN_ITEM = 32,
    SHARES = 6 /* of a history that has an attribute: none, then fifths, the last with all of it */
};

struct attributes {
    size_t count;
    uint32_t token;  /* of the first: attribute a is token + a */
    char **tag;      /* [count], rising */
    char **text;     /* [count] in words */
    uint32_t *items; /* [count] that have it */
    double *next;    /* [count, SHARES] */
};

bool attribute_speaks(const char *tag); /* false: it says nothing in words */
/* What may follow "is": "Drama", "from the 1990s", "brand OPI". */
void attribute_text(struct text *text, const char *tag);

/* Counts what may become attributes, record by record. */
struct attribute_counts {
    json_t *tags; /* owned {tag: items} */
    size_t items;
};
bool attribute_counts_open(struct attribute_counts *counts, struct err *err) MUST_CHECK;
bool attribute_counts_add(struct attribute_counts *counts, const json_t *record,
                          struct err *err) MUST_CHECK;
void attribute_counts_close(struct attribute_counts *counts);

/* token: the first that the tokenizer does not have. */
struct attributes *attributes_make(const struct attribute_counts *counts, size_t token,
                                   struct err *err) MUST_CHECK;
/* attributes.json of a version. */
struct attributes *attributes_read(const char *path, size_t token, struct err *err) MUST_CHECK;
bool attributes_write(const struct attributes *attributes, const char *path,
                      struct err *err) MUST_CHECK;
void attributes_free(struct attributes *attributes); /* NULL is fine */

size_t attributes_find(const struct attributes *attributes, const char *tag); /* SIZE_MAX: none */
/* The attributes of a record, rising, at most ATTRIBUTES_AN_ITEM. */
bool attributes_of(uint32_t ids[ATTRIBUTES_AN_ITEM], size_t *count,
                   const struct attributes *attributes, const json_t *record,
                   struct err *err) MUST_CHECK;

/* Which of SHARES it is when `having` of `count` items have an attribute. */
static inline size_t share_of(size_t having, size_t count)
{
    return having ? 1 + (having * 5 - 1) / count : 0;
}

/* How often an attribute came next after histories of which as many of `count` items had it. */
static inline double attributes_next(const struct attributes *attributes, size_t attribute,
                                     size_t having, size_t count)
{
    return attributes->next[attribute * SHARES + share_of(having, count)];
}

#endif
