#include "train/dialogues.h"

#include "base/json.h"
#include "data/catalogue.h"
#include "data/records.h"
#include "train/rows.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

const char *const DIALOGUE_PART_NAMES[DIALOGUE_PARTS] = {"train", "validation", "test"};

enum { VALIDATION_ONE_IN = 10, NAMED_MOST = 512 };

struct loading {
    struct dialogues *out;
    const struct store_txn *txn;
    size_t dialogues_room, turns_room, mentions_room;
    struct text text;
};

/* ---- room ---- */

static bool grow(void *pointer, size_t count, size_t size)
{
    void **block = pointer;
    void *grown = realloc(*block, (count + 2) * size);
    *block = grown ? grown : *block;
    return grown != NULL;
}

static bool reserve(struct loading *l, size_t turns, size_t mentions, struct err *err)
{
    struct dialogues *d = l->out;
    bool fine = true;
    if (d->count + 1 > l->dialogues_room) {
        size_t room = l->dialogues_room = 2 * (d->count + 64);
        fine = grow(&d->key, room, sizeof *d->key) && grow(&d->part, room, sizeof *d->part) &&
               grow(&d->first, room, sizeof *d->first);
    }
    if (fine && d->turns + turns > l->turns_room) {
        size_t room = l->turns_room = 2 * (d->turns + turns);
        fine = grow(&d->speaker, room, sizeof *d->speaker) &&
               grow(&d->text_at, room, sizeof *d->text_at) &&
               grow(&d->item_first, room, sizeof *d->item_first);
    }
    if (fine && d->mentions + mentions > l->mentions_room) {
        size_t room = l->mentions_room = 2 * (d->mentions + mentions);
        fine = grow(&d->item, room, sizeof *d->item) && grow(&d->said, room, sizeof *d->said);
    }
    return fine || err_set(err, ERR_SYSTEM, "no memory for %zu dialogues", d->count);
}

/* ---- one dialogue ---- */

static bool has(const json_t *list, const char *id)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *other = json_string_value(json_array_get(list, i));
        if (other && strcmp(other, id) == 0)
            return true;
    }
    return false;
}

static unsigned char said_of(const json_t *dialogue, const char *id)
{
    static const struct {
        const char *list;
        unsigned char bit;
    } lists[] = {{"liked", SAID_LIKED}, {"disliked", SAID_DISLIKED}, {"seen", SAID_SEEN}};
    unsigned char said = 0;
    for (size_t i = 0; i < COUNT(lists); i++)
        if (has(json_object_get(dialogue, lists[i].list), id))
            said = (unsigned char)(said | lists[i].bit);
    return said;
}

static bool take_items(struct loading *l, const json_t *turn, const json_t *dialogue,
                       struct err *err)
{
    struct dialogues *d = l->out;
    const json_t *items = json_object_get(turn, "items_mentioned");
    size_t begin = d->mentions;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const char *id = json_string_value(json_array_get(items, i));
        uint32_t number;
        bool again = false;
        if (!id)
            continue;
        if (!catalogue_find(&number, l->txn, id, err)) {
            if (err->code != ERR_NONE)
                return false;
            d->unjoined++;
            continue;
        }
        for (size_t k = begin; k < d->mentions; k++)
            again = again || d->item[k] == number;
        if (again)
            continue;
        d->item[d->mentions] = number;
        d->said[d->mentions++] = said_of(dialogue, id);
    }
    return true;
}

static bool take_turn(struct loading *l, const json_t *turn, const json_t *dialogue,
                      struct err *err)
{
    struct dialogues *d = l->out;
    const char *text = json_string_value(json_object_get(turn, "text"));
    size_t items = json_array_size(json_object_get(turn, "items_mentioned"));
    enum dialogue_role role = dialogue_role(turn);
    if (role != ROLE_USER && role != ROLE_ASSISTANT)
        return true;
    if (!reserve(l, 1, items, err) || !take_items(l, turn, dialogue, err))
        return false;
    d->speaker[d->turns] = role == ROLE_USER ? SPEAKER_USER : SPEAKER_ASSISTANT;
    d->text_at[d->turns] = l->text.size;
    text_add(&l->text, text ? text : "", text ? strlen(text) + 1 : 1);
    d->item_first[++d->turns] = d->mentions;
    return !l->text.full || err_set(err, ERR_SYSTEM, "no memory for the text of dialogues");
}

static enum dialogue_part part_of(const json_t *dialogue, uint64_t hash)
{
    const char *split = json_string_value(json_object_get(dialogue, "split"));
    if (split && strcmp(split, "test") == 0)
        return DIALOGUES_TEST;
    return hash % VALIDATION_ONE_IN == 0 ? DIALOGUES_VALIDATION : DIALOGUES_TRAIN;
}

