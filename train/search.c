#include "train/search.h"

#include "data/catalogue.h"
#include "recommend/item_document.h"

#include <stdlib.h>
#include <string.h>

enum { QUERIES_A_KIND = 500, QUERY_WORDS = 2 };

/* Words, as a text; NULL: none. */
static char *query_of(const struct item_words *words, const struct tokenizer *tokenizer,
                      const size_t *word, size_t count)
{
    struct text text;
    text_init(&text, 4096);
    for (size_t i = 0; i < count; i++)
        tokenizer_decode(&text, tokenizer, words->token + words->word_at[word[i]],
                         words->word_at[word[i] + 1] - words->word_at[word[i]], i == 0);
    char *query = text.size ? strdup(text.bytes) : NULL;
    text_release(&text);
    return query;
}

static char *held_query(const struct item_words *words, const struct tokenizer *tokenizer,
                        size_t row)
{
    size_t places[HELD_WORDS];
    size_t held = held_words(places, words, row);
    for (size_t i = 0; i < held; i++)
        places[i] += words->first[2 * row];
    return query_of(words, tokenizer, places, held);
}

/* One or two words between two places. */
static char *drawn_query(const struct item_words *words, const struct tokenizer *tokenizer,
                         size_t first, size_t last, struct rng *rng)
{
    size_t word[QUERY_WORDS];
    size_t count = first < last ? 1 + rng_below(rng, QUERY_WORDS) : 0;
    for (size_t i = 0; i < count; i++)
        word[i] = first + rng_below(rng, last - first);
    if (count == 2 && word[0] == word[1])
        count = 1;
    return query_of(words, tokenizer, word, count);
}

static void add_query(struct cases *c, char *query, uint32_t target, const struct cases *users,
                      size_t at)
{
    size_t history = c->history_first[c->count];
    size_t seen = c->seen_first[c->count];
    for (size_t i = users ? users->history_first[at] : 0; users && i < users->history_first[at + 1];
         i++)
        c->history[history++] = users->history[i];
    for (size_t i = users ? users->seen_first[at] : 0; users && i < users->seen_first[at + 1]; i++)
        c->seen[seen++] = users->seen[i];
    c->target[c->count] = target;
    c->query[c->count++] = query;
    c->history_first[c->count] = history;
    c->seen_first[c->count] = seen;
}

static void add_titles(struct cases *c, const struct item_words *words,
                       const struct tokenizer *tokenizer, const unsigned char *seen, enum part part)
{
    size_t found = 0;
    for (size_t r = 0; r < words->items; r++) {
        char *query = seen[r] ? held_query(words, tokenizer, r) : NULL;
        if (query && found++ % 2 == (part == PART_TEST))
            add_query(c, query, (uint32_t)r, NULL, 0);
        else
            free(query);
    }
}

/* Users spread evenly over the cases. */
static void add_users(struct cases *c, const struct item_words *words,
                      const struct tokenizer *tokenizer, const unsigned char *seen,
                      const struct cases *users, enum search_kind kind)
{
    size_t wanted = users->count < QUERIES_A_KIND ? users->count : QUERIES_A_KIND;
    for (size_t k = 0; k < wanted; k++) {
        size_t at = k * users->count / wanted;
        uint32_t row = users->target[at];
        if (row >= words->items || !seen[row])
            continue;
        struct rng rng = rng_stream(0x5ea6c4, kind, k);
        const size_t *first = words->first + 2 * (size_t)row;
        char *query = drawn_query(words, tokenizer, first[kind == SEARCH_TAGS], first[2], &rng);
        if (query)
            add_query(c, query, row, kind == SEARCH_HISTORY ? users : NULL, at);
    }
}

static bool make_room(struct cases *c, size_t room, const struct cases *users, struct err *err)
{
    *c = (struct cases){0};
    c->history = calloc(users->history_first[users->count] + 1, sizeof *c->history);
    c->seen = calloc(users->seen_first[users->count] + 1, sizeof *c->seen);
    c->history_first = calloc(room + 1, sizeof *c->history_first);
    c->seen_first = calloc(room + 1, sizeof *c->seen_first);
    c->target = calloc(room, sizeof *c->target);
    c->user = calloc(room, sizeof *c->user);
    c->query = calloc(room, sizeof *c->query);
    if (c->history && c->seen && c->history_first && c->seen_first && c->target && c->user &&
        c->query)
        return true;
    cases_release(c);
    return err_set(err, ERR_SYSTEM, "no memory for %zu queries", room);
}

