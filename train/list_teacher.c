#include "train/list_teacher.h"

#include "base/text.h"
#include "base/topk.h"
#include "index/text_vectors.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 64 }; /* examples whose scores are there at once */
#define NEVER (-1e30F)

struct list_teaching list_teaching_default(void)
{
    return (struct list_teaching){.talk_weight = 1,
                                  .reflect_weight = 0.5,
                                  .penalty = 0.01,
                                  .judged = 100,
                                  .rounds = 20,
                                  .fit_most = 4000};
}

/* What is added to one row's score besides the product. */
struct addition {
    uint32_t row;
    float value;
};

struct part {
    float *scores;                      /* [ROWS, items] */
    float *votes;                       /* [items] */
    struct hit *hits;                   /* [judged] */
    double *gradient[2], *curvature[2]; /* [items] each, of w and b */
    double likelihood;
    size_t labels;
};

struct running {
    const struct list_questions *q;
    const struct list_teaching *t;
    uint32_t *item;
    size_t ranks, additions_max;
    float *query;               /* [count, dims] */
    struct addition *additions; /* [count, additions_max] */
    uint32_t *addition_count;   /* [count] */
    float *w, *b;               /* [items] that scores are looked at with */
    double *best[2], *step[2];  /* [items] of w and b */
    struct part parts[TEACHER_PARTS];
};

static bool take(void *out, size_t count, size_t size, struct err *err)
{
    void *memory = calloc(count + 1, size);
    memcpy(out, &memory, sizeof memory);
    return memory || err_set(err, ERR_SYSTEM, "no memory for the lists of a teacher");
}

static bool running_open(struct running *r, struct err *err)
{
    size_t items = r->t->items;
    size_t count = r->q->count;
    r->additions_max = TEACHER_RANKS + r->t->judged;
    bool fine = take(&r->query, count * r->t->dims, sizeof(float), err) &&
                take(&r->additions, count * r->additions_max, sizeof *r->additions, err) &&
                take(&r->addition_count, count, sizeof *r->addition_count, err) &&
                take(&r->w, items, sizeof(float), err) && take(&r->b, items, sizeof(float), err);
    for (int k = 0; fine && k < 2; k++)
        fine = take(&r->best[k], items, sizeof(double), err) &&
               take(&r->step[k], items, sizeof(double), err);
    for (size_t p = 0; fine && p < TEACHER_PARTS; p++) {
        struct part *part = &r->parts[p];
        fine = take(&part->scores, ROWS * items, sizeof(float), err) &&
               take(&part->votes, items, sizeof(float), err) &&
               take(&part->hits, r->t->judged + r->ranks, sizeof *part->hits, err);
        for (int k = 0; fine && k < 2; k++)
            fine = take(&part->gradient[k], items, sizeof(double), err) &&
                   take(&part->curvature[k], items, sizeof(double), err);
    }
    return fine;
}

static void running_close(struct running *r)
{
    free(r->query);
    free(r->additions);
    free(r->addition_count);
    free(r->w);
    free(r->b);
    for (int k = 0; k < 2; k++) {
        free(r->best[k]);
        free(r->step[k]);
    }
    for (size_t p = 0; p < TEACHER_PARTS; p++) {
        struct part *part = &r->parts[p];
        free(part->scores);
        free(part->votes);
        free(part->hits);
        for (int k = 0; k < 2; k++) {
            free(part->gradient[k]);
            free(part->curvature[k]);
        }
    }
}

/* ---- remap ---- */

static void add_vector(float *to, float scale, const float *from, size_t dims)
{
    for (size_t d = 0; d < dims; d++)
        to[d] += scale * from[d];
}

static void add(struct running *r, size_t at, uint32_t row, float value)
{
    struct addition *list = r->additions + at * r->additions_max;
    list[r->addition_count[at]++] = (struct addition){row, value};
}

/* The mean of what the prompt holds, of unit length. */
static void mean_prompt(float *mean, const struct running *r, size_t at)
{
    size_t dims = r->t->dims;
    memset(mean, 0, dims * sizeof *mean);
    for (size_t i = r->q->prompt_first[at]; i < r->q->prompt_first[at + 1]; i++)
        add_vector(mean, 1, r->t->vectors + r->q->prompt[i] * dims, dims);
    vector_to_unit(mean, dims);
}

