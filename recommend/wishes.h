/*
 * wishes.h: what somebody wishes for, read from what they say under a list: "older, no horror, more
 * like the second, I have seen the first".
 *
 * A wish is a category that is wanted or not, years that are wanted or not, an item to be like or
 * unlike, an item that was seen or may come again, or how many ranks there shall be.  Wishes add up
 * over a dialogue: a later one takes the place of what it contradicts, one that was said twice is
 * held once, and "forget that" takes wishes back.  Each has an id by which a client can undo it:
 * a hash of what it says, and of how often that had been said before, so that saying it again after
 * undoing it counts; undoing the newest undoes those before it.  What cannot be mapped to the
 * catalogue is kept, too, with the reason: nothing is passed over in silence.  docs/CONVERSATION.md
 * says what is supported.
 *
 * It is read by rules, not by the policy: words of the catalogue's own categories, years of its
 * names, its titles.  English.
 *
 * Threads   a wish_book never changes; one wish_work per thread.
 * Memory    a wish_book owns its words and borrows snapshot and titles.  Reading allocates nothing:
 *           everything has a bound, and what is beyond it is reported (WHY_LIMIT).  Broken UTF-8
 * and control characters are as good as a space. Cost      a message of WISH_BYTES costs about a
 * millisecond.
 */
#ifndef RECOMMEND_WISHES_H
#define RECOMMEND_WISHES_H

#include "recommend/titles.h"

enum {
    WISHES_MAX = 192,
    UNCLEAR_MAX = 16,
    WISH_BYTES = 8192,           /* of a message that are read: its first */
    WISH_TURNS_MAX = 64,         /* messages that are read: the newest ... */
    WISH_DIALOGUE_BYTES = 65536, /* ... and no more than so many bytes of them */
    WISH_TEXT = 128,     /* bytes of the words that a wish came from, the final 0 included */
    WISH_COUNT_MAX = 50, /* ranks that can be wished for */
    WISH_SHOWN_MAX = 64  /* ranks of a shown list that can be referred to */
};

enum wish_kind {
    WISH_WANTED,    /* category: one of its group must be there */
    WISH_ONLY,      /* the same, said with "only" */
    WISH_UNWANTED,  /* category */
    WISH_YEARS,     /* from, to */
    WISH_NOT_YEARS, /* from, to: years that are not wanted */
    WISH_LIKE,      /* row */
    WISH_UNLIKE,    /* row: not this one, nor what shares its name's tiles but the last */
    WISH_SEEN,      /* row */
    WISH_AGAIN,     /* row, or NO_ITEM: all of them may come again */
    WISH_COUNT,     /* count */
    WISH_KINDS
};
extern const char *const WISH_NAMES[WISH_KINDS]; /* "wanted", "only", ... as clients see them */

enum { YEAR_FIRST = 0, YEAR_LAST = 9999 }; /* open ends */

struct wish {
    uint64_t id;
    enum wish_kind kind;
    uint32_t row;         /* NO_ITEM: none */
    uint32_t category;    /* of the snapshot */
    int from, to;         /* inclusive; YEAR_FIRST, YEAR_LAST: open */
    size_t count;         /* ranks */
    uint32_t turn;        /* message it was said in */
    uint32_t group;       /* wanted categories of one group are alternatives */
    char text[WISH_TEXT]; /* the words, valid UTF-8 */
};

/* Why something was not understood. */
enum wish_why {
    WHY_PEOPLE,   /* actors, directors, writers */
    WHY_LENGTH,   /* how long */
    WHY_LANGUAGE, /* languages and countries */
    WHY_RATING,   /* age ratings, marks, awards, how popular */
    WHY_PLACE,    /* where it can be had, what it costs */
    WHY_YEARS,    /* a catalogue without years */
    WHY_WHICH,    /* an item that is not on the list, or which one it is */
    WHY_COUNT,    /* more ranks than there can be */
    WHY_LIMIT,    /* too long, or too many wishes */
    WHY_OTHER,    /* nothing in the catalogue says this */
    WHYS
};
extern const char *const WHY_NAMES[WHYS];

