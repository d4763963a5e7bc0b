/*
 * trie.h: which tiles may follow a prefix, for a version's items and the late ones together.
 *
 * The names of a version are sorted, so a prefix is a range of rows.  next[l][r] is the row at
 * which the run of equal first l+1 tiles that holds row r ends: the children of a range are found
 * by hopping from run to run, at a cost of one step per child.  Late items are a second, small trie
 * of the same form; a node is a range in each.
 *
 * A mask takes items away: rows that are not allowed.  A node is legal while at least one of its
 * items is left, so a beam that follows legal nodes always ends in an allowed item.
 *
 * Threads   a trie never changes once made; each request has its own mask.
 */
#ifndef INDEX_TRIE_H
#define INDEX_TRIE_H

#include "base/legal_tiles.h"
#include "index/semantic_ids.h"

struct trie {
    size_t items, levels;
    const uint16_t *codes; /* borrowed [items, levels], rising */
    uint32_t *next;        /* owned [levels, items] */
    const uint32_t *row;   /* borrowed [items]: the row of each, or NULL for its own place */
    size_t width;          /* one more than the largest tile */
};

bool trie_open(struct trie *trie, const uint16_t *codes, const uint32_t *row, size_t items,
               size_t levels, struct err *err) MUST_CHECK; /* refuses names that do not rise */
void trie_close(struct trie *trie);

struct trie_mask {
    const struct trie *base;
    const struct trie *late;        /* may have no items */
    const uint64_t *skip;           /* a bit per row that is not allowed; NULL: all are */
    const uint32_t *allowed_before; /* [rows / 64 + 1] allowed rows before each word of skip */
    const uint32_t *listed; /* [listed_count] rows that are not allowed either: a few that */
    size_t listed_count;    /* skip allows, none twice; only with skip */
};

/* Fills allowed_before [rows / 64 + 1] from skip. */
void trie_count_allowed(uint32_t *allowed_before, const uint64_t *skip, size_t rows);

/* The mask as the decoder's question.  `mask` is borrowed for as long as `legal` is used. */
struct legal_tiles trie_legal(const struct trie_mask *mask);

/* True and the row, if the name exists. */
bool trie_find(uint32_t *row, const struct trie *trie, const uint16_t *codes);

#endif
