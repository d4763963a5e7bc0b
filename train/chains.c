#include "train/chains.h"

#include "data/catalogue.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double DROP_GAIN =
    0.05;                           /* nats an item of the rest must win for a drop to be taught */
static const double RARITY = 0.05;  /* of log(items / those with it), beside influence in nats */
static const double NEXT_LEAN = 20; /* cases of the mean that a rare count leans on */
enum { CHAINS_A_PIECE = 16 };

double chains_density(double share, size_t step, size_t steps)
{
    size_t third = (steps + 2) / 3;
    if (steps == 0 || step >= 2 * third)
        return share;
    return fmin(1, 2 * share * (double)(step % third + 1) / (double)third);
}

/* ---- attributes ---- */

struct collecting {
    const struct version *version;
    struct attribute_counts counts;
};

static bool collect(void *self, uint32_t number, const char *id, json_t *record, struct err *err)
{
    struct collecting *c = self;
    const struct version *v = c->version;
    (void)id;
    uint32_t row = number < v->numbers ? v->row_of_number[number] : NO_ITEM;
    if (row == NO_ITEM || !v->policy.items.seen[row])
        return true;
    return attribute_counts_add(&c->counts, record, err);
}

struct attributes *chains_attributes(const struct version *version, struct store *store,
                                     struct err *err)
{
    struct collecting c = {.version = version};
    struct store_txn txn = {0};
    struct attributes *a = NULL;
    bool fine = attribute_counts_open(&c.counts, err) && store_begin(&txn, store, false, err) &&
                catalogue_each(&txn, collect, &c, err);
    store_abort(&txn);
    if (fine)
        a = attributes_make(&c.counts, tokenizer_size(version->tokenizer), err);
    attribute_counts_close(&c.counts);
    if (a && a->count == 0) {
        err_set(err, ERR_INPUT,
                "stage reason: expected categories or attributes that %d or more items share, "
                "found none in the catalogue: there is nothing to reason with",
                ATTRIBUTE_ITEMS_LEAST);
        attributes_free(a);
        return NULL;
    }
    return a;
}

static size_t attribute_counts_in(uint32_t *counts, const struct snapshot *s, const uint32_t *rows,
                                  size_t count, uint32_t *touched)
{
    size_t kinds = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = s->attribute_first[rows[i]]; k < s->attribute_first[rows[i] + 1]; k++) {
            if (counts[s->attribute[k]]++ == 0)
                touched[kinds++] = s->attribute[k];
        }
    return kinds;
}

bool chains_count_next(struct attributes *a, const struct snapshot *s,
                       const struct sequences *sequences, struct err *err)
{
    uint32_t counts[ATTRIBUTES_MAX] = {0};
    uint32_t touched[ATTRIBUTES_MAX];
    double *came = calloc(a->count * SHARES, sizeof *came); /* with the attribute */
    double *seen = calloc(a->count * SHARES, sizeof *seen); /* all that came */
    bool fine = came && seen;
    double events = 0;
    for (size_t u = 0; came && seen && u < sequences->users; u++)
        for (size_t e = sequences->first[u] + 1; e < sequences->first[u + 1]; e++) {
            size_t count = e - sequences->first[u];
            count = count < CHAIN_HISTORY ? count : CHAIN_HISTORY;
            uint32_t next = sequences->item[e];
            size_t kinds =
                attribute_counts_in(counts, s, sequences->item + e - count, count, touched);
            for (size_t k = 0; k < kinds; k++)
                seen[touched[k] * SHARES + share_of(counts[touched[k]], count)]++;
            for (size_t k = s->attribute_first[next]; k < s->attribute_first[next + 1]; k++) {
                uint32_t id = s->attribute[k];
                came[id * SHARES + share_of(counts[id], count)]++;
            }
            for (size_t k = 0; k < kinds; k++)
                counts[touched[k]] = 0;
            events++;
        }
    for (size_t share = 0; came && seen && share < SHARES; share++) {
        double all = 0;
        double hits = 0;
        for (size_t i = 0; i < a->count; i++) {
            double *n = &seen[i * SHARES];
            if (share == 0) /* where it was not in the history */
                n[0] = events - n[1] - n[2] - n[3] - n[4] - n[5];
            all += n[share];
            hits += came[i * SHARES + share];
        }
        double mean = all > 0 ? hits / all : 0;
        for (size_t i = 0; i < a->count; i++)
            a->next[i * SHARES + share] = (came[i * SHARES + share] + NEXT_LEAN * mean) /
                                          (seen[i * SHARES + share] + NEXT_LEAN);
    }
    free(came);
    free(seen);
    return fine || err_set(err, ERR_SYSTEM, "no memory to count what came next");
}

