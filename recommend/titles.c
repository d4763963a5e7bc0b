#include "recommend/titles.h"

#include "data/catalogue.h"
#include "recommend/folding.h"
#include "recommend/running_text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct titles {
    size_t rows;
    char *names;     /* owned, one after another, each with its final 0 */
    size_t *name_at; /* owned [rows] */
    short *year;     /* owned [rows] 0: none */
    char *folded;    /* owned: bare titles */
    size_t keys;     /* rows with a title */
    uint32_t *row;   /* owned [keys] by folded title, then the most training events first */
    uint32_t *key;   /* owned [keys] where each begins in `folded` */
};

enum { YEAR_LEAST = 1000, YEAR_MOST = 2999, FOLDED_MOST = 1 << 30 };

/* ---- a record's name ---- */

static int digits_year(const char *at)
{
    int year = 0;
    for (size_t i = 0; i < 4; i++) {
        if (!isdigit((unsigned char)at[i]))
            return 0;
        year = year * 10 + (at[i] - '0');
    }
    return year >= YEAR_LEAST && year <= YEAR_MOST ? year : 0;
}

/* Where a title's own "(1999)" begins, or its size. */
static size_t bare_size(int *year, const char *title, size_t size)
{
    if (size > 7 && title[size - 1] == ')' && title[size - 6] == '(' &&
        (*year = digits_year(title + size - 5)) != 0) {
        size -= 6;
        while (size > 0 && title[size - 1] == ' ')
            size--;
    }
    return size;
}

static int year_of(const json_t *record)
{
    const json_t *value = json_object_get(json_object_get(record, "attributes"), "year");
    json_int_t year = json_integer_value(value);
    if (json_is_string(value) && json_string_length(value) == 4)
        return digits_year(json_string_value(value));
    return year >= YEAR_LEAST && year <= YEAR_MOST ? (int)year : 0;
}

struct gathering {
    const struct snapshot *snapshot;
    struct titles *out;
    struct text names, folded;
    uint32_t *key_of_row; /* [rows] or NO_ITEM */
    uint32_t *place;      /* [rows] by falling training events */
};

static bool fold_title(struct gathering *g, uint32_t row, const char *title, size_t size)
{
    struct folding folding = folding_of(title, size);
    size_t begin = g->folded.size;
    for (int c; (c = folding_next(&folding)) >= 0;) {
        char byte = (char)c;
        if (c != ' ' || g->folded.size > begin)
            text_add(&g->folded, &byte, 1);
    }
    while (g->folded.size > begin && g->folded.bytes[g->folded.size - 1] == ' ')
        g->folded.size--;
    if (g->folded.size > begin) {
        g->key_of_row[row] = (uint32_t)begin;
        text_add(&g->folded, "", 1);
    }
    return !g->folded.full;
}

static bool take_record(void *self, uint32_t number, const char *id, json_t *record,
                        struct err *err)
{
    struct gathering *g = self;
    const char *title = json_string_value(json_object_get(record, "title"));
    uint32_t row = snapshot_row(g->snapshot, number);
    int year = 0;
    (void)id;
    if (row == NO_ITEM || !title)
        return true;
    size_t size = bare_size(&year, title, strlen(title));
    bool own_year = year != 0;
    if (!own_year)
        year = year_of(record);
    g->out->year[row] = (short)year;
    g->out->name_at[row] = g->names.size;
    if (year && !own_year)
        text_addf(&g->names, "%s (%d)", title, year);
    else
        text_addf(&g->names, "%s", title);
    text_add(&g->names, "", 1);
    return (fold_title(g, row, title, size) && !g->names.full) ||
           err_set(err, ERR_SYSTEM, "no memory for the names of %zu items", g->out->rows);
}

/* ---- the order of keys ---- */

static int compare_keys(const void *a, const void *b, void *self)
{
    const struct gathering *g = self;
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    int order = strcmp(g->folded.bytes + g->key_of_row[x], g->folded.bytes + g->key_of_row[y]);
    if (order)
        return order;
    return g->place[x] < g->place[y] ? -1 : g->place[x] > g->place[y];
}

