/* wish_put.c: mentions, with what is said of them, as wishes. */
#include "recommend/wish_parts.h"

#include <string.h>

static void put_rows(struct wish_work *w, const struct mention *m, enum wish_kind kind,
                     const uint32_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct wish wish = {.kind = kind, .row = rows[i]};
        wish_put(w, &wish, m->first, m->last);
    }
}

/* All that was shown but the rows of the mention. */
static size_t others(uint32_t rows[WISH_SHOWN_MAX], const struct wish_work *w,
                     const struct mention *m)
{
    size_t count = 0;
    for (size_t i = 0; i < w->shown_count && count < WISH_SHOWN_MAX; i++) {
        bool named = false;
        for (size_t k = 0; k < m->row_count; k++)
            named = named || w->row[m->row_first + k] == w->shown[i];
        if (!named)
            rows[count++] = w->shown[i];
    }
    return count;
}

static size_t rows_of(uint32_t rows[WISH_SHOWN_MAX], const struct wish_work *w,
                      const struct mention *m)
{
    size_t count = 0;
    if (m->kind == MENTION_ITEMS && m->except && m->say != SAY_UNLIKE)
        return others(rows, w, m);
    if (m->kind == MENTION_ITEMS) {
        for (; count < m->row_count && count < WISH_SHOWN_MAX; count++)
            rows[count] = w->row[m->row_first + count];
        return count;
    }
    if (w->it_count) {
        memcpy(rows, w->it, w->it_count * sizeof *rows);
        return w->it_count;
    }
    count = m->plural || w->shown_count == 1 ? w->shown_count : w->shown_count > 0;
    if (count > WISH_SHOWN_MAX)
        count = WISH_SHOWN_MAX;
    if (count)
        memcpy(rows, w->shown, count * sizeof *rows);
    return count;
}

void put_items(struct wish_work *w, const struct mention *m)
{
    static const enum wish_kind kinds[] = {[SAY_LIKE] = WISH_LIKE,
                                           [SAY_UNLIKE] = WISH_UNLIKE,
                                           [SAY_SEEN] = WISH_SEEN,
                                           [SAY_AGAIN] = WISH_AGAIN};
    uint32_t rows[WISH_SHOWN_MAX];
    size_t count = rows_of(rows, w, m);
    if (m->say < SAY_LIKE)
        return;
    if (count == 0 || m->outside)
        wish_unclear(w, WHY_WHICH, m->first, m->last);
    put_rows(w, m, kinds[m->say], rows, count);
}

static void put_years(struct wish_work *w, const struct mention *m)
{
    struct wish wish = {.kind = WISH_YEARS, .row = NO_ITEM, .from = m->from, .to = m->to};
    if (m->say == SAY_NOTHING)
        return;
    if (w->book->newest == 0 || m->from < 0) {
        wish_unclear(w, w->book->newest ? WHY_WHICH : WHY_YEARS, m->first, m->last);
        return;
    }
    if (m->say == SAY_FINE) {
        wish_forget_years(w);
        return;
    }
    bool denied = m->say == SAY_UNWANTED && !m->turned;
    if (denied && m->bare_year) {
        wish.kind = WISH_NOT_YEARS;
    } else if (denied) {
        wish.from = m->from == YEAR_FIRST ? m->to + 1 : YEAR_FIRST;
        wish.to = m->from == YEAR_FIRST ? YEAR_LAST : m->from - 1;
    }
    wish_put(w, &wish, m->first, m->last);
}

static void put_category(struct wish_work *w, const struct mention *m, uint32_t group)
{
    struct wish wish = {.row = NO_ITEM, .category = m->category, .group = group};
    if (m->say == SAY_FINE)
        wish_forget_category(w, m->category);
    wish.kind = m->say == SAY_ONLY       ? WISH_ONLY
                : m->say == SAY_UNWANTED ? WISH_UNWANTED
                                         : WISH_WANTED;
    if (m->say == SAY_ONLY || m->say == SAY_UNWANTED || m->say == SAY_WANTED)
        wish_put(w, &wish, m->first, m->last);
}

static void put_count(struct wish_work *w, const struct mention *m)
{
    struct wish wish = {.kind = WISH_COUNT, .row = NO_ITEM, .count = m->count};
    if (m->say != SAY_WANTED)
        return;
    if (m->count > WISH_COUNT_MAX)
        wish_unclear(w, WHY_COUNT, m->first, m->last);
    else
        wish_put(w, &wish, m->first, m->last);
}

/* Alternatives: "thrillers or mysteries", "dramas, comedies"; both: "romantic comedy". */
static bool are_alternatives(const struct wish_work *w, const struct mention *a,
                             const struct mention *b)
{
    for (size_t i = a->last; i < b->first; i++)
        if (w->word[i].kind == WORD_COMMA || word_is(w, i, "or") ||
            (word_is(w, i, "and") && (a->plural || b->plural)))
            return true;
    return false;
}

static void remember(struct wish_work *w, const struct mention *m)
{
    uint32_t rows[WISH_SHOWN_MAX];
    if (m->kind != MENTION_ITEMS || m->dead)
        return;
    size_t count = rows_of(rows, w, m);
    if (count == 0)
        return;
    memcpy(w->it, rows, count * sizeof *rows);
    w->it_count = count;
}

void put_mentions(struct wish_work *w, struct clause *c)
{
    const struct mention *last = NULL;
    for (size_t i = 0; i < w->mentions; i++) {
        struct mention *m = &w->mention[i];
        if (m->first < c->first || m->first >= c->last || m->dead)
            continue;
        if (m->kind == MENTION_CATEGORY) {
            if (!last || last->say != m->say || !are_alternatives(w, last, m))
                w->groups++;
            put_category(w, m, w->groups);
            last = m;
        } else if (m->kind == MENTION_YEARS) {
            put_years(w, m);
        } else if (m->kind == MENTION_COUNT) {
            put_count(w, m);
        } else {
            put_items(w, m);
            remember(w, m);
        }
        c->used += m->say != SAY_NOTHING && m->say < SAY_SEEN;
    }
}
