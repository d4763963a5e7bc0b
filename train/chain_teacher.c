#include "train/chain_teacher.h"

#include "base/log.h"
#include "data/catalogue.h"
#include "data/texts.h"
#include "recommend/claims.h"
#include "recommend/item_document.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

const char CHAIN_ASKS[] =
    "You help a recommender to argue. You are shown items that one person chose, numbered, oldest "
    "first, each with its attributes, and then what the person chose next. Argue from the history "
    "towards that choice as if you did not know it. Answer in at most six lines of these forms and "
    "nothing else: 'because 2 5: attribute' for two items that share it (one or two such lines); "
    "'likes: attribute; attribute' for what most of the items have; 'next: attribute' for what "
    "comes next; 'drop 3' for an item that does not fit the others, if there is one. Use the "
    "attributes exactly as they are written.";

bool chain_question_make(struct chain_question *q, const struct row_data *data, size_t user)
{
    const struct histories *h = data->histories;
    size_t taken = 0;
    *q = (struct chain_question){.next = NO_ITEM};
    for (size_t e = data->split.rl_first[user]; e-- > h->first[user] && q->count < CHAIN_HISTORY;)
        if (h->kind[e] == EVENT_POSITIVE) {
            if (taken++ == 0)
                q->next = data->numbers[e];
            else
                q->history[CHAIN_HISTORY - ++q->count] = data->numbers[e];
        }
    memmove(q->history, q->history + CHAIN_HISTORY - q->count, q->count * sizeof *q->history);
    q->of = XXH3_64bits_withSeed(q->history, q->count * sizeof *q->history, q->next);
    return q->count >= 2;
}

static bool put_item(struct text *message, const char *before, uint32_t number,
                     const struct store_txn *txn, struct err *err)
{
    struct item_document *d = malloc(sizeof *d);
    json_t *record = d ? catalogue_get(txn, number, err) : NULL;
    bool any = false;
    if (!d)
        return err_set(err, ERR_SYSTEM, "no memory for a question");
    item_document_make(d, record);
    text_addf(message, "%s%s (", before, d->document.title);
    for (size_t t = 0; t < d->document.tag_count; t++)
        if (attribute_speaks(d->tags[t])) {
            text_addf(message, any ? "; " : "");
            attribute_text(message, d->tags[t]);
            any = true;
        }
    text_addf(message, ")\n");
    json_decref(record);
    free(d);
    return err->code == ERR_NONE;
}

bool chain_question_text(struct text *message, const struct chain_question *q,
                         const struct store_txn *txn, struct err *err)
{
    char before[32];
    bool fine = true;
    for (size_t i = 0; fine && i < q->count; i++) {
        snprintf(before, sizeof before, "%zu. ", i + 1);
        fine = put_item(message, before, q->history[i], txn, err);
    }
    return fine && put_item(message, "Next: ", q->next, txn, err);
}

/* ---- reading ---- */

/* The attribute that is called so, whatever its case; NO_ATTRIBUTE: none. */
static uint32_t attribute_called(const struct attributes *a, const char *text, size_t size)
{
    while (size && strchr(" \t'\".,", text[size - 1]))
        size--;
    while (size && strchr(" \t'\"", *text)) {
        text++;
        size--;
    }
    for (uint32_t i = 0; i < a->count; i++)
        if (strlen(a->text[i]) == size && strncasecmp(a->text[i], text, size) == 0)
            return i;
    return NO_ATTRIBUTE;
}

/* A place from 1 as a row; NO_ITEM: there is none of that number. */
static uint32_t row_at(const char **at, const uint32_t *rows, size_t count)
{
    char *end;
    unsigned long place = strtoul(*at, &end, 10);
    bool fine = end != *at && place >= 1 && place <= count;
    *at = end + strspn(end, " ,and&");
    return fine ? rows[place - 1] : NO_ITEM;
}

static bool read_because(struct chain *c, const char *at, const uint32_t *rows, size_t count,
                         const struct attributes *a)
{
    struct chain_evidence e;
    e.item[0] = row_at(&at, rows, count);
    e.item[1] = row_at(&at, rows, count);
    if (e.item[0] == NO_ITEM || e.item[1] == NO_ITEM || e.item[0] == e.item[1] || *at != ':' ||
        c->evidence_count == CHAIN_EVIDENCE)
        return false;
    e.attribute = attribute_called(a, at + 1, strlen(at + 1));
    if (e.attribute != NO_ATTRIBUTE)
        c->evidence[c->evidence_count++] = e;
    return e.attribute != NO_ATTRIBUTE;
}

