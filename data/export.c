#include "data/export.h"

#include "base/files.h"
#include "data/catalogue.h"
#include "data/events.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct exporter {
    const struct store_txn *txn;
    FILE *file;
    size_t *count;
};

static bool write_item(void *self, uint32_t number, const char *id, json_t *record, struct err *err)
{
    struct exporter *to = self;
    (void)number;
    (void)err;
    json_object_set_new(record, "id", json_string(id));
    json_dumpf(record, to->file, JSON_COMPACT | JSON_SORT_KEYS);
    fputc('\n', to->file);
    ++*to->count;
    return true;
}

static void write_field(FILE *file, const char *text)
{
    if (!strpbrk(text, ",\"")) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    fputc('"', file);
}

static bool write_event(void *self, const struct stored_event *event, struct err *err)
{
    struct exporter *to = self;
    char user[ID_SIZE_MAX + 1];
    char item[ID_SIZE_MAX + 1];
    if (!user_id(user, to->txn, event->user, err) || !catalogue_id(item, to->txn, event->item, err))
        return err_set(err, ERR_FORMAT, "store: event %llu names an unknown number",
                       (unsigned long long)event->sequence);
    write_field(to->file, user);
    fputc(',', to->file);
    write_field(to->file, item);
    fprintf(to->file, ",%s,", event->type);
    if (!isnan(event->value))
        fprintf(to->file, "%.9g", event->value);
    fprintf(to->file, ",%.3f\n", (double)event->time_ms / 1000);
    ++*to->count;
    return true;
}

static bool write_dialogue(void *self, const MDB_val *key, const MDB_val *value, struct err *err)
{
    struct exporter *to = self;
    (void)key;
    (void)err;
    fwrite(value->mv_data, 1, value->mv_size, to->file);
    fputc('\n', to->file);
    ++*to->count;
    return true;
}

static bool export_file(struct exporter *to, const char *folder, const char *name, struct err *err)
{
    char path[PATH_SIZE];
    if (!path_make(path, err, "%s/%s", folder, name))
        return false;
    to->file = fopen(path, "wb");
    if (!to->file)
        return err_set(err, ERR_SYSTEM, "%s: cannot create: %s", path, strerror(errno));
    bool fine = true;
    if (strcmp(name, "items.jsonl") == 0) {
        fine = catalogue_each(to->txn, write_item, to, err);
    } else if (strcmp(name, "interactions.csv") == 0) {
        fputs("user,item,type,value,timestamp\n", to->file);
        fine = events_each(to->txn, write_event, to, err);
    } else {
        fine = store_each(to->txn, TABLE_DIALOGUES, write_dialogue, to, err);
    }
    bool written = !ferror(to->file);
    written &= fclose(to->file) == 0;
    if (fine && !written)
        fine = err_set(err, ERR_FULL, "%s: cannot write: %s", path, strerror(errno));
    return fine;
}

bool export_all(struct export_counts *counts, struct store *store, const char *folder,
                struct err *err)
{
    struct store_txn txn;
    *counts = (struct export_counts){0};
    if (!folder_make(folder, err) || !store_begin(&txn, store, false, err))
        return false;
    struct exporter items = {&txn, NULL, &counts->items};
    struct exporter events = {&txn, NULL, &counts->events};
    struct exporter dialogues = {&txn, NULL, &counts->dialogues};
    bool fine = export_file(&items, folder, "items.jsonl", err) &&
                export_file(&events, folder, "interactions.csv", err) &&
                export_file(&dialogues, folder, "conversations.jsonl", err);
    store_abort(&txn);
    return fine;
}
