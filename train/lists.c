#include "train/lists.h"

#include "evaluate/ranking.h"
#include "recommend/slate.h"
#include "train/list_told.h"

#include <stdlib.h>
#include <string.h>

const size_t LIST_CUT_AT[LIST_CUTS] = {5, 10, 20};
const char *const LIST_METHOD_NAMES[LIST_METHODS] = {"written", "name", "find", "fused"};

enum { LISTS_A_PIECE = 16 };

static size_t pieces_of(size_t count)
{
    return (count + LISTS_A_PIECE - 1) / LISTS_A_PIECE;
}

/* A work of each kind for each thread. */
struct works {
    struct slate_work *slates; /* [threads] or NULL */
    struct slate *slate;       /* [threads] */
    struct list_work *lists;   /* [threads] or NULL */
    struct err *errors;        /* [threads] */
    size_t threads;
};

static void works_close(struct works *w)
{
    for (size_t t = 0; t < w->threads; t++) {
        if (w->slates)
            slate_work_close(&w->slates[t]);
        if (w->lists)
            list_work_close(&w->lists[t]);
    }
    free(w->slates);
    free(w->slate);
    free(w->lists);
    free(w->errors);
}

static bool works_open(struct works *w, const struct snapshot *snapshot, size_t history_max,
                       size_t beam, bool slates, bool lists, struct thread_pool *pool,
                       struct err *err)
{
    size_t read_max = history_max < LIST_HISTORY_MAX ? history_max : LIST_HISTORY_MAX;
    *w = (struct works){.threads = thread_pool_count(pool)};
    w->slates = slates ? calloc(w->threads, sizeof *w->slates) : NULL;
    w->lists = lists ? calloc(w->threads, sizeof *w->lists) : NULL;
    w->slate = calloc(w->threads, sizeof *w->slate);
    w->errors = calloc(w->threads, sizeof *w->errors);
    bool fine = (w->slates || !slates) && (w->lists || !lists) && w->slate && w->errors;
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for lists");
    for (size_t t = 0; fine && t < w->threads; t++)
        fine = (!slates || slate_work_open(&w->slates[t], snapshot, 0, history_max, err)) &&
               (!lists || list_work_open(&w->lists[t], snapshot, read_max, beam, err));
    return fine;
}

/* The first error of a thread. */
static bool works_fine(const struct works *w, struct err *err)
{
    for (size_t t = 0; t < w->threads; t++)
        if (w->errors[t].code != ERR_NONE) {
            *err = w->errors[t];
            return false;
        }
    return true;
}

/* ---- imitation ---- */

struct imitating {
    struct list_examples *examples;
    uint32_t *teacher; /* [count, TEACHER_RANKS] the slate's lists; NULL: they fill the examples */
    const struct snapshot *snapshot;
    struct works works;
};

/* What she took next: distinct, not taken before; returns how many. */
static size_t put_next(uint32_t *out, const uint32_t *items, size_t begin, size_t end, size_t most)
{
    size_t count = 0;
    for (size_t e = begin; e < end && count < most; e++)
        count = row_append(out, count, items, begin, items[e]);
    return count;
}

size_t list_cut(size_t count, uint64_t seed, size_t user)
{
    struct rng rng = rng_stream(seed, 0x1157, user);
    return count < 1 + LIST_RELEVANT_LEAST ? 0 : 1 + rng_below(&rng, count - LIST_RELEVANT_LEAST);
}

static void cut_user(struct list_examples *x, const uint32_t *items, size_t count,
                     size_t history_max, uint64_t seed, size_t user)
{
    uint32_t *out = x->item + x->count * x->ranks;
    uint32_t *history = x->history + x->first[x->count];
    size_t cut = list_cut(count, seed, user);
    if (cut == 0)
        return;
    size_t next = put_next(out, items, cut, count, x->ranks);
    size_t from = cut > history_max ? cut - history_max : 0;
    if (next < LIST_RELEVANT_LEAST)
        return;
    for (size_t k = next; k < x->ranks; k++)
        out[k] = NO_ITEM;
    memcpy(history, items + from, (cut - from) * sizeof *history);
    x->user[x->count++] = (uint32_t)user;
    x->first[x->count] = x->first[x->count - 1] + cut - from;
}

