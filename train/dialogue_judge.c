#include "train/dialogue_judge.h"

#include "base/log.h"
#include "evaluate/ranking.h"
#include "index/cooccurrence.h"

#include <stdlib.h>
#include <string.h>

const char *const DIALOGUE_METHOD_NAMES[DIALOGUE_METHODS] = {"popularity", "retrieval", "item_knn",
                                                             "lists"};

/* WRITERS: lists that are written at once */
enum { PROMPTS_A_PIECE = 8, QUERY_BYTES = 4096, WRITERS = 32 };

/* ---- counts ---- */

static int compare_named(const void *a, const void *b, void *self)
{
    const uint32_t *named = self;
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    if (named[x] != named[y])
        return named[x] > named[y] ? -1 : 1;
    return x < y ? -1 : x > y;
}

bool dialogue_counts_make(struct dialogue_counts *counts, const struct dialogues *d, size_t items,
                          struct err *err)
{
    struct sequences s = {0};
    /* all that is named together, whatever the distance; set by hand */
    static const struct neighbour_options how = {
        .most = 200, .window = 20, .backward = 1, .from = 0.4, .to = 0.3, .shrink = 3};
    *counts = (struct dialogue_counts){0};
    counts->named = calloc(items + 1, sizeof *counts->named);
    counts->popular = calloc(items + 1, sizeof *counts->popular);
    s.first = calloc(1, sizeof *s.first);
    bool fine = counts->named && counts->popular && s.first;
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for the counts of %zu items", items);
    fine = fine && dialogues_append(&s, d, NULL, 0, err);
    for (size_t e = 0; fine && e < s.events; e++)
        counts->named[s.item[e]]++;
    for (uint32_t r = 0; fine && r < items; r++)
        counts->popular[r] = r;
    if (fine && items)
        qsort_r(counts->popular, items, sizeof *counts->popular, compare_named, counts->named);
    counts->together = fine ? neighbours_count(s.item, s.first, s.users, items, &how, err) : NULL;
    sequences_release(&s);
    return counts->together != NULL;
}

void dialogue_counts_free(struct dialogue_counts *counts)
{
    free(counts->named);
    free(counts->popular);
    sparse_free(counts->together);
    *counts = (struct dialogue_counts){0};
}

static size_t fill_popular(uint32_t *list, size_t count, size_t most,
                           const struct dialogue_counts *counts, const uint64_t *skip, size_t items)
{
    for (size_t i = 0; i < items && count < most; i++) {
        uint32_t row = counts->popular[i];
        if (counts->named[row] && !bit_get(skip, row) && !numbers_hold(list, count, row))
            list[count++] = row;
    }
    return count;
}

size_t dialogue_knn(uint32_t *list, size_t most, const struct dialogue_counts *counts,
                    const uint32_t *named, size_t named_count, const uint64_t *skip, size_t items,
                    struct tally *tally)
{
    struct hit hits[DIALOGUE_RANKS];
    const struct sparse *t = counts->together;
    const struct neighbour_lists lists = {t->first, t->column, t->value, t->rows};
    struct topk best = {.hits = hits, .max = most < DIALOGUE_RANKS ? most : DIALOGUE_RANKS};
    knn_votes(tally, &lists, named, named_count, KNN_HISTORY, VOTES_RECENCY);
    for (size_t i = 0; i < tally->count; i++)
        if (!bit_get(skip, tally->touched[i]))
            topk_push(&best, (struct hit){tally->touched[i], tally->score[tally->touched[i]]});
    tally_clear(tally);
    topk_sort(&best);
    for (size_t i = 0; i < best.count; i++)
        list[i] = hits[i].row;
    return fill_popular(list, best.count, most, counts, skip, items);
}

/* ---- judging ---- */

struct judging_work {
    struct tally tally;
    uint64_t *skip; /* [rows] of the prompt at hand */
    char *query;    /* [QUERY_BYTES + 1] */
    struct err err;
};

