#include "recommend/attributes.h"

#include "base/json.h"
#include "base/text.h"
#include "recommend/item_document.h"

#include <stdlib.h>
#include <string.h>

/* A number says nothing alone, but its tens do: item_document.h writes those with '~'. */
bool attribute_speaks(const char *tag)
{
    const char *value = strchr(tag, '=');
    return value ? value_speaks(value + 1) : strchr(tag, '~') != NULL;
}

void attribute_text(struct text *text, const char *tag)
{
    const char *tens = strchr(tag, '~');
    const char *value = strchr(tag, '=');
    if (strncmp(tag, "category=", 9) == 0)
        text_addf(text, "%s", value + 1);
    else if (value)
        text_addf(text, "%.*s %s", (int)(value - tag), tag, value + 1);
    else if (strncmp(tag, "year~", 5) == 0)
        text_addf(text, "from the %s0s", tens + 1);
    else
        text_addf(text, "%.*s %s0 to %s9", (int)(tens - tag), tag, tens + 1, tens + 1);
}

bool attribute_counts_open(struct attribute_counts *c, struct err *err)
{
    *c = (struct attribute_counts){.tags = json_object()};
    return c->tags || err_set(err, ERR_SYSTEM, "no memory for attributes");
}

/* A record may name a category twice. */
static bool stands_before(const struct item_document *d, size_t tag)
{
    for (size_t t = 0; t < tag; t++)
        if (strcmp(d->tags[t], d->tags[tag]) == 0)
            return true;
    return false;
}

bool attribute_counts_add(struct attribute_counts *c, const json_t *record, struct err *err)
{
    struct item_document *d = malloc(sizeof *d);
    if (!d)
        return err_set(err, ERR_SYSTEM, "no memory for the attributes of an item");
    item_document_make(d, record);
    for (size_t t = 0; t < d->document.tag_count; t++)
        if (attribute_speaks(d->tags[t]) && !stands_before(d, t)) {
            json_int_t before = json_integer_value(json_object_get(c->tags, d->tags[t]));
            json_object_set_new(c->tags, d->tags[t], json_integer(before + 1));
        }
    c->items++;
    free(d);
    return true;
}

void attribute_counts_close(struct attribute_counts *c)
{
    json_decref(c->tags);
    *c = (struct attribute_counts){0};
}

/* ---- a table of them ---- */

struct entry {
    const char *tag;
    size_t items;
    const json_t *next; /* borrowed, or NULL */
};

static int compare_tags(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->tag, ((const struct entry *)b)->tag);
}

static int compare_items(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    if (x->items != y->items)
        return x->items > y->items ? -1 : 1;
    return strcmp(x->tag, y->tag);
}

static bool table_fill(struct attributes *a, const struct entry *entries, size_t count)
{
    a->tag = calloc(count + 1, sizeof *a->tag);
    a->text = calloc(count + 1, sizeof *a->text);
    a->items = calloc(count + 1, sizeof *a->items);
    a->next = calloc(count * SHARES + 1, sizeof *a->next);
    if (!a->tag || !a->text || !a->items || !a->next)
        return false;
    a->count = count;
    for (size_t i = 0; i < count; i++) {
        struct text text;
        text_init(&text, 1024);
        attribute_text(&text, entries[i].tag);
        a->text[i] = text.bytes; /* the table's own from here on */
        a->tag[i] = strdup(entries[i].tag);
        a->items[i] = (uint32_t)entries[i].items;
        for (size_t s = 0; s < SHARES; s++)
            a->next[i * SHARES + s] = json_number_value(json_array_get(entries[i].next, s));
        if (!a->text[i] || !a->tag[i])
            return false;
    }
    return true;
}

static struct attributes *table_make(struct entry *entries, size_t count, size_t token,
                                     struct err *err)
{
    struct attributes *a = calloc(1, sizeof *a);
    if (count)
        qsort(entries, count, sizeof *entries, compare_tags);
    if (a && table_fill(a, entries, count)) {
        a->token = (uint32_t)token;
        return a;
    }
    attributes_free(a);
    err_set(err, ERR_SYSTEM, "no memory for %zu attributes", count);
    return NULL;
}

struct attributes *attributes_make(const struct attribute_counts *counts, size_t token,
                                   struct err *err)
{
    const char *tag;
    json_t *items;
    size_t count = 0;
    struct entry *entries = calloc(json_object_size(counts->tags) + 1, sizeof *entries);
    if (!entries) {
        err_set(err, ERR_SYSTEM, "no memory for attributes");
        return NULL;
    }
    json_object_foreach (counts->tags, tag, items) {
        size_t having = (size_t)json_integer_value(items);
        if (having >= ATTRIBUTE_ITEMS_LEAST && having <= counts->items / 2)
            entries[count++] = (struct entry){.tag = tag, .items = having};
    }
    if (count)
        qsort(entries, count, sizeof *entries, compare_items);
    struct attributes *a =
        table_make(entries, count < ATTRIBUTES_MAX ? count : ATTRIBUTES_MAX, token, err);
    free(entries);
    return a;
}

