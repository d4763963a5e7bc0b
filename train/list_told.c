#include "train/list_told.h"

#include "base/log.h"
#include "index/text_vectors.h"
#include "recommend/titles.h"
#include "train/talk_told.h"

#include <stdlib.h>
#include <string.h>

const char LIST_ASKS[] =
    "You are a recommender. You are shown what one person chose, oldest first. Name twenty other "
    "works that this person will choose next, the likeliest first, each on a line of its own as "
    "Title (Year). Nothing that is shown, nothing twice, no other words.";

bool list_question_make(struct list_question *q, const struct row_data *data, size_t user,
                        uint64_t seed)
{
    const struct histories *h = data->histories;
    size_t count = 0;
    *q = (struct list_question){0};
    for (size_t e = h->first[user]; e < data->split.train_end[user]; e++)
        count += h->kind[e] == EVENT_POSITIVE;
    size_t cut = list_cut(count, seed, user);
    size_t at = 0;
    for (size_t e = h->first[user]; at < cut; e++)
        if (h->kind[e] == EVENT_POSITIVE && at++ + TOLD_EVENTS >= cut)
            q->history[q->count++] = data->numbers[e];
    q->of = told_of(q->history, q->count);
    return q->count > 0;
}

/* ---- what was said ---- */

struct loading {
    struct list_told *out;
    const struct row_data *data;
    struct told_titles titles;
    uint64_t seed;
};

static bool take_answer(void *self, enum text_owner owner, uint32_t number, uint64_t of,
                        const json_t *lines, struct err *err)
{
    struct loading *l = self;
    struct list_question q;
    if (owner != TEXT_OF_LIST)
        return true;
    const struct histories *h = l->data->histories;
    size_t user = numbers_find(h->user, h->users, number);
    if (user == SIZE_MAX || !list_question_make(&q, l->data, user, l->seed) || q.of != of) {
        l->out->stale++;
        return true;
    }
    l->out->lists++;
    return told_titles_read(l->out->teacher + user * TEACHER_RANKS, &l->titles, lines, err);
}

bool list_told_load(struct list_told *told, const struct row_data *data,
                    const struct snapshot *snapshot, uint64_t seed, struct err *err)
{
    struct loading l = {told, data, {.snapshot = snapshot}, seed};
    struct store_txn txn;
    size_t count = data->sequences.users * TEACHER_RANKS; /* of dialogues that count: none */
    *told = (struct list_told){0};
    told->teacher = calloc(count + 1, sizeof *told->teacher);
    if (!told->teacher)
        return err_set(err, ERR_SYSTEM, "no memory for %zu lists", data->sequences.users);
    for (size_t i = 0; i < count; i++)
        told->teacher[i] = NO_ITEM;
    struct titles *titles = titles_open(snapshot, data->job->store, err);
    l.titles.titles = titles;
    if (!titles || !store_begin(&txn, data->job->store, false, err)) {
        titles_free(titles);
        return false;
    }
    bool fine = texts_each(&txn, take_answer, &l, err);
    store_abort(&txn);
    titles_free(titles);
    told->extra = l.titles.extra; /* its own from now on */
    told->extras = l.titles.extras;
    told->known = l.titles.known;
    if (fine && (told->lists || told->stale))
        log_info("train.told_lists count=%zu stale=%zu known_titles=%zu other_titles=%zu",
                 told->lists, told->stale, told->known, told->extras);
    return fine;
}

void list_told_free(struct list_told *t)
{
    free(t->teacher);
    free(t->extra);
    *t = (struct list_told){0};
}

/* ---- what is made of it ---- */

/* What is given of each list: what its user took. */
static size_t gather_labels(size_t *first, uint32_t *label, const struct list_examples *x)
{
    size_t count = 0;
    first[0] = 0;
    for (size_t i = 0; i < x->count; i++) {
        for (size_t k = 0; k < x->ranks && x->item[i * x->ranks + k] != NO_ITEM; k++)
            label[count++] = x->item[i * x->ranks + k];
        first[i + 1] = count;
    }
    return count;
}

static float *unit_vectors(const struct item_index *index)
{
    size_t dims = index->quantiser.dims;
    float *unit = malloc((index->items * dims + 1) * sizeof *unit);
    if (!unit)
        return NULL;
    memcpy(unit, index->content, index->items * dims * sizeof *unit);
    for (size_t i = 0; i < index->items; i++)
        vector_to_unit(unit + i * dims, dims);
    return unit;
}

/* What both kinds of lists share. */
struct taught {
    float *vectors;
    uint64_t *skip;
    struct list_teaching t;
};

