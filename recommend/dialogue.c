#include "recommend/dialogue.h"

#include <stdlib.h>
#include <string.h>

/* ---- which items a message names ---- */

static bool overlaps(const struct title_hit *hits, size_t count, const struct title_hit *hit)
{
    for (size_t i = 0; i < count; i++)
        if (hit->from < hits[i].to && hits[i].from < hit->to)
            return true;
    return false;
}

static void insert(struct title_hit *hits, size_t count, const struct title_hit *hit)
{
    size_t at = count;
    while (at > 0 && hits[at - 1].from > hit->from) {
        hits[at] = hits[at - 1];
        at--;
    }
    hits[at] = *hit;
}

static size_t hits_in(struct title_hit *hits, size_t most, const struct titles *titles,
                      const struct message *m, const char *text)
{
    struct title_hit loose[MESSAGE_HITS_MAX];
    if (m->items)
        return titles_among(hits, most, titles, text, m->items, m->item_count);
    size_t count = titles_find(hits, most, titles, text);
    size_t found = titles_loose(loose, MESSAGE_HITS_MAX, titles, text);
    for (size_t i = 0; i < found && count < most; i++)
        if (!loose[i].running && !overlaps(hits, count, &loose[i]))
            insert(hits, count++, &loose[i]);
    return count;
}

size_t message_hits(struct title_hit *hits, size_t most, const struct titles *titles,
                    const struct message *message)
{
    return hits_in(hits, most, titles, message, message->text);
}

static bool is_hit(const struct title_hit *hits, size_t count, uint32_t row)
{
    for (size_t i = 0; i < count; i++)
        if (hits[i].row == row)
            return true;
    return false;
}

/* ---- symbols ---- */

struct writing {
    const struct snapshot *snapshot;
    const struct titles *titles;
    uint32_t *symbol; /* owned [room] of one message */
    size_t room, count;
    struct err *err;
};

static void put(struct writing *w, uint32_t symbol)
{
    if (w->count < w->room)
        w->symbol[w->count++] = symbol;
}

static uint32_t mark(const struct writing *w, enum mark m)
{
    return TOKEN + w->snapshot->version->policy.marks + m;
}

static void put_item(struct writing *w, uint32_t row)
{
    put(w, mark(w, MARK_ITEM));
    put(w, row);
}

/* A piece of the text as tokens; scratch holds it with its final 0. */
static bool put_words(struct writing *w, char *scratch, const char *text, size_t size)
{
    size_t lead = w->count == 1 && size && text[0] != ' ' ? 1 : 0;
    if (!size)
        return true;
    scratch[0] = ' '; /* a message's first word is read as it stands in a sentence */
    memcpy(scratch + lead, text, size);
    scratch[lead + size] = 0;
    const struct tokenizer *tokenizer = w->snapshot->version->tokenizer;
    size_t words = tokenizer_encode(w->symbol + w->count, w->room - w->count, tokenizer,
                                    tokenizer_within(tokenizer, scratch), w->err);
    for (size_t i = 0; i < words; i++)
        w->symbol[w->count + i] += TOKEN;
    w->count += words;
    return w->err->code == ERR_NONE;
}

static bool has_symbol(const struct writing *w, uint32_t row)
{
    return row < w->snapshot->version->index->items;
}

static bool put_message(struct writing *w, char *scratch, const struct message *m, const char *text)
{
    struct title_hit hits[MESSAGE_HITS_MAX];
    size_t count = hits_in(hits, MESSAGE_HITS_MAX, w->titles, m, text);
    size_t at = 0;
    w->count = 0;
    put(w, mark(w, m->speaker == SPEAKER_USER ? MARK_USER : MARK_REPLY));
    for (size_t i = 0; i < count; i++) {
        if (!has_symbol(w, hits[i].row))
            continue;
        if (!put_words(w, scratch, text + at, hits[i].from - at))
            return false;
        put_item(w, hits[i].row);
        at = hits[i].to;
    }
    if (!put_words(w, scratch, text + at, strlen(text + at)))
        return false;
    for (size_t i = 0; i < m->item_count; i++)
        if (has_symbol(w, m->items[i]) && !is_hit(hits, count, m->items[i]))
            put_item(w, m->items[i]);
    return true;
}

