#include "service/conversations.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct conversation {
    struct conversation_key key;
    double touched_s; /* 0: the entry is free */
    struct shown shown;
};

struct conversations {
    size_t max;
    double age_s;
    struct conversation entries[];
};

struct conversations *conversations_new(size_t max, double age_s, struct err *err)
{
    struct conversations *c = calloc(1, sizeof *c + max * sizeof *c->entries);
    if (!c) {
        err_set(err, ERR_SYSTEM, "no memory for %zu conversations", max);
        return NULL;
    }
    c->max = max;
    c->age_s = age_s;
    return c;
}

void conversations_free(struct conversations *conversations)
{
    free(conversations);
}

struct conversation_key conversation_key(const char *api_key, const char *id)
{
    struct conversation_key key = {0};
    crypto_generichash_state state;
    if (!id || !*id)
        return key;
    const char *owner = api_key ? api_key : "";
    crypto_generichash((unsigned char *)key.hash, sizeof key.hash, (const unsigned char *)owner,
                       strlen(owner), NULL, 0);
    key.owner = key.hash[0] ? key.hash[0] : 1;
    crypto_generichash_init(&state, NULL, 0, sizeof key.hash);
    crypto_generichash_update(&state, (const unsigned char *)&key.hash, sizeof key.hash);
    crypto_generichash_update(&state, (const unsigned char *)id, strlen(id));
    crypto_generichash_final(&state, (unsigned char *)key.hash, sizeof key.hash);
    return key;
}

static bool is_of(const struct conversation *entry, const struct conversation_key *key)
{
    return entry->touched_s > 0 && memcmp(&entry->key, key, sizeof *key) == 0;
}

static struct conversation *find(struct conversations *c, const struct conversation_key *key,
                                 double now_s)
{
    for (size_t i = 0; key->owner && i < c->max; i++) {
        struct conversation *entry = &c->entries[i];
        if (is_of(entry, key) && now_s - entry->touched_s <= c->age_s)
            return entry;
    }
    return NULL;
}

/* A free or forgotten entry, else the one touched longest ago (see conversations.h). */
static struct conversation *make_room(struct conversations *c, const struct conversation_key *key,
                                      double now_s)
{
    struct conversation *oldest = NULL;
    struct conversation *own = NULL;
    size_t owned = 0;
    for (size_t i = 0; i < c->max; i++) {
        struct conversation *entry = &c->entries[i];
        if (entry->touched_s <= 0 || now_s - entry->touched_s > c->age_s || is_of(entry, key))
            return entry;
        if (!oldest || entry->touched_s < oldest->touched_s)
            oldest = entry;
        if (entry->key.owner != key->owner)
            continue;
        owned++;
        if (!own || entry->touched_s < own->touched_s)
            own = entry;
    }
    return own && owned >= (c->max + 1) / 2 ? own : oldest;
}

uint64_t conversation_asked(uint64_t before, const char *message)
{
    return XXH3_64bits_withSeed(message, strlen(message), before);
}

const struct shown_list *shown_for(const struct shown *shown, uint64_t asked)
{
    for (size_t i = shown->lists; i-- > 0;)
        if (shown->list[i].asked == asked)
            return &shown->list[i];
    return NULL;
}

const struct shown_list *shown_before(const struct shown *shown, uint64_t asked)
{
    for (size_t i = shown->lists; i-- > 0;)
        if (shown->list[i].asked != asked)
            return &shown->list[i];
    return NULL;
}

void conversations_shown(struct shown *shown, struct conversations *c,
                         const struct conversation_key *key, double now_s)
{
    struct conversation *entry = find(c, key, now_s);
    shown->count = shown->lists = 0;
    if (!entry)
        return;
    entry->touched_s = now_s;
    *shown = entry->shown;
}

/* The oldest items go, and the lists that lose one of them. */
static void forget_items(struct shown *shown, size_t items)
{
    size_t lists = 0;
    while (lists < shown->lists && shown->list[lists].first < items)
        lists++;
    shown->lists -= lists;
    shown->count -= items;
    memmove(shown->list, shown->list + lists, shown->lists * sizeof *shown->list);
    memmove(shown->numbers, shown->numbers + items, shown->count * sizeof *shown->numbers);
    for (size_t i = 0; i < shown->lists; i++)
        shown->list[i].first -= (uint32_t)items;
}

void conversations_note(struct conversations *c, const struct conversation_key *key, uint64_t asked,
                        const uint32_t *numbers, size_t count, double now_s)
{
    if (!key->owner || c->max == 0)
        return;
    struct conversation *entry = find(c, key, now_s);
    if (!entry) {
        entry = make_room(c, key, now_s);
        entry->key = *key;
        entry->shown.count = entry->shown.lists = 0;
    }
    struct shown *shown = &entry->shown;
    size_t take = count < SHOWN_MAX ? count : SHOWN_MAX;
    if (shown->count + take > SHOWN_MAX)
        forget_items(shown, shown->count + take - SHOWN_MAX);
    if (shown->lists == SHOWN_LISTS_MAX)
        memmove(shown->list, shown->list + 1, --shown->lists * sizeof *shown->list);
    shown->list[shown->lists++] =
        (struct shown_list){asked, (uint32_t)shown->count, (uint32_t)take};
    memcpy(shown->numbers + shown->count, numbers, take * sizeof *numbers);
    shown->count += take;
    entry->touched_s = now_s;
}
