#include "recommend/slate.h"

#include <assert.h>
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const SLATE_SOURCES[SOURCES] = {"name", "find", "count", "popular"};

/* Of the history's text, from one item to the one before it. */
static const float TEXT_RECENCY = 0.7F;

static size_t width_of(const struct snapshot *s)
{
    size_t base = s->version->trie.width;
    return (base > s->late_trie.width ? base : s->late_trie.width) + 1;
}

static void work_layout(struct slate_work *w, const struct snapshot *s, size_t width,
                        struct arena *arena)
{
    const struct shape *shape = &s->version->policy.shape;
    policy_layout(&w->policy, shape, w->history_max, w->history_max, width, 0, false, arena);
    decode_layout(&w->decode, shape, CANDIDATES_MAX, width, arena);
    w->skip = arena_take(arena, w->rows_max / 64 + 1, sizeof *w->skip);
    w->allowed_before = arena_take(arena, w->rows_max + 1, sizeof *w->allowed_before);
    w->find_scores = arena_take(arena, w->rows_max, sizeof *w->find_scores);
    w->votes = arena_take(arena, w->rows_max, sizeof *w->votes);
    w->history = arena_take(arena, w->history_max, sizeof *w->history);
    w->query = arena_take(arena, shape->dim, sizeof *w->query);
    w->text = arena_take(arena, shape->content, sizeof *w->text);
    w->name_hits = arena_take(arena, BEAM_MAX, sizeof *w->name_hits);
    w->find_hits = arena_take(arena, FIND_MAX, sizeof *w->find_hits);
    w->count_hits = arena_take(arena, COUNT_MAX, sizeof *w->count_hits);
    w->candidates = arena_take(arena, CANDIDATES_MAX, sizeof *w->candidates);
    w->order = arena_take(arena, CANDIDATES_MAX, sizeof *w->order);
}

bool slate_work_open(struct slate_work *w, const struct snapshot *s, size_t late_max,
                     size_t history_max, struct err *err)
{
    struct arena ruler = {0};
    size_t width = width_of(s) + late_max; /* each late item may join the same collision */
    *w = (struct slate_work){.rows_max = s->rows + late_max, .history_max = history_max};
    work_layout(w, s, width, &ruler);
    if (!arena_open(&w->arena, ruler.used, err))
        return false;
    work_layout(w, s, width, &w->arena);
    policy_prepare(&w->policy, &s->version->policy.shape);
    decode_prepare(&w->decode, &s->version->policy.shape);
    return true;
}

void slate_work_close(struct slate_work *w)
{
    arena_close(&w->arena);
}

bool slate_work_fits(const struct slate_work *w, const struct snapshot *s)
{
    return s->rows <= w->rows_max && width_of(s) <= w->decode.width_max;
}

void slate_begin(struct slate_work *w, const struct snapshot *s)
{
    assert(s->rows <= w->rows_max);
    memcpy(w->skip, s->hidden, (s->rows / 64 + 1) * sizeof *w->skip);
}

static void count_allowed(struct slate_work *w, size_t rows)
{
    uint32_t count = 0;
    for (size_t r = 0; r < rows; r++) {
        w->allowed_before[r] = count;
        count += !bit_get(w->skip, r);
    }
    w->allowed_before[rows] = count;
}

/* The newest rows. */
static size_t read_history(struct slate_work *w, const struct slate_request *request)
{
    size_t count =
        request->history_count < w->history_max ? request->history_count : w->history_max;
    memcpy(w->history, request->history + request->history_count - count,
           count * sizeof *w->history);
    return count;
}

/* The version's policy, with the items that came after it. */
static struct policy policy_of(const struct snapshot *s)
{
    struct policy policy = s->version->policy;
    policy.items.late_content = s->late_content;
    policy.items.late_codes = s->late_codes;
    policy.items.late_find = s->late_find;
    return policy;
}

static const real *read_z(struct slate_work *w, const struct policy *policy, size_t count)
{
    const uint32_t first[2] = {0, (uint32_t)count};
    const struct packed packed = {count, 1, first};
    const struct loss_options options = {0};
    policy_forward(&w->policy, policy, &packed, w->history, &options);
    return w->policy.trunk.z + (count - 1) * policy->shape.dim;
}

static bool source_find(struct slate_work *w, const struct snapshot *s, const real *z,
                        struct err *err)
{
    const struct shape *shape = &s->version->policy.shape;
    size_t items = s->version->index->items;
    struct topk best = {.hits = w->find_hits, .max = FIND_MAX};
    product_nt(w->query, z, s->version->policy.params.find_query, 1, shape->dim, shape->dim, 0);
    if (!catalogue_index_search(&best, s->version->find_index, w->query, w->skip, w->find_scores,
                                err))
        return false;
    scan_inner_products(w->find_scores + items, s->late_find, w->query, s->late, shape->dim);
    for (size_t i = 0; i < s->late; i++)
        if (!bit_get(w->skip, items + i))
            topk_push(&best, (struct hit){(uint32_t)(items + i), w->find_scores[items + i]});
    topk_sort(&best);
    w->find_count = best.count;
    return true;
}