bool search_queries_make(struct search_queries *q, const struct item_words *words,
                         const struct tokenizer *tokenizer, const unsigned char *seen,
                         const struct cases *users, enum part part, struct err *err)
{
    struct cases *c = &q->cases;
    *q = (struct search_queries){0};
    if (!make_room(c, words->items + SEARCH_KINDS * QUERIES_A_KIND + 1, users, err))
        return false;
    add_titles(c, words, tokenizer, seen, part);
    q->first[SEARCH_TAGS] = c->count;
    add_users(c, words, tokenizer, seen, users, SEARCH_TAGS);
    q->first[SEARCH_HISTORY] = c->count;
    add_users(c, words, tokenizer, seen, users, SEARCH_HISTORY);
    q->first[SEARCH_KINDS] = c->count;
    return true;
}

struct gathering {
    const struct version *version;
    const struct cases *cases;
    json_t **records; /* [items] owned */
    struct item_document made;
    struct document query;
};

static bool take_record(void *self, uint32_t number, const char *id, json_t *record,
                        struct err *err)
{
    struct gathering *g = self;
    (void)id;
    (void)err;
    if (number < g->version->numbers && g->version->row_of_number[number] != NO_ITEM)
        g->records[g->version->row_of_number[number]] = json_incref(record);
    return true;
}

/* The documents, then the queries. */
static const struct document *read_text(void *self, size_t at)
{
    struct gathering *g = self;
    size_t items = g->version->index->items;
    if (at >= items) {
        g->query = (struct document){g->cases->query[at - items], "", NULL, 0};
        return &g->query;
    }
    item_document_make(&g->made, g->records[at]);
    return &g->made.document;
}

static uint32_t rank_in(const struct sparse *rows, size_t items, const float *query, size_t target)
{
    struct hit hits[LIST_MAX];
    struct topk best = {.hits = hits, .max = LIST_MAX};
    for (size_t r = 0; r < items; r++) {
        float score = 0;
        for (size_t e = rows->first[r]; e < rows->first[r + 1]; e++)
            score += rows->value[e] * query[rows->column[e]];
        if (score > 0)
            topk_push(&best, (struct hit){(uint32_t)r, score});
    }
    topk_sort(&best);
    for (size_t i = 0; i < best.count; i++)
        if (hits[i].row == target)
            return (uint32_t)i + 1;
    return 0;
}

bool search_tf_idf(uint32_t *rank, const struct cases *cases, const struct version *version,
                   struct store *store, struct err *err)
{
    size_t items = version->index->items;
    struct store_txn txn;
    struct gathering g = {.version = version, .cases = cases};
    const struct documents documents = {items + cases->count, read_text, &g};
    g.records = calloc(items + 1, sizeof(json_t *));
    float *query = calloc(version->index->coder.terms + 1, sizeof *query);
    bool fine = g.records && query;
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for the texts of %zu items", items);
    if (fine && (fine = store_begin(&txn, store, false, err))) {
        fine = catalogue_each(&txn, take_record, &g, err);
        store_abort(&txn);
    }
    struct sparse *rows = fine ? text_rows(&version->index->coder, &documents, err) : NULL;
    for (size_t q = 0; rows && q < cases->count; q++) {
        size_t row = items + q;
        for (size_t e = rows->first[row]; e < rows->first[row + 1]; e++)
            query[rows->column[e]] = rows->value[e];
        rank[q] = rank_in(rows, items, query, cases->target[q]);
        for (size_t e = rows->first[row]; e < rows->first[row + 1]; e++)
            query[rows->column[e]] = 0;
    }
    for (size_t r = 0; g.records && r < items; r++)
        json_decref(g.records[r]);
    free(g.records);
    free(query);
    fine = rows != NULL;
    sparse_free(rows);
    return fine;
}
