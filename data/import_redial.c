/*
 * ReDial as its authors publish it.  A dialogue names films as @number inside the text; what the
 * speakers said of each film is in two tables, the seeker's and the recommender's.  We write the
 * neutral form: titles in the text, item lists beside it.
 */
#include "data/import.h"
#include "data/import_rows.h"

#include "base/json.h"
#include "base/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool take_movie(void *self, const struct store_txn *txn, struct line *line,
                       struct import_counts *counts, struct err *err)
{
    (void)self;
    char *fields[8];
    if (csv_split(fields, 8, line->bytes) < 2)
        return err_set(err, ERR_INPUT, "expected movieId,movieName, found '%.60s'", line->bytes);
    if (line->number == 1 && strcmp(fields[0], "movieId") == 0)
        return true;
    if (!utf8_valid(fields[1], strlen(fields[1])))
        return err_set(err, ERR_INPUT, "movieName: not valid UTF-8");
    json_t *record = record_from_titled_year(fields[1]);
    bool fine = import_item(counts, txn, fields[0], record, err);
    json_decref(record);
    return fine;
}

bool import_redial_movies(struct import_counts *counts, const struct importer *importer,
                          const char *path, struct err *err)
{
    return import_lines(counts, importer, path, take_movie, NULL, err);
}

/* "@1234" becomes the title; the numbers go into `items`. */
static json_t *read_text(json_t *items, const char *text, const json_t *titles)
{
    struct text out;
    text_init(&out, 65536);
    for (const char *at = text; *at;) {
        size_t digits = *at == '@' ? strspn(at + 1, "0123456789") : 0;
        if (digits == 0 || digits > 15) {
            text_add(&out, at++, 1);
            continue;
        }
        char id[16];
        memcpy(id, at + 1, digits);
        id[digits] = 0;
        const char *title = json_string_value(json_object_get(titles, id));
        text_addf(&out, "%s", title ? title : id);
        json_array_append_new(items, json_string(id));
        at += digits + 1;
    }
    json_t *value = json_string(out.size ? out.bytes : "");
    text_release(&out);
    return value;
}

static json_t *read_turns(const json_t *dialogue)
{
    json_t *turns = json_array();
    json_t *messages = json_object_get(dialogue, "messages");
    json_t *seeker = json_object_get(dialogue, "initiatorWorkerId");
    json_t *titles = json_object_get(dialogue, "movieMentions");
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *message = json_array_get(messages, i);
        const char *text = json_string_value(json_object_get(message, "text"));
        json_t *items = json_array();
        bool seeks = json_equal(json_object_get(message, "senderWorkerId"), seeker);
        json_array_append_new(
            turns, json_pack("{s:s, s:o, s:o}", "role", seeks ? "seeker" : "recommender", "text",
                             read_text(items, text ? text : "", titles), "items_mentioned", items));
    }
    return turns;
}

/* The seeker's answer where there is one, else the recommender's: 0 no, 1 yes, 2 not said. */
static int answer_of(const json_t *dialogue, const char *item, const char *question)
{
    static const char *const sources[] = {"initiatorQuestions", "respondentQuestions"};
    for (size_t i = 0; i < COUNT(sources); i++) {
        json_t *row = json_object_get(json_object_get(dialogue, sources[i]), item);
        json_t *value = json_object_get(row, question);
        if (json_is_integer(value) && json_integer_value(value) != 2)
            return (int)json_integer_value(value);
    }
    return 2;
}

static void read_answers(json_t *out, const json_t *dialogue)
{
    static const struct {
        const char *list, *question;
        int answer;
    } rules[] = {{"target_items", "suggested", 1},
                 {"liked", "liked", 1},
                 {"disliked", "liked", 0},
                 {"seen", "seen", 1}};
    for (size_t i = 0; i < COUNT(rules); i++) {
        json_t *list = json_array();
        const char *item;
        json_t *title;
        json_object_foreach (json_object_get(dialogue, "movieMentions"), item, title)
            if (answer_of(dialogue, item, rules[i].question) == rules[i].answer)
                json_array_append_new(list, json_string(item));
        json_object_set_new(out, rules[i].list, list);
    }
}

static bool take_dialogue(void *self, const struct store_txn *txn, struct line *line,
                          struct import_counts *counts, struct err *err)
{
    const bool *judged = self;
    json_t *row = json_parse(line->bytes, line->size, "row", err);
    if (!row)
        return false;
    const char *id = json_string_value(json_object_get(row, "conversationId"));
    bool fine = id && json_is_array(json_object_get(row, "messages"));
    if (!fine)
        err_set(err, ERR_INPUT, "expected conversationId and messages, as ReDial has them");
    json_t *out = json_object();
    if (fine) {
        json_object_set_new(out, "id", json_string(id));
        json_object_set_new(out, "turns", read_turns(row));
        if (*judged)
            json_object_set_new(out, "split", json_string("test"));
        read_answers(out, row);
        fine = import_dialogue(counts, txn, id, out, err);
    }
    json_decref(out);
    json_decref(row);
    return fine;
}

bool import_redial_dialogues(struct import_counts *counts, const struct importer *importer,
                             const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    bool judged = strncmp(name, "test", 4) == 0; /* test_data.jsonl */
    return import_lines(counts, importer, path, take_dialogue, &judged, err);
}