struct judging {
    const struct dialogue_judging *asked;
    struct dialogue_judgement *out;
    struct judging_work *works; /* owned [threads] */
    size_t threads;
};

static void works_close(struct judging *j)
{
    for (size_t w = 0; j->works && w < j->threads; w++) {
        free(j->works[w].tally.score);
        free(j->works[w].tally.touched);
        free(j->works[w].skip);
        free(j->works[w].query);
    }
    free(j->works);
}

static bool works_open(struct judging *j, struct err *err)
{
    const struct snapshot *s = j->asked->snapshot;
    j->works = calloc(j->threads, sizeof *j->works);
    for (size_t t = 0; j->works && t < j->threads; t++) {
        struct judging_work *w = &j->works[t];
        w->tally.score = calloc(s->rows + 1, sizeof *w->tally.score);
        w->tally.touched = calloc(s->rows + 1, sizeof *w->tally.touched);
        w->skip = calloc(s->rows / 64 + 1, sizeof *w->skip);
        w->query = calloc(QUERY_BYTES + 1, 1);
        if (!w->tally.score || !w->tally.touched || !w->skip || !w->query)
            return err_set(err, ERR_SYSTEM, "no memory to judge dialogues");
    }
    return j->works || err_set(err, ERR_SYSTEM, "no memory to judge dialogues");
}

/* The newest of what was said, as one text. */
static void write_query(char *query, const struct dialogues *d, size_t begin, size_t end)
{
    size_t used = QUERY_BYTES;
    query[QUERY_BYTES] = 0;
    for (size_t t = end; t-- > begin;) {
        const char *text = d->text + d->text_at[t];
        size_t size = strlen(text);
        if (size + 1 > used)
            break;
        used -= size + 1;
        memcpy(query + used, text, size);
        query[used + size] = ' ';
    }
    memmove(query, query + used, QUERY_BYTES - used + 1);
}

static size_t retrieve(uint32_t *list, size_t most, const struct judging *j, struct judging_work *w,
                       size_t prompt)
{
    struct hit hits[8 * DIALOGUE_RANKS];
    const struct dialogue_judging *a = j->asked;
    const struct item_index *index = a->snapshot->version->index;
    size_t dialogue = a->prompts->dialogue[prompt];
    size_t count = 0;
    write_query(w->query, a->dialogues, a->dialogues->first[dialogue], a->prompts->turn[prompt]);
    const struct document document = {"", w->query, NULL, 0};
    size_t found =
        text_nearest(hits, COUNT(hits), &index->coder, &index->postings, &document, &w->err);
    for (size_t i = 0; i < found && count < most; i++)
        if (!bit_get(w->skip, hits[i].row))
            list[count++] = hits[i].row;
    return count;
}

/* What may not be listed: hidden, not among those that may, or named before. */
static void begin(uint64_t *skip, const struct dialogue_judging *a, size_t prompt)
{
    const struct row_lists *named = &a->prompts->named;
    memcpy(skip, a->snapshot->hidden, (a->snapshot->rows / 64 + 1) * sizeof *skip);
    for (size_t i = 0; a->among && i < a->snapshot->rows / 64 + 1; i++)
        skip[i] |= ~a->among[i];
    for (size_t i = named->first[prompt]; !a->unmasked && i < named->first[prompt + 1]; i++)
        bit_set(skip, named->row[i]);
}

static void note(struct judging *j, enum dialogue_method method, size_t prompt,
                 const uint32_t *list, size_t count)
{
    const struct row_lists *labels = &j->asked->prompts->labels;
    for (size_t i = labels->first[prompt]; i < labels->first[prompt + 1]; i++)
        for (size_t k = 0; k < count; k++)
            if (list[k] == labels->row[i])
                j->out->rank[method][i] = (uint32_t)k + 1;
}

/* ---- lists, many at once ---- */

struct writer {
    struct talk talk;
    size_t prompt;
    bool busy;
    uint64_t *skip; /* owned */
    struct votes votes;
};

