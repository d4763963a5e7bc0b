#include "recommend/slate.h"

#include "recommend/draw.h"
#include "recommend/item_words.h"

#include <assert.h>
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const SLATE_SOURCES[SOURCES] = {"name", "find", "count", "text", "walk", "popular"};

static const double COUNT_FLOOR = 0.04;
static const double REL_FLOOR = 0.2;
static const float NEWCOMER_PRIOR = -4.6F; /* log 0.01 */
static const float TEXT_RECENCY = 0.7F;    /* from one item of the history to the one before it */
enum { NEWCOMERS_SUMMED = 8192, WALK_NEAREST = 20, QUERY_TERMS_MAX = 256, COMMON_ROWS = 20000 };

static size_t width_of(const struct snapshot *s)
{
    size_t base = s->version->trie.width;
    return (base > s->late_trie.width ? base : s->late_trie.width) + 1;
}

static void work_layout(struct slate_work *w, const struct snapshot *s, size_t width,
                        struct arena *arena)
{
    const struct shape *shape = &s->version->policy.shape;
    size_t positions = w->history_max + 1 + QUERY_TOKENS_MAX;
    size_t read = positions > PROMPT_MAX ? positions : PROMPT_MAX;
    policy_layout(&w->policy, shape, read, read, width, 0, false, arena);
    decode_layout(&w->decode, shape, CANDIDATES_MAX, width, arena);
    w->skip = arena_take(arena, w->rows_max / 64 + 1, sizeof *w->skip);
    w->skip_new = arena_take(arena, w->rows_max / 64 + 1, sizeof *w->skip);
    w->new_before = arena_take(arena, w->rows_max / 64 + 1, sizeof *w->new_before);
    w->allowed_before = arena_take(arena, w->rows_max / 64 + 1, sizeof *w->allowed_before);
    w->find_scores = arena_take(arena, w->rows_max, sizeof *w->find_scores);
    struct tally *tallies[] = {&w->votes, &w->last, &w->text_votes, &w->walk};
    for (size_t i = 0; i < COUNT(tallies); i++) {
        tallies[i]->score = arena_take(arena, w->rows_max, sizeof *w->votes.score);
        tallies[i]->touched = arena_take(arena, w->rows_max, sizeof *w->votes.touched);
    }
    w->history = arena_take(arena, positions, sizeof *w->history);
    w->query = arena_take(arena, shape->dim, sizeof *w->query);
    w->name_hits = arena_take(arena, BEAM_MAX, sizeof *w->name_hits);
    w->find_hits = arena_take(arena, FIND_MAX, sizeof *w->find_hits);
    w->count_hits = arena_take(arena, COUNT_MAX, sizeof *w->count_hits);
    w->text_hits = arena_take(arena, COUNT_MAX, sizeof *w->text_hits);
    w->walk_hits = arena_take(arena, COUNT_MAX, sizeof *w->walk_hits);
    w->candidates = arena_take(arena, CANDIDATES_MAX, sizeof *w->candidates);
    w->order = arena_take(arena, CANDIDATES_MAX, sizeof *w->order);
    w->likeness = arena_take(arena, CANDIDATES_MAX, sizeof *w->likeness);
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

/* The newest rows. */
static size_t read_history(struct slate_work *w, const struct slate_request *request)
{
    size_t count =
        request->history_count < w->history_max ? request->history_count : w->history_max;
    memcpy(w->history, request->history + request->history_count - count,
           count * sizeof *w->history);
    return count;
}

/* The words of the query after the history; returns how many symbols there are now. */
static size_t read_query(struct slate_work *w, const struct snapshot *s, size_t count,
                         const char *query, struct err *err)
{
    uint32_t *at = w->history + count;
    size_t tokens = text_symbols(at + 1, QUERY_TOKENS_MAX, s->version->tokenizer, query, err);
    at[0] = TOKEN + s->version->policy.marks + MARK_QUERY;
    return tokens ? count + 1 + tokens : count;
}

/* The same, for naming newcomers among themselves: unless they are too many to look at each. */
static struct policy policy_of_newcomers(const struct policy *policy, const struct slate_work *w,
                                         const struct snapshot *s)
{
    struct policy fresh = *policy;
    if (s->version->unseen_count + s->late <= NEWCOMERS_SUMMED)
        fresh.items.skip = w->skip_new;
    fresh.items.late_row = s->late_trie.row;
    return fresh;
}

static const real *read_z(struct slate_work *w, const struct policy *policy,
                          const uint32_t *symbols, size_t count)
{
    const uint32_t first[2] = {0, (uint32_t)count};
    const struct packed packed = {.positions = count, .sequences = 1, .first = first};
    const struct loss_options options = {0};
    policy_forward(&w->policy, policy, &packed, symbols, &options);
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

/* ---- newcomers: items without training events, which would rarely stand among the best ---- */

/* What the mask leaves of them; false if it leaves none. */
static bool mask_newcomers(struct slate_work *w, const struct snapshot *s)
{
    size_t items = s->version->index->items;
    bool any = false;
    for (size_t i = 0; i <= s->rows / 64; i++) {
        uint64_t known = i < items / 64 ? ~s->version->unseen[i] : 0;
        if (i == items / 64) /* the rows from `items` on came after the version: all are new */
            known = ~s->version->unseen[i] & (((uint64_t)1 << items % 64) - 1);
        w->skip_new[i] = w->skip[i] | known;
        uint64_t rows = i == s->rows / 64 ? ((uint64_t)1 << s->rows % 64) - 1 : UINT64_MAX;
        any = any || (~w->skip_new[i] & rows);
    }
    trie_count_allowed(w->new_before, w->skip_new, s->rows);
    return any;
}

static void add_hits(struct hit *hits, size_t *count, size_t room, const struct hit *more,
                     size_t more_count, float boost)
{
    struct topk best = {.hits = hits, .max = room, .count = 0};
    struct hit all[BEAM_MAX + FIND_MAX + NEW_MAX];
    size_t total = 0;
    for (size_t i = 0; i < *count; i++)
        all[total++] = hits[i];
    for (size_t k = 0; k < more_count; k++) {
        size_t i = 0;
        while (i < total && all[i].row != more[k].row)
            i++;
        all[i] = (struct hit){more[k].row, more[k].score + boost};
        total += i == total;
    }
    for (size_t i = 0; i < total; i++)
        topk_push(&best, all[i]);
    topk_sort(&best);
    *count = best.count;
}

/*
 * The likeliest names among newcomers: log p(a newcomer) + log p(name | a newcomer), the first a
 * constant that the fitted boost corrects.  Under the whole mask they would be measured against
 * siblings that everybody knows.
 */
static void name_newcomers(struct slate_work *w, const struct snapshot *s,
                           const struct policy *policy, const real *z,
                           const struct legal_tiles *fresh)
{
    const struct policy newcomers = policy_of_newcomers(policy, w, s);
    struct hit hits[NEW_MAX];
    size_t count = name_beam(hits, NEW_MAX, &w->decode, &newcomers, z, fresh);
    add_hits(w->name_hits, &w->name_count, BEAM_MAX, hits, count,
             NEWCOMER_PRIOR + (float)s->version->newcomers.name);
}

static void find_newcomers(struct slate_work *w, const struct snapshot *s,
                           const struct policy *policy)
{
    struct hit hits[NEW_MAX];
    struct topk best = {.hits = hits, .max = NEW_MAX};
    const struct version *v = s->version;
    size_t items = v->index->items;
    int dim = (int)policy->shape.dim;
    bool scanned = catalogue_index_is_exact(v->find_index);
    for (size_t i = 0; i < v->unseen_count; i++) {
        uint32_t row = v->unseen_row[i];
        if (bit_get(w->skip, row))
            continue;
        float score = scanned ? w->find_scores[row]
                              : cblas_sdot(dim, w->query, 1, policy_find_vector(policy, row), 1);
        topk_push(&best, (struct hit){row, score});
    }
    for (size_t i = 0; i < s->late; i++)
        if (!bit_get(w->skip, items + i))
            topk_push(&best, (struct hit){
                                 (uint32_t)(items + i),
                                 cblas_sdot(dim, w->query, 1, s->late_find + i * (size_t)dim, 1)});
    topk_sort(&best);
    add_hits(w->find_hits, &w->find_count, FIND_MAX, hits, best.count, (float)v->newcomers.find);
}

/* The best of a tally that may be shown. */
static size_t best_of(struct hit *hits, const struct slate_work *w, const struct tally *tally)
{
    struct topk best = {.hits = hits, .max = COUNT_MAX};
    for (size_t i = 0; i < tally->count; i++) {
        uint32_t row = tally->touched[i];
        float score = tally->score[row];
        if ((best.count < best.max || score >= best.hits[0].score) && !bit_get(w->skip, row))
            topk_push(&best, (struct hit){row, score});
    }
    topk_sort(&best);
    return best.count;
}

static void source_votes(struct slate_work *w, const struct snapshot *s, size_t count)
{
    const struct version *v = s->version;
    knn_votes(&w->votes, &v->neighbours, w->history, count, KNN_HISTORY, KNN_RECENCY);
    knn_votes(&w->last, &v->neighbours, w->history, count, 1, 1);
    knn_votes(&w->text_votes, &v->texts, w->history, count, KNN_HISTORY, TEXT_RECENCY);
    walk_votes(&w->walk, &v->texts, &v->neighbours, w->history, count, KNN_HISTORY, KNN_RECENCY,
               WALK_NEAREST);
    w->count_count = best_of(w->count_hits, w, &w->votes);
    w->text_count = best_of(w->text_hits, w, &w->text_votes);
    w->walk_count = best_of(w->walk_hits, w, &w->walk);
}

/* With a query, nearness of words is to the query's own. */
static bool source_query(struct slate_work *w, const struct snapshot *s, const char *query,
                         struct err *err)
{
    uint32_t terms[QUERY_TERMS_MAX];
    float weights[QUERY_TERMS_MAX];
    const struct item_index *index = s->version->index;
    const struct sparse *postings = &index->postings;
    const struct document document = {query, "", NULL, 0};
    size_t count = text_query(terms, weights, QUERY_TERMS_MAX, &index->coder, &document, err);
    size_t rarest = SIZE_MAX;
    for (size_t t = 0; t < count; t++) {
        size_t rows = postings->first[terms[t] + 1] - postings->first[terms[t]];
        rarest = rows && rows < rarest ? rows : rarest;
    }
    tally_clear(&w->text_votes);
    for (size_t t = 0; t < count; t++) {
        size_t rows = postings->first[terms[t] + 1] - postings->first[terms[t]];
        if (rows > COMMON_ROWS && rarest <= COMMON_ROWS)
            continue; /* rarer words say more and cost less */
        for (size_t e = postings->first[terms[t]]; e < postings->first[terms[t] + 1]; e++)
            if (postings->value[e] > 0)
                tally_add(&w->text_votes, postings->column[e], weights[t] * postings->value[e]);
    }
    w->text_count = best_of(w->text_hits, w, &w->text_votes);
    return err->code == ERR_NONE;
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
        size_t count, most;
        enum slate_source source;
    } lists[] = {
        {w->name_hits, w->name_count, BEAM_MAX, SOURCE_NAME},
        {w->find_hits, w->find_count, FIND_MAX, SOURCE_FIND},
        {w->count_hits, w->count_count, COUNT_MAX, SOURCE_COUNT},
        {w->text_hits, w->text_count, COUNT_MAX, SOURCE_TEXT},
        {w->walk_hits, w->walk_count, COUNT_MAX, SOURCE_WALK},
    };
    size_t count = 0; /* rank by rank, so that what does not fit is the worst of each source */
    for (size_t i = 0; i < FIND_MAX || i < BEAM_MAX; i++)
        for (size_t l = 0; l < COUNT(lists); l++)
            if (i < lists[l].count && count < CANDIDATES_MAX)
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

/* What stands in a tally, beside the most any candidate has. */
static void relative(struct slate_work *w, size_t count, enum feature feature,
                     const struct tally *tally)
{
    float most = 0;
    for (size_t i = 0; i < count; i++)
        most = fmaxf(most, tally->score[w->candidates[i].row]);
    for (size_t i = 0; i < count; i++) {
        float share = most > 0 ? tally->score[w->candidates[i].row] / most : 0;
        w->candidates[i].features[feature] = log(REL_FLOOR + (double)share);
    }
}

static bool is_newcomer(const struct snapshot *s, uint32_t row)
{
    size_t items = s->version->index->items;
    return row >= items || bit_get(s->version->unseen, row);
}

/* log p(name) of each candidate: of newcomers among themselves. */
static void name_candidates(struct slate_work *w, const struct snapshot *s,
                            const struct policy *policy, const real *z, size_t count,
                            const struct legal_tiles *legal, const struct legal_tiles *fresh)
{
    uint32_t rows[CANDIDATES_MAX] = {0};
    size_t at[CANDIDATES_MAX];
    float scores[CANDIDATES_MAX];
    const struct policy policies[] = {*policy, policy_of_newcomers(policy, w, s)};
    for (int newcomers = 0; newcomers < 2; newcomers++) {
        size_t kept = 0;
        for (size_t i = 0; i < count; i++)
            if (is_newcomer(s, w->candidates[i].row) == newcomers) {
                rows[kept] = w->candidates[i].row;
                at[kept++] = i;
            }
        name_score(scores, rows, kept, &w->decode, &policies[newcomers], z,
                   newcomers ? fresh : legal);
        for (size_t k = 0; k < kept; k++)
            w->candidates[at[k]].features[FEATURE_NAME] =
                (double)fmaxf(scores[k] + (newcomers ? NEWCOMER_PRIOR : 0), -100);
    }
}

static void score_candidates(struct slate_work *w, const struct snapshot *s,
                             const struct policy *policy, size_t count, const struct fusion *fusion)
{
    int dim = (int)policy->shape.dim;
    relative(w, count, FEATURE_LAST, &w->last);
    relative(w, count, FEATURE_TEXT, &w->text_votes);
    relative(w, count, FEATURE_WALK, &w->walk);
    for (size_t i = 0; i < count; i++) {
        struct slate_item *item = &w->candidates[i];
        uint32_t row = item->row;
        bool known = row < policy->items.count;
        double events = known ? s->version->index->events[row] : 0;
        double latest = known ? s->version->index->latest[row] : 0;
        item->features[FEATURE_FIND] =
            (double)cblas_sdot(dim, w->query, 1, policy_find_vector(policy, row), 1);
        item->features[FEATURE_COUNT] = log(COUNT_FLOOR + (double)w->votes.score[row]);
        item->features[FEATURE_FRESH] = log((1 + latest) / (5 + events));
        item->features[FEATURE_POPULAR] = log1p(events);
        item->features[FEATURE_NEW] = is_newcomer(s, row);
        item->score = 0;
        for (size_t f = 0; f < FEATURES; f++)
            item->score += fusion->weight[f] * item->features[f];
    }
}

static void clear_tallies(struct slate_work *w)
{
    tally_clear(&w->votes);
    tally_clear(&w->last);
    tally_clear(&w->text_votes);
    tally_clear(&w->walk);
}

uint32_t slate_nearest(const struct snapshot *s, uint32_t row, const uint32_t *rows, size_t count)
{
    int dims = (int)s->version->policy.shape.content;
    const float *content = snapshot_content(s, row);
    uint32_t best = NO_ITEM;
    float best_score = 0;
    for (size_t i = 0; i < count; i++) {
        float score = cblas_sdot(dims, content, 1, snapshot_content(s, rows[i]), 1);
        if (score > best_score) {
            best_score = score;
            best = rows[i];
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
    slate->name_ms = slate->find_ms = 0;
    const struct policy policy = snapshot_policy(s);
    size_t history_count = read_history(w, request);
    size_t symbols = history_count;
    if (request->query)
        symbols = read_query(w, s, history_count, request->query, err);
    if (err->code != ERR_NONE)
        return false;
    bool asked = symbols > history_count;
    if (!fusion)
        fusion = asked ? &s->version->search : &s->version->fusion;
    if (symbols > 0) {
        trie_count_allowed(w->allowed_before, w->skip, s->rows);
        const struct trie_mask mask = {.base = &s->version->trie,
                                       .late = &s->late_trie,
                                       .skip = w->skip,
                                       .allowed_before = w->allowed_before};
        const struct legal_tiles legal = trie_legal(&mask);
        const real *z = request->prompt ? read_z(w, &policy, request->prompt, request->prompt_count)
                                        : read_z(w, &policy, w->history, symbols);
        double start = clock_s();
        w->name_count = name_beam(w->name_hits, request->beam, &w->decode, &policy, z, &legal);
        double named = clock_s();
        if (!source_find(w, s, z, err))
            return false;
        const struct trie_mask new_mask = {.base = &s->version->trie,
                                           .late = &s->late_trie,
                                           .skip = w->skip_new,
                                           .allowed_before = w->new_before};
        const struct legal_tiles fresh = trie_legal(&new_mask);
        if (mask_newcomers(w, s)) {
            name_newcomers(w, s, &policy, z, &fresh);
            find_newcomers(w, s, &policy);
        }
        slate->name_ms = (named - start) * 1000;
        slate->find_ms = (clock_s() - named) * 1000;
        source_votes(w, s, history_count);
        if (asked && !source_query(w, s, request->query, err)) {
            clear_tallies(w);
            return false;
        }
        size_t count = gather(w);
        slate->candidates = count;
        name_candidates(w, s, &policy, z, count, &legal, &fresh);
        score_candidates(w, s, &policy, count, fusion);
        clear_tallies(w);
        if (request->explore > 0 || request->mmr > 0 || request->category_max)
            slate_draw(slate, w, s, count, request);
        else
            take_best(slate, w, count, request->n);
        for (size_t i = 0; i < slate->count; i++)
            slate->items[i].because =
                slate_nearest(s, slate->items[i].row, w->history, history_count);
    } else {
        slate->fallback = "cold_user";
    }
    if (!request->category_max || slate->candidates == 0) /* a cap is kept, not filled over */
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

size_t slate_query(float *query, struct slate_work *w, const struct snapshot *s, const char *words,
                   struct err *err)
{
    const struct policy policy = snapshot_policy(s);
    size_t dim = policy.shape.dim;
    size_t count = read_query(w, s, 0, words, err);
    if (count == 0)
        return 0;
    const real *z = read_z(w, &policy, w->history, count);
    product_nt(query, z, policy.params.find_query, 1, dim, dim, 0);
    return count - 1;
}
