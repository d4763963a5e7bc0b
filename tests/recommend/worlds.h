/*
 * worlds.h: the catalogues, lists and follow-ups of wishes.jsonl, for the tests that read wishes.
 *
 * Cost      two small stores, written when a group of tests begins.
 */
#ifndef TESTS_RECOMMEND_WORLDS_H
#define TESTS_RECOMMEND_WORLDS_H

#include "recommend/wishes.h"
#include "tests/test.h"

enum { ROWS_MAX = 128, ITEMS_MAX = 64, CATEGORIES_MOST = 64 };

/* A catalogue of wishes.jsonl, in a store of its own. */
struct world {
    const char *name;
    struct store *store;
    struct version version;
    struct item_index item_index;
    struct snapshot snapshot;
    struct titles *titles;
    struct wish_book *book;
    uint32_t popular[ROWS_MAX], row_of_number[ROWS_MAX];
    uint32_t category_first[ROWS_MAX + 1], category[ROWS_MAX * 8];
    char *names[CATEGORIES_MOST];
    uint16_t codes[ROWS_MAX * 2];
    char home[512];
};

extern struct world films, shop;
extern struct wish_work *work;
extern json_t *lines; /* all of wishes.jsonl */

/* A group's setup and teardown. */
int worlds_open(void **state);
int worlds_close(void **state);

uint32_t row_named(const struct world *w, const char *name);

/* What was shown before a follow-up. */
struct list {
    struct world *world;
    uint32_t row[ITEMS_MAX];
    size_t count;
};

struct list list_named(const char *name);

/* messages: an array of texts, all of them said under the list. */
void read_messages(struct wishes *wishes, const struct list *list, const json_t *messages);
void read_text(struct wishes *wishes, const struct list *list, const char *text);

#endif
