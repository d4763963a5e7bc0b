#include "train/judge.h"

#include "base/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const METHOD_NAMES[METHODS] = {"popularity", "item_knn", "name", "find", "fused"};

static void add_case(struct cases *c, const struct histories *h, size_t user, size_t target)
{
    size_t history = c->history_first[c->count];
    size_t seen = c->seen_first[c->count];
    for (size_t e = h->first[user]; e < target; e++) {
        if (h->item[e] == NO_ITEM)
            continue;
        if (h->kind[e] == EVENT_POSITIVE)
            c->history[history++] = h->item[e];
        c->seen[seen++] = h->item[e];
    }
    c->target[c->count] = h->item[target];
    c->user[c->count++] = h->user[user];
    c->history_first[c->count] = history;
    c->seen_first[c->count] = seen;
}

/* A target the user has met before cannot be judged: what was seen is never recommended again. */
static bool is_case(const struct histories *h, size_t user, size_t target)
{
    if (target == SIZE_MAX || h->item[target] == NO_ITEM)
        return false;
    for (size_t e = h->first[user]; e < target; e++)
        if (h->item[e] == h->item[target])
            return false;
    return true;
}

bool cases_make(struct cases *c, const struct histories *h, const struct split *split,
                enum part part, size_t max_cases, uint64_t seed, struct err *err)
{
    *c = (struct cases){0};
    c->history = calloc(h->events + 1, sizeof *c->history);
    c->seen = calloc(h->events + 1, sizeof *c->seen);
    c->history_first = calloc(h->users + 2, sizeof *c->history_first);
    c->seen_first = calloc(h->users + 2, sizeof *c->seen_first);
    c->target = calloc(h->users + 1, sizeof *c->target);
    c->user = calloc(h->users + 1, sizeof *c->user);
    uint32_t *order = calloc(h->users + 1, sizeof *order);
    if (!c->history || !c->seen || !c->history_first || !c->seen_first || !c->target || !c->user ||
        !order) {
        free(order);
        cases_release(c);
        return err_set(err, ERR_SYSTEM, "no memory for the cases of %zu users", h->users);
    }
    size_t count = 0;
    for (size_t u = 0; u < h->users; u++)
        if (is_case(h, u, split->target[part][u]))
            order[count++] = (uint32_t)u;
    if (max_cases && max_cases < count) {
        struct rng rng = rng_stream(seed, 0xca5e, 0);
        rng_shuffle(&rng, order, count);
        count = max_cases;
    }
    for (size_t i = 0; i < count; i++)
        add_case(c, h, order[i], split->target[part][order[i]]);
    free(order);
    return true;
}

void cases_release(struct cases *c)
{
    free(c->history);
    free(c->seen);
    free(c->history_first);
    free(c->seen_first);
    free(c->target);
    free(c->user);
    *c = (struct cases){0};
}

struct judging {
    struct judgement *out;
    const struct cases *cases;
    const struct snapshot *snapshot;
    const struct fusion *fusion;
    size_t beam;
    struct slate_work *works; /* [threads] */
    struct slate *slates;     /* [threads] */
    double *ms;               /* [threads] */
    bool keep_features;
    struct err *errors; /* [threads] */
};

enum { CASES_PER_PIECE = 16 };

static uint32_t rank_of(const struct hit *hits, size_t count, uint32_t row)
{
    for (size_t i = 0; i < count && i < LIST_MAX; i++)
        if (hits[i].row == row)
            return (uint32_t)i + 1;
    return 0;
}

static void note_list(struct judging *j, enum method method, size_t at, const struct hit *hits,
                      size_t count)
{
    j->out->rank[method][at] = rank_of(hits, count, j->cases->target[at]);
    for (size_t i = 0; i < count && i < 10; i++)
        __atomic_fetch_add(&j->out->shown[method][hits[i].row], 1, __ATOMIC_RELAXED);
}

static size_t popular_list(struct hit *hits, const struct judging *j, const struct slate_work *w)
{
    size_t count = 0;
    const struct version *v = j->snapshot->version;
    for (size_t i = 0; i < v->index->items && count < LIST_MAX; i++)
        if (!bit_get(w->skip, v->popular[i]))
            hits[count++] = (struct hit){v->popular[i], 0};
    return count;
}

static void keep_features(struct judging *j, const struct slate_work *w, const struct slate *slate,
                          size_t at)
{
    struct case_features *f = &j->out->features[at];
    f->count = slate->candidates;
    f->target = SIZE_MAX;
    f->values = calloc(f->count + 1, sizeof *f->values);
    for (size_t i = 0; i < f->count && f->values; i++) {
        for (size_t k = 0; k < FEATURES; k++)
            f->values[i][k] = (float)w->candidates[i].features[k];
        if (w->candidates[i].row == j->cases->target[at])
            f->target = i;
    }
    if (!f->values)
        f->count = 0;
}