static void fill_list(struct imitating *m, size_t at, size_t worker)
{
    struct list_examples *x = m->examples;
    struct slate_work *w = &m->works.slates[worker];
    struct slate *slate = &m->works.slate[worker];
    size_t ranks = m->teacher ? TEACHER_RANKS : x->ranks;
    uint32_t *list = m->teacher ? m->teacher + at * ranks : x->item + at * ranks;
    size_t count = 0;
    const struct slate_request request = {.history = x->history + x->first[at],
                                          .history_count = x->first[at + 1] - x->first[at],
                                          .n = ranks,
                                          .beam = ranks};
    slate_begin(w, m->snapshot);
    snapshot_mask_newcomers(w->skip, m->snapshot);
    for (size_t i = x->first[at]; i < x->first[at + 1]; i++)
        bit_set(w->skip, x->history[i]);
    for (; count < ranks && list[count] != NO_ITEM; count++)
        bit_set(w->skip, list[count]);
    if (count > 0 && m->teacher) /* a large model's */
        return;
    if (count == ranks ||
        !slate_make(slate, w, m->snapshot, NULL, &request, &m->works.errors[worker]))
        return;
    for (size_t i = 0; i < slate->count && count < ranks; i++)
        list[count++] = slate->items[i].row;
}

static void fill_piece(void *self, size_t piece, size_t worker)
{
    struct imitating *m = self;
    for (size_t i = piece * LISTS_A_PIECE;
         i < (piece + 1) * LISTS_A_PIECE && i < m->examples->count; i++)
        fill_list(m, i, worker);
}

/* The lists that a large model said; the others are the slate's. */
static bool take_told(struct imitating *m, const struct list_told *told, struct err *err)
{
    const struct list_examples *x = m->examples;
    m->teacher = calloc(x->count * TEACHER_RANKS + 1, sizeof *m->teacher);
    if (!m->teacher)
        return err_set(err, ERR_SYSTEM, "no memory for the lists of %zu users", x->count);
    for (size_t i = 0; i < x->count; i++)
        memcpy(m->teacher + i * TEACHER_RANKS, told->teacher + (size_t)x->user[i] * TEACHER_RANKS,
               TEACHER_RANKS * sizeof *m->teacher);
    return true;
}

bool list_examples_make(struct list_examples *x, const struct sequences *sequences,
                        const struct snapshot *snapshot, size_t ranks, size_t history_max,
                        uint64_t seed, const struct list_told *told, struct thread_pool *pool,
                        struct err *err)
{
    *x = (struct list_examples){.ranks = ranks};
    x->history = calloc(sequences->events + 1, sizeof *x->history);
    x->first = calloc(sequences->users + 1, sizeof *x->first);
    x->item = calloc(sequences->users * ranks + 1, sizeof *x->item);
    x->user = calloc(sequences->users + 1, sizeof *x->user);
    if (!x->history || !x->first || !x->item || !x->user)
        return err_set(err, ERR_SYSTEM, "no memory for the lists of %zu users", sequences->users);
    for (size_t u = 0; u < sequences->users; u++)
        cut_user(x, sequences->item + sequences->first[u],
                 sequences->first[u + 1] - sequences->first[u], history_max, seed, u);
    if (x->count == 0)
        return err_set(err, ERR_INPUT,
                       "stage lists: expected users with %d or more training events, found none",
                       1 + LIST_RELEVANT_LEAST);
    struct imitating m = {.examples = x, .snapshot = snapshot};
    bool fine = (!told || take_told(&m, told, err)) &&
                works_open(&m.works, snapshot, history_max, 1, true, false, pool, err);
    if (fine)
        thread_pool_run(pool, pieces_of(x->count), fill_piece, &m);
    fine = fine && works_fine(&m.works, err) &&
           (!told || list_examples_teach(x, m.teacher, told->extra, snapshot, pool, err));
    works_close(&m.works);
    free(m.teacher);
    return fine;
}