static void sort_keys(struct gathering *g)
{
    struct titles *t = g->out;
    const struct version *v = g->snapshot->version;
    for (uint32_t r = 0; r < t->rows; r++)
        g->place[r] = (uint32_t)(v->index->items + r);
    for (size_t i = 0; i < v->index->items; i++)
        g->place[v->popular[i]] = (uint32_t)i;
    for (uint32_t r = 0; r < t->rows; r++)
        if (g->key_of_row[r] != NO_ITEM)
            t->row[t->keys++] = r;
    if (t->keys)
        qsort_r(t->row, t->keys, sizeof *t->row, compare_keys, g);
    for (size_t i = 0; i < t->keys; i++)
        t->key[i] = g->key_of_row[t->row[i]];
}

static bool gather(struct gathering *g, struct store *store, struct err *err)
{
    struct store_txn txn = {0};
    for (size_t r = 0; r < g->out->rows; r++)
        g->key_of_row[r] = NO_ITEM;
    text_add(&g->names, "", 1); /* the name of items without one */
    if (!store_begin(&txn, store, false, err))
        return false;
    bool fine = catalogue_each(&txn, take_record, g, err);
    store_abort(&txn);
    if (!fine)
        return false;
    text_add(&g->folded, "", 1);
    sort_keys(g);
    return true;
}

struct titles *titles_open(const struct snapshot *snapshot, struct store *store, struct err *err)
{
    struct gathering g = {.snapshot = snapshot, .out = calloc(1, sizeof *g.out)};
    size_t rows = snapshot->rows;
    text_init(&g.names, FOLDED_MOST);
    text_init(&g.folded, FOLDED_MOST);
    g.key_of_row = calloc(rows + 1, sizeof *g.key_of_row);
    g.place = calloc(rows + 1, sizeof *g.place);
    bool fine = g.out && g.key_of_row && g.place;
    if (fine) {
        g.out->rows = rows;
        g.out->name_at = calloc(rows + 1, sizeof *g.out->name_at);
        g.out->year = calloc(rows + 1, sizeof *g.out->year);
        g.out->row = calloc(rows + 1, sizeof *g.out->row);
        g.out->key = calloc(rows + 1, sizeof *g.out->key);
        fine = g.out->name_at && g.out->year && g.out->row && g.out->key;
    }
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for the names of %zu items", rows);
    fine = fine && gather(&g, store, err);
    if (g.out) {
        g.out->names = g.names.bytes;
        g.out->folded = g.folded.bytes;
    }
    free(g.key_of_row);
    free(g.place);
    if (fine)
        return g.out;
    titles_free(g.out);
    return NULL;
}

void titles_free(struct titles *t)
{
    if (!t)
        return;
    free(t->names);
    free(t->name_at);
    free(t->year);
    free(t->folded);
    free(t->row);
    free(t->key);
    free(t);
}

size_t titles_rows(const struct titles *t)
{
    return t->rows;
}

const char *titles_name(const struct titles *t, uint32_t row)
{
    return t->names + t->name_at[row];
}

int titles_year(const struct titles *t, uint32_t row)
{
    return t->year[row];
}

/* ---- finding ---- */

/* Keys [low, high) have the same first bytes. */
struct span {
    size_t low, high;
};

static unsigned char key_byte(const struct titles *t, size_t key, size_t depth)
{
    return (unsigned char)t->folded[t->key[key] + depth];
}

/* The first key of the span whose byte is at least `least`. */
static size_t first_key(const struct titles *t, struct span span, size_t depth, int least)
{
    while (span.low < span.high) {
        size_t middle = span.low + (span.high - span.low) / 2;
        if (key_byte(t, middle, depth) < least)
            span.low = middle + 1;
        else
            span.high = middle;
    }
    return span.low;
}

static struct span narrowed(const struct titles *t, struct span span, size_t depth, int byte)
{
    span.low = first_key(t, span, depth, byte);
    span.high = first_key(t, span, depth, byte + 1);
    return span;
}

