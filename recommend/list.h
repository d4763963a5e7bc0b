/*
 * list.h: a ranked list, written by the policy rank by rank.
 *
 *     prompt, <list> ─► z ─► the likeliest name that is not listed ─► read next ─► z ─► ...
 *
 * A prompt is symbols: the rows of a history, or a dialogue's tokens and rows.  The mark and the
 * mask are those that rollouts of training see (train/rl.h): items with training events, and
 * nothing that work->skip has a bit for.
 *
 * What is listed stays in the mask and is passed over among the names of a beam: taken out, its
 * tiles' probability would go to its siblings, which nobody asked for (docs/QUALITY.md, Tries of
 * lists).
 *
 * Where the version has experience (experience.h), or what a dialogue names votes (votes.h), a rank
 * is the largest of log p + bias + push.
 *
 * Threads   one list_work per thread.
 * Cost      the prompt once, then a position and a beam over the trie a rank.
 */
#ifndef RECOMMEND_LIST_H
#define RECOMMEND_LIST_H

#include "base/rng.h"
#include "recommend/votes.h"

/* LIST_HISTORY_MAX: rows of a history before <list> in what a list is learnt from */
enum { LIST_RANKS_MAX = 50, LIST_HISTORY_MAX = 40, LIST_PROMPT_MAX = 1024 };

/* Ranks are drawn from softmax((log p + bias + push) / temperature) over the names of the beam and
 * those with votes. */
struct list_draws {
    struct rng *rng;
    double temperature; /* above 0 */
};

/* What a rank is chosen by beside log p; the caller's. */
struct list_pushes {
    const struct votes *votes;      /* NULL: none; their rows are in the mask */
    const struct list_draws *draws; /* NULL: the best is taken */
};

struct list_work {
    size_t rows_max, prompt_max, beam_max;
    struct arena arena; /* owned; everything below lies in it */
    struct policy_work policy;
    struct decode_work decode;
    uint64_t *skip; /* a bit per row that may not be listed; the caller fills it */
    uint32_t *allowed_before;
    uint32_t *input; /* [prompt_max + LIST_RANKS_MAX] */
    struct hit *hits;
    float *log_p; /* [LIST_RANKS_MAX] of the ranks of the last list, without experience */
    struct list_pushes pushes; /* as after opening: nothing */
};

/* What decode needs room for, whatever ranks are chosen by. */
size_t list_beam_room(size_t beam);

/* beam: names looked at beyond those that are listed, 1 .. DECODE_BEAM_MAX. */
bool list_work_open(struct list_work *work, const struct snapshot *snapshot, size_t prompt_max,
                    size_t beam, struct err *err) MUST_CHECK;
void list_work_close(struct list_work *work);

/* skip [rows / 64 + 1] = what the snapshot hides and what has no training events. */
void list_skip(uint64_t *skip, const struct snapshot *snapshot);

/* The same into work->skip; the caller adds its own bits. */
void list_begin(struct list_work *work, const struct snapshot *snapshot);

/*
 * Writes up to n <= LIST_RANKS_MAX rows, the best first, and returns how many: fewer only if the
 * mask has no more.  The newest prompt_max symbols of the prompt are read, at most LIST_PROMPT_MAX;
 * none of it gives none.
 */
size_t list_make(uint32_t *rows, size_t n, struct list_work *work, const struct snapshot *snapshot,
                 const uint32_t *prompt, size_t prompt_count, size_t beam);

/*
 * The rank after `count` listed rows, from z [dim] at the last of them: its row and log p of its
 * name under the mask (which holds what is listed, unless a beam held nothing else).  hits [beam +
 * count, at most what decode has room for] is scratch.  False: the mask has no more.
 */
bool list_draw(struct hit *next, struct hit *hits, size_t beam, struct decode_work *decode,
               const struct policy *policy, const real *z, const struct trie_mask *mask,
               const uint32_t *listed, size_t count, const struct list_pushes *pushes);

#endif