/* The end of a text that may matter, from a space on if there is one near. */
static const char *newest_part(const char *text, size_t most)
{
    size_t size = strlen(text);
    if (size <= most)
        return text;
    const char *at = text + size - most;
    const char *space = memchr(at, ' ', most < 256 ? most : 256);
    return space ? space : at;
}

/* Puts the newest symbols of w before those that are there, left >= 2; returns how many. */
static size_t take_newest(uint32_t *end, size_t left, const struct writing *w)
{
    size_t start = w->count > left ? w->count - (left - 1) : 0;
    size_t kept = w->count - start;
    if (start && !is_token(w->symbol[start])) { /* a row does not stand without its mark */
        start++;
        kept--;
    }
    memcpy(end - kept, w->symbol + start, kept * sizeof *end);
    if (!start)
        return kept;
    end[-(ptrdiff_t)kept - 1] = w->symbol[0]; /* who speaks */
    return kept + 1;
}

static size_t write_all(uint32_t *symbols, size_t most, struct writing *w, char *scratch,
                        const struct message *messages, size_t count)
{
    size_t left = most;
    for (size_t i = count; i-- > 0 && left > 1;) {
        const char *text = newest_part(messages[i].text, left * DIALOGUE_BYTES_A_SYMBOL);
        if (!put_message(w, scratch, &messages[i], text))
            return 0;
        left -= take_newest(symbols + left, left, w);
    }
    memmove(symbols, symbols + left, (most - left) * sizeof *symbols);
    return most - left;
}

size_t dialogue_symbols(uint32_t *symbols, size_t most, const struct snapshot *snapshot,
                        const struct titles *titles, const struct message *messages, size_t count,
                        struct err *err)
{
    size_t bytes = most * DIALOGUE_BYTES_A_SYMBOL;
    size_t longest = 0;
    size_t named = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = strnlen(messages[i].text, bytes);
        longest = size > longest ? size : longest;
        named = messages[i].item_count > named ? messages[i].item_count : named;
    }
    /* a byte is at most three tokens (U+FFFD), a space before each piece, items, the mark */
    size_t room = 3 * longest + 2 * named + 4 * MESSAGE_HITS_MAX + 8;
    struct writing w = {.snapshot = snapshot, .titles = titles, .room = room, .err = err};
    char *scratch = malloc(longest + 2);
    size_t written = 0;
    w.symbol = malloc(room * sizeof *w.symbol);
    if (!scratch || !w.symbol)
        err_set(err, ERR_SYSTEM, "no memory for a dialogue of %zu messages", count);
    else if (count && most)
        written = write_all(symbols, most, &w, scratch, messages, count);
    free(scratch);
    free(w.symbol);
    return written;
}

/* ---- rows ---- */

struct listing {
    uint32_t *rows;
    enum speaker *by;
    size_t count, most;
};

static void note(struct listing *l, uint32_t row, enum speaker speaker)
{
    if (numbers_hold(l->rows, l->count, row))
        return;
    if (l->count == l->most) { /* the oldest goes */
        l->count--;
        memmove(l->rows, l->rows + 1, l->count * sizeof *l->rows);
        if (l->by)
            memmove(l->by, l->by + 1, l->count * sizeof *l->by);
    }
    l->rows[l->count] = row;
    if (l->by)
        l->by[l->count] = speaker;
    l->count++;
}

size_t dialogue_items(uint32_t *rows, enum speaker *by, size_t most, const struct titles *titles,
                      const struct message *messages, size_t count)
{
    struct title_hit hits[MESSAGE_HITS_MAX];
    struct listing l = {.rows = rows, .by = by, .most = most};
    for (size_t m = 0; most && m < count; m++) {
        size_t found = message_hits(hits, MESSAGE_HITS_MAX, titles, &messages[m]);
        for (size_t i = 0; i < found; i++)
            note(&l, hits[i].row, messages[m].speaker);
        for (size_t i = 0; i < messages[m].item_count; i++)
            note(&l, messages[m].items[i], messages[m].speaker);
    }
    return l.count;
}