struct unclear {
    enum wish_why why;
    char text[WISH_TEXT];
};

struct wishes {
    struct wish wish[WISHES_MAX]; /* [count] oldest first */
    size_t count;
    struct unclear unclear[UNCLEAR_MAX]; /* [unclear_count] of the newest message */
    size_t unclear_count;
};

struct wish_book;
struct wish_work;

/* snapshot and titles are borrowed and must outlive the book. */
struct wish_book *wish_book_open(const struct snapshot *snapshot, const struct titles *titles,
                                 struct err *err) MUST_CHECK;
void wish_book_free(struct wish_book *book); /* NULL is fine */
struct wish_work *wish_work_new(struct err *err) MUST_CHECK;
void wish_work_free(struct wish_work *work); /* NULL is fine */

/* A message of the user, and the list that was shown last before it. */
struct wish_turn {
    const char *text; /* [size] any bytes */
    size_t size;
    const uint32_t *shown; /* [shown_count] rows by rank */
    size_t shown_count;
};

/*
 * Reads the user's messages of a dialogue, oldest first.  What has an id in undo[undo_count] (at
 * most WISHES_MAX are looked at) is left out, as if it had not been said.
 */
void wishes_read(struct wishes *wishes, struct wish_work *work, const struct wish_book *book,
                 const struct wish_turn *turns, size_t count, const uint64_t *undo,
                 size_t undo_count);

/*
 * Sets the bits of rows that the wishes leave out (unlike and seen ones, too), and returns how many
 * rows of the snapshot are left without a bit.  Categories of one group are alternatives, groups
 * must all hold.
 */
size_t wishes_mask(uint64_t *skip, const struct wish_book *book, const struct wishes *wishes);

/* Sets the bits of rows that were shown before, but for those that may come again. */
void wishes_skip_shown(uint64_t *skip, const struct wishes *wishes, const uint32_t *shown,
                       size_t count);

/* The rows of a kind, in order; returns how many, at most `most`. */
size_t wishes_rows(uint32_t *rows, size_t most, const struct wishes *wishes, enum wish_kind kind);

/* The ranks that were wished for, or `otherwise`. */
size_t wishes_count(const struct wishes *wishes, size_t otherwise);

/*
 * For a mask that leaves fewer than n rows: takes away the weakest wish whose absence leaves n,
 * else the weakest (wanted categories before years, before "only", before what is not wanted; the
 * older first; alternatives go together).  base: bits that hold anyway; skip: room for a mask of
 * the snapshot, overwritten.  False: no wish is left that could go (what was seen or turned down
 * stays).
 */
bool wishes_relax(struct wish *dropped, struct wishes *wishes, uint64_t *skip, const uint64_t *base,
                  const struct wish_book *book, size_t n);

/* ---- for people and clients ---- */

/* What a wish says: "Comedy", "not Horror", "1990 to 1999", "like Alien (1979)". */
void wish_say(struct text *text, const struct wish *wish, const struct wish_book *book);

/* [{"id", "kind", "value", "label", "text"}], one for each wish in order; NULL: no memory. */
json_t *wishes_understood(const struct wishes *wishes, const struct wish_book *book);
/* [{"text", "reason"}] */
json_t *wishes_not_understood(const struct wishes *wishes);
/* A sentence or more for what was not understood; adds nothing if there is nothing to say. */
void wishes_said(struct text *text, const struct wishes *wishes);
/* "Only 3 items are like that, so I left out: only Comedy." */
void wishes_relaxed_said(struct text *text, const struct wish *dropped, size_t left,
                         const struct wish_book *book);

/* 16 hexadecimal digits; false: it is none. */
bool wish_id_read(uint64_t *id, const char *text);

#endif
