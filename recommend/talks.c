#include "recommend/talks.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { STREAMS_MAX = 64 };

struct talks {
    struct snapshot *snapshot; /* owned share */
    struct talks_options options;
    struct list_work work;
    struct talk *talk[STREAMS_MAX]; /* borrowed */
    size_t count;
};

struct talks *talks_open(struct snapshot *s, const struct talks_options *options, struct err *err)
{
    struct talks *t = NULL;
    if (options->streams < 1 || options->streams > STREAMS_MAX)
        err_set(err, ERR_INPUT, "talks: expected 1 to %d streams, found %zu", STREAMS_MAX,
                options->streams);
    else if (options->positions <= LIST_RANKS_MAX + 1)
        err_set(err, ERR_INPUT, "talks: expected more than %d positions, found %zu",
                LIST_RANKS_MAX + 1, options->positions);
    else if (!(t = calloc(1, sizeof *t)))
        err_set(err, ERR_SYSTEM, "no memory for talks");
    if (!t)
        return NULL;
    t->options = *options;
    if (!list_work_open(&t->work, s, options->positions - LIST_RANKS_MAX, options->beam, err)) {
        free(t);
        return NULL;
    }
    t->snapshot = snapshot_hold(s);
    return t;
}

void talks_close(struct talks *t)
{
    if (!t)
        return;
    list_work_close(&t->work);
    snapshot_drop(t->snapshot);
    free(t);
}

bool talks_speak(const struct talks *t)
{
    return t->snapshot->version->policy.marks != TOKENIZER_MARKS_AT;
}

bool talks_add(struct talks *t, struct talk *talk)
{
    assert(talk->n >= 1 && talk->n <= LIST_RANKS_MAX && talk->words_max <= TALK_WORDS_MAX);
    if (t->count == t->options.streams)
        return false;
    talk->state = TALK_READING;
    talk->listed = talk->said_count = 0;
    t->talk[t->count++] = talk;
    return true;
}

void talks_remove(struct talks *t, struct talk *talk)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i++)
        if (t->talk[i] != talk)
            t->talk[kept++] = t->talk[i];
    t->count = kept;
}

static void write_list(struct talks *t, struct talk *talk)
{
    struct list_work *w = &t->work;
    list_begin(w, t->snapshot);
    for (size_t i = 0; talk->skip && i < t->snapshot->rows / 64 + 1; i++)
        w->skip[i] |= talk->skip[i];
    talk->listed = list_make(talk->rows, talk->n, w, t->snapshot, talk->prompt, talk->prompt_count,
                             t->options.beam);
    for (size_t i = 0; i < talk->listed; i++)
        talk->log_p[i] = (double)w->log_p[i];
    talk->state = TALK_DONE;
}

size_t talks_step(struct talks *t)
{
    if (t->count > 0) {
        write_list(t, t->talk[0]);
        talks_remove(t, t->talk[0]);
    }
    return t->count;
}