static void make_query(struct running *r, size_t at)
{
    size_t dims = r->t->dims;
    float *query = r->query + at * dims;
    if (r->q->talk)
        memcpy(query, r->q->talk + at * dims, dims * sizeof *query);
    else
        mean_prompt(query, r, at);
    for (size_t d = 0; d < dims; d++)
        query[d] *= (float)r->t->talk_weight;
    const uint32_t *teacher = r->q->teacher + at * TEACHER_RANKS;
    for (size_t k = 0; k < TEACHER_RANKS && teacher[k] != UINT32_MAX; k++) {
        float p = 1 / sqrtf((float)(k + 1));
        bool known = teacher[k] < r->t->items;
        add_vector(query, p,
                   known ? r->t->vectors + teacher[k] * dims
                         : r->t->extra + (teacher[k] - r->t->items) * dims,
                   dims);
        if (known)
            add(r, at, teacher[k], p);
    }
}

/* Scores of examples [first, first + count) of what is known so far. */
static void make_scores(const struct running *r, struct part *part, size_t first, size_t count)
{
    size_t items = r->t->items;
    size_t dims = r->t->dims;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count, (int)items, (int)dims, 1,
                r->query + first * dims, (int)dims, r->t->vectors, (int)dims, 0, part->scores,
                (int)items);
    for (size_t i = 0; i < count; i++) {
        const struct addition *list = r->additions + (first + i) * r->additions_max;
        for (size_t k = 0; k < r->addition_count[first + i]; k++)
            part->scores[i * items + list[k].row] += list[k].value;
    }
}

/* Scores become w s + b, and what may not be listed never is. */
static void adjust(const struct running *r, float *scores, size_t at)
{
    for (size_t i = 0; i < r->t->items; i++)
        scores[i] = r->w[i] * scores[i] + r->b[i];
    for (size_t i = r->q->prompt_first[at]; i < r->q->prompt_first[at + 1]; i++)
        scores[r->q->prompt[i]] = NEVER;
    for (size_t i = r->q->barred_first ? r->q->barred_first[at] : 0;
         r->q->barred_first && i < r->q->barred_first[at + 1]; i++)
        scores[r->q->barred[i]] = NEVER;
}

static size_t best_of(struct hit *hits, size_t most, const float *scores, size_t items)
{
    struct topk top = {.hits = hits, .max = most};
    for (uint32_t i = 0; i < items; i++)
        if (scores[i] > NEVER / 2)
            topk_push(&top, (struct hit){i, scores[i]});
    topk_sort(&top);
    return top.count;
}

/* ---- reflect ---- */

static void vote(const struct running *r, float *votes, size_t at)
{
    const struct sparse *n = r->q->votes ? r->q->votes[at] : r->t->votes;
    memset(votes, 0, r->t->items * sizeof *votes);
    for (size_t i = r->q->prompt_first[at]; i < r->q->prompt_first[at + 1]; i++)
        for (size_t e = n->first[r->q->prompt[i]]; e < n->first[r->q->prompt[i] + 1]; e++)
            votes[n->column[e]] += n->value[e];
}

static void judge(struct running *r, struct part *part, size_t at, const struct hit *hits,
                  size_t count)
{
    size_t voted = 0;
    vote(r, part->votes, at);
    for (size_t i = 0; i < count; i++)
        voted += part->votes[hits[i].row] > 0;
    for (size_t i = 0; i < count; i++) {
        float mine = part->votes[hits[i].row];
        size_t above = 0;
        for (size_t k = 0; k < count && mine > 0; k++)
            above += part->votes[hits[k].row] > mine;
        int grade = mine <= 0 ? -1 : 3 * above < voted ? 2 : 3 * above < 2 * voted ? 1 : 0;
        if (grade)
            add(r, at, hits[i].row, (float)(r->t->reflect_weight * grade));
    }
}

/* ---- the passes ---- */

/* A part's examples, ROWS at a time; of a fit every `stride`-th block. */
typedef void block_fn(struct running *r, struct part *part, size_t first, size_t count);

