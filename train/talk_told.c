#include "train/talk_told.h"

#include "base/rng.h"
#include "data/texts.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

const char TALK_ASKS[] =
    "You are a recommender in a conversation. You are shown what USER and SYSTEM, which is you, "
    "have said so far. Name twenty works that you recommend now, the best first, each on a line of "
    "its own as Title (Year). Nothing that was named already, nothing twice, no other words.";

/* Where the newest turns that fit begin; at least one. */
static size_t first_shown(const struct dialogues *d, size_t begin, size_t turn)
{
    size_t size = 0;
    size_t from = turn;
    while (from > begin) {
        size += strlen(d->text + d->text_at[from - 1]);
        if (size > TALK_TEXT_MAX && from < turn)
            break;
        from--;
    }
    return from;
}

void talk_question_text(struct text *text, const struct dialogues *d, size_t dialogue, size_t turn)
{
    size_t begin = d->first[dialogue];
    if (turn == begin)
        text_addf(text, "USER:\n"); /* nobody has said anything */
    for (size_t t = first_shown(d, begin, turn); t < turn; t++)
        text_addf(text, "%s: %s\n", d->speaker[t] == SPEAKER_USER ? "USER" : "SYSTEM",
                  d->text + d->text_at[t]);
}

static struct talk_question question_at(const struct dialogues *d, size_t dialogue, size_t turn)
{
    struct text text;
    text_init(&text, 1 << 20);
    talk_question_text(&text, d, dialogue, turn);
    uint64_t place = (uint64_t)d->key[dialogue] << 32 | (turn - d->first[dialogue]);
    const struct talk_question q = {(uint32_t)dialogue, (uint32_t)turn,
                                    (uint32_t)(rng_mix(place) >> 32),
                                    XXH3_64bits(text.bytes, text.size)};
    text_release(&text);
    return q;
}

static bool named_before(const struct dialogues *d, size_t dialogue, size_t turn, uint32_t item)
{
    for (size_t i = d->item_first[d->first[dialogue]]; i < d->item_first[turn]; i++)
        if (d->item[i] == item)
            return true;
    return false;
}

static bool names_something(const struct dialogues *d, size_t dialogue, size_t turn)
{
    for (size_t i = d->item_first[turn]; i < d->item_first[turn + 1]; i++)
        if (!named_before(d, dialogue, turn, d->item[i]))
            return d->speaker[turn] == SPEAKER_ASSISTANT;
    return false;
}

bool talk_questions_make(struct talk_question **questions, size_t *count, const struct dialogues *d,
                         struct err *err)
{
    *count = 0;
    *questions = calloc(d->turns + 1, sizeof **questions);
    if (!*questions)
        return err_set(err, ERR_SYSTEM, "no memory for questions about %zu turns", d->turns);
    for (size_t c = 0; c < d->count; c++)
        for (size_t t = d->first[c]; d->part[c] == DIALOGUES_TRAIN && t < d->first[c + 1]; t++)
            if (names_something(d, c, t))
                (*questions)[(*count)++] = question_at(d, c, t);
    return true;
}

/* ---- what was said ---- */

struct asked {
    uint32_t number;
    uint32_t prompt;
    uint64_t of;
};

struct reading {
    uint32_t *teacher;
    struct told_titles *titles;
    struct asked *asked; /* [count] by rising number */
    size_t count;
    struct talk_told_report *report;
};

static int compare_asked(const void *a, const void *b)
{
    const struct asked *x = a;
    const struct asked *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return x->prompt < y->prompt ? -1 : x->prompt > y->prompt;
}

static bool take_answer(void *self, enum text_owner owner, uint32_t number, uint64_t of,
                        const json_t *lines, struct err *err)
{
    struct reading *r = self;
    size_t low = 0;
    size_t high = r->count;
    if (owner != TEXT_OF_TALK)
        return true;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->asked[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    while (low < r->count && r->asked[low].number == number && r->asked[low].of != of)
        low++;
    if (low == r->count || r->asked[low].number != number) {
        r->report->stale++;
        return true;
    }
    uint32_t *list = r->teacher + (size_t)r->asked[low].prompt * TEACHER_RANKS;
    for (size_t k = 0; k < TEACHER_RANKS; k++)
        list[k] = NO_ITEM;
    r->report->lists++;
    return told_titles_read(list, r->titles, lines, err);
}

bool talk_told_load(uint32_t *teacher, struct told_titles *titles,
                    const struct dialogue_prompts *prompts, const struct dialogues *d,
                    struct store *store, struct talk_told_report *report, struct err *err)
{
    struct reading r = {.teacher = teacher, .titles = titles, .report = report};
    struct store_txn txn;
    *report = (struct talk_told_report){0};
    r.asked = calloc(prompts->count + 1, sizeof *r.asked);
    if (!r.asked)
        return err_set(err, ERR_SYSTEM, "no memory for %zu prompts", prompts->count);
    for (uint32_t p = 0; p < prompts->count; p++) {
        struct talk_question q = question_at(d, prompts->dialogue[p], prompts->turn[p]);
        r.asked[r.count++] = (struct asked){q.number, p, q.of};
    }
    qsort(r.asked, r.count, sizeof *r.asked, compare_asked);
    bool fine = store_begin(&txn, store, false, err);
    if (fine) {
        fine = texts_each(&txn, take_answer, &r, err);
        store_abort(&txn);
    }
    free(r.asked);
    return fine;
}
