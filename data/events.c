#include "data/events.h"

#include "data/catalogue.h"

#include <assert.h>
#include <math.h>
#include <string.h>

const struct setting EVENT_SETTINGS[] = {
    SETTING(REAL, event_settings, positive_rating, "7", -1e9, 1e9,
            "a `rating` event at or above this value is positive, one below only seen"),
    SETTING(SIZE, event_settings, tie_shuffle, "0", 0, 1000000,
            "seed that orders a user's events of equal time; 0: as they arrived"),
    SETTING(TEXT, event_settings, positive_types,
            "click like add_to_cart purchase play share interaction", 0, 0,
            "event types that are positive whatever their value"),
    SETTING(TEXT, event_settings, excluding_types, "dislike hide", 0, 0,
            "event types that keep their item out of every later slate"),
    SETTING(TEXT, event_settings, ignored_types, "impression search", 0, 0,
            "event types that are stored and otherwise ignored"),
};
const size_t EVENT_SETTINGS_COUNT = COUNT(EVENT_SETTINGS);

enum { EVENT_KEY_BYTES = 20, EVENT_HEAD = 20 };

/* Record: u32 item, f64 value, u32 position, u8 type size, u8 request size, u16 properties size. */
struct event_head {
    uint32_t item;
    uint32_t position;
    double value;
    uint8_t type_size;
    uint8_t request_size;
    uint16_t properties_size;
};

static void event_place(unsigned char key[EVENT_KEY_BYTES], uint32_t user, int64_t time_ms,
                        uint64_t sequence)
{
    put_be32(key, user);
    put_be64(key + 4, (uint64_t)time_ms ^ (1ull << 63)); /* negative times sort first */
    put_be64(key + 12, sequence);
}

bool event_type_check(const char *type, struct err *err)
{
    size_t size = strlen(type);
    if (size >= 1 && size <= EVENT_TYPE_MAX &&
        strspn(type, "abcdefghijklmnopqrstuvwxyz0123456789_") == size)
        return true;
    return err_set(err, ERR_INPUT, "type: expected 1 to %d of a-z, 0-9 and _, found '%.40s'",
                   EVENT_TYPE_MAX, type);
}

static size_t event_write(unsigned char *bytes, const struct event *event, uint32_t item)
{
    struct event_head head = {
        .item = item,
        .position = event->position,
        .value = event->value,
        .type_size = (uint8_t)strlen(event->type),
        .request_size = (uint8_t)strlen(event->request_id),
        .properties_size = (uint16_t)strlen(event->properties),
    };
    unsigned char *at = bytes;
    memcpy(at, &head.item, 4);
    memcpy(at + 4, &head.position, 4);
    memcpy(at + 8, &head.value, 8);
    at[16] = head.type_size;
    at[17] = head.request_size;
    memcpy(at + 18, &head.properties_size, 2);
    at += EVENT_HEAD;
    memcpy(at, event->type, head.type_size);
    at += head.type_size;
    memcpy(at, event->request_id, head.request_size);
    at += head.request_size;
    memcpy(at, event->properties, head.properties_size);
    return (size_t)(at + head.properties_size - bytes);
}

static bool event_read(struct stored_event *event, const MDB_val *key, const MDB_val *value,
                       struct err *err)
{
    const unsigned char *place = key->mv_data;
    const unsigned char *at = value->mv_data;
    uint16_t properties_size;
    if (key->mv_size != EVENT_KEY_BYTES || value->mv_size < EVENT_HEAD)
        return err_set(err, ERR_FORMAT, "store: an event of %zu + %zu bytes", key->mv_size,
                       value->mv_size);
    memcpy(&properties_size, at + 18, 2);
    if (value->mv_size != (size_t)EVENT_HEAD + at[16] + at[17] + properties_size ||
        at[16] > EVENT_TYPE_MAX)
        return err_set(err, ERR_FORMAT, "store: an event whose sizes disagree");
    *event = (struct stored_event){
        .user = get_be32(place),
        .time_ms = (int64_t)(get_be64(place + 4) ^ (1ull << 63)),
        .sequence = get_be64(place + 12),
        .request_id_size = at[17],
        .properties_size = properties_size,
    };
    memcpy(&event->item, at, 4);
    memcpy(&event->position, at + 4, 4);
    memcpy(&event->value, at + 8, 8);
    memcpy(event->type, at + EVENT_HEAD, at[16]);
    event->request_id = (const char *)at + EVENT_HEAD + at[16];
    event->properties = event->request_id + at[17];
    return true;
}