static float source_count(struct slate_work *w, const struct snapshot *s, size_t history_count)
{
    size_t items = s->version->index->items;
    struct topk best = {.hits = w->count_hits, .max = COUNT_MAX};
    float most = 0;
    memset(w->votes, 0, s->rows * sizeof *w->votes);
    knn_scores(w->votes, &s->version->neighbours, w->history, history_count);
    for (size_t i = 0; i < items; i++) {
        most = w->votes[i] > most ? w->votes[i] : most;
        if (w->votes[i] > 0 && (best.count < best.max || w->votes[i] > best.hits[0].score) &&
            !bit_get(w->skip, i))
            topk_push(&best, (struct hit){(uint32_t)i, w->votes[i]});
    }
    topk_sort(&best);
    w->count_count = best.count;
    return most;
}

static int compare_rows(const void *a, const void *b)
{
    const struct slate_item *x = a;
    const struct slate_item *y = b;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return x->score < y->score ? -1 : x->score > y->score; /* here: the rank in its source */
}

/* All hits of all sources, each row once, with the source that ranked it highest. */
static size_t gather(struct slate_work *w)
{
    const struct {
        const struct hit *hits;
        size_t count, take;
        enum slate_source source;
    } lists[] = {
        {w->name_hits, w->name_count, BEAM_MAX, SOURCE_NAME},
        {w->find_hits, w->find_count, FIND_MAX, SOURCE_FIND},
        {w->count_hits, w->count_count, COUNT_MAX, SOURCE_COUNT},
    };
    size_t count = 0;
    for (size_t l = 0; l < COUNT(lists); l++)
        for (size_t i = 0; i < lists[l].count && count < CANDIDATES_MAX; i++)
            w->candidates[count++] = (struct slate_item){
                .row = lists[l].hits[i].row, .score = (double)i, .source = lists[l].source};
    if (count)
        qsort(w->candidates, count, sizeof *w->candidates, compare_rows);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || w->candidates[i].row != w->candidates[kept - 1].row)
            w->candidates[kept++] = w->candidates[i];
    return kept;
}

/* The text parts of the history's content vectors, newest first with falling weight; unit length. */
static void read_text(struct slate_work *w, const struct policy *policy, size_t history_count)
{
    size_t dims = policy->items.text_dims;
    float weight = 1;
    memset(w->text, 0, dims * sizeof *w->text);
    for (size_t i = history_count; i-- > 0 && weight > 0.01F; weight *= TEXT_RECENCY)
        cblas_saxpy((int)dims, weight, policy_content(policy, w->history[i]), 1, w->text, 1);
    vector_to_unit(w->text, dims);
}

static void score_candidates(struct slate_work *w, const struct snapshot *s,
                             const struct policy *policy, const real *z, size_t count,
                             float most_votes, const struct fusion *fusion,
                             const struct legal_tiles *legal)
{
    int dim = (int)policy->shape.dim;
    int text_dims = (int)policy->items.text_dims;
    float text_unit = (float)(1 / fmax(1e-9, s->version->index->text_weight));
    uint32_t rows[CANDIDATES_MAX] = {0};
    float name[CANDIDATES_MAX];
    for (size_t i = 0; i < count; i++)
        rows[i] = w->candidates[i].row;
    name_score(name, rows, count, &w->decode, policy, z, legal);
    for (size_t i = 0; i < count; i++) {
        struct slate_item *item = &w->candidates[i];
        uint32_t row = item->row;
        float votes = most_votes > 0 ? w->votes[row] / most_votes : 0;
        float events =
            row < policy->items.count ? (float)s->version->index->events[row] : 0;
        const float *content = policy_content(policy, row);
        item->features[FEATURE_NAME] = (double)fmaxf(name[i], -100);
        item->features[FEATURE_FIND] =
            (double)cblas_sdot(dim, w->query, 1, policy_find_vector(policy, row), 1);
        item->features[FEATURE_COUNT] = log(fusion->count_floor + (double)votes);
        item->features[FEATURE_TEXT] =
            (double)(text_unit * cblas_sdot(text_dims, w->text, 1, content, 1));
        item->features[FEATURE_POPULAR] = (double)log1pf(events);
        item->score = 0;
        for (size_t f = 0; f < FEATURES; f++)
            item->score += fusion->weight[f] * item->features[f];
    }
}

static uint32_t nearest_liked(const struct slate_work *w, const struct snapshot *s, uint32_t row,
                              size_t history_count)
{
    int dims = (int)s->version->policy.shape.content;
    const float *content = snapshot_content(s, row);
    uint32_t best = NO_ITEM;
    float best_score = 0;
    for (size_t i = 0; i < history_count; i++) {
        float score = cblas_sdot(dims, content, 1, snapshot_content(s, w->history[i]), 1);
        if (score > best_score) {
            best_score = score;
            best = w->history[i];
        }
    }
    return best;
}

