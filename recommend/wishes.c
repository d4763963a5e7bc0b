#include "recommend/wish_parts.h"

#include "base/rng.h"

#include <stdlib.h>
#include <string.h>

const char *const WISH_NAMES[WISH_KINDS] = {
    [WISH_WANTED] = "wanted", [WISH_ONLY] = "only",           [WISH_UNWANTED] = "unwanted",
    [WISH_YEARS] = "years",   [WISH_NOT_YEARS] = "not_years", [WISH_LIKE] = "like",
    [WISH_UNLIKE] = "unlike", [WISH_SEEN] = "seen",           [WISH_AGAIN] = "again",
    [WISH_COUNT] = "count"};
const char *const WHY_NAMES[WHYS] = {
    [WHY_PEOPLE] = "people", [WHY_LENGTH] = "length", [WHY_LANGUAGE] = "language",
    [WHY_RATING] = "rating", [WHY_PLACE] = "place",   [WHY_YEARS] = "years",
    [WHY_WHICH] = "which",   [WHY_COUNT] = "count",   [WHY_LIMIT] = "limit",
    [WHY_OTHER] = "other"};

/* ---- open, close ---- */

struct wish_book *wish_book_open(const struct snapshot *snapshot, const struct titles *titles,
                                 struct err *err)
{
    struct wish_book *book = calloc(1, sizeof *book);
    if (!book) {
        err_set(err, ERR_SYSTEM, "no memory for the words of wishes");
        return NULL;
    }
    book->snapshot = snapshot;
    book->titles = titles;
    for (size_t r = 0; r < snapshot->rows && r < titles_rows(titles); r++)
        if (titles_year(titles, (uint32_t)r) > book->newest)
            book->newest = titles_year(titles, (uint32_t)r);
    if (phrases_open(book, err) && categories_open(book, err))
        return book;
    wish_book_free(book);
    return NULL;
}

void wish_book_free(struct wish_book *book)
{
    if (!book)
        return;
    free(book->form);
    free(book->phrase);
    free(book);
}

struct wish_work *wish_work_new(struct err *err)
{
    struct wish_work *work = calloc(1, sizeof *work);
    if (!work)
        err_set(err, ERR_SYSTEM, "no memory for reading wishes");
    return work;
}

void wish_work_free(struct wish_work *work)
{
    free(work);
}

struct mention *mention_add(struct wish_work *w, enum mention_kind kind, size_t first, size_t last)
{
    if (w->mentions == MENTIONS_MAX)
        return NULL;
    for (size_t i = first; i < last; i++)
        w->word[i].mention = (int16_t)w->mentions;
    struct mention *m = &w->mention[w->mentions++];
    *m = (struct mention){.kind = kind, .first = first, .last = last};
    return m;
}

/* ---- ids ---- */

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = rng_mix(hash ^ (unsigned char)*text);
    return hash;
}

/* What a wish says, by names: the same in every version that has them. */
static uint64_t content_of(const struct wish_book *book, const struct wish *wish)
{
    uint64_t hash = hash_text(0x77697368, WISH_NAMES[wish->kind]);
    if (wish->kind <= WISH_UNWANTED)
        return hash_text(hash, book->snapshot->category_names[wish->category]);
    if (wish->kind == WISH_COUNT)
        return rng_mix(hash ^ wish->count);
    if (wish->kind == WISH_YEARS || wish->kind == WISH_NOT_YEARS)
        return rng_mix(rng_mix(hash ^ (uint64_t)wish->from) ^ (uint64_t)wish->to);
    return wish->row == NO_ITEM ? hash : hash_text(hash, titles_name(book->titles, wish->row));
}

/* Counts the messages that said this before, and notes that this one does. */
static uint32_t times_said(struct wish_work *w, uint64_t content)
{
    for (size_t i = 0; i < w->said_count; i++)
        if (w->said[i].content == content) {
            w->said[i].times += w->said[i].turn != w->turn;
            w->said[i].turn = w->turn;
            return w->said[i].times;
        }
    if (w->said_count < COUNT(w->said)) {
        w->said[w->said_count].content = content;
        w->said[w->said_count].turn = w->turn;
        w->said[w->said_count++].times = 0;
    }
    return 0;
}

