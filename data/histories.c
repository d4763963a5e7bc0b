#include "data/histories.h"

#include "base/rng.h"
#include "data/catalogue.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct loader {
    struct histories *out;
    const struct event_settings *settings;
    const struct store_txn *txn;
    unsigned char *known; /* [items] 1: has a record */
    size_t items;
    size_t room;
};

static bool grow(struct loader *loader, struct err *err)
{
    struct histories *out = loader->out;
    if (out->events < loader->room)
        return true;
    size_t room = loader->room ? loader->room * 2 : 4096;
    void *item = realloc(out->item, room * sizeof *out->item);
    out->item = item ? item : out->item;
    void *time = realloc(out->time_ms, room * sizeof *out->time_ms);
    out->time_ms = time ? time : out->time_ms;
    void *kind = realloc(out->kind, room);
    out->kind = kind ? kind : out->kind;
    void *user = realloc(out->user, room * sizeof *out->user);
    out->user = user ? user : out->user;
    void *first = realloc(out->first, (room + 1) * sizeof *out->first);
    out->first = first ? first : out->first;
    if (!item || !time || !kind || !user || !first)
        return err_set(err, ERR_SYSTEM, "no memory for the histories of %zu events", room);
    loader->room = room;
    return true;
}

static bool mark_known(void *self, const MDB_val *key, const MDB_val *value, struct err *err)
{
    struct loader *loader = self;
    (void)value;
    (void)err;
    uint32_t number = get_be32(key->mv_data);
    if (number < loader->items)
        loader->known[number] = 1;
    return true;
}

static bool take_event(void *self, const struct stored_event *event, struct err *err)
{
    struct loader *loader = self;
    struct histories *out = loader->out;
    enum event_kind kind = event_kind(loader->settings, event->type, event->value);
    if (event->sequence > out->upto || kind == EVENT_IGNORED)
        return true;
    if (strcmp(event->type, "rating") == 0 && event->value > out->value_max)
        out->value_max = event->value;
    if (event->item >= loader->items || !loader->known[event->item]) {
        out->unjoined++;
        return true;
    }
    if (!grow(loader, err))
        return false;
    if (out->users == 0 || out->user[out->users - 1] != event->user) {
        out->user[out->users] = event->user;
        out->first[out->users++] = out->events;
    }
    out->item[out->events] = event->item;
    out->time_ms[out->events] = event->time_ms;
    out->kind[out->events] = (unsigned char)kind;
    out->positive += kind == EVENT_POSITIVE;
    out->first[out->users] = ++out->events;
    return true;
}

/* Equal times in an order drawn by the seed instead of the order of arrival. */
static void shuffle_ties(struct histories *h, uint64_t seed)
{
    for (size_t u = 0; u < h->users; u++)
        for (size_t begin = h->first[u], end; begin < h->first[u + 1]; begin = end) {
            struct rng rng = rng_stream(seed, h->user[u], begin - h->first[u]);
            for (end = begin + 1; end < h->first[u + 1] && h->time_ms[end] == h->time_ms[begin];)
                end++;
            for (size_t left = end - begin; left > 1; left--) {
                size_t a = begin + left - 1;
                size_t b = begin + rng_below(&rng, left);
                uint32_t item = h->item[a];
                unsigned char kind = h->kind[a];
                h->item[a] = h->item[b];
                h->kind[a] = h->kind[b];
                h->item[b] = item;
                h->kind[b] = kind;
            }
        }
}

struct histories *histories_load(struct store *store, const struct event_settings *settings,
                                 uint64_t upto, struct err *err)
{
    struct store_txn txn;
    struct histories *out = calloc(1, sizeof *out);
    struct loader loader = {.out = out, .settings = settings, .txn = &txn};
    if (!out || !store_begin(&txn, store, false, err)) {
        free(out);
        err_set(err, ERR_SYSTEM, "no memory for histories");
        return NULL;
    }
    out->upto = upto ? upto : store_sequence(&txn);
    loader.items = store_entries(&txn, TABLE_ITEM_IDS);
    loader.known = calloc(loader.items + 1, 1);
    bool fine = loader.known && grow(&loader, err) &&
                store_each(&txn, TABLE_ITEMS, mark_known, &loader, err) &&
                events_each(&txn, take_event, &loader, err);
    if (fine)
        out->first[0] = 0;
    free(loader.known);
    store_abort(&txn);
    if (fine && settings->tie_shuffle)
        shuffle_ties(out, settings->tie_shuffle);
    if (fine)
        return out;
    err_set(err, ERR_SYSTEM, "no memory for histories");
    histories_free(out);
    return NULL;
}

void histories_free(struct histories *histories)
{
    if (!histories)
        return;
    free(histories->user);
    free(histories->first);
    free(histories->item);
    free(histories->time_ms);
    free(histories->kind);
    free(histories);
}
