/*
 * dialogue_judge.h: what is listed where a dialogue asks for something, by each method.
 *
 *     popularity   by the dialogues that teach: how many name an item
 *     retrieval    nearest TF-IDF vectors to all that was said
 *     item_knn     items named together in dialogues that teach vote for one another; what was
 *                  named last votes most
 *     lists        written by the policy, many at once (recommend/talks.h), with or without votes
 *
 * One example is a label of a prompt (dialogue_prompts.h): its rank, 1 .. DIALOGUE_RANKS, or 0.
 * Every method is given the same rows to choose from: those of `among`, without what the dialogue
 * named before (masked) or with it.
 */
#ifndef TRAIN_DIALOGUE_JUDGE_H
#define TRAIN_DIALOGUE_JUDGE_H

#include "base/threads.h"
#include "index/sparse.h"
#include "recommend/talks.h"
#include "train/dialogue_prompts.h"

enum { DIALOGUE_RANKS = LIST_RANKS_MAX };

/* What the dialogues that teach count. */
struct dialogue_counts {
    uint32_t *named;   /* owned [items] dialogues that name a row */
    uint32_t *popular; /* owned [items] rows, the most named first */
    struct sparse *together;
};

bool dialogue_counts_make(struct dialogue_counts *counts, const struct dialogues *dialogues,
                          size_t items, struct err *err) MUST_CHECK;
void dialogue_counts_free(struct dialogue_counts *counts);

/*
 * The item_knn list of what was named, oldest first, filled up by popularity; nothing of skip (a
 * bit a row).  tally: all zero, as it is left.
 */
size_t dialogue_knn(uint32_t *list, size_t most, const struct dialogue_counts *counts,
                    const uint32_t *named, size_t named_count, const uint64_t *skip, size_t items,
                    struct tally *tally);

enum dialogue_method {
    DIALOGUE_POPULAR,
    DIALOGUE_RETRIEVAL,
    DIALOGUE_KNN,
    DIALOGUE_LISTS,
    DIALOGUE_METHODS
};
extern const char *const DIALOGUE_METHOD_NAMES[DIALOGUE_METHODS];

struct dialogue_judging {
    const struct dialogues *dialogues;
    const struct dialogue_prompts *prompts;
    const struct dialogue_counts *counts; /* NULL: lists alone are judged */
    struct snapshot *snapshot;            /* a share is held while lists are written */
    const uint64_t *among;                /* a bit for each row that may be listed; NULL: all */
    bool unmasked;
    size_t ranks, beam, symbols;
    double votes; /* weight of what was named in the lists (recommend/votes.h); 0: none */
};

struct dialogue_judgement {
    size_t labels, dialogues;
    uint32_t *rank[DIALOGUE_METHODS]; /* owned [labels] */
    uint32_t *of;                     /* owned [labels] places among those dialogues */
    uint32_t *key;                    /* owned [dialogues] */
    size_t lists, short_lists;        /* written; with fewer ranks than asked */
    double seconds;                   /* of all methods together */
};

bool dialogues_judge(struct dialogue_judgement *out, const struct dialogue_judging *judging,
                     struct thread_pool *pool, struct err *err) MUST_CHECK;
/* The weight of votes by which lists are best at NDCG@20 on these prompts; counts: NULL. */
bool dialogue_votes_fit(double *weight, const struct dialogue_judging *judging,
                        struct thread_pool *pool, struct err *err) MUST_CHECK;
void dialogue_judgement_free(struct dialogue_judgement *judgement);

/*
 * What each dialogue adds to the mean over labels, [dialogues]: the mean of these values over
 * dialogues is the mean over labels, and resampling them resamples dialogues.  cut 0: none.
 */
enum dialogue_metric { DIALOGUE_RECALL, DIALOGUE_NDCG };
void dialogue_values(double *value, const struct dialogue_judgement *judgement,
                     enum dialogue_method method, enum dialogue_metric metric, size_t cut);

#endif
