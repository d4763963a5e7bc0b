/*
 * job_index.c: `tessera index`: catalogue and training events into names, vectors and neighbours.
 *
 *   records ─► TF-IDF, SVD ─┐
 *                           ├► content vectors ─► residual k-means ─► names ─► rows in their order
 *   events ─► PPMI, SVD ────┘                                     events ─► neighbours, by row
 */
#include "base/json.h"
#include "base/log.h"
#include "base/rng.h"
#include "data/catalogue.h"
#include "index/cooccurrence.h"
#include "recommend/item_document.h"
#include "recommend/item_words.h"
#include "train/dialogues.h"
#include "train/jobs.h"
#include "train/rows.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { LARGE_CATALOGUE = 200000 };

struct indexing {
    const struct job *job;
    size_t items;             /* slots: items in the order of the store */
    uint64_t dialogues;       /* hash of them all: words are learnt from them too */
    char **ids;               /* [items] owned */
    uint32_t *slot_of_number; /* [numbers] */
    size_t numbers;
    json_t **records; /* [items] owned */
    struct histories *histories;
    struct split split;
    struct sequences sequences; /* items are slots */
    size_t dims;
    float *content;   /* [items, dims] */
    uint32_t *events; /* [items] */
    bool *warm;       /* [items] */
    struct text_coder *coder;
    struct quantiser quantiser;
    struct semantic_ids names;
    struct sparse *texts, *postings; /* by slot, later by row */
    float *guessed;                  /* [items, dims] content as newcomers would have it */
    bool *whole;                     /* [items] events, or a guess at them */
};

static bool take_record(void *self, uint32_t number, const char *id, json_t *record,
                        struct err *err)
{
    struct indexing *x = self;
    x->ids[x->items] = strdup(id);
    x->records[x->items] = json_incref(record);
    x->slot_of_number[number] = (uint32_t)x->items++;
    return x->ids[x->items - 1] || err_set(err, ERR_SYSTEM, "no memory for the ids");
}

static bool note_dialogue(void *self, const MDB_val *key, const MDB_val *value, struct err *err)
{
    struct indexing *x = self;
    (void)key;
    (void)err;
    x->dialogues = rng_mix(x->dialogues ^ XXH3_64bits(value->mv_data, value->mv_size));
    return true;
}

static bool load_catalogue(struct indexing *x, struct err *err)
{
    struct store_txn txn;
    if (!store_begin(&txn, x->job->store, false, err))
        return false;
    size_t count = catalogue_count(&txn);
    x->numbers = store_entries(&txn, TABLE_ITEM_IDS);
    x->ids = calloc(count + 1, sizeof *x->ids);
    x->records = calloc(count + 1, sizeof(json_t *));
    x->slot_of_number = malloc((x->numbers + 1) * sizeof *x->slot_of_number);
    bool fine = x->ids && x->records && x->slot_of_number;
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for %zu items", count);
    else
        memset(x->slot_of_number, 0xff, (x->numbers + 1) * sizeof *x->slot_of_number);
    fine = fine && catalogue_each(&txn, take_record, x, err) &&
           store_each(&txn, TABLE_DIALOGUES, note_dialogue, x, err);
    store_abort(&txn);
    if (fine && x->items == 0)
        return err_set(err, ERR_INPUT, "the catalogue is empty: import items first");
    return fine;
}

static bool add_dialogues(struct indexing *x, struct err *err)
{
    if (!x->job->index->count_dialogues)
        return true;
    struct dialogues *dialogues = dialogues_load(x->job->store, err);
    bool fine =
        dialogues && dialogues_append(&x->sequences, dialogues, x->slot_of_number, x->numbers, err);
    dialogues_free(dialogues);
    return fine;
}

