/*
 * events.h: what users did, append-only, each event once.
 *
 * An event has a key: the caller's event_id, or for imports the row itself.  A second event with a
 * known key is a duplicate: counted, not stored.  Events lie by (user, time, sequence); equal times
 * keep their order of arrival.  The sequence is global, so a job can say "up to here".
 *
 * What an event means is a setting, not a property of the event: see struct event_settings.
 */
#ifndef DATA_EVENTS_H
#define DATA_EVENTS_H

#include "data/ids.h"
#include "data/store.h"

struct event_settings {
    double positive_rating;
    size_t tie_shuffle;
    char positive_types[SETTING_TEXT_SIZE];
    char excluding_types[SETTING_TEXT_SIZE];
    char ignored_types[SETTING_TEXT_SIZE];
};

extern const struct setting EVENT_SETTINGS[];
extern const size_t EVENT_SETTINGS_COUNT;

enum { EVENT_TYPE_MAX = 32, REQUEST_ID_MAX = 128, PROPERTIES_MAX = 4096 };

struct event {
    unsigned char key[EVENT_KEY_SIZE];
    const char *user;       /* normalised id */
    const char *item;       /* normalised id; it need not be in the catalogue */
    const char *type;       /* 1 to EVENT_TYPE_MAX of a-z, 0-9, _ */
    double value;           /* NAN: none */
    int64_t time_ms;        /* since 1970, UTC */
    const char *request_id; /* the recommendation that led here, or "" */
    uint32_t position;      /* rank there from 1, or 0 */
    const char *properties; /* JSON text kept as it is, or "" */
};

enum event_result { EVENT_ACCEPTED, EVENT_DUPLICATE };

bool event_type_check(const char *type, struct err *err) MUST_CHECK;
bool events_append(enum event_result *result, bool *joined, const struct store_txn *txn,
                   const struct event *event, struct err *err) MUST_CHECK;

/* An event as it lies in the store. */
struct stored_event {
    uint32_t user, item;
    int64_t time_ms;
    uint64_t sequence;
    double value; /* NAN: none */
    char type[EVENT_TYPE_MAX + 1];
    uint32_t position;
    const char *request_id; /* borrowed from the map, not terminated */
    size_t request_id_size;
    const char *properties;
    size_t properties_size;
};

/* The last `max` events of a user with sequence <= upto, oldest first; returns how many. */
size_t events_of_user(struct stored_event *events, size_t max, const struct store_txn *txn,
                      uint32_t user, uint64_t upto, struct err *err);

typedef bool event_fn(void *self, const struct stored_event *event, struct err *err);
bool events_each(const struct store_txn *txn, event_fn *fn, void *self, struct err *err) MUST_CHECK;

/*
 * POSITIVE events are what we learn to recommend.  SEEN ones only keep an item from being shown
 * again.  EXCLUDES does that for good, whatever the request says.  IGNORED ones mean nothing here.
 */
enum event_kind { EVENT_POSITIVE, EVENT_SEEN, EVENT_EXCLUDES, EVENT_IGNORED };
enum event_kind event_kind(const struct event_settings *settings, const char *type, double value);

#endif
