/*
 * experience.h: what writing lists has taught a policy that stays as it is: a bias for each item.
 *
 * After Training-Free GRPO (arXiv 2510.08191), whose library of lessons is text in front of every
 * prompt; ours is a number an item, so that it also serves policies that read no such text.  It is
 * added to log p of a name where a rank of a list is chosen (list.h) and nowhere else: slates,
 * reasons, learning and log-probabilities do not see it.  How it comes about: train/experience.h.
 *
 * File      experience.safetensors in a version's folder: bias F32 [items] by row; metadata
 *           semantic_ids is the fingerprint of the rows it speaks of.
 * Threads   a bias that lists are written with never changes.
 * Errors    another number of items, rows of another index, and what is not a number within
 *           EXPERIENCE_MOST are ERR_FORMAT with file, expected and found.
 */
#ifndef RECOMMEND_EXPERIENCE_H
#define RECOMMEND_EXPERIENCE_H

#include "base/err.h"

#include <stddef.h>

/* BEAM: names that are looked at, at least, where there is a bias; MOST: of a bias, in nats. */
enum { EXPERIENCE_BEAM = 24, EXPERIENCE_MOST = 16 };

bool experience_write(const char *folder, const float *bias, size_t items, const char *fingerprint,
                      struct err *err) MUST_CHECK;
/* *bias [items] is the caller's to free; NULL and true: the folder has none. */
bool experience_read(float **bias, const char *folder, size_t items, const char *fingerprint,
                     struct err *err) MUST_CHECK;

#endif
