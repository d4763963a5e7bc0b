#include "train/rl.h"

#include <stdlib.h>
#include <string.h>

static bool may_be_named(const struct version *v, uint32_t row)
{
    return row != NO_ITEM && row < v->index->items && v->policy.items.seen[row];
}

/* What came before an event, the newest history_max of it; returns how many. */
static size_t put_history(uint32_t *out, const struct histories *h, const struct version *v,
                          size_t user, size_t end, size_t history_max)
{
    size_t count = 0;
    for (size_t e = h->first[user]; e < end; e++)
        if (h->kind[e] == EVENT_POSITIVE && may_be_named(v, h->item[e]))
            out[count++] = h->item[e];
    if (count <= history_max)
        return count;
    memmove(out, out + count - history_max, history_max * sizeof *out);
    return history_max;
}

static void close_prompt(struct rl_prompts *p, size_t history, size_t relevant, size_t least)
{
    if (history == 0 || relevant < least) {
        p->dropped++;
        return;
    }
    p->first[p->count + 1] = p->first[p->count] + history;
    p->relevant_first[p->count + 1] = p->relevant_first[p->count] + relevant;
    p->count++;
}

/* One prompt for each event that was kept: what came before it, and itself. */
static void add_names(struct rl_prompts *p, const struct row_data *data, const struct version *v,
                      size_t user, size_t history_max, bool dislikes)
{
    const struct histories *h = data->histories;
    for (size_t e = data->split.rl_first[user]; e < data->split.rl_end[user]; e++) {
        uint32_t *history = p->history + p->first[p->count];
        bool liked = h->kind[e] == EVENT_POSITIVE;
        if (!liked && !dislikes)
            continue;
        uint32_t *relevant = p->relevant + p->relevant_first[p->count];
        size_t count = put_history(history, h, v, user, e, history_max);
        size_t found =
            may_be_named(v, h->item[e]) ? row_append(relevant, 0, history, count, h->item[e]) : 0;
        p->logged[p->count] = h->item[e];
        p->disliked += !liked && found && count;
        close_prompt(p, found ? count : 0, liked ? found : 0, liked);
    }
}

/* One prompt a user: what came before the kept events, and all of them. */
static void add_lists(struct rl_prompts *p, const struct row_data *data, const struct version *v,
                      size_t user, size_t history_max, size_t ranks)
{
    const struct histories *h = data->histories;
    size_t begin = data->split.rl_first[user];
    uint32_t *history = p->history + p->first[p->count];
    uint32_t *relevant = p->relevant + p->relevant_first[p->count];
    size_t found = 0;
    if (begin == data->split.rl_end[user])
        return;
    size_t count = put_history(history, h, v, user, begin, history_max);
    for (size_t e = begin; e < data->split.rl_end[user] && found < ranks; e++)
        if (h->kind[e] == EVENT_POSITIVE && may_be_named(v, h->item[e]))
            found = row_append(relevant, found, history, count, h->item[e]);
    close_prompt(p, count, found, LIST_RELEVANT_LEAST);
}

static bool prompts_new(struct rl_prompts *p, const struct row_data *data, struct err *err)
{
    const struct histories *h = data->histories;
    size_t targets = 0;
    size_t events = 0;
    *p = (struct rl_prompts){0};
    for (size_t u = 0; u < h->users; u++) {
        size_t kept = data->split.rl_end[u] - data->split.rl_first[u];
        targets += kept;
        events += kept * (data->split.rl_end[u] - h->first[u]);
    }
    if (targets == 0)
        return err_set(err, ERR_INPUT,
                       "rl_share: expected events that were kept for post-training, found none: "
                       "index and train with --rl-share 0.2 first");
    p->logged = calloc(targets + 1, sizeof *p->logged);
    p->history = calloc(events + 1, sizeof *p->history);
    p->first = calloc(targets + 2, sizeof *p->first);
    p->relevant = calloc(targets + 1, sizeof *p->relevant);
    p->relevant_first = calloc(targets + 2, sizeof *p->relevant_first);
    return (p->logged && p->history && p->first && p->relevant && p->relevant_first) ||
           err_set(err, ERR_SYSTEM, "no memory for %zu prompts", targets);
}