static bool load_events(struct indexing *x, struct err *err)
{
    x->histories = histories_load(x->job->store, x->job->events, 0, err);
    if (!x->histories)
        return false;
    if (!split_make(&x->split, x->histories, x->job->index->split, err))
        return false;
    split_hide_cold(x->histories, x->job->index->cold_share);
    split_keep_for_rl(&x->split, x->histories, x->job->index->rl_share, x->job->index->rl_events);
    for (size_t e = 0; e < x->histories->events; e++) {
        uint32_t number = x->histories->item[e];
        uint32_t slot = number < x->numbers ? x->slot_of_number[number] : UINT32_MAX;
        if (slot ==
            UINT32_MAX) { /* an item that came between reading the catalogue and the events */
            x->histories->kind[e] = EVENT_IGNORED;
            slot = 0;
        }
        x->histories->item[e] = slot;
    }
    if (!split_sequences(&x->sequences, x->histories, &x->split, err) || !add_dialogues(x, err))
        return false;
    x->events = calloc(x->items + 1, sizeof *x->events);
    x->warm = calloc(x->items + 1, sizeof *x->warm);
    if (!x->events || !x->warm)
        return err_set(err, ERR_SYSTEM, "no memory for %zu items", x->items);
    for (size_t e = 0; e < x->sequences.events; e++) {
        x->events[x->sequences.item[e]]++;
        x->warm[x->sequences.item[e]] = true;
    }
    return true;
}

/* Records as documents, one at a time. */
struct reading {
    json_t *const *records;
    const uint32_t *slot; /* of each document; NULL: its own place */
    struct item_document made;
};

static const struct document *read_document(void *self, size_t at)
{
    struct reading *r = self;
    item_document_make(&r->made, r->records[r->slot ? r->slot[at] : at]);
    return &r->made.document;
}

/*
 * Find vectors of the version in production in the place of co-occurrence: what training found out
 * about the items names them anew.  Items that it does not know keep 0.
 */
static bool feed_back(float *event, const struct indexing *x, struct err *err)
{
    char name[64];
    const struct job *job = x->job;
    size_t dims = job->index->event_dims;
    struct version *v = NULL;
    if (production_name(name, job->home, err))
        v = version_open(job->home, name, job->store, job->train->scan_items_max, err);
    if (!v)
        return false;
    bool fine =
        v->policy.shape.dim == dims ||
        err_set(err, ERR_INPUT, "feed_back: expected event_dims = %zu, the width of version %s",
                v->policy.shape.dim, name);
    for (size_t number = 0; fine && number < x->numbers && number < v->numbers; number++) {
        uint32_t slot = x->slot_of_number[number];
        uint32_t row = v->row_of_number[number];
        if (slot == UINT32_MAX || row == NO_ITEM || !x->warm[slot])
            continue;
        memcpy(event + slot * dims, v->policy.find_vectors + row * dims, dims * sizeof *event);
        vector_to_unit(event + slot * dims, dims);
    }
    version_drop(v);
    return fine;
}

static bool make_content(struct indexing *x, struct err *err)
{
    const struct index_settings *s = x->job->index;
    x->dims = s->text_dims + s->event_dims;
    x->content = calloc(x->items * x->dims + 1, sizeof *x->content);
    float *text = calloc(x->items * s->text_dims + 1, sizeof *text);
    float *event = calloc(x->items * s->event_dims + 1, sizeof *event);
    struct reading reading = {.records = x->records};
    const struct documents documents = {x->items, read_document, &reading};
    bool fine = x->content && text && event;
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for content vectors of %zu items", x->items);
    x->coder = fine ? text_coder_fit(text, &documents, s->text_dims, s->index_seed, err) : NULL;
    if (x->coder && s->feed_back) {
        fine = feed_back(event, x, err);
    } else
        fine = x->coder && cooccurrence_vectors(event, x->sequences.item, x->sequences.first,
                                                x->sequences.users, x->items, s->event_dims,
                                                s->index_seed, err);
    for (size_t i = 0; fine && i < x->items; i++) {
        float *vector = x->content + i * x->dims;
        cblas_saxpy((int)s->text_dims, (float)s->text_weight, text + i * s->text_dims, 1, vector,
                    1);
        cblas_saxpy((int)s->event_dims, (float)s->event_weight, event + i * s->event_dims, 1,
                    vector + s->text_dims, 1);
    }
    free(text);
    free(event);
    return fine;
}