static void each_block(struct running *r, size_t part, size_t stride, block_fn *fn)
{
    size_t blocks = (r->q->count + ROWS - 1) / ROWS;
    for (size_t k = part * stride; k < blocks; k += TEACHER_PARTS * stride) {
        size_t first = k * ROWS;
        size_t count = r->q->count - first < ROWS ? r->q->count - first : ROWS;
        fn(r, &r->parts[part], first, count);
    }
}

static void reflect_block(struct running *r, struct part *part, size_t first, size_t count)
{
    for (size_t i = 0; i < count; i++)
        make_query(r, first + i);
    if (!r->t->votes && !r->q->votes)
        return;
    make_scores(r, part, first, count);
    for (size_t i = 0; i < count; i++) {
        float *scores = part->scores + i * r->t->items;
        adjust(r, scores, first + i);
        size_t found = best_of(part->hits, r->t->judged, scores, r->t->items);
        judge(r, part, first + i, part->hits, found);
    }
}

/* Adds the gradient and the diagonal curvature of an example's labels. */
static void learn_example(struct running *r, struct part *part, const float *scores, float *z,
                          size_t at)
{
    const size_t *label = r->q->label_first + at;
    size_t labels = 0;
    float most = NEVER;
    float total = 0;
    for (size_t i = 0; i < r->t->items; i++)
        most = z[i] > most ? z[i] : most;
    for (size_t k = label[0]; k < label[1]; k++) {
        uint32_t row = r->q->label[k];
        if (z[row] <= NEVER / 2)
            continue;
        labels++;
        part->likelihood += (double)(z[row] - most);
        part->gradient[0][row] += (double)scores[row];
        part->gradient[1][row] += 1;
    }
    if (labels == 0)
        return;
    for (size_t i = 0; i < r->t->items; i++)
        total += z[i] = expf(z[i] - most);
    for (size_t i = 0; i < r->t->items; i++) {
        double p = (double)(z[i] / total);
        double s = (double)scores[i];
        double expected = (double)labels * p;
        part->gradient[0][i] -= expected * s;
        part->gradient[1][i] -= expected;
        part->curvature[0][i] += expected * (1 - p) * s * s;
        part->curvature[1][i] += expected * (1 - p);
    }
    part->likelihood -= (double)labels * log((double)total);
    part->labels += labels;
}

static void learn_block(struct running *r, struct part *part, size_t first, size_t count)
{
    size_t items = r->t->items;
    float *z = part->votes; /* its turn is over */
    make_scores(r, part, first, count);
    for (size_t i = 0; i < count; i++) {
        memcpy(z, part->scores + i * items, items * sizeof *z);
        adjust(r, z, first + i);
        learn_example(r, part, part->scores + i * items, z, first + i);
    }
}

static void fill_block(struct running *r, struct part *part, size_t first, size_t count)
{
    make_scores(r, part, first, count);
    for (size_t i = 0; i < count; i++) {
        float *scores = part->scores + i * r->t->items;
        uint32_t *list = r->item + (first + i) * r->ranks;
        size_t given = 0;
        while (given < r->ranks && list[given] != UINT32_MAX)
            given++;
        adjust(r, scores, first + i);
        size_t found = best_of(part->hits, r->ranks, scores, r->t->items);
        for (size_t k = 0, at = given; k < found && at < r->ranks; k++)
            if (!numbers_hold(list, given, part->hits[k].row))
                list[at++] = part->hits[k].row;
    }
}

static void reflect_piece(void *self, size_t piece, size_t worker)
{
    (void)worker;
    each_block(self, piece, 1, reflect_block);
}

static void fill_piece(void *self, size_t piece, size_t worker)
{
    (void)worker;
    each_block(self, piece, 1, fill_block);
}