bool rl_prompts_make(struct rl_prompts *p, const struct row_data *data, const struct version *v,
                     size_t history_max, size_t ranks, bool dislikes, struct err *err)
{
    if (!prompts_new(p, data, err))
        return false;
    for (size_t u = 0; u < data->histories->users; u++)
        if (ranks)
            add_lists(p, data, v, u, history_max, ranks);
        else
            add_names(p, data, v, u, history_max, dislikes);
    if (p->count)
        return true;
    return ranks
               ? err_set(err, ERR_INPUT,
                         "rl_events: expected users with %d or more kept items that may be named, "
                         "found none in %zu prompts: index and train with --rl-events 5 or more",
                         LIST_RELEVANT_LEAST, p->dropped)
               : err_set(err, ERR_INPUT,
                         "all %zu events that were kept for post-training are of items that may "
                         "not be named",
                         p->dropped);
}

static bool talk_new(struct rl_prompts *p, const struct dialogue_prompts *d, struct err *err)
{
    *p = (struct rl_prompts){0};
    p->history = calloc(d->symbols.rows + 1, sizeof *p->history);
    p->first = calloc(d->count + 2, sizeof *p->first);
    p->seen = calloc(d->named.rows + 1, sizeof *p->seen);
    p->seen_first = calloc(d->count + 2, sizeof *p->seen_first);
    p->relevant = calloc(d->relevant.rows + 1, sizeof *p->relevant);
    p->relevant_first = calloc(d->count + 2, sizeof *p->relevant_first);
    p->dialogue = calloc(d->count + 1, sizeof *p->dialogue);
    return (p->history && p->first && p->seen && p->seen_first && p->relevant &&
            p->relevant_first && p->dialogue) ||
           err_set(err, ERR_SYSTEM, "no memory for the prompts of %zu dialogues", d->count);
}

/* Rows of one prompt, at most so many, to the end of a flat array. */
static size_t put_rows(uint32_t *out, size_t at, const struct row_lists *from, size_t prompt,
                       size_t most)
{
    size_t count = row_lists_count(from, prompt);
    count = count < most ? count : most;
    if (count)
        memcpy(out + at, row_lists_at(from, prompt), count * sizeof *out);
    return at + count;
}

bool rl_prompts_talk(struct rl_prompts *p, const struct dialogue_prompts *d, size_t ranks,
                     struct err *err)
{
    if (!talk_new(p, d, err))
        return false;
    for (size_t i = 0; i < d->count; i++) {
        size_t at = p->count;
        if (row_lists_count(&d->relevant, i) == 0) {
            p->dropped++;
            continue;
        }
        p->first[at + 1] = put_rows(p->history, p->first[at], &d->symbols, i, SIZE_MAX);
        p->seen_first[at + 1] = put_rows(p->seen, p->seen_first[at], &d->named, i, SIZE_MAX);
        p->relevant_first[at + 1] =
            put_rows(p->relevant, p->relevant_first[at], &d->relevant, i, ranks);
        p->dialogue[at] = d->dialogue[i];
        p->count++;
    }
    return p->count || err_set(err, ERR_INPUT,
                               "rl_source: expected dialogues that teach and name items that may "
                               "be named, found none in %zu prompts",
                               p->dropped);
}

void rl_prompts_free(struct rl_prompts *p)
{
    free(p->logged);
    free(p->history);
    free(p->first);
    free(p->seen);
    free(p->seen_first);
    free(p->relevant);
    free(p->relevant_first);
    free(p->dialogue);
    *p = (struct rl_prompts){0};
}