/* The items of each term, and of each item those whose words are nearest; by slot. */
static bool nearest_texts(struct indexing *x, struct err *err)
{
    struct reading reading = {.records = x->records};
    const struct documents documents = {x->items, read_document, &reading};
    struct sparse *rows = text_rows(x->coder, &documents, err);
    x->postings = rows ? text_postings(rows, x->coder->terms, err) : NULL;
    if (x->postings)
        x->texts = text_neighbours(rows, x->postings, x->job->index->text_neighbours, err);
    sparse_free(rows);
    return x->texts != NULL;
}

/*
 * An item without events takes its co-occurrence part from its nearest texts.  The same is guessed
 * for all others too: what they would have been as newcomers.
 */
static bool guess_events(struct indexing *x, struct err *err)
{
    size_t text = x->job->index->text_dims;
    size_t size = x->items * x->dims;
    x->guessed = malloc((size + 1) * sizeof *x->guessed);
    x->whole = calloc(x->items + 1, sizeof *x->whole);
    if (!x->guessed || !x->whole)
        return err_set(err, ERR_SYSTEM, "no memory for %zu items", x->items);
    nearest_mean_all(x->guessed, x->whole, x->content, x->dims, text, x->texts, x->events);
    for (size_t i = 0; i < x->items; i++)
        x->whole[i] = x->whole[i] || x->warm[i];
    for (size_t i = 0; i < x->items; i++)
        if (!x->warm[i])
            memcpy(x->content + i * x->dims, x->guessed + i * x->dims,
                   x->dims * sizeof *x->content);
    return true;
}

/*
 * A power of two, so that up to 24 of the items that make the centroids share a first tile; at most
 * 512.  The finer the first tile, the closer *name* comes to *find*; the coarser, the more an item
 * learns from its like and the surer newcomers find their place (docs/SEMANTIC_IDS.md).
 */
static size_t tiles_for(size_t items)
{
    size_t tiles = 16;
    while (tiles < 512 && tiles * 24 < items)
        tiles *= 2;
    return tiles;
}

/* Warm items alone make the centroids; where there are none, all items do, by their text. */
static bool make_names(struct indexing *x, struct err *err)
{
    const struct index_settings *s = x->job->index;
    size_t levels = s->tile_levels ? s->tile_levels : x->items > LARGE_CATALOGUE ? 4 : 3;
    float *sample = calloc(x->items * x->dims + 1, sizeof *sample);
    size_t count = 0;
    bool any_warm = x->sequences.events > 0;
    if (!sample)
        return err_set(err, ERR_SYSTEM, "no memory for %zu items", x->items);
    for (size_t i = 0; i < x->items; i++)
        if (x->warm[i] || !any_warm)
            memcpy(sample + count++ * x->dims, x->content + i * x->dims, x->dims * sizeof *sample);
    size_t tiles = s->tiles ? s->tiles : tiles_for(count);
    bool fine = quantiser_train(&x->quantiser, sample, count, x->dims, s->text_dims, levels, tiles,
                                s->tile_balance, s->index_seed, err) &&
                semantic_ids_make(&x->names, &x->quantiser, x->content, x->whole, x->items, err);
    free(sample);
    return fine;
}

/*
 * What names say of what comes next: how often an item shares its first tiles with the one before
 * it in a training history, and among how many items on average it then stands.
 */
