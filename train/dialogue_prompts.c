#include "train/dialogue_prompts.h"

#include "train/rows.h"

#include <stdlib.h>
#include <string.h>

enum { NAMED_MOST = 1024, MESSAGES_MOST = 1000 };

struct making {
    struct dialogue_prompts *out;
    const struct dialogues *dialogues;
    const struct snapshot *snapshot;
    const struct titles *titles;
    size_t most;
    struct message messages[MESSAGES_MOST];
    uint32_t named[NAMED_MOST], rows[NAMED_MOST];
    struct err *err;
};

static bool lists_new(struct row_lists *l, size_t prompts)
{
    l->first = calloc(prompts + 1, sizeof *l->first);
    return l->first != NULL;
}

/* Room for so many more rows of prompt `at`. */
static bool lists_reserve(struct row_lists *l, size_t more)
{
    if (l->rows + more <= l->room)
        return true;
    size_t room = 2 * (l->rows + more) + 64;
    uint32_t *row = realloc(l->row, room * sizeof *row);
    l->row = row ? row : l->row;
    l->room = row ? room : l->room;
    return row != NULL;
}

static bool lists_add(struct row_lists *l, size_t at, const uint32_t *rows, size_t count)
{
    if (!lists_reserve(l, count))
        return false;
    if (count)
        memcpy(l->row + l->rows, rows, count * sizeof *rows);
    l->rows += count;
    l->first[at + 1] = l->rows;
    return true;
}

static bool may_be_named(const struct making *m, uint32_t row)
{
    return m->snapshot->version->policy.items.seen[row] && !bit_get(m->snapshot->hidden, row);
}

/* What turns [begin, end) of the assistant name that was not named before; by one wish: 0 all. */
static size_t newly_named(uint32_t *out, size_t count, const struct making *m, size_t named,
                          size_t begin, size_t end, bool liked, bool relevant)
{
    const struct dialogues *d = m->dialogues;
    for (size_t t = begin; t < end; t++)
        for (size_t i = d->item_first[t]; i < d->item_first[t + 1]; i++) {
            if (d->speaker[t] != SPEAKER_ASSISTANT || count == NAMED_MOST)
                continue;
            bool disliked = d->said[i] & SAID_DISLIKED;
            if (relevant && (disliked || !may_be_named(m, d->item[i]) ||
                             liked != ((d->said[i] & SAID_LIKED) != 0)))
                continue;
            count = row_append(out, count, m->named, named, d->item[i]);
        }
    return count;
}

static bool add_symbols(struct making *m, size_t begin, size_t turn)
{
    struct dialogue_prompts *p = m->out;
    struct row_lists *l = &p->symbols;
    size_t from = turn - begin > MESSAGES_MOST ? turn - MESSAGES_MOST : begin;
    if (!lists_reserve(l, m->most + 1))
        return false;
    dialogues_messages(m->messages, m->dialogues, from, turn);
    size_t count = dialogue_symbols(l->row + l->rows, m->most, m->snapshot, m->titles, m->messages,
                                    turn - from, m->err);
    if (count == 0)
        l->row[l->rows + count++] = TOKEN + m->snapshot->version->policy.marks + MARK_USER;
    l->rows += count;
    l->first[p->count + 1] = l->rows;
    return m->err->code == ERR_NONE;
}

static bool names_others(const uint32_t *symbols, size_t count, const uint32_t *listed,
                         size_t listed_count)
{
    for (size_t i = 0; i < count; i++)
        if (!is_token(symbols[i]) && !numbers_hold(listed, listed_count, symbols[i]))
            return true;
    return false;
}

/*
 * What is said at the turn, for a policy that speaks: nothing if it names what cannot be on the
 * list, or is so long that its beginning is not there.
 */