static void ask(struct writer *w, struct judging *j, struct talks *talks, size_t prompt)
{
    const struct dialogue_judging *a = j->asked;
    const struct row_lists *named = &a->prompts->named;
    begin(w->skip, a, prompt);
    w->prompt = prompt;
    w->talk = (struct talk){.prompt = row_lists_at(&a->prompts->symbols, prompt),
                            .prompt_count = row_lists_count(&a->prompts->symbols, prompt),
                            .skip = w->skip,
                            .votes = &w->votes,
                            .n = a->ranks};
    votes_count(&w->votes, &j->works->tally, a->snapshot, row_lists_at(named, prompt),
                row_lists_count(named, prompt), w->skip, a->votes);
    w->busy = talks_add(talks, &w->talk);
}

static void take(struct writer *w, struct judging *j)
{
    note(j, DIALOGUE_LISTS, w->prompt, w->talk.rows, w->talk.listed);
    j->out->short_lists += w->talk.listed < j->asked->ranks;
    w->busy = false;
}

static void write_lists(struct judging *j, struct talks *talks, struct writer *writers)
{
    size_t next = 0;
    size_t left = j->asked->prompts->count;
    while (left) {
        for (size_t i = 0; i < WRITERS; i++)
            if (!writers[i].busy && next < j->asked->prompts->count) {
                ask(&writers[i], j, talks, next);
                next += writers[i].busy;
            }
        talks_step(talks);
        for (size_t i = 0; i < WRITERS; i++)
            if (writers[i].busy && writers[i].talk.state == TALK_DONE) {
                take(&writers[i], j);
                left--;
            }
    }
}

static bool judge_lists(struct judging *j, struct err *err)
{
    const struct dialogue_judging *a = j->asked;
    const struct talks_options options = {.streams = WRITERS,
                                          .positions = a->symbols + TALK_POSITIONS_LEAST,
                                          .threads = j->threads,
                                          .beam = a->beam};
    struct writer *writers = calloc(WRITERS, sizeof *writers);
    struct talks *talks = writers ? talks_open(a->snapshot, &options, err) : NULL;
    bool fine = talks != NULL;
    for (size_t i = 0; fine && i < WRITERS; i++) {
        writers[i].skip = calloc(a->snapshot->rows / 64 + 1, sizeof *writers[i].skip);
        fine = writers[i].skip != NULL;
    }
    if (fine)
        write_lists(j, talks, writers);
    else
        err_set(err, ERR_SYSTEM, "no memory to write lists");
    talks_close(talks);
    for (size_t i = 0; writers && i < WRITERS; i++)
        free(writers[i].skip);
    free(writers);
    return fine;
}

/* ---- the others ---- */

static void judge_prompt(struct judging *j, struct judging_work *w, size_t prompt)
{
    const struct dialogue_judging *a = j->asked;
    const struct row_lists *named = &a->prompts->named;
    size_t items = a->snapshot->version->index->items;
    uint32_t list[DIALOGUE_RANKS];
    begin(w->skip, a, prompt);
    note(j, DIALOGUE_POPULAR, prompt, list,
         fill_popular(list, 0, a->ranks, a->counts, w->skip, items));
    note(j, DIALOGUE_RETRIEVAL, prompt, list, retrieve(list, a->ranks, j, w, prompt));
    note(j, DIALOGUE_KNN, prompt, list,
         dialogue_knn(list, a->ranks, a->counts, row_lists_at(named, prompt),
                      row_lists_count(named, prompt), w->skip, items, &w->tally));
}

static void judge_piece(void *self, size_t piece, size_t worker)
{
    struct judging *j = self;
    for (size_t p = piece * PROMPTS_A_PIECE;
         p < (piece + 1) * PROMPTS_A_PIECE && p < j->asked->prompts->count; p++)
        judge_prompt(j, &j->works[worker], p);
}

