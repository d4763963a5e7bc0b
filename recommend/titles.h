/*
 * titles.h: what items are called when people talk of them, and where a text names one.
 *
 * An item's name is "Title (Year)" if its record has a title and a year (attribute `year`, or four
 * digits in brackets at the title's end), else "Title".  Texts are compared folded: case, accents,
 * kinds of dashes, quotes and white space do not tell two names apart, `&` is `and`, and what is
 * not UTF-8 equals nothing.
 *
 * Of several items with one name, or one bare title, it is the one with the most training events.
 *
 * Threads   titles never change once opened; any number of threads may look.
 * Memory    owned by titles_open(): the names, the folded titles, 20 bytes a row.  Finding takes
 *           none.
 * Cost      opening reads every record once.  Finding folds the text once for each of its words,
 *           and no further than there is a title that begins so: a binary search a byte.
 */
#ifndef RECOMMEND_TITLES_H
#define RECOMMEND_TITLES_H

#include "recommend/snapshot.h"

struct titles;

/* Of all items of the snapshot, its late ones, too. */
struct titles *titles_open(const struct snapshot *snapshot, struct store *store,
                           struct err *err) MUST_CHECK;
void titles_free(struct titles *titles); /* NULL is fine */

size_t titles_rows(const struct titles *titles);
/* As rendered for people; "" for an item without a title or a record.  row < titles_rows(). */
const char *titles_name(const struct titles *titles, uint32_t row);
int titles_year(const struct titles *titles, uint32_t row); /* 0: it has none */

/* Bytes [from, to) of the text, brackets of a year included, quotes not. */
struct title_hit {
    size_t from, to;
    uint32_t row;
    bool cased;   /* byte for byte as in its name, so it was meant as one */
    bool running; /* running text (running_text.h), neither that nor with a year nor in quotes */
};

/*
 * Where the text has a name, from left to right, the longest first and none across another; at most
 * `most` hits, and returns how many.  A name without a year counts only byte for byte and if it has
 * two words or more: what a catalogue calls "It" is in every text.
 */
size_t titles_find(struct title_hit *hits, size_t most, const struct titles *titles,
                   const char *text);

/*
 * The same for titles as people write them: with a year (in brackets or bare, after a comma or
 * not), of two words or more, or in quotes (* and _ are quotes, too).  A year in brackets that no
 * item of this title has names another thing: no hit.
 */
size_t titles_loose(struct title_hit *hits, size_t most, const struct titles *titles,
                    const char *text);

/*
 * The same for a text that is known to name these rows and no others: any form of their titles
 * counts, single words too, with whatever year.
 */
size_t titles_among(struct title_hit *hits, size_t most, const struct titles *titles,
                    const char *text, const uint32_t *rows, size_t count);

/* The item that all of these bytes name, a single word too; quotes and spaces around them do not
 * count.  NO_ITEM: none. */
uint32_t titles_named(const struct titles *titles, const char *text, size_t size);

/* The item of a title and a year that are told apart already; year 0: any.  NO_ITEM: none. */
uint32_t titles_lookup(const struct titles *titles, const char *title, size_t size, int year);

#endif
