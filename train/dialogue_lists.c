#include "train/dialogue_lists.h"

#include <stdlib.h>
#include <string.h>

struct teaching {
    struct dialogue_lists *out;
    const struct dialogues *dialogues;
    struct dialogue_counts counts; /* without the fold at hand */
    const struct snapshot *snapshot;
    struct tally tally;
    uint64_t *skip;
};

static bool teaching_open(struct teaching *t, struct err *err)
{
    const struct snapshot *s = t->snapshot;
    t->tally.score = calloc(s->rows + 1, sizeof *t->tally.score);
    t->tally.touched = calloc(s->rows + 1, sizeof *t->tally.touched);
    t->skip = calloc(s->rows / 64 + 1, sizeof *t->skip);
    return (t->tally.score && t->tally.touched && t->skip) ||
           err_set(err, ERR_SYSTEM, "no memory for lists of dialogues");
}

static void teaching_close(struct teaching *t)
{
    free(t->tally.score);
    free(t->tally.touched);
    free(t->skip);
}

/* What the dialogue says nobody liked, before or after the prompt. */
static void skip_disliked(struct teaching *t, size_t dialogue)
{
    const struct dialogues *d = t->dialogues;
    size_t end = d->item_first[d->first[dialogue + 1]];
    for (size_t i = d->item_first[d->first[dialogue]]; i < end; i++)
        if (d->said[i] & SAID_DISLIKED)
            bit_set(t->skip, d->item[i]);
}

static void teach(struct teaching *t, size_t at)
{
    struct dialogue_lists *x = t->out;
    const struct row_lists *named = &x->prompts.named;
    size_t items = t->snapshot->version->index->items;
    uint32_t *list = x->teacher + at * x->ranks;
    memcpy(t->skip, t->snapshot->hidden, (t->snapshot->rows / 64 + 1) * sizeof *t->skip);
    snapshot_mask_newcomers(t->skip, t->snapshot);
    for (size_t i = named->first[at]; i < named->first[at + 1]; i++)
        bit_set(t->skip, named->row[i]);
    skip_disliked(t, x->prompts.dialogue[at]);
    size_t count = dialogue_knn(list, x->ranks, &t->counts, row_lists_at(named, at),
                                row_lists_count(named, at), t->skip, items, &t->tally);
    for (; count < x->ranks; count++)
        list[count] = NO_ITEM;
}

bool dialogue_counts_but(struct dialogue_counts *counts, const struct dialogues *dialogues,
                         size_t fold, size_t items, struct err *err)
{
    struct dialogues others = *dialogues;
    others.part = malloc(others.count + 1);
    *counts = (struct dialogue_counts){0};
    if (!others.part)
        return err_set(err, ERR_SYSTEM, "no memory for lists of dialogues");
    for (size_t c = 0; c < others.count; c++)
        others.part[c] = c % TEACHER_FOLDS == fold ? DIALOGUE_PARTS : dialogues->part[c];
    bool fine = dialogue_counts_make(counts, &others, items, err);
    free(others.part);
    return fine;
}

/* The lists of the dialogues of a fold. */
static bool teach_fold(struct teaching *t, size_t fold, struct err *err)
{
    const struct dialogue_prompts *prompts = &t->out->prompts;
    bool fine = dialogue_counts_but(&t->counts, t->dialogues, fold,
                                    t->snapshot->version->index->items, err);
    for (size_t p = 0; fine && p < prompts->count; p++)
        if (prompts->dialogue[p] % TEACHER_FOLDS == fold)
            teach(t, p);
    dialogue_counts_free(&t->counts);
    return fine;
}

bool dialogue_lists_make(struct dialogue_lists *x, const struct dialogues *dialogues,
                         const struct snapshot *snapshot, const struct titles *titles, size_t ranks,
                         size_t symbols, struct err *err)
{
    struct teaching t = {.out = x, .dialogues = dialogues, .snapshot = snapshot};
    *x = (struct dialogue_lists){.ranks = ranks};
    bool fine = dialogue_prompts_make(&x->prompts, dialogues, DIALOGUES_TRAIN, symbols, snapshot,
                                      titles, err);
    if (fine && x->prompts.count == 0)
        fine = err_set(err, ERR_INPUT,
                       "stage dialogue: expected dialogues that teach and name items in replies, "
                       "found none: import conversations first");
    x->teacher = fine ? calloc(x->prompts.count * ranks + 1, sizeof *x->teacher) : NULL;
    if (fine && !x->teacher)
        fine = err_set(err, ERR_SYSTEM, "no memory for %zu lists", x->prompts.count);
    fine = fine && teaching_open(&t, err);
    for (size_t fold = 0; fine && fold < TEACHER_FOLDS; fold++)
        fine = teach_fold(&t, fold, err);
    teaching_close(&t);
    return fine;
}

void dialogue_lists_free(struct dialogue_lists *x)
{
    dialogue_prompts_free(&x->prompts);
    free(x->teacher);
    *x = (struct dialogue_lists){0};
}

size_t dialogue_list(uint32_t *list, const struct dialogue_lists *x, size_t at, bool truth)
{
    const uint32_t *teacher = x->teacher + at * x->ranks;
    const struct row_lists *relevant = &x->prompts.relevant;
    size_t count = 0;
    for (size_t i = relevant->first[at]; truth && i < relevant->first[at + 1]; i++)
        if (count < x->ranks)
            list[count++] = relevant->row[i];
    for (size_t k = 0; k < x->ranks && teacher[k] != NO_ITEM && count < x->ranks; k++)
        if (!numbers_hold(list, count, teacher[k]))
            list[count++] = teacher[k];
    return count;
}