static void judge_case(struct judging *j, size_t at, size_t worker)
{
    const struct cases *c = j->cases;
    struct slate_work *w = &j->works[worker];
    struct slate *slate = &j->slates[worker];
    struct hit hits[LIST_MAX];
    slate_begin(w, j->snapshot);
    for (size_t i = c->seen_first[at]; i < c->seen_first[at + 1]; i++)
        bit_set(w->skip, c->seen[i]);
    const struct slate_request request = {
        .history = c->history + c->history_first[at],
        .history_count = c->history_first[at + 1] - c->history_first[at],
        .n = LIST_MAX,
        .beam = j->beam,
    };
    w->name_count = w->find_count = w->count_count = 0;
    double start = clock_s();
    if (!slate_make(slate, w, j->snapshot, j->fusion, &request, &j->errors[worker]))
        return;
    j->ms[worker] += (clock_s() - start) * 1000;
    if (j->keep_features)
        keep_features(j, w, slate, at);
    note_list(j, METHOD_NAME, at, w->name_hits, w->name_count);
    note_list(j, METHOD_FIND, at, w->find_hits, w->find_count);
    note_list(j, METHOD_KNN, at, w->count_hits, w->count_count);
    note_list(j, METHOD_POPULAR, at, hits, popular_list(hits, j, w));
    for (size_t i = 0; i < slate->count; i++)
        hits[i].row = slate->items[i].row;
    note_list(j, METHOD_FUSED, at, hits, slate->count);
}

static void judge_piece(void *self, size_t piece, size_t worker)
{
    struct judging *j = self;
    size_t end = (piece + 1) * CASES_PER_PIECE;
    for (size_t at = piece * CASES_PER_PIECE; at < end && at < j->cases->count; at++)
        judge_case(j, at, worker);
}

static bool judgement_new(struct judgement *out, size_t cases, size_t rows, bool features,
                          struct err *err)
{
    *out = (struct judgement){0};
    bool fine = true;
    for (size_t m = 0; m < METHODS; m++) {
        out->rank[m] = calloc(cases + 1, sizeof *out->rank[m]);
        out->shown[m] = calloc(rows + 1, sizeof *out->shown[m]);
        fine = fine && out->rank[m] && out->shown[m];
    }
    if (features)
        out->features = calloc(cases + 1, sizeof *out->features);
    return (fine && (!features || out->features)) ||
           err_set(err, ERR_SYSTEM, "no memory to judge %zu cases", cases);
}

bool judge(struct judgement *out, const struct cases *cases, const struct snapshot *snapshot,
           const struct fusion *fusion, size_t beam, size_t history_max, bool features,
           struct thread_pool *pool, struct err *err)
{
    *out = (struct judgement){0};
    size_t threads = thread_pool_count(pool);
    struct judging j = {out, cases, snapshot, fusion, beam, NULL, NULL, NULL, features, NULL};
    j.works = calloc(threads, sizeof *j.works);
    j.slates = calloc(threads, sizeof *j.slates);
    j.ms = calloc(threads, sizeof *j.ms);
    j.errors = calloc(threads, sizeof *j.errors);
    bool fine = j.works && j.slates && j.ms && j.errors &&
                judgement_new(out, cases->count, snapshot->rows, features, err);
    for (size_t t = 0; fine && t < threads; t++)
        fine = slate_work_open(&j.works[t], snapshot, 0, history_max, err);
    if (fine)
        thread_pool_run(pool, (cases->count + CASES_PER_PIECE - 1) / CASES_PER_PIECE, judge_piece,
                        &j);
    for (size_t t = 0; j.works && t < threads; t++) {
        slate_work_close(&j.works[t]);
        out->slate_ms += j.ms ? j.ms[t] / (double)(cases->count + !cases->count) : 0;
        if (fine && j.errors[t].code != ERR_NONE) {
            *err = j.errors[t];
            fine = false;
        }
    }
    free(j.works);
    free(j.slates);
    free(j.ms);
    free(j.errors);
    if (!fine)
        judgement_release(out, cases->count);
    return fine || err_set(err, ERR_SYSTEM, "no memory to judge %zu cases", cases->count);
}

void judgement_release(struct judgement *out, size_t cases)
{
    for (size_t m = 0; m < METHODS; m++) {
        free(out->rank[m]);
        free(out->shown[m]);
    }
    for (size_t i = 0; out->features && i < cases; i++)
        free(out->features[i].values);
    free(out->features);
    *out = (struct judgement){0};
}