static void print_shares(const struct indexing *x)
{
    const struct semantic_ids *ids = &x->names;
    const struct sequences *s = &x->sequences;
    uint32_t *row_of_slot = calloc(x->items + 1, sizeof *row_of_slot);
    size_t pairs = 0;
    size_t shared[LEVELS_MAX] = {0};
    double group[LEVELS_MAX] = {0};
    for (size_t r = 0; row_of_slot && r < x->items; r++)
        row_of_slot[ids->slot[r]] = (uint32_t)r;
    for (size_t u = 0; row_of_slot && u < s->users; u++)
        for (size_t e = s->first[u]; e + 1 < s->first[u + 1]; e++, pairs++) {
            const uint16_t *a = ids->codes + row_of_slot[s->item[e]] * ids->levels;
            const uint16_t *b = ids->codes + row_of_slot[s->item[e + 1]] * ids->levels;
            for (size_t l = 0; l + 1 < ids->levels && a[l] == b[l]; l++)
                shared[l]++;
        }
    for (size_t l = 0; l + 1 < ids->levels; l++)
        for (size_t r = 0, next; r < x->items; r = next) {
            for (next = r + 1; next < x->items &&
                               memcmp(ids->codes + r * ids->levels, ids->codes + next * ids->levels,
                                      (l + 1) * sizeof *ids->codes) == 0;)
                next++;
            group[l] += (double)(next - r) * (double)(next - r) / (double)x->items;
        }
    for (size_t l = 0; l + 1 < ids->levels && pairs; l++)
        printf("next item shares %zu tiles with the one before: %.4f, among %.1f items\n", l + 1,
               (double)shared[l] / (double)pairs, group[l]);
    free(row_of_slot);
}

static void report(const struct indexing *x)
{
    struct semantic_ids_report r;
    semantic_ids_measure(&r, &x->names, &x->quantiser, x->content, x->guessed, x->warm);
    size_t warm = 0;
    for (size_t i = 0; i < x->items; i++)
        warm += x->warm[i];
    printf("items %zu, with events %zu, terms %zu\n", x->items, warm, x->coder->terms);
    printf("level  tiles  used  entropy_bits  same_tile_as_newcomer\n");
    for (size_t l = 0; l < x->names.levels; l++) {
        printf("%5c  %5zu  %4zu  %12.2f", (char)('a' + l),
               l < x->quantiser.levels ? x->quantiser.tiles : r.tiles_used[l], r.tiles_used[l],
               r.entropy_bits[l]);
        if (l < x->quantiser.levels)
            printf("  %.3f", r.text_agreement[l]);
        printf("\n");
    }
    print_shares(x);
    printf("collisions %zu items (largest group %zu), reconstruction error %.3f\n", r.collisions,
           r.largest_group, r.reconstruction);
}

static bool add_item_text(void *self, const char *text, bool title, struct err *err)
{
    struct text spaced; /* as item_words.h reads it */
    (void)title;
    text_init(&spaced, 1 << 20);
    text_addf(&spaced, " %s", text);
    bool fine = spaced.full ? err_set(err, ERR_SYSTEM, "no memory for the words of an item")
                            : corpus_add(self, spaced.bytes, err);
    text_release(&spaced);
    return fine;
}

static bool add_dialogue(void *self, const MDB_val *key, const MDB_val *value, struct err *err)
{
    json_t *dialogue = json_parse(value->mv_data, value->mv_size, "dialogue", err);
    const json_t *turns = json_object_get(dialogue, "turns");
    bool fine = dialogue != NULL;
    (void)key;
    for (size_t i = 0; fine && i < json_array_size(turns); i++) {
        const char *text = json_string_value(json_object_get(json_array_get(turns, i), "text"));
        fine = !text || corpus_add(self, text, err);
    }
    json_decref(dialogue);
    return fine;
}

/* Words come from the catalogue's and the dialogues' own text. */
static bool write_tokenizer(const struct indexing *x, const char *folder, struct err *err)
{
    char path[PATH_SIZE];
    struct store_txn txn;
    struct tokenizer *tokenizer = NULL;
    struct corpus *corpus = corpus_new(err);
    bool fine = corpus != NULL;
    for (size_t i = 0; fine && i < x->items; i++)
        fine = item_texts(x->records[i], add_item_text, corpus, err);
    if (fine && store_begin(&txn, x->job->store, false, err)) {
        fine = store_each(&txn, TABLE_DIALOGUES, add_dialogue, corpus, err);
        store_abort(&txn);
        if (fine)
            tokenizer = tokenizer_train(corpus, x->job->index->vocab, 2, err);
    }
    corpus_free(corpus);
    if (!tokenizer)
        return false;
    printf("tokens of text %zu\n", tokenizer_size(tokenizer));
    fine =
        path_make(path, err, "%s/tokenizer.json", folder) && tokenizer_write(tokenizer, path, err);
    tokenizer_free(tokenizer);
    return fine;
}

