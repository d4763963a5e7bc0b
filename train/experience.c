#include "train/experience.h"

#include "recommend/experience.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double STD_LEAST = 1e-4;
static const uint64_t PICKS = 0xe9b1c4, DRAWS = 0xe9d2a3; /* names of random streams */

struct rounding {
    const struct experience_prompts *prompts;
    const struct snapshot *snapshot;
    const struct experience_options *options;
    size_t round, count;
    uint32_t *picked;         /* [prompts] a shuffle; the first `count` are of this round */
    uint32_t *item;           /* [count, lists, ranks] */
    double *advantage, *seen; /* [items] */
    struct list_work *works;  /* [threads] */
    size_t threads;
};

bool experience_compare(double *advantage, double *seen, const uint32_t *item, size_t lists,
                        size_t ranks, const uint32_t *relevant, size_t relevant_count)
{
    double reward[EXPERIENCE_LISTS_MAX];
    bool any = false;
    assert(lists >= 2 && lists <= EXPERIENCE_LISTS_MAX);
    for (size_t k = 0; k < ranks; k++) {
        double mean = 0;
        double square = 0;
        for (size_t g = 0; g < lists; g++) {
            reward[g] = numbers_hold(relevant, relevant_count, item[g * ranks + k]);
            mean += reward[g] / (double)lists;
        }
        for (size_t g = 0; g < lists; g++)
            square += (reward[g] - mean) * (reward[g] - mean);
        if (square <= 0)
            continue;
        any = true;
        double std = sqrt(square / (double)(lists - 1));
        for (size_t g = 0; g < lists; g++) {
            uint32_t row = item[g * ranks + k];
            if (row == NO_ITEM)
                continue;
            advantage[row] += (reward[g] - mean) / (std + STD_LEAST);
            seen[row] += 1;
        }
    }
    return any;
}

static bool take(void *out, size_t count, size_t size, struct err *err)
{
    void *memory = calloc(count + 1, size);
    memcpy(out, &memory, sizeof memory);
    return memory || err_set(err, ERR_SYSTEM, "no memory for a round of experience");
}

static bool rounding_open(struct rounding *r, struct err *err)
{
    const struct experience_options *o = r->options;
    size_t items = r->snapshot->version->index->items;
    bool fine = take(&r->picked, r->prompts->count, sizeof *r->picked, err) &&
                take(&r->item, r->count * o->lists * o->ranks, sizeof *r->item, err) &&
                take(&r->advantage, items, sizeof *r->advantage, err) &&
                take(&r->seen, items, sizeof *r->seen, err) &&
                take(&r->works, r->threads, sizeof *r->works, err);
    for (size_t t = 0; fine && t < r->threads; t++)
        fine = list_work_open(&r->works[t], r->snapshot, o->symbols, EXPERIENCE_BEAM, err);
    return fine;
}

static void rounding_close(struct rounding *r)
{
    for (size_t t = 0; r->works && t < r->threads; t++)
        list_work_close(&r->works[t]);
    free(r->picked);
    free(r->item);
    free(r->advantage);
    free(r->seen);
    free(r->works);
}

/* The lists of one prompt, each drawn on its own. */
static void draw_piece(void *self, size_t piece, size_t worker)
{
    struct rounding *r = self;
    const struct experience_prompts *p = r->prompts;
    const struct experience_options *o = r->options;
    struct list_work *w = &r->works[worker];
    size_t at = r->picked[piece];
    for (size_t g = 0; g < o->lists; g++) {
        uint32_t *list = r->item + (piece * o->lists + g) * o->ranks;
        struct rng rng = rng_stream(o->seed ^ DRAWS, r->round, at * EXPERIENCE_LISTS_MAX + g);
        const struct list_draws draws = {&rng, o->temperature};
        w->pushes.draws = &draws;
        list_begin(w, r->snapshot);
        for (size_t i = p->known_first[at]; i < p->known_first[at + 1]; i++)
            bit_set(w->skip, p->known[i]);
        size_t count = list_make(list, o->ranks, w, r->snapshot, p->symbol + p->first[at],
                                 p->first[at + 1] - p->first[at], EXPERIENCE_BEAM);
        for (; count < o->ranks; count++)
            list[count] = NO_ITEM;
        w->pushes.draws = NULL;
    }
}

static void learn(float *bias, struct rounding *r, struct experience_report *report)
{
    const struct experience_prompts *p = r->prompts;
    const struct experience_options *o = r->options;
    size_t rights = 0;
    for (size_t i = 0; i < r->count; i++) {
        const size_t *first = p->relevant_first + r->picked[i];
        const uint32_t *item = r->item + i * o->lists * o->ranks;
        report->silent += !experience_compare(r->advantage, r->seen, item, o->lists, o->ranks,
                                              p->relevant + first[0], first[1] - first[0]);
        for (size_t k = 0; k < o->lists * o->ranks; k++)
            rights += numbers_hold(p->relevant + first[0], first[1] - first[0], item[k]);
    }
    for (size_t v = 0; v < r->snapshot->version->index->items; v++) {
        if (r->seen[v] == 0)
            continue;
        double more = o->step * r->advantage[v] / (r->seen[v] + o->prior);
        bias[v] = (float)fmax(-EXPERIENCE_MOST, fmin(EXPERIENCE_MOST, (double)bias[v] + more));
        report->items++;
    }
    report->prompts = r->count;
    report->reward = (double)rights / fmax(1, (double)(r->count * o->lists * o->ranks));
}

bool experience_round(float *bias, const struct experience_prompts *prompts,
                      const struct snapshot *snapshot, const struct experience_options *options,
                      size_t round, struct experience_report *report, struct thread_pool *pool,
                      struct err *err)
{
    struct rounding r = {.prompts = prompts,
                         .snapshot = snapshot,
                         .options = options,
                         .round = round,
                         .count =
                             options->prompts < prompts->count ? options->prompts : prompts->count,
                         .threads = thread_pool_count(pool)};
    *report = (struct experience_report){0};
    bool fine = rounding_open(&r, err);
    if (fine) {
        struct rng rng = rng_stream(options->seed ^ PICKS, round, 0);
        for (size_t i = 0; i < prompts->count; i++)
            r.picked[i] = (uint32_t)i;
        rng_shuffle(&rng, r.picked, prompts->count);
        thread_pool_run(pool, r.count, draw_piece, &r);
        learn(bias, &r, report);
    }
    rounding_close(&r);
    return fine;
}