static uint64_t id_of(uint64_t content, uint32_t times)
{
    return rng_mix(content ^ rng_mix(times));
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static bool is_undone(const struct wish_work *w, uint64_t id)
{
    return w->undo_count && bsearch(&id, w->undo, w->undo_count, sizeof id, compare_ids);
}

/* Who undoes what was said for the third time undoes the first two, too: it was one wish. */
static bool is_undone_since(const struct wish_work *w, uint64_t content, uint32_t times)
{
    for (uint32_t t = times; t < times + WISH_TURNS_MAX; t++)
        if (is_undone(w, id_of(content, t)))
            return true;
    return false;
}

/* ---- a new wish among the old ones ---- */

static void drop_wish(struct wishes *wishes, size_t at)
{
    memmove(wishes->wish + at, wishes->wish + at + 1,
            (wishes->count - at - 1) * sizeof *wishes->wish);
    wishes->count--;
}

static bool is_category(enum wish_kind kind)
{
    return kind <= WISH_UNWANTED;
}

static bool overlaps(const struct wish *a, const struct wish *b)
{
    return a->from <= b->to && b->from <= a->to;
}

static bool holds(const struct wish *outer, const struct wish *inner)
{
    return outer->from <= inner->from && outer->to >= inner->to;
}

/* What a later wish for years leaves of an earlier one; false: nothing. */
static bool years_stay(struct wish_work *w, struct wish *old, const struct wish *new)
{
    if (old->kind == WISH_NOT_YEARS || new->kind == WISH_NOT_YEARS)
        return old->kind == new->kind ||
               !(old->kind == WISH_NOT_YEARS ? holds(old, new) : holds(new, old));
    if (old->turn != new->turn) {
        struct wish kept = *old;
        if (new->from != YEAR_FIRST)
            kept.from = YEAR_FIRST;
        if (new->to != YEAR_LAST)
            kept.to = YEAR_LAST;
        if (kept.from == YEAR_FIRST && kept.to == YEAR_LAST)
            return false;
        if (kept.from != old->from || kept.to != old->to)
            kept.id = rng_mix(content_of(w->book, &kept) ^ old->turn);
        if (is_undone(w, kept.id))
            return false;
        *old = kept;
    }
    return overlaps(old, new);
}

static bool stays(struct wish_work *w, struct wish *old, const struct wish *new)
{
    bool same_row = old->row == new->row;
    if (is_category(new->kind) && is_category(old->kind)) {
        if (new->kind == WISH_ONLY && old->kind == WISH_ONLY && old->turn != new->turn)
            return false;
        if (old->category != new->category)
            return true;
        return new->kind == WISH_WANTED && old->kind == WISH_ONLY;
    }
    switch (new->kind) {
    case WISH_YEARS:
    case WISH_NOT_YEARS:
        return (old->kind != WISH_YEARS && old->kind != WISH_NOT_YEARS) || years_stay(w, old, new);
    case WISH_LIKE:
        return old->kind != WISH_UNLIKE || !same_row;
    case WISH_UNLIKE:
        return (old->kind != WISH_LIKE && old->kind != WISH_AGAIN) || !same_row;
    case WISH_SEEN:
        return old->kind != WISH_AGAIN || !same_row;
    case WISH_AGAIN:
        return (old->kind != WISH_SEEN && old->kind != WISH_UNLIKE) || !same_row;
    case WISH_COUNT:
        return old->kind != WISH_COUNT;
    default:
        return true;
    }
}

/* Where it is held already, or SIZE_MAX. */
static size_t held_at(const struct wishes *wishes, const struct wish *wish)
{
    for (size_t i = 0; i < wishes->count; i++) {
        const struct wish *old = &wishes->wish[i];
        bool kind =
            old->kind == wish->kind || (old->kind == WISH_ONLY && wish->kind == WISH_WANTED);
        if (kind && old->row == wish->row && old->count == wish->count &&
            (!is_category(wish->kind) || old->category == wish->category) &&
            old->from == wish->from && old->to == wish->to)
            return i;
    }
    return SIZE_MAX;
}

/* The words [first, last) as valid text of at most WISH_TEXT - 1 bytes. */
static void copy_words(char text[WISH_TEXT], const struct wish_work *w, size_t first, size_t last)
{
    size_t from = first < w->words ? w->word[first].from : 0;
    size_t to = last > first && last <= w->words ? w->word[last - 1].to : from;
    size_t size = to - from;
    if (size > WISH_TEXT - 1) {
        size = WISH_TEXT - 1;
        while (size && ((unsigned char)w->text[from + size] & 0xc0) == 0x80)
            size--;
    }
    memcpy(text, w->text + from, size);
    text[size] = 0;
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\n')
            text[i] = ' ';
}

void wish_unclear(struct wish_work *w, enum wish_why why, size_t first, size_t last)
{
    struct wishes *out = w->out;
    for (size_t i = first; i < last && i < w->words; i++)
        w->word[i].used = true;
    if (out->unclear_count == UNCLEAR_MAX)
        return; /* the first sixteen say enough */
    struct unclear *unclear = &out->unclear[out->unclear_count];
    unclear->why = why;
    copy_words(unclear->text, w, first, last);
    for (size_t i = 0; i < out->unclear_count; i++)
        if (strcmp(out->unclear[i].text, unclear->text) == 0)
            return;
    out->unclear_count++;
}

void wish_put(struct wish_work *w, const struct wish *wish, size_t first, size_t last)
{
    struct wishes *out = w->out;
    struct wish new = *wish;
    uint64_t content = content_of(w->book, wish);
    uint32_t times = times_said(w, content);
    new.id = id_of(content, times);
    new.turn = w->turn;
    copy_words(new.text, w, first, last);
    size_t held = held_at(out, &new);
    bool same = held != SIZE_MAX && out->wish[held].kind == new.kind;
    if (is_undone_since(w, content, times)) {
        if (same) /* by another way: years that a later wish left of others */
            drop_wish(out, held);
        return;
    }
    if (same)
        out->wish[held].id = new.id; /* its newest from then on */
    if (held != SIZE_MAX)
        return;
    for (size_t i = out->count; i-- > 0;)
        if (!stays(w, &out->wish[i], &new))
            drop_wish(out, i);
    if (out->count == WISHES_MAX) {
        wish_unclear(w, WHY_LIMIT, first, last);
        return;
    }
    out->wish[out->count++] = new;
}

/* ---- taking back ---- */

void wish_forget_all(struct wish_work *w)
{
    w->out->count = 0;
    w->it_count = 0;
}

void wish_forget_years(struct wish_work *w)
{
    for (size_t i = w->out->count; i-- > 0;)
        if (w->out->wish[i].kind == WISH_YEARS || w->out->wish[i].kind == WISH_NOT_YEARS)
            drop_wish(w->out, i);
}

void wish_forget_category(struct wish_work *w, uint32_t category)
{
    for (size_t i = w->out->count; i-- > 0;)
        if (is_category(w->out->wish[i].kind) && w->out->wish[i].category == category)
            drop_wish(w->out, i);
}

static void forget_row(struct wish_work *w, uint32_t row)
{
    for (size_t i = w->out->count; i-- > 0;)
        if (!is_category(w->out->wish[i].kind) && w->out->wish[i].row == row)
            drop_wish(w->out, i);
}

void wish_forget(struct wish_work *w, const struct mention *m)
{
    struct wishes *out = w->out;
    if (m && m->kind == MENTION_CATEGORY)
        wish_forget_category(w, m->category);
    if (m && m->kind == MENTION_YEARS)
        wish_forget_years(w);
    for (size_t i = 0; m && m->kind == MENTION_ITEMS && i < m->row_count; i++)
        forget_row(w, w->row[m->row_first + i]);
    if (m || out->count == 0)
        return;
    uint32_t turn = out->wish[out->count - 1].turn;
    while (out->count && out->wish[out->count - 1].turn == turn)
        out->count--;
}

/* ---- a dialogue ---- */

static void read_turn(struct wish_work *w, const struct wish_turn *turn)
{
    w->shown = turn->shown;
    w->shown_count = turn->shown_count < WISH_SHOWN_MAX ? turn->shown_count : WISH_SHOWN_MAX;
    w->out->unclear_count = 0;
    words_read(w, turn->text, turn->size);
    titles_mention(w);
    words_mend(w);
    categories_mention(w);
    words_classify(w);
    years_mention(w);
    items_mention(w);
    relatives_mention(w);
    counts_mention(w);
    clauses_read(w);
    if (turn->size > WISH_BYTES || w->words == WORDS_MAX)
        wish_unclear(w, WHY_LIMIT, w->words ? w->words - 1 : 0, w->words);
}

static bool same_list(const struct wish_turn *a, const struct wish_turn *b)
{
    return a->shown_count == b->shown_count &&
           (a->shown_count == 0 ||
            memcmp(a->shown, b->shown, a->shown_count * sizeof *a->shown) == 0);
}

/* The first of the newest messages that are within the bounds. */
static size_t first_turn(const struct wish_turn *turns, size_t count)
{
    size_t bytes = 0;
    size_t first = count;
    while (first > 0 && count - first < WISH_TURNS_MAX) {
        size_t size = turns[first - 1].size;
        bytes += size < WISH_BYTES ? size : WISH_BYTES;
        if (bytes > WISH_DIALOGUE_BYTES)
            break;
        first--;
    }
    return first;
}

void wishes_read(struct wishes *wishes, struct wish_work *work, const struct wish_book *book,
                 const struct wish_turn *turns, size_t count, const uint64_t *undo,
                 size_t undo_count)
{
    size_t first = first_turn(turns, count);
    wishes->count = wishes->unclear_count = 0;
    work->book = book;
    work->out = wishes;
    work->undo_count = undo_count < WISHES_MAX ? undo_count : WISHES_MAX;
    if (work->undo_count) {
        memcpy(work->undo, undo, work->undo_count * sizeof *undo);
        qsort(work->undo, work->undo_count, sizeof *work->undo, compare_ids);
    }
    work->it_count = work->said_count = 0;
    work->groups = 0;
    for (size_t t = first; t < count; t++) {
        if (t > first && !same_list(&turns[t], &turns[t - 1]))
            work->it_count = 0;
        work->turn = (uint32_t)t;
        read_turn(work, &turns[t]);
    }
}

size_t wishes_rows(uint32_t *rows, size_t most, const struct wishes *wishes, enum wish_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < wishes->count && count < most; i++)
        if (wishes->wish[i].kind == kind && wishes->wish[i].row != NO_ITEM)
            rows[count++] = wishes->wish[i].row;
    return count;
}

size_t wishes_count(const struct wishes *wishes, size_t otherwise)
{
    for (size_t i = 0; i < wishes->count; i++)
        if (wishes->wish[i].kind == WISH_COUNT)
            return wishes->wish[i].count;
    return otherwise;
}