/* The same lists with rows in the place of slots, on both sides. */
static struct sparse *by_row(const struct sparse *lists, const uint32_t *slot,
                             const uint32_t *row_of_slot, struct err *err)
{
    struct sparse *out = calloc(1, sizeof *out);
    if (out) {
        *out = (struct sparse){.rows = lists->rows, .columns = lists->columns};
        out->first = calloc(lists->rows + 1, sizeof *out->first);
        out->column = calloc(lists->entries + 1, sizeof *out->column);
        out->value = calloc(lists->entries + 1, sizeof *out->value);
    }
    if (!out || !out->first || !out->column || !out->value) {
        sparse_free(out);
        err_set(err, ERR_SYSTEM, "no memory for %zu neighbours", lists->entries);
        return NULL;
    }
    for (size_t r = 0; r < lists->rows; r++) {
        for (size_t e = lists->first[slot[r]]; e < lists->first[slot[r] + 1]; e++) {
            out->column[out->entries] = row_of_slot[lists->column[e]];
            out->value[out->entries++] = lists->value[e];
        }
        out->first[r + 1] = out->entries;
    }
    return out;
}

/* slot -> row for the events, so that neighbours come out by row. */
static bool write_index(struct indexing *x, const char *folder, struct err *err)
{
    size_t n = x->items;
    uint32_t *row_of_slot = calloc(n + 1, sizeof *row_of_slot);
    float *content = calloc(n * x->dims + 1, sizeof *content);
    uint32_t *events = calloc(n + 1, sizeof *events);
    const char **ids = calloc(n + 1, sizeof *ids);
    bool fine = row_of_slot && content && events && ids;
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for %zu items", n);
    for (size_t r = 0; fine && r < n; r++) {
        uint32_t slot = x->names.slot[r];
        row_of_slot[slot] = (uint32_t)r;
        memcpy(content + r * x->dims, x->content + slot * x->dims, x->dims * sizeof *content);
        events[r] = x->events[slot];
        ids[r] = x->ids[slot];
    }
    for (size_t e = 0; fine && e < x->sequences.events; e++)
        x->sequences.item[e] = row_of_slot[x->sequences.item[e]];
    uint32_t *latest = calloc(n + 1, sizeof *latest);
    for (size_t u = 0; latest && fine && u < x->sequences.users; u++)
        if (x->sequences.first[u + 1] > x->sequences.first[u])
            latest[x->sequences.item[x->sequences.first[u + 1] - 1]]++;
    const struct index_settings *s = x->job->index;
    const struct neighbour_options how = {s->neighbours,         s->neighbour_window,
                                          s->neighbour_backward, s->neighbour_from,
                                          s->neighbour_to,       s->neighbour_shrink};
    struct sparse *neighbours = fine && latest
                                    ? neighbours_count(x->sequences.item, x->sequences.first,
                                                       x->sequences.users, n, &how, err)
                                    : NULL;
    struct sparse *texts = neighbours ? by_row(x->texts, x->names.slot, row_of_slot, err) : NULL;
    for (size_t e = 0; texts && row_of_slot && e < x->postings->entries; e++)
        x->postings->column[e] = row_of_slot[x->postings->column[e]];
    const struct index_parts parts = {x->coder,  &x->quantiser, s->text_weight, s->event_weight,
                                      &x->names, content,       events,         ids,
                                      latest,    neighbours,    texts,          x->postings};
    fine = texts && index_write(folder, &parts, err);
    sparse_free(neighbours);
    sparse_free(texts);
    free(latest);
    free(row_of_slot);
    free(content);
    free(events);
    free(ids);
    return fine;
}

