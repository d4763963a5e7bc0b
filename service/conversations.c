#include "service/conversations.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct conversation {
    struct conversation_key key;
    double touched_s; /* 0: the entry is free */
    uint32_t count, newest;
    uint32_t shown[SHOWN_MAX];
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

size_t conversations_shown(uint32_t *shown, size_t *newest, struct conversations *c,
                           const struct conversation_key *key, double now_s)
{
    struct conversation *entry = find(c, key, now_s);
    *newest = 0;
    if (!entry)
        return 0;
    entry->touched_s = now_s;
    memcpy(shown, entry->shown, entry->count * sizeof *shown);
    *newest = entry->newest;
    return entry->count;
}

void conversations_note(struct conversations *c, const struct conversation_key *key,
                        const uint32_t *numbers, size_t count, double now_s)
{
    if (!key->owner || c->max == 0)
        return;
    struct conversation *entry = find(c, key, now_s);
    if (!entry) {
        entry = make_room(c, key, now_s);
        entry->key = *key;
        entry->count = 0;
    }
    size_t keep = count < SHOWN_MAX ? SHOWN_MAX - count : 0;
    if (entry->count > keep) {
        memmove(entry->shown, entry->shown + entry->count - keep, keep * sizeof *entry->shown);
        entry->count = (uint32_t)keep;
    }
    size_t take = count < SHOWN_MAX ? count : SHOWN_MAX;
    memcpy(entry->shown + entry->count, numbers, take * sizeof *numbers);
    entry->count += (uint32_t)take;
    entry->newest = (uint32_t)take;
    entry->touched_s = now_s;
}