static bool read_likes(struct chain *c, const char *at, const struct attributes *a)
{
    size_t before = c->likes_count;
    while (*at && c->likes_count < CHAIN_LIKES) {
        size_t size = strcspn(at, ";");
        uint32_t id = attribute_called(a, at, size);
        bool there = id == NO_ATTRIBUTE;
        for (size_t i = 0; i < c->likes_count; i++)
            there = there || c->likes[i].attribute == id;
        if (!there)
            c->likes[c->likes_count++].attribute = id;
        at += size + (at[size] == ';');
    }
    return c->likes_count > before;
}

static bool read_drop(struct chain *c, const char *at, const uint32_t *rows, size_t count)
{
    uint32_t row = row_at(&at, rows, count);
    if (row == NO_ITEM || c->drop_count == CHAIN_DROPS)
        return false;
    c->drop[c->drop_count++] = row;
    return true;
}

bool chain_line_read(struct chain *c, const char *line, const uint32_t *rows, size_t count,
                     const struct attributes *a)
{
    if (strncasecmp(line, "because ", 8) == 0)
        return read_because(c, line + 8, rows, count, a);
    if (strncasecmp(line, "likes:", 6) == 0)
        return read_likes(c, line + 6, a);
    if (strncasecmp(line, "drop ", 5) == 0)
        return read_drop(c, line + 5, rows, count);
    if (strncasecmp(line, "next:", 5) != 0)
        return false;
    c->next.attribute = attribute_called(a, line + 5, strlen(line + 5));
    return c->next.attribute != NO_ATTRIBUTE;
}

struct loading {
    struct chain_teacher *out;
    const struct row_data *data;
    const struct version *version;
    const struct attributes *attributes;
};

static bool take_answer(void *self, enum text_owner owner, uint32_t number, uint64_t of,
                        const json_t *lines, struct err *err)
{
    struct loading *l = self;
    const struct version *v = l->version;
    struct chain_question q;
    uint32_t rows[CHAIN_HISTORY];
    (void)err;
    if (owner != TEXT_OF_CHAIN)
        return true;
    const struct histories *h = l->data->histories;
    size_t user = numbers_find(h->user, h->users, number);
    if (user == SIZE_MAX || !chain_question_make(&q, l->data, user) || q.of != of) {
        l->out->stale++;
        return true;
    }
    struct chain_wish *wish = &l->out->wishes[user];
    for (size_t i = 0; i < q.count; i++)
        rows[i] = q.history[i] < v->numbers ? v->row_of_number[q.history[i]] : NO_ITEM;
    *wish = (struct chain_wish){.there = true,
                                .next = q.next < v->numbers ? v->row_of_number[q.next] : NO_ITEM,
                                .chain = {.next = {NO_ATTRIBUTE, 0}}};
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const char *line = json_string_value(json_array_get(lines, i));
        bool read = line && chain_line_read(&wish->chain, line, rows, q.count, l->attributes);
        l->out->lines += read;
        l->out->unread += !read;
    }
    l->out->count++;
    return true;
}

bool chain_teacher_load(struct chain_teacher *t, const struct row_data *data,
                        const struct version *version, const struct attributes *attributes,
                        struct err *err)
{
    struct loading l = {t, data, version, attributes};
    struct store_txn txn;
    *t = (struct chain_teacher){0};
    t->wishes = calloc(data->sequences.users + 1, sizeof *t->wishes);
    if (!t->wishes)
        return err_set(err, ERR_SYSTEM, "no memory for %zu arguments", data->sequences.users);
    if (!store_begin(&txn, data->job->store, false, err))
        return false;
    bool fine = texts_each(&txn, take_answer, &l, err);
    store_abort(&txn);
    if (fine && (t->count || t->stale))
        log_info("train.arguments users=%zu stale=%zu lines=%zu unread=%zu", t->count, t->stale,
                 t->lines, t->unread);
    return fine;
}

void chain_teacher_free(struct chain_teacher *t)
{
    free(t->wishes);
    *t = (struct chain_teacher){0};
}
