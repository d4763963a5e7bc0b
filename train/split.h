/*
 * split.h: which events teach, which choose, which judge.
 *
 * leave_one_out: of a user with three or more positive events the last is the test target, the one
 * before it the validation target, the rest trains.  time: events before 80 % of the time line
 * train; a user's first positive event in the next 10 % is a validation target, in the last 10 % a
 * test target.  none: all events train (nothing is judged).
 *
 * Everything before a target is its history; seen events before it may not be recommended again.
 */
#ifndef TRAIN_SPLIT_H
#define TRAIN_SPLIT_H

#include "data/histories.h"

enum part { PART_VALIDATION, PART_TEST };

struct split {
    size_t users;      /* as in the histories */
    size_t *train_end; /* [users] event index: positive events before it train */
    size_t *rl_first;  /* [users] those from here up to rl_end are kept for post-training */
    size_t *rl_end;    /* [users] */
    size_t *target[2]; /* [users] event index of the target of a part, or SIZE_MAX */
    size_t *end[2];    /* [users] where the part ends: events from the target up to there are its */
};

bool split_make(struct split *split, const struct histories *histories, const char *kind,
                struct err *err) MUST_CHECK;
/*
 * Takes a share of the items out of training altogether: their events no longer count, not in
 * histories either, but may still be targets.  histories->item are numbers of the store; which
 * items go follows from those.  For evaluation alone.
 */
void split_hide_cold(struct histories *histories, double share);
/*
 * Of a share of the users the last `kept` training events are kept for post-training, where
 * RL_HISTORY others are left: which users follows from their numbers in the store.
 */
enum { RL_HISTORY = 2 };
void split_keep_for_rl(struct split *split, const struct histories *histories, double share,
                       size_t kept);
void split_release(struct split *split);

/* Training sequences as flat arrays: positive events before train_end, oldest first. */
struct sequences {
    size_t users, events;
    size_t *first;  /* [users + 1] */
    uint32_t *item; /* [events] whatever histories->item holds */
};

bool split_sequences(struct sequences *sequences, const struct histories *histories,
                     const struct split *split, struct err *err) MUST_CHECK;
void sequences_release(struct sequences *sequences);

#endif
