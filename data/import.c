#include "data/import.h"

#include "base/json.h"
#include "data/catalogue.h"
#include "data/import_rows.h"
#include "data/records.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_PER_COMMIT = 20000, FIELDS_MAX = 32 };

static bool is_row_error(const struct err *err)
{
    return err->code == ERR_INPUT || err->code == ERR_LIMIT;
}

static bool take_line(struct import_counts *counts, const struct importer *importer,
                      const char *path, const struct store_txn *txn, struct line *line, row_fn *fn,
                      void *self, struct err *err)
{
    struct err row = {0};
    bool fine = line->too_long
                    ? err_set(&row, ERR_LIMIT, "line is longer than %d bytes", LINE_MAX_SIZE)
                    : fn(self, txn, line, counts, &row);
    if (fine)
        return true;
    if (!is_row_error(&row)) {
        *err = row;
        return err_prefix(err, "%s:%zu", path, line->number);
    }
    counts->rejected++;
    if (importer->reject)
        importer->reject(importer->self, path, line->number, row.text);
    return true;
}

bool import_lines(struct import_counts *counts, const struct importer *importer, const char *path,
                  row_fn *fn, void *self, struct err *err)
{
    struct lines *lines = lines_open(path, err);
    struct line line;
    bool more = lines != NULL;
    while (more) {
        struct store_txn txn;
        bool fine = store_begin(&txn, importer->store, true, err);
        for (size_t rows = 0; fine && rows < ROWS_PER_COMMIT; rows++) {
            more = lines_next(&line, lines, err);
            if (!more)
                break;
            if (line.size)
                fine = take_line(counts, importer, path, &txn, &line, fn, self, err);
        }
        if (!fine) {
            store_abort(&txn);
            break;
        }
        if (!store_commit(&txn, err))
            break;
    }
    lines_close(lines);
    return err->code == ERR_NONE;
}

bool import_item(struct import_counts *counts, const struct store_txn *txn, const char *id,
                 const json_t *record, struct err *err)
{
    char name[ID_SIZE_MAX + 1];
    enum put_result result;
    uint32_t number;
    if (!id_normalise(name, id, strlen(id), "id", err) ||
        !catalogue_put(&result, &number, txn, name, record, err))
        return false;
    if (result == PUT_SAME)
        counts->duplicates++;
    else
        counts->accepted++;
    return true;
}

bool import_event(struct import_counts *counts, const struct store_txn *txn,
                  const struct event *row, struct err *err)
{
    struct event event = *row;
    char user[ID_SIZE_MAX + 1];
    char item[ID_SIZE_MAX + 1];
    char bytes[2 * ID_SIZE_MAX + EVENT_TYPE_MAX + 80];
    if (!id_normalise(user, event.user, strlen(event.user), "user", err) ||
        !id_normalise(item, event.item, strlen(event.item), "item", err) ||
        !event_type_check(event.type, err))
        return false;
    int size = snprintf(bytes, sizeof bytes, "%s%c%s%c%s%c%lld%c%.9g", user, 0, item, 0, event.type,
                        0, (long long)event.time_ms, 0, event.value);
    event_key(event.key, bytes, (size_t)size);
    event.user = user;
    event.item = item;
    event.request_id = event.properties = "";
    enum event_result result;
    bool joined;
    if (!events_append(&result, &joined, txn, &event, err))
        return false;
    if (result == EVENT_DUPLICATE)
        counts->duplicates++;
    else
        counts->accepted++;
    counts->unjoined += result == EVENT_ACCEPTED && !joined;
    return true;
}

bool import_dialogue(struct import_counts *counts, const struct store_txn *txn, const char *id,
                     const json_t *dialogue, struct err *err)
{
    char name[ID_SIZE_MAX + 1];
    bool is_new;
    if (!id_normalise(name, id, strlen(id), "id", err) || !dialogue_check(dialogue, err) ||
        !dialogue_put(&is_new, txn, name, dialogue, err))
        return false;
    if (is_new)
        counts->accepted++;
    else
        counts->duplicates++;
    return true;
}

json_t *record_from_titled_year(const char *text)
{
    size_t size = strlen(text);
    int year = 0;
    if (size >= 6 && text[size - 1] == ')' && text[size - 6] == '(' &&
        strspn(text + size - 5, "0123456789") == 4) {
        year = atoi(text + size - 5);
        size -= 6;
        while (size > 0 && text[size - 1] == ' ')
            size--;
    }
    json_t *record = json_object();
    json_object_set_new(record, "title", json_stringn(text, size));
    if (year)
        json_object_set_new(record, "attributes", json_pack("{s:i}", "year", year));
    return record;
}

/* ---- the neutral form ---- */