static bool taught_open(struct taught *k, const struct snapshot *snapshot, struct err *err)
{
    const struct item_index *index = snapshot->version->index;
    *k = (struct taught){.t = list_teaching_default()};
    k->skip = calloc(snapshot->rows / 64 + 1, sizeof *k->skip);
    k->vectors = unit_vectors(index);
    if (!k->skip || !k->vectors)
        return err_set(err, ERR_SYSTEM, "no memory for the lists of a teacher");
    memcpy(k->skip, snapshot->hidden, (snapshot->rows / 64 + 1) * sizeof *k->skip);
    snapshot_mask_newcomers(k->skip, snapshot);
    k->t.items = index->items;
    k->t.dims = index->quantiser.dims;
    k->t.vectors = k->vectors;
    k->t.skip = k->skip;
    return true;
}

static void taught_close(struct taught *k)
{
    free(k->skip);
    free(k->vectors);
}

static bool run(struct taught *k, uint32_t *item, size_t ranks, const struct list_questions *q,
                struct thread_pool *pool, struct err *err)
{
    struct list_teaching_report report;
    if (!list_teaching_run(item, ranks, q, &k->t, NULL, NULL, &report, pool, err))
        return false;
    log_info("train.taught_lists count=%zu labels=%zu likelihood_before=%.4f likelihood=%.4f "
             "rounds=%zu",
             q->count, report.labels, report.likelihood_before, report.likelihood, report.rounds);
    return true;
}

bool list_examples_teach(struct list_examples *x, const uint32_t *teacher, const float *extra,
                         const struct snapshot *snapshot, struct thread_pool *pool, struct err *err)
{
    struct taught k;
    size_t *label_first = calloc(x->count + 1, sizeof *label_first);
    uint32_t *label = calloc(x->count * x->ranks + 1, sizeof *label);
    bool fine = taught_open(&k, snapshot, err);
    if (fine && (!label_first || !label))
        fine = err_set(err, ERR_SYSTEM, "no memory for the lists of a teacher");
    if (fine) {
        gather_labels(label_first, label, x);
        const struct list_questions q = {.count = x->count,
                                         .prompt_first = x->first,
                                         .prompt = x->history,
                                         .teacher = teacher,
                                         .label_first = label_first,
                                         .label = label};
        k.t.extra = extra;
        k.t.votes = &snapshot->version->index->neighbours;
        fine = run(&k, x->item, x->ranks, &q, pool, err);
    }
    free(label_first);
    free(label);
    taught_close(&k);
    return fine;
}

/* ---- dialogues ---- */

/* What list_teaching_run() reads of dialogues. */
struct talked {
    size_t *prompt_first, *barred_first;
    uint32_t *prompt, *barred, *teacher, *item;
    float *talk, *mean;
    struct dialogue_counts counts[TEACHER_FOLDS];
    const struct sparse **votes; /* [count] */
};

static bool talked_open(struct talked *k, const struct dialogue_lists *x, const struct dialogues *d,
                        size_t dims, struct err *err)
{
    size_t count = x->prompts.count;
    size_t most = 0; /* mentions of one dialogue */
    for (size_t c = 0; c < d->count; c++) {
        size_t mentions = d->item_first[d->first[c + 1]] - d->item_first[d->first[c]];
        most = mentions > most ? mentions : most;
    }
    k->prompt_first = calloc(count + 1, sizeof *k->prompt_first);
    k->barred_first = calloc(count + 1, sizeof *k->barred_first);
    k->prompt = calloc(x->prompts.named.rows + 1, sizeof *k->prompt);
    k->barred = calloc(count * most + 1, sizeof *k->barred);
    k->teacher = calloc(count * TEACHER_RANKS + 1, sizeof *k->teacher);
    k->item = calloc(count * x->ranks + 1, sizeof *k->item);
    k->talk = calloc(count * dims + 1, sizeof *k->talk);
    k->mean = calloc(dims + 1, sizeof *k->mean);
    k->votes = calloc(count + 1, sizeof(void *));
    return (k->prompt_first && k->barred_first && k->prompt && k->barred && k->teacher && k->item &&
            k->talk && k->mean && k->votes) ||
           err_set(err, ERR_SYSTEM, "no memory for the lists of %zu prompts", count);
}

static void talked_close(struct talked *k)
{
    free(k->prompt_first);
    free(k->barred_first);
    free(k->prompt);
    free(k->barred);
    free(k->teacher);
    free(k->item);
    free(k->talk);
    free(k->mean);
    free(k->votes);
    for (size_t f = 0; f < TEACHER_FOLDS; f++)
        dialogue_counts_free(&k->counts[f]);
}