static void release(struct indexing *x)
{
    for (size_t i = 0; i < x->items; i++) {
        free(x->ids[i]);
        json_decref(x->records[i]);
    }
    free(x->ids);
    free(x->records);
    free(x->slot_of_number);
    histories_free(x->histories);
    split_release(&x->split);
    sequences_release(&x->sequences);
    free(x->content);
    free(x->events);
    free(x->warm);
    free(x->whole);
    free(x->guessed);
    sparse_free(x->texts);
    sparse_free(x->postings);
    text_coder_free(x->coder);
    quantiser_release(&x->quantiser);
    semantic_ids_release(&x->names);
}

/* What this index would be made of: the settings, the items and the events there are. */
static void source_hash(char digest[SHA256_TEXT], const struct indexing *x)
{
    struct text data;
    char catalogue[SHA256_TEXT];
    text_init(&data, SIZE_MAX / 4);
    for (size_t i = 0; i < x->items; i++) {
        char *record = json_dumps(x->records[i], JSON_COMPACT | JSON_SORT_KEYS);
        text_addf(&data, "%s %s\n", x->ids[i], record ? record : "");
        free(record);
    }
    text_sha256(catalogue, data.bytes, data.size);
    text_reset(&data);
    char fed[64] = "";
    struct err none = {0};
    if (x->job->index->feed_back && !production_name(fed, x->job->home, &none))
        fed[0] = 0;
    text_addf(&data, "%s %llu %llx %s", catalogue, (unsigned long long)x->histories->upto,
              (unsigned long long)x->dialogues, fed);
    const struct settings tables[] = {
        {INDEX_SETTINGS, INDEX_SETTINGS_COUNT, (void *)(uintptr_t)x->job->index},
        {EVENT_SETTINGS, EVENT_SETTINGS_COUNT, (void *)(uintptr_t)x->job->events}};
    settings_hash(digest, tables, COUNT(tables), data.bytes);
    text_release(&data);
}

/* A damaged index is not up to date: making it again mends it. */
static bool up_to_date(const char *link, const char *digest)
{
    char target[PATH_SIZE];
    struct err damage = {0};
    return link_read(target, link) && strcmp(target, digest) == 0 && manifest_check(link, &damage);
}

static bool publish(struct indexing *x, const char *digest, struct err *err)
{
    char folder[PATH_SIZE];
    char aside[PATH_SIZE];
    char final[PATH_SIZE];
    char link[PATH_SIZE];
    if (!path_make(folder, err, "%s/indexes", x->job->home) || !folder_make(folder, err) ||
        !path_make(aside, err, "%s/.part-%d", folder, (int)getpid()) ||
        !path_make(final, err, "%s/%.16s", folder, digest) ||
        !path_make(link, err, "%s/current", folder))
        return false;
    folder_remove(aside);
    if (!folder_make(aside, err) || !write_index(x, aside, err) || !write_tokenizer(x, aside, err))
        return false;
    json_t *facts = json_pack("{s:s, s:s, s:I, s:I}", "kind", "index", "source", digest, "items",
                              (json_int_t)x->items, "upto", (json_int_t)x->histories->upto);
    rows_note_meaning(facts, x->job);
    bool fine = manifest_write(aside, facts, err);
    json_decref(facts);
    folder_remove(final); /* a damaged or half-known one of the same source */
    char target[40];
    snprintf(target, sizeof target, "%.16s", digest);
    return fine && folder_publish(aside, final, err) && link_move(link, target, err);
}

bool job_index(const struct job *job, struct err *err)
{
    struct indexing x = {.job = job};
    char digest[SHA256_TEXT];
    char link[PATH_SIZE];
    bool fine = path_make(link, err, "%s/indexes/current", job->home) && load_catalogue(&x, err) &&
                load_events(&x, err);
    if (fine) {
        source_hash(digest, &x);
        digest[16] = 0;
        if (up_to_date(link, digest)) {
            printf("index %s is up to date\n", digest);
        } else {
            fine = make_content(&x, err) && nearest_texts(&x, err) && guess_events(&x, err) &&
                   make_names(&x, err);
            if (fine)
                report(&x);
            fine = fine && publish(&x, digest, err);
            if (fine)
                log_info("index.done name=%s items=%zu", digest, x.items);
        }
    }
    release(&x);
    return fine;
}