static const char *row_id(const json_t *row, struct err *err)
{
    const char *id = json_string_value(json_object_get(row, "id"));
    if (!id)
        err_set(err, ERR_INPUT, "id: expected a string, found %s",
                json_kind(json_object_get(row, "id")));
    return id;
}

static bool take_item(void *self, const struct store_txn *txn, struct line *line,
                      struct import_counts *counts, struct err *err)
{
    (void)self;
    json_t *row = json_parse(line->bytes, line->size, "row", err);
    json_t *record = row ? item_from_neutral(row, err) : NULL;
    const char *id = record ? row_id(row, err) : NULL;
    bool fine = id && import_item(counts, txn, id, record, err);
    json_decref(record);
    json_decref(row);
    return fine;
}

bool import_items(struct import_counts *counts, const struct importer *importer, const char *path,
                  struct err *err)
{
    return import_lines(counts, importer, path, take_item, NULL, err);
}

static bool take_conversation(void *self, const struct store_txn *txn, struct line *line,
                              struct import_counts *counts, struct err *err)
{
    (void)self;
    json_t *row = json_parse(line->bytes, line->size, "row", err);
    const char *id = row ? row_id(row, err) : NULL;
    bool fine = id && import_dialogue(counts, txn, id, row, err);
    json_decref(row);
    return fine;
}

bool import_conversations(struct import_counts *counts, const struct importer *importer,
                          const char *path, struct err *err)
{
    return import_lines(counts, importer, path, take_conversation, NULL, err);
}

/* Which column of the CSV holds what; SIZE_MAX: none does. */
struct columns {
    size_t user, item, rating, timestamp, rel_time_s, type, count;
    bool known;
};

static bool read_columns(struct columns *columns, char *line, struct err *err)
{
    char *names[FIELDS_MAX];
    *columns =
        (struct columns){SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, 0, true};
    columns->count = csv_split(names, FIELDS_MAX, line);
    for (size_t i = 0; i < columns->count; i++) {
        if (strcmp(names[i], "user") == 0)
            columns->user = i;
        else if (strcmp(names[i], "item") == 0)
            columns->item = i;
        else if (strcmp(names[i], "rating") == 0 || strcmp(names[i], "value") == 0)
            columns->rating = i;
        else if (strcmp(names[i], "timestamp") == 0)
            columns->timestamp = i;
        else if (strcmp(names[i], "rel_time_s") == 0)
            columns->rel_time_s = i;
        else if (strcmp(names[i], "type") == 0)
            columns->type = i;
    }
    if (columns->user != SIZE_MAX && columns->item != SIZE_MAX &&
        (columns->timestamp != SIZE_MAX || columns->rel_time_s != SIZE_MAX))
        return true;
    return err_set(err, ERR_FORMAT,
                   "expected a header with user, item and timestamp (or rel_time_s)");
}

/* Seconds since 1970, or milliseconds when the number is too large to be seconds before year 5138.
 */
static bool read_time(int64_t *time_ms, const char *text, struct err *err)
{
    double value;
    if (!parse_f64(&value, text) || value < -1e11 || value > 1e14)
        return err_set(err, ERR_INPUT, "timestamp: expected seconds since 1970, found '%.40s'",
                       text);
    *time_ms = value > 1e11 || value < -1e11 ? (int64_t)value : (int64_t)(value * 1000);
    return true;
}

static bool take_interaction(void *self, const struct store_txn *txn, struct line *line,
                             struct import_counts *counts, struct err *err)
{
    struct columns *columns = self;
    char *fields[FIELDS_MAX];
    if (!columns->known)
        return read_columns(columns, line->bytes, err);
    size_t count = csv_split(fields, FIELDS_MAX, line->bytes);
    if (count != columns->count)
        return err_set(err, ERR_INPUT, "expected %zu fields, found %zu", columns->count, count);
    struct event event = {
        .user = fields[columns->user], .item = fields[columns->item], .value = NAN};
    event.type = columns->type != SIZE_MAX     ? fields[columns->type]
                 : columns->rating != SIZE_MAX ? "rating"
                                               : "interaction";
    size_t when = columns->timestamp != SIZE_MAX ? columns->timestamp : columns->rel_time_s;
    if (!read_time(&event.time_ms, fields[when], err))
        return false;
    if (columns->rating != SIZE_MAX && *fields[columns->rating] &&
        !parse_f64(&event.value, fields[columns->rating]))
        return err_set(err, ERR_INPUT, "rating: expected a number, found '%.40s'",
                       fields[columns->rating]);
    return import_event(counts, txn, &event, err);
}

bool import_interactions(struct import_counts *counts, const struct importer *importer,
                         const char *path, struct err *err)
{
    struct columns columns = {0};
    return import_lines(counts, importer, path, take_interaction, &columns, err);
}