/* ---- works ---- */

bool chain_works_open(struct chain_works *w, const struct snapshot *snapshot, size_t history_max,
                      bool slates, struct thread_pool *pool, struct err *err)
{
    *w = (struct chain_works){.threads = thread_pool_count(pool)};
    w->reasons = calloc(w->threads, sizeof *w->reasons);
    w->slates = slates ? calloc(w->threads, sizeof *w->slates) : NULL;
    w->slate = calloc(w->threads, sizeof *w->slate);
    w->reasoned = calloc(w->threads, sizeof *w->reasoned);
    w->cleaned = calloc(w->threads, sizeof *w->cleaned);
    w->errors = calloc(w->threads, sizeof *w->errors);
    bool fine =
        w->reasons && (w->slates || !slates) && w->slate && w->reasoned && w->cleaned && w->errors;
    for (size_t t = 0; fine && t < w->threads; t++) {
        w->cleaned[t] = calloc(history_max + 1, sizeof **w->cleaned);
        fine = w->cleaned[t] != NULL;
    }
    if (!fine)
        return err_set(err, ERR_SYSTEM, "no memory for chains");
    for (size_t t = 0; fine && t < w->threads; t++)
        fine = reason_work_open(&w->reasons[t], snapshot, 0, err) &&
               (!slates || slate_work_open(&w->slates[t], snapshot, 0, history_max, err));
    return fine;
}

bool chain_works_fine(const struct chain_works *w, struct err *err)
{
    for (size_t t = 0; t < w->threads; t++)
        if (w->errors[t].code != ERR_NONE) {
            *err = w->errors[t];
            return false;
        }
    return true;
}

void chain_works_close(struct chain_works *w)
{
    for (size_t t = 0; t < w->threads; t++) {
        if (w->reasons)
            reason_work_close(&w->reasons[t]);
        if (w->slates)
            slate_work_close(&w->slates[t]);
        if (w->cleaned)
            free(w->cleaned[t]);
    }
    free(w->cleaned);
    free(w->reasons);
    free(w->slates);
    free(w->slate);
    free(w->reasoned);
    free(w->errors);
}

/* ---- building ---- */

struct building {
    struct chain_examples *out;
    const struct snapshot *snapshot;
    struct chain_works *works;
    unsigned char *good; /* [count] */
};

/* One place of a user, while its chain is built. */
struct moment {
    struct chain_example *e;
    const struct snapshot *s;
    const struct attributes *a;
    double influence[CHAIN_HISTORY];
    bool dropped[CHAIN_HISTORY];
    uint32_t counts[ATTRIBUTES_MAX], touched[ATTRIBUTES_MAX];
    size_t kinds;
};

static void find_influence(struct moment *m, struct reason_work *w)
{
    const struct chain_example *e = m->e;
    uint32_t without[CHAIN_HISTORY];
    size_t n = e->history_count;
    double all = reason_log_name(w, m->s, e->history, n, e->next);
    for (size_t i = 0; i < n; i++) {
        size_t kept = reason_without(without, e->history, n, e->history[i]);
        m->influence[i] = kept ? all - reason_log_name(w, m->s, without, kept, e->next) : 0;
    }
}

static size_t times(const struct moment *m, uint32_t row)
{
    size_t count = 0;
    for (size_t i = 0; i < m->e->history_count; i++)
        count += m->e->history[i] == row;
    return count;
}

/* The least influential first, never the newest: nothing after it could say that it does not fit.
 */
static void build_drops(struct moment *m, struct reason_work *w)
{
    struct chain_example *e = m->e;
    size_t n = e->history_count;
    bool tried[CHAIN_HISTORY] = {false};
    while (e->chain.drop_count < CHAIN_DROPS && n - e->chain.drop_count > 3) {
        size_t worst = SIZE_MAX;
        for (size_t i = 0; i + 1 < n; i++)
            if (!tried[i] && m->influence[i] < 0 &&
                (worst == SIZE_MAX || m->influence[i] < m->influence[worst]))
                worst = i;
        if (worst == SIZE_MAX)
            return;
        tried[worst] = true;
        if (times(m, e->history[worst]) > 1 || /* what she came back to fits */
            reason_gain(w, m->s, e->history, n, e->history[worst]) < DROP_GAIN)
            continue;
        m->dropped[worst] = true;
        e->chain.drop[e->chain.drop_count++] = e->history[worst];
    }
}

