/*
 * legal_tiles.h: the question a decoder asks while it names an item: which tiles may come next?
 *
 * The decoder (model/) knows nothing of items, the trie (index/) knows nothing of logits; this
 * struct is all they share.  A prefix of tiles is a node.  A node is an opaque pair of ranges that
 * only the answering side reads.  Constraints fail closed: no children ends a beam.
 *
 * At the last level a child is an item, and child.item is its row.
 */
#ifndef BASE_LEGAL_TILES_H
#define BASE_LEGAL_TILES_H

#include <stddef.h>
#include <stdint.h>

struct tile_node {
    uint32_t first, last;           /* range in the version's own trie */
    uint32_t late_first, late_last; /* range in the delta of late items */
};

struct tile_child {
    uint32_t tile;
    uint32_t item; /* row of the item at the last level, else 0 */
    struct tile_node node;
};

struct legal_tiles {
    /*
     * Writes the legal children of a node that lies `level` tiles deep, by rising tile, and returns
     * how many: never more than `width`.
     */
    size_t (*children)(const void *self, struct tile_child *children, struct tile_node node,
                       size_t level);
    struct tile_node root;
    size_t levels; /* tiles in a name, the one that tells a collision apart included */
    size_t width;  /* no node has more children */
    const void *self;
};

#endif