void list_examples_free(struct list_examples *x)
{
    free(x->history);
    free(x->first);
    free(x->item);
    free(x->user);
    *x = (struct list_examples){0};
}

/* ---- judging ---- */

static void add_case(struct list_cases *l, const struct histories *h, size_t user, size_t begin,
                     size_t end)
{
    struct cases *c = &l->cases;
    size_t at = c->count;
    uint32_t *relevant = l->relevant + l->relevant_first[at];
    size_t found = 0;
    cases_add(c, h, user, begin);
    for (size_t e = begin; e < end; e++)
        if (h->kind[e] == EVENT_POSITIVE && h->item[e] != NO_ITEM)
            found = row_append(relevant, found, c->seen + c->seen_first[at],
                               c->seen_first[at + 1] - c->seen_first[at], h->item[e]);
    if (c->history_first[at + 1] == c->history_first[at] || found < LIST_RELEVANT_LEAST)
        c->count = at; /* the next takes its place */
    else
        l->relevant_first[at + 1] = l->relevant_first[at] + found;
}

bool list_cases_make(struct list_cases *l, const struct row_data *data, enum part part, size_t most,
                     struct err *err)
{
    const struct histories *h = data->histories;
    const struct split *split = &data->split;
    *l = (struct list_cases){0};
    if (!cases_reserve(&l->cases, h, err))
        return false;
    l->relevant = calloc(h->events + 1, sizeof *l->relevant);
    l->relevant_first = calloc(h->users + 2, sizeof *l->relevant_first);
    if (!l->relevant || !l->relevant_first)
        return err_set(err, ERR_SYSTEM, "no memory for the lists of %zu users", h->users);
    for (size_t u = 0; u < h->users && (most == 0 || l->cases.count < most); u++)
        if (split->target[part][u] != SIZE_MAX)
            add_case(l, h, u, split->target[part][u], split->end[part][u]);
    return true;
}

void list_cases_free(struct list_cases *l)
{
    cases_release(&l->cases);
    free(l->relevant);
    free(l->relevant_first);
    *l = (struct list_cases){0};
}

struct judging {
    struct list_judgement *out;
    const struct list_cases *cases;
    const struct snapshot *snapshot;
    size_t beam, writing_beam;
    struct works works;
};

static void note_list(struct judging *j, enum list_method method, size_t at, const uint32_t *list,
                      size_t count)
{
    const struct list_cases *l = j->cases;
    const uint32_t *relevant = l->relevant + l->relevant_first[at];
    size_t relevant_count = l->relevant_first[at + 1] - l->relevant_first[at];
    for (size_t k = 0; k < LIST_CUTS; k++) {
        struct list_score score =
            list_measure(list, count, relevant, relevant_count, LIST_CUT_AT[k]);
        j->out->ndcg[method][k][at] = score.ndcg;
        j->out->recall[method][at] = score.recall;
    }
    for (size_t i = 0; i < count; i++)
        __atomic_fetch_add(&j->out->shown[method][list[i]], 1, __ATOMIC_RELAXED);
}

static void note_hits(struct judging *j, enum list_method method, size_t at, const struct hit *hits,
                      size_t count)
{
    uint32_t list[LIST_RANKS_MAX];
    size_t most = LIST_CUT_AT[LIST_CUTS - 1];
    for (size_t i = 0; i < count && i < most; i++)
        list[i] = hits[i].row;
    note_list(j, method, at, list, count < most ? count : most);
}