static double rarity(const struct moment *m, uint32_t attribute)
{
    return RARITY * log((double)m->s->version->index->items / (1 + (double)m->a->items[attribute]));
}

/* The two most influential items that have it; false if there are none, or they are cited so. */
static bool best_pair(struct chain_evidence *out, double *score, const struct moment *m,
                      uint32_t attribute)
{
    const struct chain_example *e = m->e;
    size_t best[2] = {SIZE_MAX, SIZE_MAX};
    for (size_t i = e->history_count; i-- > 0;) { /* of equal ones the newest */
        if (m->dropped[i] || !snapshot_has_attribute(m->s, e->history[i], attribute))
            continue;
        if (best[0] != SIZE_MAX && e->history[i] == e->history[best[0]])
            continue;
        if (best[0] == SIZE_MAX || m->influence[i] > m->influence[best[0]]) {
            best[1] = best[0];
            best[0] = i;
        } else if (best[1] == SIZE_MAX || m->influence[i] > m->influence[best[1]]) {
            best[1] = i;
        }
    }
    if (best[1] == SIZE_MAX || e->history[best[0]] == e->history[best[1]])
        return false;
    *out = (struct chain_evidence){{e->history[best[0]], e->history[best[1]]}, attribute};
    *score = m->influence[best[0]] + m->influence[best[1]] + rarity(m, attribute);
    for (size_t i = 0; i < e->chain.evidence_count; i++)
        if (e->chain.evidence[i].attribute == attribute ||
            (e->chain.evidence[i].item[0] == out->item[0] &&
             e->chain.evidence[i].item[1] == out->item[1]))
            return false;
    return true;
}

/* Pairs that have something in common with what came next; else with each other. */
static void build_evidence(struct moment *m)
{
    struct chain_example *e = m->e;
    const struct snapshot *s = m->s;
    const uint32_t *ids = s->attribute + s->attribute_first[e->next];
    size_t count = s->attribute_first[e->next + 1] - s->attribute_first[e->next];
    while (e->chain.evidence_count < CHAIN_EVIDENCE) {
        struct chain_evidence best;
        struct chain_evidence pair;
        double best_score = -INFINITY;
        double score;
        for (size_t k = 0; k < count; k++)
            if (best_pair(&pair, &score, m, ids[k]) && score > best_score) {
                best = pair;
                best_score = score;
            }
        if (isinf(best_score) && e->chain.evidence_count == 0 && ids != m->touched) {
            ids = m->touched;
            count = m->kinds;
            continue;
        }
        if (isinf(best_score))
            return;
        e->chain.evidence[e->chain.evidence_count++] = best;
    }
}

/* What most of the history has; of what as many have the rarer. */
static void build_likes(struct moment *m)
{
    struct chain *c = &m->e->chain;
    while (c->likes_count < CHAIN_LIKES) {
        uint32_t best = NO_ATTRIBUTE;
        for (size_t k = 0; k < m->kinds; k++) {
            uint32_t id = m->touched[k];
            bool there = c->likes_count && m->counts[id] < 2; /* one item is no preference */
            for (size_t i = 0; i < c->likes_count; i++)
                there = there || c->likes[i].attribute == id;
            if (!there &&
                (best == NO_ATTRIBUTE || m->counts[id] > m->counts[best] ||
                 (m->counts[id] == m->counts[best] && m->a->items[id] < m->a->items[best])))
                best = id;
        }
        if (best == NO_ATTRIBUTE)
            return;
        double share = (double)m->counts[best] / (double)m->e->history_count;
        c->likes[c->likes_count++] = (struct chain_degree){best, tenths_of(share)};
    }
}

static double came_next(const struct moment *m, uint32_t id)
{
    return attributes_next(m->a, id, m->counts[id], m->e->history_count);
}

