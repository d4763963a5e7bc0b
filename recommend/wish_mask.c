/* wish_mask.c: wishes as rows that may not be listed, and which wish has to go if too few are left.
 */
#include "recommend/wish_parts.h"

#include <string.h>

static bool in_years(const struct wish *wish, int year)
{
    return year >= wish->from && year <= wish->to;
}

/* Whether a row has one of the categories of the group that begins at wish `at`. */
static bool in_group(const struct wishes *wishes, size_t at, const struct snapshot *s, uint32_t row)
{
    for (size_t i = at; i < wishes->count; i++)
        if (wishes->wish[i].kind <= WISH_ONLY && wishes->wish[i].group == wishes->wish[at].group &&
            snapshot_in_category(s, row, wishes->wish[i].category))
            return true;
    return false;
}

static bool begins_group(const struct wishes *wishes, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (wishes->wish[i].kind <= WISH_ONLY && wishes->wish[i].group == wishes->wish[at].group)
            return false;
    return true;
}

/* An item without a year is left out of wishes for years, and stays with those against years. */
static bool fits(const struct wishes *wishes, const struct wish_book *book, uint32_t row)
{
    const struct snapshot *s = book->snapshot;
    int year = row < titles_rows(book->titles) ? titles_year(book->titles, row) : 0;
    for (size_t i = 0; i < wishes->count; i++) {
        const struct wish *wish = &wishes->wish[i];
        if (wish->kind <= WISH_ONLY && begins_group(wishes, i) && !in_group(wishes, i, s, row))
            return false;
        if (wish->kind == WISH_UNWANTED && snapshot_in_category(s, row, wish->category))
            return false;
        if (wish->kind == WISH_YEARS && (!year || !in_years(wish, year)))
            return false;
        if (wish->kind == WISH_NOT_YEARS && year && in_years(wish, year))
            return false;
    }
    return true;
}

/* The row and all whose names differ in the last tile alone. */
static void skip_collision(uint64_t *skip, const struct snapshot *s, uint32_t row)
{
    size_t levels = s->version->trie.levels;
    size_t items = s->version->index->items;
    bit_set(skip, row);
    if (levels < 2)
        return;
    const uint16_t *codes = snapshot_codes(s, row);
    size_t size = (levels - 1) * sizeof *codes;
    for (size_t r = row;
         row < items && r-- > 0 && !memcmp(snapshot_codes(s, (uint32_t)r), codes, size);)
        bit_set(skip, r);
    for (size_t r = (size_t)row + 1;
         r < items && !memcmp(snapshot_codes(s, (uint32_t)r), codes, size); r++)
        bit_set(skip, r);
    for (size_t r = items; r < s->rows; r++)
        if (!memcmp(snapshot_codes(s, (uint32_t)r), codes, size))
            bit_set(skip, r);
}

size_t wishes_mask(uint64_t *skip, const struct wish_book *book, const struct wishes *wishes)
{
    const struct snapshot *s = book->snapshot;
    size_t left = 0;
    for (size_t i = 0; i < wishes->count; i++) {
        const struct wish *wish = &wishes->wish[i];
        if (wish->kind == WISH_UNLIKE && wish->row < s->rows)
            skip_collision(skip, s, wish->row);
        if (wish->kind == WISH_SEEN && wish->row < s->rows)
            bit_set(skip, wish->row);
    }
    for (uint32_t r = 0; r < s->rows; r++) {
        if (!bit_get(skip, r) && !fits(wishes, book, r))
            bit_set(skip, r);
        left += !bit_get(skip, r);
    }
    return left;
}

void wishes_skip_shown(uint64_t *skip, const struct wishes *wishes, const uint32_t *shown,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool again = false;
        for (size_t k = 0; k < wishes->count && !again; k++)
            again = wishes->wish[k].kind == WISH_AGAIN &&
                    (wishes->wish[k].row == NO_ITEM || wishes->wish[k].row == shown[i]);
        if (!again)
            bit_set(skip, shown[i]);
    }
}

/* ---- too few are left ---- */

/* The weakest go first; SIZE_MAX: it stays. */
static size_t strength(const struct wish *wish)
{
    static const size_t order[WISH_KINDS] = {[WISH_WANTED] = 1,
                                             [WISH_YEARS] = 2,
                                             [WISH_NOT_YEARS] = 3,
                                             [WISH_ONLY] = 4,
                                             [WISH_UNWANTED] = 5};
    return order[wish->kind] ? order[wish->kind] : SIZE_MAX;
}

static void without(struct wishes *wishes, size_t at)
{
    struct wish gone = wishes->wish[at];
    size_t kept = 0;
    for (size_t i = 0; i < wishes->count; i++) {
        const struct wish *wish = &wishes->wish[i];
        bool same = i == at || (gone.kind <= WISH_ONLY && wish->kind <= WISH_ONLY &&
                                wish->group == gone.group);
        if (!same)
            wishes->wish[kept++] = *wish;
    }
    wishes->count = kept;
}

/* The next in order of strength behind `last`; SIZE_MAX: none. */
static size_t next_weakest(const struct wishes *wishes, size_t last)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < wishes->count; i++) {
        size_t own = strength(&wishes->wish[i]);
        bool behind = last == SIZE_MAX || own > strength(&wishes->wish[last]) ||
                      (own == strength(&wishes->wish[last]) && i > last);
        if (own != SIZE_MAX && behind && (best == SIZE_MAX || own < strength(&wishes->wish[best])))
            best = i;
    }
    return best;
}

bool wishes_relax(struct wish *dropped, struct wishes *wishes, uint64_t *skip, const uint64_t *base,
                  const struct wish_book *book, size_t n)
{
    size_t weakest = next_weakest(wishes, SIZE_MAX);
    size_t words = book->snapshot->rows / 64 + 1;
    if (weakest == SIZE_MAX)
        return false;
    size_t chosen = weakest;
    for (size_t at = weakest; at != SIZE_MAX; at = next_weakest(wishes, at)) {
        struct wishes tried = *wishes;
        without(&tried, at);
        memcpy(skip, base, words * sizeof *skip);
        if (wishes_mask(skip, book, &tried) >= n) {
            chosen = at;
            break;
        }
    }
    *dropped = wishes->wish[chosen];
    without(wishes, chosen);
    return true;
}