/* Half of the words of all that was said before the prompt, half of what it names. */
static bool put_talk(struct talked *k, const struct dialogue_lists *x, const struct dialogues *d,
                     const struct item_index *index, size_t at, struct err *err)
{
    size_t dims = index->quantiser.dims;
    float *talk = k->talk + at * dims;
    struct text said;
    text_init(&said, 1 << 20);
    for (size_t t = d->first[x->prompts.dialogue[at]]; t < x->prompts.turn[at]; t++)
        text_addf(&said, "%s\n", d->text + d->text_at[t]);
    const struct document document = {.title = "", .text = said.size ? said.bytes : ""};
    bool fine = text_encode(talk, &index->coder, &document, err);
    text_release(&said);
    memset(k->mean, 0, dims * sizeof *k->mean);
    for (size_t i = k->prompt_first[at]; i < k->prompt_first[at + 1]; i++)
        for (size_t c = 0; c < dims; c++)
            k->mean[c] += index->content[k->prompt[i] * dims + c];
    vector_to_unit(k->mean, dims);
    for (size_t c = 0; c < dims; c++)
        talk[c] += k->mean[c];
    vector_to_unit(talk, dims);
    return fine;
}

/* Prompt, what its dialogue dislikes, and the teacher's list; rows that the version has. */
static void put_rows(struct talked *k, const struct dialogue_lists *x, const struct dialogues *d,
                     size_t items, size_t at)
{
    const struct row_lists *named = &x->prompts.named;
    const size_t *turn = d->first + x->prompts.dialogue[at];
    size_t count = k->prompt_first[at];
    size_t barred = k->barred_first[at];
    for (size_t i = named->first[at]; i < named->first[at + 1]; i++)
        if (named->row[i] < items)
            k->prompt[count++] = named->row[i];
    for (size_t i = d->item_first[turn[0]]; i < d->item_first[turn[1]]; i++)
        if ((d->said[i] & SAID_DISLIKED) && d->item[i] < items)
            k->barred[barred++] = d->item[i];
    k->prompt_first[at + 1] = count;
    k->barred_first[at + 1] = barred;
    for (size_t r = 0; r < TEACHER_RANKS; r++)
        k->teacher[at * TEACHER_RANKS + r] = r < x->ranks ? x->teacher[at * x->ranks + r] : NO_ITEM;
    for (size_t r = 0; r < x->ranks; r++)
        k->item[at * x->ranks + r] = NO_ITEM;
}

/* Where a large model was asked, its lists take the places of ours. */
static bool read_told(struct talked *k, struct told_titles *told, const struct dialogue_lists *x,
                      const struct dialogues *d, struct store *store, struct err *err)
{
    struct talk_told_report r;
    if (!talk_told_load(k->teacher, told, &x->prompts, d, store, &r, err))
        return false;
    if (r.lists || r.stale)
        log_info("train.told_talks count=%zu stale=%zu known_titles=%zu other_titles=%zu", r.lists,
                 r.stale, told->known, told->extras);
    return true;
}

/* Who judges each prompt's list: what is named together in dialogues of other folds than its own.
 */
static bool open_judges(struct talked *k, const struct dialogue_prompts *prompts,
                        const struct dialogues *d, size_t items, struct err *err)
{
    bool fine = true;
    for (size_t f = 0; fine && f < TEACHER_FOLDS; f++)
        fine = dialogue_counts_but(&k->counts[f], d, f, items, err);
    for (size_t i = 0; fine && i < prompts->count; i++)
        k->votes[i] = k->counts[prompts->dialogue[i] % TEACHER_FOLDS].together;
    return fine;
}

bool dialogue_lists_teach(struct dialogue_lists *x, const struct dialogues *d,
                          const struct snapshot *snapshot, const struct titles *titles,
                          struct store *store, struct thread_pool *pool, struct err *err)
{
    struct told_titles told = {.snapshot = snapshot, .titles = titles};
    const struct item_index *index = snapshot->version->index;
    size_t count = x->prompts.count;
    struct taught k;
    struct talked talked = {0};
    bool fine = taught_open(&k, snapshot, err) &&
                talked_open(&talked, x, d, index->quantiser.dims, err) &&
                open_judges(&talked, &x->prompts, d, index->items, err);
    for (size_t i = 0; fine && i < count; i++) {
        put_rows(&talked, x, d, index->items, i);
        fine = put_talk(&talked, x, d, index, i, err);
    }
    fine = fine && read_told(&talked, &told, x, d, store, err);
    if (fine) {
        const struct list_questions q = {.count = count,
                                         .prompt_first = talked.prompt_first,
                                         .prompt = talked.prompt,
                                         .barred_first = talked.barred_first,
                                         .barred = talked.barred,
                                         .talk = talked.talk,
                                         .teacher = talked.teacher,
                                         .label_first = x->prompts.relevant.first,
                                         .label = x->prompts.relevant.row,
                                         .votes = talked.votes};
        k.t.extra = told.extra;
        fine = run(&k, talked.item, x->ranks, &q, pool, err);
    }
    if (fine)
        memcpy(x->teacher, talked.item, count * x->ranks * sizeof *x->teacher);
    told_titles_free(&told);
    talked_close(&talked);
    taught_close(&k);
    return fine;
}