/* A year after a title: "(1999)", or for loose finding ", 1999" too; 0: none. */
static int year_after(const char **end, bool *bracket, const char *at, const char *stop, bool loose)
{
    const char *p = at;
    if (loose && p < stop && *p == ',')
        p++;
    while (p < stop && *p == ' ')
        p++;
    *bracket = p < stop && (*p == '(' || (loose && *p == '['));
    p += *bracket;
    if (stop - p < 4 || (!*bracket && (!loose || p == at)))
        return 0;
    int year = digits_year(p);
    p += 4;
    if (!year || (*bracket ? p == stop || (*p != ')' && *p != ']') : word_begins(p, stop)))
        return 0;
    *end = p + *bracket;
    return year;
}

static size_t words_of(const char *folded)
{
    size_t words = 0;
    bool inside = false;
    for (; *folded; folded++) {
        bool letter = isalnum((unsigned char)*folded) || *folded == '\'' || (*folded & 0x80);
        words += letter && !inside;
        inside = letter;
    }
    return words;
}

static bool is_quote(const char *at, const char *end)
{
    size_t size = code_size(at, end);
    if (size == 1)
        return *at == '"' || *at == '\'' || *at == '*' || *at == '_' || *at == '`';
    static const char *const quotes[] = {"\xe2\x80\x98", "\xe2\x80\x99", "\xe2\x80\x9c",
                                         "\xe2\x80\x9d", "\xe2\x80\x9e", "\xc2\xab",
                                         "\xc2\xbb"};
    for (size_t i = 0; i < COUNT(quotes); i++)
        if (strlen(quotes[i]) == size && memcmp(at, quotes[i], size) == 0)
            return true;
    return false;
}

static bool is_quoted(const char *begin, const char *from, const char *to, const char *end)
{
    const char *before = from;
    if (from == begin || to == end)
        return false;
    do
        before--;
    while (before > begin && ((unsigned char)*before & 0xc0) == 0x80);
    while (to < end && (*to == ',' || *to == '.' || *to == '!' || *to == '?'))
        to++;
    return is_quote(before, end) && to < end && is_quote(to, end);
}

struct looking {
    const struct titles *titles;
    const char *begin, *end;
    bool loose;
    const uint32_t *among; /* the only rows that count; NULL: all do */
    size_t among_count;
};

static void take_hit(struct title_hit *best, const struct looking *l, const char *from,
                     const char *to, uint32_t row, bool marked)
{
    const char *name = titles_name(l->titles, row);
    size_t size = (size_t)(to - from);
    *best = (struct title_hit){.from = (size_t)(from - l->begin),
                               .to = (size_t)(to - l->begin),
                               .row = row,
                               .cased = strncmp(name, from, size) == 0};
    best->running = !best->cased && !marked && is_running_text(from, to);
}

static void consider_among(struct title_hit *best, const struct looking *l, struct span group,
                           const char *from, const char *to)
{
    const char *after = to;
    bool bracket;
    if (!year_after(&after, &bracket, to, l->end, true))
        after = to;
    if (word_ends(from, to) && word_begins(to, l->end))
        return;
    for (size_t k = group.low; k < group.high; k++)
        if (numbers_hold(l->among, l->among_count, l->titles->row[k])) {
            take_hit(best, l, from, after, l->titles->row[k], true);
            return;
        }
}

/* One of the items of a title that ends at `to`; all of the group have it. */
static void consider(struct title_hit *best, const struct looking *l, struct span group,
                     const char *from, const char *to)
{
    const struct titles *t = l->titles;
    const char *after = to;
    bool bracket = false;
    int year = year_after(&after, &bracket, to, l->end, l->loose);
    bool two = words_of(t->folded + t->key[group.low]) >= 2;
    for (size_t k = group.low; year && k < group.high; k++)
        if (t->year[t->row[k]] == year) {
            take_hit(best, l, from, after, t->row[k], true);
            return;
        }
    if (word_ends(from, to) && word_begins(to, l->end))
        return;
    if (l->loose) {
        bool quoted = is_quoted(l->begin, from, to, l->end);
        for (size_t k = group.low; k < group.high; k++)
            if (year && bracket ? t->year[t->row[k]] == 0 : two || quoted) {
                take_hit(best, l, from, to, t->row[k], quoted);
                return;
            }
        return;
    }
    for (size_t k = group.low; two && !year && k < group.high; k++) {
        const char *name = titles_name(t, t->row[k]);
        size_t size = (size_t)(to - from);
        if (t->year[t->row[k]] == 0 && strlen(name) == size && memcmp(name, from, size) == 0) {
            take_hit(best, l, from, to, t->row[k], false);
            return;
        }
    }
}

