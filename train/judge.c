#include "train/judge.h"

#include "base/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const METHOD_NAMES[METHODS] = {"popularity", "markov", "item_knn", "nearest_text",
                                           "sasrec",     "name",   "find",     "fused"};

void cases_add(struct cases *c, const struct histories *h, size_t user, size_t target)
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

bool cases_reserve(struct cases *c, const struct histories *h, struct err *err)
{
    *c = (struct cases){0};
    c->history = calloc(h->events + 1, sizeof *c->history);
    c->seen = calloc(h->events + 1, sizeof *c->seen);
    c->history_first = calloc(h->users + 2, sizeof *c->history_first);
    c->seen_first = calloc(h->users + 2, sizeof *c->seen_first);
    c->target = calloc(h->users + 1, sizeof *c->target);
    c->user = calloc(h->users + 1, sizeof *c->user);
    if (c->history && c->seen && c->history_first && c->seen_first && c->target && c->user)
        return true;
    cases_release(c);
    return err_set(err, ERR_SYSTEM, "no memory for the cases of %zu users", h->users);
}

bool cases_make(struct cases *c, const struct histories *h, const struct split *split,
                enum part part, size_t max_cases, uint64_t seed, struct err *err)
{
    if (!cases_reserve(c, h, err))
        return false;
    uint32_t *order = calloc(h->users + 1, sizeof *order);
    if (!order) {
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
        cases_add(c, h, order[i], split->target[part][order[i]]);
    free(order);
    return true;
}

void cases_release(struct cases *c)
{
    free(c->history);
    free(c->seen);
    free(c->history_first);
    free(c->seen_first);
    for (size_t i = 0; c->query && i < c->count; i++)
        free(c->query[i]);
    free(c->query);
    free(c->target);
    free(c->user);
    *c = (struct cases){0};
}

struct judging {
    struct judgement *out;
    const struct cases *cases;
    const struct snapshot *snapshot;
    const struct judging_options *options;
    float *text;              /* [rows, text dims] of unit length, for nearest text; or NULL */
    float **scores;           /* [threads] of [rows] */
    struct slate_work *works; /* [threads] */
    struct slate *slates;     /* [threads] */
    double *ms, *likeness;    /* [threads] */
    struct err *errors;       /* [threads] */
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

/* What follows the last item most often. */
static size_t markov_list(struct hit *hits, const struct judging *j, const struct slate_work *w,
                          const struct slate_request *request)
{
    struct topk best = {.hits = hits, .max = LIST_MAX};
    const struct neighbour_lists *followers = j->options->followers;
    uint32_t row = request->history_count ? request->history[request->history_count - 1] : NO_ITEM;
    if (row >= followers->items)
        return 0;
    for (size_t e = followers->first[row]; e < followers->first[row + 1]; e++)
        if (!bit_get(w->skip, followers->item[e]))
            topk_push(&best, (struct hit){followers->item[e], followers->similarity[e]});
    topk_sort(&best);
    return best.count;
}

enum { TEXT_HISTORY = 3 };

static size_t text_list(struct hit *hits, const struct judging *j, const struct slate_work *w,
                        const struct slate_request *request, size_t worker)
{
    struct topk best = {.hits = hits, .max = LIST_MAX};
    size_t dims = j->snapshot->version->policy.items.text_dims;
    size_t rows = j->snapshot->version->index->items;
    float query[1024] = {0};
    size_t count = 0;
    for (size_t i = request->history_count; i-- > 0 && count < TEXT_HISTORY;) {
        if (request->history[i] >= rows) /* it came after the version */
            continue;
        const float *text = j->text + request->history[i] * dims;
        for (size_t d = 0; d < dims; d++)
            query[d] += text[d];
        count++;
    }
    scan_inner_products(j->scores[worker], j->text, query, rows, dims);
    for (size_t i = 0; i < rows && count; i++)
        if (!bit_get(w->skip, i))
            topk_push(&best, (struct hit){(uint32_t)i, j->scores[worker][i]});
    topk_sort(&best);
    return best.count;
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

/* Mean cosine of content between two of the first ten. */
static double likeness_of(const struct judging *j, const struct slate *slate)
{
    const struct snapshot *s = j->snapshot;
    size_t dims = s->version->policy.shape.content;
    float units[10][1024];
    size_t count = slate->count < 10 ? slate->count : 10;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(units[i], snapshot_content(s, slate->items[i].row), dims * sizeof(float));
        vector_to_unit(units[i], dims);
        for (size_t k = 0; k < i; k++)
            for (size_t d = 0; d < dims; d++)
                sum += (double)(units[i][d] * units[k][d]);
    }
    return count > 1 ? 2 * sum / (double)(count * (count - 1)) : 0;
}

static void judge_case(struct judging *j, size_t at, size_t worker)
{
    const struct cases *c = j->cases;
    struct slate_work *w = &j->works[worker];
    struct slate *slate = &j->slates[worker];
    struct hit hits[LIST_MAX];
    const struct judging_options *o = j->options;
    const uint32_t *history = c->history + c->history_first[at];
    size_t history_count = c->history_first[at + 1] - c->history_first[at];
    slate_begin(w, j->snapshot);
    if (o->newest && history_count > o->newest) {
        history += history_count - o->newest;
        history_count = o->newest;
    }
    for (size_t i = 0; o->newest && i < history_count; i++)
        bit_set(w->skip, history[i]);
    for (size_t i = c->seen_first[at]; !o->unmasked && !o->newest && i < c->seen_first[at + 1]; i++)
        bit_set(w->skip, c->seen[i]);
    if (o->known_only)
        snapshot_mask_newcomers(w->skip, j->snapshot);
    const struct slate_request request = {
        .history = history,
        .history_count = history_count,
        .query = c->query ? c->query[at] : NULL,
        .n = LIST_MAX,
        .beam = o->beam,
        .mmr = o->mmr,
        .category_max = o->category_max,
    };
    w->name_count = w->find_count = w->count_count = 0; /* a user without history has none */
    double start = clock_s();
    if (!slate_make(slate, w, j->snapshot, j->options->fusion, &request, &j->errors[worker]))
        return;
    j->ms[worker] += (clock_s() - start) * 1000;
    j->likeness[worker] += likeness_of(j, slate);
    if (j->options->keep_features)
        keep_features(j, w, slate, at);
    note_list(j, METHOD_NAME, at, w->name_hits, w->name_count);
    note_list(j, METHOD_FIND, at, w->find_hits, w->find_count);
    note_list(j, METHOD_KNN, at, w->count_hits, w->count_count);
    if (j->options->followers) {
        note_list(j, METHOD_POPULAR, at, hits, popular_list(hits, j, w));
        note_list(j, METHOD_MARKOV, at, hits, markov_list(hits, j, w, &request));
        note_list(j, METHOD_TEXT, at, hits, text_list(hits, j, w, &request, worker));
    }
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

/* Unit text parts of all rows: nearest text is a scan of inner products. */
static bool open_text(struct judging *j, size_t threads, struct err *err)
{
    const struct version *v = j->snapshot->version;
    size_t dims = v->policy.items.text_dims;
    size_t rows = v->index->items;
    j->text = malloc((rows * dims + 1) * sizeof *j->text);
    bool fine = j->text && j->scores;
    for (size_t t = 0; fine && t < threads; t++) {
        j->scores[t] = malloc((rows + 1) * sizeof **j->scores);
        fine = j->scores[t] != NULL;
    }
    if (!fine)
        return err_set(err, ERR_SYSTEM, "no memory for the texts of %zu items", rows);
    for (size_t r = 0; r < rows; r++) {
        memcpy(j->text + r * dims, v->index->content + r * v->policy.shape.content,
               dims * sizeof *j->text);
        vector_to_unit(j->text + r * dims, dims);
    }
    return true;
}

bool judge(struct judgement *out, const struct cases *cases, const struct snapshot *snapshot,
           const struct judging_options *options, struct thread_pool *pool, struct err *err)
{
    *out = (struct judgement){0};
    size_t threads = thread_pool_count(pool);
    struct judging j = {.out = out, .cases = cases, .snapshot = snapshot, .options = options};
    j.works = calloc(threads, sizeof *j.works);
    j.slates = calloc(threads, sizeof *j.slates);
    j.ms = calloc(threads, sizeof *j.ms);
    j.likeness = calloc(threads, sizeof *j.likeness);
    j.errors = calloc(threads, sizeof *j.errors);
    j.scores = calloc(threads, sizeof *j.scores);
    bool fine = j.works && j.slates && j.ms && j.likeness && j.errors && j.scores &&
                judgement_new(out, cases->count, snapshot->rows, options->keep_features, err) &&
                (!options->followers || open_text(&j, threads, err));
    for (size_t t = 0; fine && t < threads; t++)
        fine = slate_work_open(&j.works[t], snapshot, 0, options->history_max, err);
    if (fine)
        thread_pool_run(pool, (cases->count + CASES_PER_PIECE - 1) / CASES_PER_PIECE, judge_piece,
                        &j);
    for (size_t t = 0; j.works && t < threads; t++) {
        slate_work_close(&j.works[t]);
        out->slate_ms += j.ms ? j.ms[t] / (double)(cases->count + !cases->count) : 0;
        out->likeness += j.likeness ? j.likeness[t] / (double)(cases->count + !cases->count) : 0;
        if (fine && j.errors[t].code != ERR_NONE) {
            *err = j.errors[t];
            fine = false;
        }
    }
    for (size_t t = 0; j.scores && t < threads; t++)
        free(j.scores[t]);
    free(j.scores);
    free(j.text);
    free(j.works);
    free(j.slates);
    free(j.ms);
    free(j.likeness);
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