/* ---- its file ---- */

static bool read_entry(struct entry *e, const json_t *json, const char *path, size_t place,
                       struct err *err)
{
    const json_t *items = json_object_get(json, "items");
    *e = (struct entry){.tag = json_string_value(json_object_get(json, "tag")),
                        .next = json_object_get(json, "next"),
                        .items = (size_t)json_integer_value(items)};
    bool fine = e->tag && (strchr(e->tag, '=') || strchr(e->tag, '~')) && json_is_integer(items) &&
                json_integer_value(items) >= 0 && json_integer_value(items) <= UINT32_MAX &&
                json_array_size(e->next) == SHARES;
    for (size_t s = 0; fine && s < SHARES; s++) {
        double share = json_number_value(json_array_get(e->next, s));
        fine = json_is_number(json_array_get(e->next, s)) && share >= 0 && share <= 1;
    }
    return fine || err_set(err, ERR_FORMAT,
                           "%s: attributes[%zu]: expected a tag (key=value), how many items have "
                           "it, and %d shares from 0 to 1 in next",
                           path, place, SHARES);
}

struct attributes *attributes_read(const char *path, size_t token, struct err *err)
{
    json_t *file = json_read(path, err);
    const json_t *list = json_object_get(file, "attributes");
    size_t count = json_array_size(list);
    struct entry *entries = calloc(count + 1, sizeof *entries);
    struct attributes *a = NULL;
    bool fine = file != NULL;
    if (fine && (!json_is_array(list) || count > ATTRIBUTES_MAX))
        fine = err_set(err, ERR_FORMAT, "%s: attributes: expected a list of at most %d, found %s",
                       path, ATTRIBUTES_MAX, json_is_array(list) ? "more" : json_kind(list));
    if (fine && !entries)
        fine = err_set(err, ERR_SYSTEM, "no memory for %zu attributes", count);
    for (size_t i = 0; fine && i < count; i++)
        fine = read_entry(&entries[i], json_array_get(list, i), path, i, err);
    if (fine)
        a = table_make(entries, count, token, err);
    free(entries);
    json_decref(file);
    return a;
}

bool attributes_write(const struct attributes *a, const char *path, struct err *err)
{
    json_t *list = json_array();
    for (size_t i = 0; i < a->count; i++) {
        json_t *next = json_array();
        for (size_t s = 0; s < SHARES; s++)
            json_array_append_new(next, json_real(a->next[i * SHARES + s]));
        json_array_append_new(list, json_pack("{s:s, s:I, s:o}", "tag", a->tag[i], "items",
                                              (json_int_t)a->items[i], "next", next));
    }
    json_t *file = json_pack("{s:o}", "attributes", list);
    bool fine = file ? json_write(path, file, JSON_INDENT(1) | JSON_REAL_PRECISION(6), err)
                     : err_set(err, ERR_SYSTEM, "no memory for %s", path);
    json_decref(file);
    return fine;
}

void attributes_free(struct attributes *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->count; i++) {
        free(a->tag[i]);
        free(a->text[i]);
    }
    free(a->tag);
    free(a->text);
    free(a->items);
    free(a->next);
    free(a);
}

size_t attributes_find(const struct attributes *a, const char *tag)
{
    return names_find(a->tag, a->count, tag);
}

bool attributes_of(uint32_t ids[ATTRIBUTES_AN_ITEM], size_t *found, const struct attributes *a,
                   const json_t *record, struct err *err)
{
    size_t count = 0;
    struct item_document *d = malloc(sizeof *d);
    if (!d)
        return err_set(err, ERR_SYSTEM, "no memory for the attributes of an item");
    item_document_make(d, record);
    for (size_t t = 0; t < d->document.tag_count && count < ATTRIBUTES_AN_ITEM; t++) {
        size_t id = attributes_find(a, d->tags[t]);
        size_t at = count;
        if (id == SIZE_MAX)
            continue;
        while (at > 0 && ids[at - 1] > id)
            at--;
        if (at > 0 && ids[at - 1] == id)
            continue;
        memmove(ids + at + 1, ids + at, (count - at) * sizeof *ids);
        ids[at] = (uint32_t)id;
        count++;
    }
    free(d);
    *found = count;
    return true;
}
