/*
 * import.h: files into the store, line by line, saying what became of each.
 *
 * Every row is accepted, a duplicate (it is there already, unchanged), or rejected with a reason
 * and its line number; a rejected row stops nothing.  Events that name unknown items are accepted
 * and counted as unjoined: they join when the item arrives.  Files may be plain, .gz or .zst.
 *
 * Neutral form: items.jsonl, interactions.csv, conversations.jsonl; see README.md of this folder.
 *
 * Cost      one pass, one transaction per 20,000 rows; memory does not grow with the file.
 * Errors    returns false only when the file or the store fails; counts are then what was committed
 *           or lost with the open transaction, and importing again is safe.
 */
#ifndef DATA_IMPORT_H
#define DATA_IMPORT_H

#include "data/events.h"

struct import_counts {
    size_t accepted, duplicates, rejected, unjoined;
};

struct importer {
    struct store *store;
    void (*reject)(void *self, const char *path, size_t line, const char *reason); /* may be NULL */
    void *self;
};

bool import_items(struct import_counts *counts, const struct importer *importer, const char *path,
                  struct err *err) MUST_CHECK;
bool import_interactions(struct import_counts *counts, const struct importer *importer,
                         const char *path, struct err *err) MUST_CHECK;
bool import_conversations(struct import_counts *counts, const struct importer *importer,
                          const char *path, struct err *err) MUST_CHECK;

/* MovieTweetings as published: movies.dat `id::Title (Year)::A|B`, ratings.dat `user::id::n::unix
 * s`. */
bool import_movietweetings_movies(struct import_counts *counts, const struct importer *importer,
                                  const char *path, struct err *err) MUST_CHECK;
bool import_movietweetings_ratings(struct import_counts *counts, const struct importer *importer,
                                   const char *path, struct err *err) MUST_CHECK;

/* ReDial as published: movies_with_mentions.csv and {train,test}_data.jsonl; dialogues of a file
 * whose name begins with "test" are kept for judging. */
bool import_redial_movies(struct import_counts *counts, const struct importer *importer,
                          const char *path, struct err *err) MUST_CHECK;
bool import_redial_dialogues(struct import_counts *counts, const struct importer *importer,
                             const char *path, struct err *err) MUST_CHECK;

#endif
