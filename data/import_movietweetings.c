#include "data/import.h"
#include "data/import_rows.h"

#include "base/text.h"

#include <string.h>

/* Splits at every "::"; returns the number of fields. */
static size_t split_fields(char **fields, size_t max, char *line)
{
    size_t count = 0;
    while (count < max) {
        fields[count++] = line;
        char *end = strstr(line, "::");
        if (!end)
            break;
        *end = 0;
        line = end + 2;
    }
    return count;
}

static bool take_movie(void *self, const struct store_txn *txn, struct line *line,
                       struct import_counts *counts, struct err *err)
{
    (void)self;
    char *fields[4];
    if (split_fields(fields, 4, line->bytes) != 3)
        return err_set(err, ERR_INPUT, "expected id::Title (Year)::Genre|Genre, found '%.60s'",
                       line->bytes);
    if (!utf8_valid(fields[1], strlen(fields[1])))
        return err_set(err, ERR_INPUT, "title: not valid UTF-8");
    json_t *record = record_from_titled_year(fields[1]);
    json_t *genres = json_array();
    for (char *next, *genre = fields[2]; genre && *genre; genre = next) {
        next = strchr(genre, '|');
        if (next)
            *next++ = 0;
        json_array_append_new(genres, json_string(genre));
    }
    json_object_set_new(record, "categories", genres);
    bool fine = import_item(counts, txn, fields[0], record, err);
    json_decref(record);
    return fine;
}

static bool take_rating(void *self, const struct store_txn *txn, struct line *line,
                        struct import_counts *counts, struct err *err)
{
    (void)self;
    char *fields[5];
    uint64_t seconds;
    struct event event = {.type = "rating"};
    if (split_fields(fields, 5, line->bytes) != 4)
        return err_set(err, ERR_INPUT, "expected user::movie::rating::timestamp, found '%.60s'",
                       line->bytes);
    if (!parse_f64(&event.value, fields[2]))
        return err_set(err, ERR_INPUT, "rating: expected a number, found '%.40s'", fields[2]);
    if (!parse_u64(&seconds, fields[3], 0, 100000000000))
        return err_set(err, ERR_INPUT, "timestamp: expected seconds since 1970, found '%.40s'",
                       fields[3]);
    event.user = fields[0];
    event.item = fields[1];
    event.time_ms = (int64_t)seconds * 1000;
    return import_event(counts, txn, &event, err);
}

bool import_movietweetings_movies(struct import_counts *counts, const struct importer *importer,
                                  const char *path, struct err *err)
{
    return import_lines(counts, importer, path, take_movie, NULL, err);
}

bool import_movietweetings_ratings(struct import_counts *counts, const struct importer *importer,
                                   const char *path, struct err *err)
{
    return import_lines(counts, importer, path, take_rating, NULL, err);
}