static bool take_dialogue(void *self, const MDB_val *key, const MDB_val *value, struct err *err)
{
    struct loading *l = self;
    struct dialogues *d = l->out;
    json_t *dialogue = json_parse(value->mv_data, value->mv_size, "dialogue", err);
    const json_t *turns = json_object_get(dialogue, "turns");
    bool fine = dialogue && reserve(l, 1, 1, err);
    uint64_t hash = XXH3_64bits(key->mv_data, key->mv_size);
    for (size_t i = 0; fine && i < json_array_size(turns); i++)
        fine = take_turn(l, json_array_get(turns, i), dialogue, err);
    if (fine) {
        d->key[d->count] = (uint32_t)(hash >> 32);
        d->part[d->count] = (unsigned char)part_of(dialogue, hash);
        d->first[++d->count] = d->turns;
    }
    json_decref(dialogue);
    return fine;
}

static bool add_to_hash(void *self, const MDB_val *key, const MDB_val *value, struct err *err)
{
    uint64_t *hash = self;
    (void)err;
    *hash = XXH3_64bits_withSeed(key->mv_data, key->mv_size, *hash);
    *hash = XXH3_64bits_withSeed(value->mv_data, value->mv_size, *hash);
    return true;
}

bool dialogues_hash(uint64_t *hash, const struct store_txn *txn, struct err *err)
{
    *hash = 0;
    return store_each(txn, TABLE_DIALOGUES, add_to_hash, hash, err);
}

struct dialogues *dialogues_load(struct store *store, struct err *err)
{
    struct loading l = {.out = calloc(1, sizeof *l.out)};
    struct store_txn txn;
    text_init(&l.text, SIZE_MAX / 4);
    if (!l.out) {
        err_set(err, ERR_SYSTEM, "no memory for dialogues");
        return NULL;
    }
    bool fine = reserve(&l, 1, 1, err) && store_begin(&txn, store, false, err);
    if (fine) {
        l.txn = &txn;
        l.out->first[0] = l.out->item_first[0] = 0;
        fine = store_each(&txn, TABLE_DIALOGUES, take_dialogue, &l, err);
        store_abort(&txn);
    }
    l.out->text = l.text.bytes;
    if (fine)
        return l.out;
    dialogues_free(l.out);
    return NULL;
}

void dialogues_free(struct dialogues *d)
{
    if (!d)
        return;
    free(d->key);
    free(d->part);
    free(d->first);
    free(d->speaker);
    free(d->text_at);
    free(d->text);
    free(d->item_first);
    free(d->item);
    free(d->said);
    free(d);
}

/* ---- readings ---- */

void dialogues_name(struct dialogues *d, const struct snapshot *s)
{
    size_t kept = 0;
    size_t begin = 0;
    for (size_t t = 0; t < d->turns; t++) {
        size_t end = d->item_first[t + 1];
        for (size_t i = begin; i < end; i++) {
            uint32_t row = snapshot_row(s, d->item[i]);
            if (row == NO_ITEM || row >= s->version->index->items)
                continue;
            d->item[kept] = row;
            d->said[kept++] = d->said[i];
        }
        begin = end;
        d->item_first[t + 1] = kept;
    }
    d->mentions = kept;
}

bool dialogues_append(struct sequences *s, const struct dialogues *d, const uint32_t *of,
                      size_t numbers, struct err *err)
{
    if (!grow(&s->first, s->users + d->count + 1, sizeof *s->first) ||
        !grow(&s->item, s->events + d->mentions, sizeof *s->item))
        return err_set(err, ERR_SYSTEM, "no memory for %zu dialogues", d->count);
    for (size_t at = 0; at < d->count; at++) {
        uint32_t *out = s->item + s->events;
        size_t count = 0;
        if (d->part[at] != DIALOGUES_TRAIN)
            continue;
        for (size_t i = d->item_first[d->first[at]]; i < d->item_first[d->first[at + 1]]; i++) {
            uint32_t item = of && d->item[i] >= numbers ? UINT32_MAX
                            : of                        ? of[d->item[i]]
                                                        : d->item[i];
            if (item != UINT32_MAX && !(d->said[i] & SAID_DISLIKED) && count < NAMED_MOST)
                count = row_append(out, count, NULL, 0, item);
        }
        s->events += count;
        s->first[++s->users] = s->events;
    }
    return true;
}

void dialogues_messages(struct message *messages, const struct dialogues *d, size_t begin,
                        size_t end)
{
    for (size_t t = begin; t < end; t++)
        messages[t - begin] =
            (struct message){.speaker = d->speaker[t],
                             .text = d->text + d->text_at[t],
                             .items = d->item + d->item_first[t],
                             .item_count = d->item_first[t + 1] - d->item_first[t]};
}

size_t dialogues_rows(uint32_t *rows, size_t most, const struct dialogues *d, size_t begin,
                      size_t end)
{
    size_t count = 0;
    for (size_t i = d->item_first[begin]; i < d->item_first[end] && count < most; i++)
        count = row_append(rows, count, NULL, 0, d->item[i]);
    return count;
}