static void take_best(struct slate *slate, struct slate_work *w, size_t count, size_t n)
{
    struct topk best = {.hits = w->order, .max = n < count ? n : count};
    /* hit.row is the place among the candidates, which are sorted by row: ties keep that order */
    for (size_t i = 0; i < count; i++)
        topk_push(&best, (struct hit){(uint32_t)i, (float)w->candidates[i].score});
    topk_sort(&best);
    for (size_t i = 0; i < best.count; i++) {
        slate->items[slate->count] = w->candidates[best.hits[i].row];
        slate->items[slate->count++].propensity = 1;
    }
}

static void draw(struct slate *slate, struct slate_work *w, size_t count,
                 const struct slate_request *request)
{
    struct rng rng = rng_stream(request->seed, 0x5a7e, 0);
    double most = -INFINITY;
    for (size_t i = 0; i < count; i++)
        most = fmax(most, w->candidates[i].score);
    for (size_t k = 0; k < request->n && count > 0; k++) {
        double sum = 0;
        for (size_t i = 0; i < count; i++)
            sum += exp((w->candidates[i].score - most) / request->explore);
        if (k == 0)
            slate->log_normaliser = log(sum) + most / request->explore;
        double left = rng_uniform(&rng) * sum;
        size_t pick = 0;
        for (; pick + 1 < count; pick++) {
            left -= exp((w->candidates[pick].score - most) / request->explore);
            if (left < 0)
                break;
        }
        struct slate_item *item = &slate->items[slate->count++];
        *item = w->candidates[pick];
        item->propensity = exp((item->score - most) / request->explore) / sum;
        memmove(w->candidates + pick, w->candidates + pick + 1,
                (--count - pick) * sizeof *w->candidates);
    }
}

static void fill_popular(struct slate *slate, const struct slate_work *w, const struct snapshot *s,
                         size_t n)
{
    size_t items = s->version->index->items;
    for (size_t i = 0; i < s->rows && slate->count < n; i++) {
        uint32_t row = i < items ? s->version->popular[i] : (uint32_t)i;
        bool there = bit_get(w->skip, row);
        for (size_t k = 0; k < slate->count && !there; k++)
            there = slate->items[k].row == row;
        if (!there)
            slate->items[slate->count++] = (struct slate_item){
                .row = row, .propensity = 1, .source = SOURCE_POPULAR, .because = NO_ITEM};
    }
}

bool slate_make(struct slate *slate, struct slate_work *w, const struct snapshot *s,
                const struct fusion *fusion, const struct slate_request *request, struct err *err)
{
    assert(request->n >= 1 && request->n <= SLATE_MAX && request->beam <= BEAM_MAX);
    slate->count = slate->candidates = 0;
    slate->log_normaliser = 0;
    slate->fallback = NULL;
    const struct policy policy = policy_of(s);
    size_t history_count = read_history(w, request);
    if (history_count > 0) {
        count_allowed(w, s->rows);
        const struct trie_mask mask = {&s->version->trie, &s->late_trie, w->allowed_before};
        const struct legal_tiles legal = trie_legal(&mask);
        const real *z = read_z(w, &policy, history_count);
        w->name_count = name_beam(w->name_hits, request->beam, &w->decode, &policy, z, &legal);
        if (!source_find(w, s, z, err))
            return false;
        float most = source_count(w, s, history_count);
        size_t count = gather(w);
        slate->candidates = count;
        read_text(w, &policy, history_count);
        score_candidates(w, s, &policy, z, count, most, fusion, &legal);
        if (request->explore > 0)
            draw(slate, w, count, request);
        else
            take_best(slate, w, count, request->n);
        for (size_t i = 0; i < slate->count; i++)
            slate->items[i].because = nearest_liked(w, s, slate->items[i].row, history_count);
    } else {
        slate->fallback = "cold_user";
    }
    fill_popular(slate, w, s, request->n);
    if (slate->count < request->n)
        slate->fallback = "filter_exhausted";
    return true;
}

size_t slate_similar(struct hit *hits, size_t n, struct slate_work *w, const struct snapshot *s,
                     uint32_t row)
{
    int dim = (int)s->version->policy.shape.dim;
    size_t items = s->version->index->items;
    const float *query = snapshot_find_vector(s, row);
    struct topk best = {.hits = hits, .max = n};
    scan_inner_products(w->find_scores, s->version->policy.find_vectors, query, items, (size_t)dim);
    scan_inner_products(w->find_scores + items, s->late_find, query, s->late, (size_t)dim);
    float own = cblas_snrm2(dim, query, 1);
    for (size_t i = 0; i < s->rows; i++) {
        float length = cblas_snrm2(dim, snapshot_find_vector(s, (uint32_t)i), 1);
        if (i != row && !bit_get(w->skip, i) && own > 0 && length > 0)
            topk_push(&best, (struct hit){(uint32_t)i, w->find_scores[i] / own / length});
    }
    topk_sort(&best);
    return best.count;
}