static void learn_piece(void *self, size_t piece, size_t worker)
{
    struct running *r = self;
    struct part *part = &r->parts[piece];
    size_t blocks = (r->q->count + ROWS - 1) / ROWS;
    size_t wanted = (r->t->fit_most + ROWS - 1) / ROWS;
    (void)worker;
    for (int k = 0; k < 2; k++) {
        memset(part->gradient[k], 0, r->t->items * sizeof(double));
        memset(part->curvature[k], 0, r->t->items * sizeof(double));
    }
    part->likelihood = 0;
    part->labels = 0;
    each_block(r, piece, wanted && blocks > wanted ? (blocks + wanted - 1) / wanted : 1,
               learn_block);
}

/* ---- adjust ---- */

/* What may never be listed stays out of the softmax. */
static void look_with(struct running *r, double share)
{
    for (size_t i = 0; i < r->t->items; i++) {
        r->w[i] = (float)(r->best[0][i] + share * r->step[0][i]);
        r->b[i] = (float)(r->best[1][i] + share * r->step[1][i]);
        if (r->t->skip && (r->t->skip[i / 64] >> i % 64 & 1)) {
            r->w[i] = 0;
            r->b[i] = NEVER;
        }
    }
}

/* The objective at best + share * step; its likelihood is left in the report. */
static double objective_of(struct running *r, double share, struct list_teaching_report *report,
                           struct thread_pool *pool)
{
    double value = 0;
    look_with(r, share);
    thread_pool_run(pool, TEACHER_PARTS, learn_piece, r);
    report->labels = 0;
    for (size_t p = 0; p < TEACHER_PARTS; p++) {
        value += r->parts[p].likelihood;
        report->labels += r->parts[p].labels;
    }
    report->likelihood = report->labels ? value / (double)report->labels : 0;
    for (size_t i = 0; i < r->t->items; i++) {
        double w = r->best[0][i] + share * r->step[0][i] - 1;
        double b = r->best[1][i] + share * r->step[1][i];
        value -= r->t->penalty * (w * w + b * b);
    }
    return value;
}

/* best += share * step; the next step is Newton's with the diagonal of the curvature. */
static void accept(struct running *r, double share)
{
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < r->t->items; i++) {
            double gradient = 0;
            double curvature = 2 * r->t->penalty;
            r->best[k][i] += share * r->step[k][i];
            for (size_t p = 0; p < TEACHER_PARTS; p++) {
                gradient += r->parts[p].gradient[k][i];
                curvature += r->parts[p].curvature[k][i];
            }
            gradient -= 2 * r->t->penalty * (r->best[k][i] - (k == 0));
            r->step[k][i] = fmax(-1, fmin(1, gradient / curvature));
        }
}

static void fit(struct running *r, struct list_teaching_report *report, struct thread_pool *pool)
{
    double share = 0;
    double best = objective_of(r, 0, report, pool);
    double likelihood = report->likelihood_before = report->likelihood;
    accept(r, 0);
    share = 0.5;
    for (size_t round = 0; round < r->t->rounds && share > 1e-3; round++) {
        double value = objective_of(r, share, report, pool);
        report->rounds++;
        if (value > best) {
            bool settled = value - best < 1e-5 * fabs(best);
            best = value;
            likelihood = report->likelihood;
            accept(r, share);
            share = fmin(1, share * 1.5);
            if (settled)
                break;
        } else {
            share /= 2;
        }
    }
    report->likelihood = likelihood;
}

bool list_teaching_run(uint32_t *item, size_t ranks, const struct list_questions *q,
                       const struct list_teaching *t, float *w, float *b,
                       struct list_teaching_report *report, struct thread_pool *pool,
                       struct err *err)
{
    struct running r = {.q = q, .t = t, .item = item, .ranks = ranks};
    *report = (struct list_teaching_report){0};
    bool fine = running_open(&r, err);
    if (fine) {
        for (size_t i = 0; i < t->items; i++)
            r.best[0][i] = 1;
        look_with(&r, 0);
        thread_pool_run(pool, TEACHER_PARTS, reflect_piece, &r);
        if (t->rounds)
            fit(&r, report, pool);
        look_with(&r, 0);
        thread_pool_run(pool, TEACHER_PARTS, fill_piece, &r);
        for (size_t i = 0; i < t->items; i++) {
            if (w)
                w[i] = (float)r.best[0][i];
            if (b)
                b[i] = (float)r.best[1][i];
        }
    }
    running_close(&r);
    return fine;
}
