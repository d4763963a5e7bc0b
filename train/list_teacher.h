/*
 * list_teacher.h: lists to imitate from a teacher's: remap, reflect, adjust (Rank-GRPO, arXiv
 * 2510.20150).  A teacher says a list of its own; a score for every item of the catalogue is made
 * of it in three steps, and the best rows of that are the list.
 *
 *     remap     s = p^T (cosine + same) + talk_weight cosine(talk)      p[u] = 1/sqrt(k) at rank k
 *     reflect   s + reflect_weight r        r in -1 .. 2 of the `judged` best, 0 of all others
 *     adjust    w * s + b     w, b [items] = argmax  sum over labels of log softmax(w s + b)
 *                                                    - penalty (|w - 1|^2 + |b|^2)
 *
 * (*) is item by item: what the teacher overrates everywhere loses.  Cosines are of content
 * vectors; the sum over the teacher's list is one vector, so remapping is a product of [examples,
 * dims] with [dims, items].  A title that the catalogue lacks has a vector of its words.
 *
 * Where it differs: the judge of `reflect` is not the teacher but the log (votes of co-occurrence
 * neighbours of what the prompt holds: none -1; of the others the lower third 0, the middle 1, the
 * upper 2), `talk` is the mean of what the prompt holds where nothing was said, and the fit sees at
 * most fit_most examples.
 *
 * Threads   examples are cut into TEACHER_PARTS by place: the same bytes on any number of threads.
 * Memory    [TEACHER_PARTS, 64, items] scores, and ranks + judged entries an example.
 * Cost      2 items dims multiply-adds an example for remap and for the last look, and one more for
 *           each round of the fit: 7,000 items of 128 dims, 12,000 examples and 20 rounds are 8 s
 * of one core.
 */
#ifndef TRAIN_LIST_TEACHER_H
#define TRAIN_LIST_TEACHER_H

#include "base/threads.h"
#include "index/sparse.h"

enum { TEACHER_PARTS = 4, TEACHER_RANKS = 20 };

/* Flat; what a list is wanted for. */
struct list_questions {
    size_t count;
    const size_t *prompt_first; /* [count + 1] */
    const uint32_t *prompt;     /* rows that are known and not listed */
    const size_t *barred_first; /* [count + 1]; NULL: nothing more is barred */
    const uint32_t *barred;     /* rows that are not listed either, and say nothing */
    const float *talk;          /* [count, dims] unit length or 0; NULL: the mean of the prompt's */
    const uint32_t *teacher; /* [count, TEACHER_RANKS] rows; items + i: extra i; UINT32_MAX ends */
    const size_t *label_first;         /* [count + 1] */
    const uint32_t *label;             /* rows that were right; what w and b are fitted on */
    const struct sparse *const *votes; /* [count] who judges each; NULL: those of the teaching */
};

struct list_teaching {
    size_t items, dims;
    const float *vectors;       /* [items, dims] unit length or 0 */
    const float *extra;         /* [any, dims] unit length: titles that are not in the catalogue */
    const uint64_t *skip;       /* a bit per row that is never listed */
    const struct sparse *votes; /* [items] of each row's neighbours; NULL: nobody judges */
    double talk_weight, reflect_weight, penalty;
    size_t judged, rounds, fit_most; /* rounds 0: w = 1, b = 0 */
};
/* The stated weights: 1, .5, .01, 100, 20 rounds on 4,000 examples. */
struct list_teaching list_teaching_default(void);

struct list_teaching_report {
    double likelihood_before, likelihood; /* mean log softmax of a label, without and with w, b */
    size_t labels, rounds;
};

/*
 * item [count, ranks]: what stands there stays, from the first UINT32_MAX on it is filled up, the
 * best first; nothing of the prompt, nothing twice.  w, b [items] get what was fitted, or NULL.
 */
bool list_teaching_run(uint32_t *item, size_t ranks, const struct list_questions *questions,
                       const struct list_teaching *teaching, float *w, float *b,
                       struct list_teaching_report *report, struct thread_pool *pool,
                       struct err *err) MUST_CHECK;

#endif