/* Which dialogue each label is of. */
static void number_dialogues(struct dialogue_judgement *out, const struct dialogue_judging *a)
{
    const struct dialogue_prompts *p = a->prompts;
    for (size_t i = 0; i < p->count; i++) {
        if (i == 0 || p->dialogue[i] != p->dialogue[i - 1])
            out->key[out->dialogues++] = a->dialogues->key[p->dialogue[i]];
        for (size_t l = p->labels.first[i]; l < p->labels.first[i + 1]; l++)
            out->of[l] = (uint32_t)out->dialogues - 1;
    }
}

static bool judgement_new(struct dialogue_judgement *out, const struct dialogue_judging *a,
                          struct err *err)
{
    const struct dialogue_prompts *p = a->prompts;
    *out = (struct dialogue_judgement){.labels = p->labels.rows, .lists = p->count};
    out->of = calloc(out->labels + 1, sizeof *out->of);
    out->key = calloc(p->count + 1, sizeof *out->key);
    bool fine = out->of && out->key;
    for (size_t m = 0; m < DIALOGUE_METHODS; m++) {
        out->rank[m] = calloc(out->labels + 1, sizeof *out->rank[m]);
        fine = fine && out->rank[m];
    }
    if (fine)
        number_dialogues(out, a);
    return fine || err_set(err, ERR_SYSTEM, "no memory to judge %zu labels", out->labels);
}

bool dialogues_judge(struct dialogue_judgement *out, const struct dialogue_judging *asked,
                     struct thread_pool *pool, struct err *err)
{
    struct judging j = {.asked = asked, .out = out, .threads = thread_pool_count(pool)};
    double started = clock_s();
    bool fine = judgement_new(out, asked, err) && works_open(&j, err) && judge_lists(&j, err);
    if (fine && asked->counts)
        thread_pool_run(pool, (asked->prompts->count + PROMPTS_A_PIECE - 1) / PROMPTS_A_PIECE,
                        judge_piece, &j);
    for (size_t w = 0; fine && w < j.threads; w++)
        if (j.works[w].err.code != ERR_NONE) {
            *err = j.works[w].err;
            fine = false;
        }
    works_close(&j);
    out->seconds = clock_s() - started;
    if (!fine)
        dialogue_judgement_free(out);
    return fine;
}

void dialogue_judgement_free(struct dialogue_judgement *out)
{
    for (size_t m = 0; m < DIALOGUE_METHODS; m++)
        free(out->rank[m]);
    free(out->of);
    free(out->key);
    *out = (struct dialogue_judgement){0};
}

void dialogue_values(double *value, const struct dialogue_judgement *j, enum dialogue_method method,
                     enum dialogue_metric metric, size_t cut)
{
    double scale = j->labels ? (double)j->dialogues / (double)j->labels : 0;
    memset(value, 0, j->dialogues * sizeof *value);
    for (size_t l = 0; l < j->labels; l++) {
        uint32_t rank = j->rank[method][l];
        double gain =
            metric == DIALOGUE_NDCG ? ranking_ndcg(rank, cut) : (double)(rank >= 1 && rank <= cut);
        value[j->of[l]] += gain * scale;
    }
}

/* Upwards, as long as it gets better. */
bool dialogue_votes_fit(double *weight, const struct dialogue_judging *asked,
                        struct thread_pool *pool, struct err *err)
{
    static const double tried[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    double best = -1;
    size_t worse = 0; /* in a row: one alone may be chance */
    *weight = 0;
    for (size_t i = 0; i < COUNT(tried) && worse < 2; i++) {
        struct dialogue_judging judging = *asked;
        struct dialogue_judgement seen;
        struct ranking r;
        judging.votes = tried[i];
        if (!dialogues_judge(&seen, &judging, pool, err))
            return false;
        ranking_measure(&r, seen.rank[DIALOGUE_LISTS], seen.labels);
        dialogue_judgement_free(&seen);
        log_info("votes.fit weight=%g ndcg20=%.4f", tried[i], r.ndcg[3]);
        worse = r.ndcg[3] > best ? 0 : worse + 1;
        if (worse)
            continue;
        best = r.ndcg[3];
        *weight = tried[i];
    }
    return true;
}
