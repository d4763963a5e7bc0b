#include "index/trie.h"

#include <stdlib.h>
#include <string.h>

static int compare_codes(const uint16_t *a, const uint16_t *b, size_t levels)
{
    for (size_t l = 0; l < levels; l++)
        if (a[l] != b[l])
            return a[l] < b[l] ? -1 : 1;
    return 0;
}

bool trie_open(struct trie *trie, const uint16_t *codes, const uint32_t *row, size_t items,
               size_t levels, struct err *err)
{
    *trie = (struct trie){.items = items, .levels = levels, .codes = codes, .row = row};
    if (levels < 1 || levels > LEVELS_MAX)
        return err_set(err, ERR_FORMAT, "names of %zu tiles, expected 1 to %d", levels, LEVELS_MAX);
    trie->next = calloc(items * levels + 1, sizeof *trie->next);
    if (!trie->next)
        return err_set(err, ERR_SYSTEM, "no memory for a trie of %zu items", items);
    for (size_t r = items; r-- > 0;) {
        size_t same = 0; /* leading tiles shared with the row after this one */
        if (r + 1 < items) {
            if (compare_codes(codes + r * levels, codes + (r + 1) * levels, levels) >= 0) {
                trie_close(trie);
                return err_set(err, ERR_FORMAT, "semantic IDs do not rise at row %zu", r);
            }
            while (codes[r * levels + same] == codes[(r + 1) * levels + same])
                same++;
        }
        for (size_t l = 0; l < levels; l++) {
            trie->next[l * items + r] = l < same ? trie->next[l * items + r + 1] : (uint32_t)r + 1;
            if (codes[r * levels + l] >= trie->width)
                trie->width = codes[r * levels + l] + 1u;
        }
    }
    return true;
}

void trie_close(struct trie *trie)
{
    free(trie->next);
    *trie = (struct trie){0};
}

void trie_count_allowed(uint32_t *allowed_before, const uint64_t *skip, size_t rows)
{
    uint32_t count = 0;
    for (size_t w = 0; w <= rows / 64; w++) {
        allowed_before[w] = count;
        count += (uint32_t)__builtin_popcountll(~skip[w]);
    }
}

static uint32_t allowed_below(const struct trie_mask *mask, uint32_t row)
{
    uint64_t below = ((uint64_t)1 << row % 64) - 1;
    return mask->allowed_before[row / 64] +
           (uint32_t)__builtin_popcountll(~mask->skip[row / 64] & below);
}

/* Rows of the base trie are consecutive, so counting does; late rows are looked at one by one. */
static bool base_alive(const struct trie_mask *mask, uint32_t first, uint32_t last)
{
    if (!mask->skip)
        return true;
    uint32_t allowed = allowed_below(mask, last) - allowed_below(mask, first);
    for (size_t i = 0; i < mask->listed_count; i++)
        allowed -= mask->listed[i] >= first && mask->listed[i] < last;
    return allowed > 0;
}

static bool late_alive(const struct trie_mask *mask, uint32_t first, uint32_t last)
{
    for (uint32_t at = first; at < last; at++) {
        uint32_t row = mask->late->row[at];
        if (base_alive(mask, row, row + 1))
            return true;
    }
    return false;
}

static size_t trie_children(const void *self, struct tile_child *children, struct tile_node node,
                            size_t level)
{
    const struct trie_mask *mask = self;
    const struct trie *base = mask->base;
    const struct trie *late = mask->late;
    uint32_t at = node.first;
    uint32_t late_at = node.late_first;
    size_t count = 0;
    while (at < node.last || late_at < node.late_last) {
        uint32_t tile = UINT32_MAX;
        uint32_t late_tile = UINT32_MAX;
        if (at < node.last)
            tile = base->codes[at * base->levels + level];
        if (late_at < node.late_last)
            late_tile = late->codes[late_at * late->levels + level];
        struct tile_child child = {.tile = tile < late_tile ? tile : late_tile,
                                   .node = {at, at, late_at, late_at}};
        bool alive = false;
        if (tile == child.tile) {
            child.node.last = base->next[level * base->items + at];
            child.item = at;
            alive = base_alive(mask, at, child.node.last);
            at = child.node.last;
        }
        if (late_tile == child.tile) {
            child.node.late_last = late->next[level * late->items + late_at];
            if (tile != child.tile)
                child.item = late->row[late_at];
            alive = alive || late_alive(mask, late_at, child.node.late_last);
            late_at = child.node.late_last;
        }
        if (alive)
            children[count++] = child;
    }
    return count;
}

struct legal_tiles trie_legal(const struct trie_mask *mask)
{
    size_t width = mask->base->width;
    size_t late_width = mask->late->width;
    return (struct legal_tiles){
        .children = trie_children,
        .root = {0, (uint32_t)mask->base->items, 0, (uint32_t)mask->late->items},
        .levels = mask->base->levels,
        .width = width > late_width ? width : late_width,
        .self = mask,
    };
}

bool trie_find(uint32_t *row, const struct trie *trie, const uint16_t *codes)
{
    size_t low = 0;
    size_t high = trie->items;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_codes(trie->codes + middle * trie->levels, codes, trie->levels) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == trie->items ||
        compare_codes(trie->codes + low * trie->levels, codes, trie->levels) != 0)
        return false;
    *row = trie->row ? trie->row[low] : (uint32_t)low;
    return true;
}
