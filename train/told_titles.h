/*
 * told_titles.h: titles that a large model said, as rows of the catalogue or as vectors of words.
 *
 * Memory    extra is owned; told_titles_free().
 */
#ifndef TRAIN_TOLD_TITLES_H
#define TRAIN_TOLD_TITLES_H

#include "recommend/titles.h"
#include "train/list_teacher.h"

#include <jansson.h>

struct told_titles {
    const struct snapshot *snapshot;
    const struct titles *titles;
    float *extra; /* owned [extras, dims] unit length: titles that the catalogue lacks */
    size_t extras, room, known;
};

/*
 * A list of TEACHER_RANKS: a line that names an item is its row, other lines are items + their
 * place in extra, a line of unknown words is left out; each once.  The caller's list is all
 * NO_ITEM.
 */
bool told_titles_read(uint32_t *list, struct told_titles *titles, const json_t *lines,
                      struct err *err) MUST_CHECK;
void told_titles_free(struct told_titles *titles);

#endif