bool events_append(enum event_result *result, bool *joined, const struct store_txn *txn,
                   const struct event *event, struct err *err)
{
    MDB_val found;
    unsigned char bytes[EVENT_HEAD + EVENT_TYPE_MAX + REQUEST_ID_MAX + PROPERTIES_MAX];
    unsigned char place[EVENT_KEY_BYTES];
    unsigned char number[8];
    uint32_t user;
    uint32_t item;
    assert(strlen(event->type) <= EVENT_TYPE_MAX && strlen(event->request_id) <= REQUEST_ID_MAX &&
           strlen(event->properties) <= PROPERTIES_MAX);

    *result = EVENT_DUPLICATE;
    *joined = true;
    if (store_get(&found, txn, TABLE_EVENT_KEYS, event->key, EVENT_KEY_SIZE, err))
        return true;
    if (err->code != ERR_NONE || !user_number(&user, txn, event->user, err) ||
        !item_number(&item, txn, event->item, err))
        return false;
    uint64_t sequence = store_sequence(txn) + 1;
    put_be64(number, sequence);
    event_place(place, user, event->time_ms, sequence);
    if (!store_put(txn, TABLE_EVENTS, place, sizeof place, bytes, event_write(bytes, event, item),
                   err) ||
        !store_put(txn, TABLE_EVENT_KEYS, event->key, EVENT_KEY_SIZE, number, 8, err) ||
        !store_put(txn, TABLE_LOG, number, 8, place, 12, err) ||
        !store_sequence_set(txn, sequence, err))
        return false;
    *result = EVENT_ACCEPTED;
    *joined = catalogue_find(&item, txn, event->item, err);
    return err->code == ERR_NONE;
}

/* Puts the cursor on the last event of the user; false if there is none. */
static bool seek_last(MDB_cursor *cursor, MDB_val *key, MDB_val *value, uint32_t user)
{
    unsigned char place[EVENT_KEY_BYTES];
    memset(place, 0xff, sizeof place);
    put_be32(place, user);
    *key = (MDB_val){sizeof place, place};
    int code = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    code = mdb_cursor_get(cursor, key, value, code ? MDB_LAST : MDB_PREV);
    return code == 0;
}

size_t events_of_user(struct stored_event *events, size_t max, const struct store_txn *txn,
                      uint32_t user, uint64_t upto, struct err *err)
{
    MDB_cursor *cursor = store_cursor(txn, TABLE_EVENTS, err);
    MDB_val key;
    MDB_val value;
    size_t count = 0;
    if (!cursor)
        return 0;
    for (bool more = seek_last(cursor, &key, &value, user);
         more && count < max && get_be32(key.mv_data) == user;
         more = mdb_cursor_get(cursor, &key, &value, MDB_PREV) == 0) {
        struct stored_event event = {0};
        if (!event_read(&event, &key, &value, err))
            break;
        if (event.sequence <= upto)
            events[count++] = event;
    }
    mdb_cursor_close(cursor);
    for (size_t i = 0; i < count / 2; i++) {
        struct stored_event other = events[i];
        events[i] = events[count - 1 - i];
        events[count - 1 - i] = other;
    }
    return count;
}

struct each_event {
    event_fn *fn;
    void *self;
};

static bool each_row(void *self, const MDB_val *key, const MDB_val *value, struct err *err)
{
    struct each_event *each = self;
    struct stored_event event;
    return event_read(&event, key, value, err) && each->fn(each->self, &event, err);
}

bool events_each(const struct store_txn *txn, event_fn *fn, void *self, struct err *err)
{
    struct each_event each = {fn, self};
    return store_each(txn, TABLE_EVENTS, each_row, &each, err);
}

static bool has_word(const char *words, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = words; *at; at += strcspn(at, " "), at += strspn(at, " "))
        if (strcspn(at, " ") == size && memcmp(at, word, size) == 0)
            return true;
    return false;
}

enum event_kind event_kind(const struct event_settings *settings, const char *type, double value)
{
    if (strcmp(type, "rating") == 0)
        return isnan(value) || value >= settings->positive_rating ? EVENT_POSITIVE : EVENT_SEEN;
    if (has_word(settings->positive_types, type))
        return EVENT_POSITIVE;
    if (has_word(settings->excluding_types, type))
        return EVENT_EXCLUDES;
    return has_word(settings->ignored_types, type) ? EVENT_IGNORED : EVENT_SEEN;
}