/* The longest name that begins here; best->row is NO_ITEM if there is none. */
static void match(struct title_hit *best, const struct looking *l, const char *from)
{
    const struct titles *t = l->titles;
    struct folding folding = folding_of(from, (size_t)(l->end - from));
    struct span span = {0, t->keys};
    best->row = NO_ITEM;
    for (size_t depth = 0; span.low < span.high; depth++) {
        if (depth && key_byte(t, span.low, depth) == 0 && folding_whole(&folding)) {
            struct span group = {span.low, first_key(t, span, depth, 1)};
            (l->among ? consider_among : consider)(best, l, group, from, folding.at);
        }
        int byte = folding_next(&folding);
        if (byte <= 0)
            return;
        span = narrowed(t, span, depth, byte);
    }
}

static size_t find(struct title_hit *hits, size_t most, const struct looking *l)
{
    size_t count = 0;
    for (const char *at = l->begin; at < l->end && count < most;) {
        bool inside = word_ends(l->begin, at) && word_begins(at, l->end);
        if (!inside && *at != ' ') {
            match(&hits[count], l, at);
            if (hits[count].row != NO_ITEM) {
                at = l->begin + hits[count++].to;
                continue;
            }
        }
        at += code_size(at, l->end);
    }
    return count;
}

size_t titles_find(struct title_hit *hits, size_t most, const struct titles *t, const char *text)
{
    const struct looking l = {.titles = t, .begin = text, .end = text + strlen(text)};
    return find(hits, most, &l);
}

size_t titles_loose(struct title_hit *hits, size_t most, const struct titles *t, const char *text)
{
    const struct looking l = {
        .titles = t, .begin = text, .end = text + strlen(text), .loose = true};
    return find(hits, most, &l);
}

size_t titles_among(struct title_hit *hits, size_t most, const struct titles *t, const char *text,
                    const uint32_t *rows, size_t count)
{
    const struct looking l = {.titles = t,
                              .begin = text,
                              .end = text + strlen(text),
                              .among = rows,
                              .among_count = count};
    return count ? find(hits, most, &l) : 0;
}

uint32_t titles_lookup(const struct titles *t, const char *title, size_t size, int year)
{
    struct folding folding = folding_of(title, size);
    struct span span = {0, t->keys};
    size_t depth = 0;
    for (int byte; span.low < span.high && (byte = folding_next(&folding)) >= 0; depth++)
        span = narrowed(t, span, depth, byte ? byte : 0x100);
    span.high = first_key(t, span, depth, 1);
    for (size_t k = span.low; depth && k < span.high; k++)
        if (!year || t->year[t->row[k]] == year)
            return t->row[k];
    return NO_ITEM;
}

uint32_t titles_named(const struct titles *t, const char *text, size_t size)
{
    const char *end = text + size;
    const char *after = end;
    bool bracket;
    while (text < end && (*text == ' ' || is_quote(text, end)))
        text += code_size(text, end);
    for (bool cut = true; cut && text < end;) {
        const char *last = end - 1;
        while (last > text && ((unsigned char)*last & 0xc0) == 0x80)
            last--;
        cut = *last == ' ' || is_quote(last, end);
        end = cut ? last : end;
    }
    uint32_t row = titles_lookup(t, text, (size_t)(end - text), 0);
    for (const char *bare = end; row == NO_ITEM && bare-- > text;) {
        int year = *bare == ' ' || *bare == ',' || *bare == '('
                       ? year_after(&after, &bracket, bare, end, true)
                       : 0;
        if (year && after == end)
            row = titles_lookup(t, text, (size_t)(bare - text), year);
    }
    return row;
}