static void judge_slate(struct judging *j, size_t at, size_t worker,
                        const struct slate_request *request)
{
    const struct cases *c = &j->cases->cases;
    struct slate_work *w = &j->works.slates[worker];
    struct slate *slate = &j->works.slate[worker];
    uint32_t list[LIST_RANKS_MAX];
    slate_begin(w, j->snapshot);
    for (size_t i = c->seen_first[at]; i < c->seen_first[at + 1]; i++)
        bit_set(w->skip, c->seen[i]);
    if (!slate_make(slate, w, j->snapshot, NULL, request, &j->works.errors[worker]))
        return;
    note_hits(j, LISTS_NAME, at, w->name_hits, w->name_count);
    note_hits(j, LISTS_FIND, at, w->find_hits, w->find_count);
    for (size_t i = 0; i < slate->count; i++)
        list[i] = slate->items[i].row;
    note_list(j, LISTS_FUSED, at, list, slate->count);
}

static void judge_case(struct judging *j, size_t at, size_t worker)
{
    const struct cases *c = &j->cases->cases;
    struct list_work *w = &j->works.lists[worker];
    uint32_t list[LIST_RANKS_MAX];
    size_t ranks = LIST_CUT_AT[LIST_CUTS - 1];
    const struct slate_request request = {.history = c->history + c->history_first[at],
                                          .history_count =
                                              c->history_first[at + 1] - c->history_first[at],
                                          .n = ranks,
                                          .beam = j->beam};
    if (j->works.slates)
        judge_slate(j, at, worker, &request);
    list_begin(w, j->snapshot);
    for (size_t i = c->seen_first[at]; i < c->seen_first[at + 1]; i++)
        bit_set(w->skip, c->seen[i]);
    size_t count = list_make(list, ranks, w, j->snapshot, request.history, request.history_count,
                             j->writing_beam);
    note_list(j, LISTS_WRITTEN, at, list, count);
}

static void judge_piece(void *self, size_t piece, size_t worker)
{
    struct judging *j = self;
    for (size_t i = piece * LISTS_A_PIECE;
         i < (piece + 1) * LISTS_A_PIECE && i < j->cases->cases.count; i++)
        judge_case(j, i, worker);
}

static bool judgement_new(struct list_judgement *out, size_t cases, size_t rows, struct err *err)
{
    bool fine = true;
    *out = (struct list_judgement){0};
    for (size_t m = 0; m < LIST_METHODS; m++) {
        for (size_t k = 0; k < LIST_CUTS; k++) {
            out->ndcg[m][k] = calloc(cases + 1, sizeof(double));
            fine = fine && out->ndcg[m][k];
        }
        out->recall[m] = calloc(cases + 1, sizeof(double));
        out->shown[m] = calloc(rows + 1, sizeof(uint32_t));
        fine = fine && out->recall[m] && out->shown[m];
    }
    return fine || err_set(err, ERR_SYSTEM, "no memory to judge %zu lists", cases);
}

bool lists_judge(struct list_judgement *out, const struct list_cases *lists,
                 const struct snapshot *snapshot, size_t history_max, size_t beam,
                 bool written_only, struct thread_pool *pool, struct err *err)
{
    enum { WRITING_BEAM = 10 };
    struct judging j = {.out = out,
                        .cases = lists,
                        .snapshot = snapshot,
                        .beam = beam,
                        .writing_beam = WRITING_BEAM};
    bool fine =
        judgement_new(out, lists->cases.count, snapshot->rows, err) &&
        works_open(&j.works, snapshot, history_max, WRITING_BEAM, !written_only, true, pool, err);
    if (fine)
        thread_pool_run(pool, pieces_of(lists->cases.count), judge_piece, &j);
    fine = fine && works_fine(&j.works, err);
    works_close(&j.works);
    if (!fine)
        list_judgement_free(out);
    return fine;
}

void list_judgement_free(struct list_judgement *out)
{
    for (size_t m = 0; m < LIST_METHODS; m++) {
        for (size_t k = 0; k < LIST_CUTS; k++)
            free(out->ndcg[m][k]);
        free(out->recall[m]);
        free(out->shown[m]);
    }
    *out = (struct list_judgement){0};
}
