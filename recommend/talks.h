/*
 * talks.h: many replies at once: a list for each dialogue, then a few words about it.
 *
 *     dialogue, <list> ─► N names ─► <reply> ─► words, <item> listed item, words ... <end>
 *
 * Each step goes one symbol further in every talk that is listing or saying, and reads a slice of
 * the prompts of those that are still reading, which share TALK_SLICE symbols evenly: nobody waits
 * for a long prompt of somebody else.  Ranks are chosen by list_draw(), as list_make() does, and
 * what a talk gives does not depend on who else is there.
 *
 * Only a policy with foreign words speaks (with others a talk ends with its list, and the words
 * are a template's, reply.h): tokens are drawn by p(token)^(1 / temperature) among those that are
 * text, up to the end mark, the third end of a sentence or words_max.  In words an item is never
 * spelled: it is MARK_ITEM and the row of a listed item that was not said yet, the one that find
 * likes best there; drafts.h looks for names that are spelled nevertheless.
 *
 * Memory    all of it is taken by talks_open(), bounded by streams * positions (model/streams.h)
 *           and a beam for each thread; a talk is the caller's and must stay where it is until it
 *           is done or removed.
 * Threads   one thread owns a struct talks; `threads` work within a step.
 * Cost      talks_step(): every weight is read once, whatever the number of talks; a beam over the
 *           trie for each that is listing.
 */
#ifndef RECOMMEND_TALKS_H
#define RECOMMEND_TALKS_H

#include "recommend/list.h"

/* TALK_SENTENCES: at most in words; TALK_SLICE: symbols of prompts read in one step */
enum { TALK_WORDS_MAX = 160, TALK_SENTENCES = 3, TALK_SLICE = 128, TALK_STREAMS_MAX = 64 };

enum talk_state { TALK_READING, TALK_LISTING, TALK_SAYING, TALK_DONE };

struct talk {
    /* the caller's, unchanged until the talk is done or removed */
    const uint32_t *prompt; /* [prompt_count] symbols, the newest last (dialogue_symbols());
                               what does not fit in a stream is left out, the oldest first */
    size_t prompt_count;    /* 0: nothing is listed */
    const uint64_t *skip;   /* [rows / 64 + 1] a bit per row that may not be listed, on top of what
                               list_begin() skips; NULL: none */
    const struct votes *votes; /* what else ranks are chosen by; NULL: nothing */
    size_t n;                  /* ranks wanted, 1 .. LIST_RANKS_MAX */
    size_t words_max;          /* symbols of free text, at most TALK_WORDS_MAX; 0: none wanted */
    uint64_t seed;             /* of the words */
    double temperature;        /* of the words; 0: the likeliest */
    void *self;                /* for the caller alone */
    /* ours */
    enum talk_state state;
    uint32_t rows[LIST_RANKS_MAX]; /* [listed] the best first */
    double log_p[LIST_RANKS_MAX];  /* [listed] of each rank, given those before it and the mask */
    size_t listed; /* grows while listing; less than n at the end: no more is legal */
    uint32_t said[TALK_WORDS_MAX]; /* [said_count] tokens (TOKEN + number); after MARK_ITEM a row */
    size_t said_count;             /* grows while saying; without the end mark */
};

enum { TALK_POSITIONS_LEAST = LIST_RANKS_MAX + TALK_WORDS_MAX + 16 };

struct talks_options {
    size_t streams;   /* talks at once, 1 .. TALK_STREAMS_MAX */
    size_t positions; /* of prompt, list and words of one talk, TALK_POSITIONS_LEAST .. */
    size_t threads;   /* 0: one a core */
    size_t beam;      /* names kept while a rank is chosen, 1 .. 512 */
};

struct talks;

/* Holds a share of the snapshot. */
struct talks *talks_open(struct snapshot *snapshot, const struct talks_options *options,
                         struct err *err) MUST_CHECK;
void talks_close(struct talks *talks); /* NULL is fine; talks that are not done are forgotten */

/* Whether its policy speaks: it has foreign words. */
bool talks_speak(const struct talks *talks);

/* Symbols of a prompt that fit beside n ranks and so many words. */
size_t talks_prompt_max(const struct talks *talks, size_t n, size_t words_max);
/* Bytes taken. */
size_t talks_bytes(const struct talks *talks);

/* False: all streams are taken.  Sets what is ours of the talk. */
bool talks_add(struct talks *talks, struct talk *talk);
/* Forgets a talk, done or not, at any time between steps; one that was not added is fine. */
void talks_remove(struct talks *talks, struct talk *talk);
/*
 * One step for all; returns how many are not done.  A talk that is done gives its stream back by
 * itself.
 */
size_t talks_step(struct talks *talks);

#endif