/* Of next's attributes the likeliest after such a history. */
static void build_intent(struct moment *m)
{
    const struct snapshot *s = m->s;
    uint32_t best = NO_ATTRIBUTE;
    for (size_t k = s->attribute_first[m->e->next]; k < s->attribute_first[m->e->next + 1]; k++)
        if (best == NO_ATTRIBUTE || came_next(m, s->attribute[k]) > came_next(m, best))
            best = s->attribute[k];
    m->e->chain.next = (struct chain_degree){best, tenths_of(came_next(m, best))};
}

static bool is_dropped(const struct moment *m, uint32_t row)
{
    return numbers_hold(m->e->chain.drop, m->e->chain.drop_count, row);
}

/* True, of the history, and no pair that is among the `kept` already. */
static bool may_be_evidence(const struct moment *m, const struct chain_evidence *e, size_t kept)
{
    for (size_t i = 0; i < kept; i++)
        if (same_pair(m->e->chain.evidence[i].item, e->item))
            return false;
    for (size_t k = 0; k < 2; k++)
        if (!times(m, e->item[k]) || is_dropped(m, e->item[k]) ||
            !snapshot_has_attribute(m->s, e->item[k], e->attribute))
            return false;
    return true;
}

static bool may_be_dropped(const struct moment *m, struct reason_work *w, uint32_t row)
{
    const struct chain_example *e = m->e;
    for (size_t i = 0; i < e->chain.evidence_count; i++)
        if (e->chain.evidence[i].item[0] == row || e->chain.evidence[i].item[1] == row)
            return false;
    return e->chain.drop_count == 0 && e->history_count > 3 && times(m, row) == 1 &&
           reason_gain(w, m->s, e->history, e->history_count, row) > 0;
}

/* What a large model would say takes the place of what was counted, as far as it is true. */
static void take_wish(struct moment *m, struct reason_work *w)
{
    struct chain *c = &m->e->chain;
    const struct chain *wish = &m->e->wish->chain;
    size_t kept = 0;
    for (size_t i = 0; i < wish->evidence_count; i++)
        if (may_be_evidence(m, &wish->evidence[i], kept))
            c->evidence[kept++] = wish->evidence[i];
    c->evidence_count = kept ? kept : c->evidence_count;
    for (size_t i = 0; i < wish->drop_count; i++)
        if (may_be_dropped(m, w, wish->drop[i]))
            c->drop[c->drop_count++] = wish->drop[i];
    kept = 0;
    for (size_t i = 0; i < wish->likes_count; i++) {
        uint32_t id = wish->likes[i].attribute;
        if (m->counts[id])
            c->likes[kept++] = (struct chain_degree){
                id, tenths_of((double)m->counts[id] / (double)m->e->history_count)};
    }
    c->likes_count = kept ? kept : c->likes_count;
    if (wish->next.attribute != NO_ATTRIBUTE &&
        snapshot_has_attribute(m->s, m->e->next, wish->next.attribute))
        c->next = (struct chain_degree){wish->next.attribute,
                                        tenths_of(came_next(m, wish->next.attribute))};
}

/* What most of the slate has that the start makes of this history; of equal ones the rarer. */
static bool build_plan(struct moment *m, struct slate *slate, struct slate_work *w, struct err *err)
{
    const struct chain_example *e = m->e;
    uint32_t answer[PLAN_ITEMS];
    const struct slate_request request = {.history = e->history,
                                          .history_count = e->history_count,
                                          .n = PLAN_ITEMS,
                                          .beam = PLAN_ITEMS};
    slate_begin(w, m->s);
    for (size_t i = 0; i < e->history_count; i++)
        bit_set(w->skip, e->history[i]);
    if (!slate_make(slate, w, m->s, NULL, &request, err))
        return false;
    for (size_t i = 0; i < slate->count; i++)
        answer[i] = slate->items[i].row;
    memset(m->counts, 0, sizeof m->counts);
    m->kinds = attribute_counts_in(m->counts, m->s, answer, slate->count, m->touched);
    uint32_t best = NO_ATTRIBUTE;
    for (size_t k = 0; k < m->kinds; k++) {
        uint32_t id = m->touched[k];
        if (best == NO_ATTRIBUTE || m->counts[id] > m->counts[best] ||
            (m->counts[id] == m->counts[best] && m->a->items[id] < m->a->items[best]))
            best = id;
    }
    m->e->chain.plan = best;
    return best != NO_ATTRIBUTE;
}