static bool add_reply(struct making *m, size_t turn, const uint32_t *listed, size_t listed_count)
{
    struct row_lists *l = &m->out->replies;
    uint32_t symbols[REPLY_SYMBOLS + 2];
    if (m->snapshot->version->policy.marks == TOKENIZER_MARKS_AT)
        return lists_add(l, m->out->count, listed, 0);
    dialogues_messages(m->messages, m->dialogues, turn, turn + 1);
    size_t count =
        dialogue_symbols(symbols, COUNT(symbols), m->snapshot, m->titles, m->messages, 1, m->err);
    if (count == COUNT(symbols) || names_others(symbols, count, listed, listed_count))
        count = 0;
    return m->err->code == ERR_NONE &&
           lists_add(l, m->out->count, symbols + 1, count ? count - 1 : 0);
}

static bool add_prompt(struct making *m, size_t dialogue, size_t turn)
{
    struct dialogue_prompts *p = m->out;
    const struct dialogues *d = m->dialogues;
    size_t begin = d->first[dialogue];
    size_t end = d->first[dialogue + 1];
    size_t named = dialogues_rows(m->named, NAMED_MOST, d, begin, turn);
    size_t labels = newly_named(m->rows, 0, m, named, turn, turn + 1, false, false);
    if (labels == 0)
        return true;
    p->dialogue[p->count] = (uint32_t)dialogue;
    p->turn[p->count] = (uint32_t)turn;
    bool fine = lists_add(&p->labels, p->count, m->rows, labels);
    size_t liked = newly_named(m->rows, 0, m, named, turn, end, true, true);
    size_t relevant = newly_named(m->rows, liked, m, named, turn, end, false, true);
    p->liked[p->count] = (uint32_t)liked;
    fine = fine && lists_add(&p->relevant, p->count, m->rows, relevant) &&
           lists_add(&p->named, p->count, m->named, named) &&
           add_reply(m, turn, m->rows, relevant) && add_symbols(m, begin, turn);
    p->count += fine;
    return fine;
}

bool dialogue_prompts_make(struct dialogue_prompts *p, const struct dialogues *d,
                           enum dialogue_part part, size_t most, const struct snapshot *snapshot,
                           const struct titles *titles, struct err *err)
{
    struct making *m = calloc(1, sizeof *m);
    *p = (struct dialogue_prompts){0};
    p->dialogue = calloc(d->turns + 1, sizeof *p->dialogue);
    p->turn = calloc(d->turns + 1, sizeof *p->turn);
    p->liked = calloc(d->turns + 1, sizeof *p->liked);
    bool fine = m && p->dialogue && p->turn && p->liked && lists_new(&p->symbols, d->turns) &&
                lists_new(&p->labels, d->turns) && lists_new(&p->relevant, d->turns) &&
                lists_new(&p->named, d->turns) && lists_new(&p->replies, d->turns);
    if (fine)
        *m = (struct making){.out = p,
                             .dialogues = d,
                             .snapshot = snapshot,
                             .titles = titles,
                             .most = most,
                             .err = err};
    for (size_t c = 0; fine && c < d->count; c++)
        for (size_t t = d->first[c]; fine && d->part[c] == part && t < d->first[c + 1]; t++)
            fine = d->speaker[t] != SPEAKER_ASSISTANT || add_prompt(m, c, t);
    free(m);
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for the prompts of %zu dialogues", d->count);
    return fine;
}

struct dialogue_prompts dialogue_prompts_before(const struct dialogue_prompts *p, size_t dialogue)
{
    struct dialogue_prompts some = *p;
    while (some.count && some.dialogue[some.count - 1] >= dialogue)
        some.count--;
    struct row_lists *const all[] = {&some.symbols, &some.labels, &some.relevant, &some.named,
                                     &some.replies};
    for (size_t i = 0; i < COUNT(all); i++) /* what is judged counts its labels */
        all[i]->rows = all[i]->room = all[i]->first[some.count];
    return some;
}

static void lists_free(struct row_lists *l)
{
    free(l->row);
    free(l->first);
}

void dialogue_prompts_free(struct dialogue_prompts *p)
{
    free(p->dialogue);
    free(p->turn);
    free(p->liked);
    lists_free(&p->symbols);
    lists_free(&p->labels);
    lists_free(&p->relevant);
    lists_free(&p->named);
    lists_free(&p->replies);
    *p = (struct dialogue_prompts){0};
}
