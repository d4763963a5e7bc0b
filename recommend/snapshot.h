/*
 * snapshot.h: what one request sees: a version, the items that came after it, and today's facts.
 *
 * Rows 0 .. items - 1 are the version's, then come the late items in order of arrival.  Late items
 * are coded from their text by the version's own coder; their tiles are kept in the store for each
 * version, so that a restart, a reload or a rollback names them the same, and the ordinal in their
 * last tile is never given twice, not even after a deletion.
 *
 * A snapshot never changes.  snapshot_update() makes the next one after items were written; readers
 * of the old one are not disturbed and the last of them frees it.
 *
 * Threads   any number of readers; updates come from one thread at a time (the committer).
 * Memory    counted: snapshot_hold/_drop.
 * Cost      opening reads every item's record once; an update copies the facts, rows * 2 words.
 */
#ifndef RECOMMEND_SNAPSHOT_H
#define RECOMMEND_SNAPSHOT_H

#include "recommend/version.h"

struct snapshot {
    struct version *version; /* owned share */
    size_t rows;             /* version items + late ones */
    size_t late;
    uint32_t *late_number; /* [late] in the store */
    uint16_t *late_codes;  /* [late, levels] */
    float *late_content;   /* [late, dims] */
    float *late_find;      /* [late, dim] */
    struct trie late_trie;
    uint16_t *sorted_codes; /* [late, levels] behind late_trie */
    uint32_t *sorted_row;   /* [late] */
    uint64_t *hidden;       /* a bit per row: deleted or not available */
    size_t hidden_count;
    uint32_t *category_first; /* [rows + 1] */
    uint32_t *category;       /* into category_names */
    char **category_names;    /* owned [categories] */
    size_t categories;
    uint32_t *attribute_first; /* [rows + 1]; NULL: the version has no attributes */
    uint32_t *attribute;       /* of each row, rising: numbers of version->attributes */
    atomic_uint uses;
};

struct snapshot *snapshot_open(struct version *version, struct store *store,
                               struct err *err) MUST_CHECK; /* takes the caller's share */
struct snapshot *snapshot_hold(struct snapshot *snapshot);
void snapshot_drop(struct snapshot *snapshot); /* NULL is fine */

/* The snapshot after the items of these numbers were put or deleted; the old one stays valid. */
struct snapshot *snapshot_update(const struct snapshot *old, struct store *store,
                                 const uint32_t *numbers, size_t count, struct err *err) MUST_CHECK;

/* Row of an item by its number in the store, or NO_ITEM. */
uint32_t snapshot_row(const struct snapshot *snapshot, uint32_t number);
uint32_t snapshot_number(const struct snapshot *snapshot, uint32_t row);
const uint16_t *snapshot_codes(const struct snapshot *snapshot, uint32_t row);
const float *snapshot_content(const struct snapshot *snapshot, uint32_t row);
/* The version's policy, with the items that came after it. */
struct policy snapshot_policy(const struct snapshot *snapshot);
const float *snapshot_find_vector(const struct snapshot *snapshot, uint32_t row);
size_t snapshot_category(const struct snapshot *snapshot,
                         const char *name); /* SIZE_MAX: nobody has it */
bool snapshot_in_category(const struct snapshot *snapshot, uint32_t row, size_t category);

/* False, too, if the version has no attributes. */
bool snapshot_has_attribute(const struct snapshot *snapshot, uint32_t row, size_t attribute);

/* Sets the bits of items without training events: those of the version and all late ones. */
void snapshot_mask_newcomers(uint64_t *skip, const struct snapshot *snapshot);

static inline bool bit_get(const uint64_t *bits, size_t at)
{
    return bits[at / 64] >> (at % 64) & 1;
}

static inline void bit_set(uint64_t *bits, size_t at)
{
    bits[at / 64] |= (uint64_t)1 << (at % 64);
}

#endif