static bool build(struct moment *m, struct chain_works *works, size_t worker)
{
    struct reason_work *w = &works->reasons[worker];
    const struct snapshot *s = m->s;
    struct chain_example *e = m->e;
    memset(m->counts, 0, sizeof m->counts);
    m->kinds = attribute_counts_in(m->counts, s, e->history, e->history_count, m->touched);
    if (m->kinds == 0 || s->attribute_first[e->next] == s->attribute_first[e->next + 1])
        return false;
    find_influence(m, w);
    build_drops(m, w);
    build_evidence(m);
    build_likes(m);
    build_intent(m);
    if (e->wish)
        take_wish(m, w);
    return build_plan(m, &works->slate[worker], &works->slates[worker], &works->errors[worker]);
}

static void build_piece(void *self, size_t piece, size_t worker)
{
    const struct building *b = self;
    size_t last = (piece + 1) * CHAINS_A_PIECE;
    last = last < b->out->count ? last : b->out->count;
    for (size_t i = piece * CHAINS_A_PIECE; i < last; i++) {
        struct moment m = {
            .e = &b->out->list[i], .s = b->snapshot, .a = b->snapshot->version->attributes};
        b->good[i] = build(&m, b->works, worker);
    }
}

static void add_place(struct chain_examples *x, const struct sequences *s, size_t user, size_t at,
                      const struct chain_wish *wish)
{
    size_t before = at - s->first[user];
    size_t count = before < CHAIN_HISTORY ? before : CHAIN_HISTORY;
    struct chain_example *e = &x->list[x->count++];
    *e = (struct chain_example){.history_count = count, .next = s->item[at], .wish = wish};
    memcpy(e->history, s->item + at - count, count * sizeof *e->history);
}

/* Where a large model argued, too: towards what she took last. */
static void draw_places(struct chain_examples *x, const struct sequences *s,
                        const struct chain_teacher *teacher, uint64_t seed)
{
    for (size_t u = 0; u < s->users; u++) {
        struct rng rng = rng_stream(seed, 0xc4a1, u);
        size_t events = s->first[u + 1] - s->first[u];
        size_t places = events > 2 ? events - 2 : 0; /* two or more before it */
        for (size_t k = 0, left = CHAINS_A_USER; k < places && left; k++) {
            if (rng_below(&rng, places - k) >= left)
                continue;
            add_place(x, s, u, s->first[u] + 2 + k, NULL);
            left--;
        }
        const struct chain_wish *wish =
            teacher->wishes && teacher->wishes[u].there ? &teacher->wishes[u] : NULL;
        for (size_t e = s->first[u + 1]; wish && e-- > s->first[u] + 2;)
            if (s->item[e] == wish->next) {
                add_place(x, s, u, e, wish);
                wish = NULL;
            }
    }
}

bool chains_make(struct chain_examples *x, const struct sequences *sequences,
                 const struct snapshot *snapshot, const struct chain_teacher *teacher,
                 uint64_t seed, struct thread_pool *pool, struct err *err)
{
    size_t room = sequences->users * (CHAINS_A_USER + 1);
    *x = (struct chain_examples){.attributes = snapshot->version->attributes};
    struct chain_works works;
    struct building b = {.out = x, .snapshot = snapshot, .works = &works};
    bool open = chain_works_open(&works, snapshot, CHAIN_HISTORY, true, pool, err);
    x->list = calloc(room + 1, sizeof *x->list);
    b.good = calloc(room + 1, 1);
    if (!x->list || !b.good)
        err_set(err, ERR_SYSTEM, "no memory for %zu chains", room);
    if (open && x->list && b.good) {
        draw_places(x, sequences, teacher, seed);
        thread_pool_run(pool, (x->count + CHAINS_A_PIECE - 1) / CHAINS_A_PIECE, build_piece, &b);
        size_t kept = 0;
        for (size_t i = 0; i < x->count; i++)
            if (b.good[i])
                x->list[kept++] = x->list[i];
        x->count = kept;
    }
    open = open && chain_works_fine(&works, err);
    chain_works_close(&works);
    free(b.good);
    if (open && err->code == ERR_NONE && x->count == 0)
        err_set(err, ERR_INPUT,
                "stage reason: expected users with three or more training events of items that "
                "have attributes, found none");
    return err->code == ERR_NONE;
}

void chains_free(struct chain_examples *x)
{
    free(x->list);
    *x = (struct chain_examples){0};
}
