#include "train/rows.h"

#include "base/json.h"
#include "train/dialogues.h"

#include <stdlib.h>
#include <string.h>

bool rows_load_events(struct row_data *data, const struct job *job, uint64_t upto, struct err *err)
{
    data->job = job;
    data->histories = histories_load(job->store, job->events, upto, err);
    if (!data->histories)
        return false;
    const struct histories *h = data->histories;
    if (h->positive == 0)
        return err_set(err, ERR_INPUT,
                       "no positive event among %zu joined and %zu unjoined ones (positive_rating "
                       "is %g, the largest "
                       "rating %g; see `tessera help train`)",
                       h->events, h->unjoined, job->events->positive_rating, h->value_max);
    data->numbers = calloc(h->events + 1, sizeof *data->numbers);
    if (!data->numbers)
        return err_set(err, ERR_SYSTEM, "no memory for %zu events", h->events);
    memcpy(data->numbers, h->item, h->events * sizeof *data->numbers);
    if (!split_make(&data->split, h, job->index->split, err))
        return false;
    split_hide_cold(data->histories, job->index->cold_share);
    split_keep_for_rl(&data->split, data->histories, job->index->rl_share, job->index->rl_events);
    return true;
}

static void print_meaning(struct text *text, const struct job *job)
{
    const struct settings events = {EVENT_SETTINGS, EVENT_SETTINGS_COUNT,
                                    (void *)(uintptr_t)job->events};
    text_init(text, 65536);
    text_addf(text, "split = %s\ncold_share = %g\n", job->index->split, job->index->cold_share);
    if (job->index->rl_share > 0)
        text_addf(text, "rl_share = %g\nrl_events = %zu\n", job->index->rl_share,
                  job->index->rl_events);
    if (job->index->count_dialogues)
        text_addf(text, "count_dialogues = true\n");
    settings_print(text, &events);
}

void rows_note_meaning(json_t *facts, const struct job *job)
{
    struct text text;
    print_meaning(&text, job);
    json_object_set_new(facts, "meaning", json_string(text.bytes));
    text_release(&text);
}

bool rows_check_meaning(uint64_t *upto, const char *folder, const struct job *job, struct err *err)
{
    struct text mine;
    json_t *manifest = manifest_read(folder, err);
    const char *theirs = json_string_value(json_object_get(manifest, "meaning"));
    print_meaning(&mine, job);
    bool fine = manifest && theirs && strcmp(theirs, mine.bytes) == 0;
    if (manifest && !fine) {
        size_t at = 0; /* the line that differs */
        for (size_t i = 0; theirs && theirs[i] && theirs[i] == mine.bytes[i]; i++)
            at = theirs[i] == '\n' ? i + 1 : at;
        const char *their = theirs ? theirs + at : "nothing";
        err_set(err, ERR_INPUT,
                "%s was made with '%.*s', this command has '%.*s': give it the same setting, or "
                "make it anew",
                folder, (int)strcspn(their, "\n"), their, (int)strcspn(mine.bytes + at, "\n"),
                mine.bytes + at);
    }
    *upto = (uint64_t)json_integer_value(json_object_get(manifest, "upto"));
    text_release(&mine);
    json_decref(manifest);
    return fine;
}

static bool check_index(char folder[PATH_SIZE], char *name, size_t room, uint64_t *upto,
                        const struct job *job, struct err *err)
{
    char link[PATH_SIZE];
    char target[PATH_SIZE];
    if (!path_make(link, err, "%s/indexes/current", job->home))
        return false;
    if (!link_read(target, link) || strlen(target) >= room)
        return err_set(err, ERR_MISSING,
                       "%s: there is no index; run `tessera --home %s index` first", link,
                       job->home);
    memcpy(name, target, strlen(target) + 1);
    return path_make(folder, err, "%s/indexes/%s", job->home, target) &&
           manifest_check(folder, err) && rows_check_meaning(upto, folder, job, err);
}

bool rows_index_upto(uint64_t *upto, const struct job *job, struct err *err)
{
    char folder[PATH_SIZE];
    char name[64];
    return check_index(folder, name, sizeof name, upto, job, err);
}

bool rows_load(struct row_data *data, const struct job *job, struct err *err)
{
    char folder[PATH_SIZE];
    uint64_t upto = 0;
    if (!check_index(folder, data->index_name, sizeof data->index_name, &upto, job, err))
        return false;
    data->index = index_open(folder, err);
    return data->index && rows_load_events(data, job, upto, err);
}

static void rename_items(struct row_data *data, const struct snapshot *snapshot)
{
    for (size_t e = 0; e < data->histories->events; e++)
        data->histories->item[e] = snapshot_row(snapshot, data->numbers[e]);
}

/* A user's newest events, as many as were not there before, are what is new. */
static void keep_newer(struct split *split, const struct histories *now,
                       const struct histories *before)
{
    size_t old = 0;
    for (size_t u = 0; u < now->users; u++) {
        while (old < before->users && before->user[old] < now->user[u])
            old++;
        bool known = old < before->users && before->user[old] == now->user[u];
        size_t count = known ? before->first[old + 1] - before->first[old] : 0;
        split->train_end[u] = split->rl_first[u] = now->first[u] + count;
        split->rl_end[u] = now->first[u + 1];
    }
}

bool rows_load_newer(struct row_data *newer, const struct row_data *data, uint64_t upto,
                     const struct snapshot *snapshot, struct err *err)
{
    const struct job *job = data->job;
    *newer = (struct row_data){.job = job};
    newer->histories = histories_load(job->store, job->events, upto, err);
    if (!newer->histories || !split_make(&newer->split, newer->histories, "none", err))
        return false;
    keep_newer(&newer->split, newer->histories, data->histories);
    for (size_t e = 0; e < newer->histories->events; e++)
        newer->histories->item[e] = snapshot_row(snapshot, newer->histories->item[e]);
    return true;
}

/* After the users' sequences those of dialogues. */
static bool add_dialogues(struct row_data *data, const struct snapshot *snapshot, struct err *err)
{
    if (!data->job->index->count_dialogues)
        return true;
    struct dialogues *dialogues = dialogues_load(data->job->store, err);
    bool fine = dialogues != NULL;
    if (fine) {
        dialogues_name(dialogues, snapshot);
        fine = dialogues_append(&data->sequences, dialogues, NULL, 0, err);
    }
    dialogues_free(dialogues);
    return fine;
}

bool rows_name(struct row_data *data, const struct snapshot *snapshot, struct err *err)
{
    rename_items(data, snapshot);
    if (!split_sequences(&data->sequences, data->histories, &data->split, err) ||
        !add_dialogues(data, snapshot, err))
        return false;
    /* items that came after the index have rows beyond it: training leaves them out */
    struct sequences *s = &data->sequences;
    size_t kept = 0;
    size_t begin = 0;
    for (size_t u = 0; u < s->users; u++) {
        size_t end = s->first[u + 1];
        for (size_t e = begin; e < end; e++)
            if (s->item[e] < snapshot->version->index->items &&
                snapshot->version->policy.items.seen[s->item[e]])
                s->item[kept++] = s->item[e];
        begin = end;
        s->first[u + 1] = kept;
    }
    s->events = kept;
    return true;
}

bool rows_cases(struct cases *cases, struct row_data *data, const struct snapshot *snapshot,
                enum part part, size_t max_cases, struct err *err)
{
    rename_items(data, snapshot);
    return cases_make(cases, data->histories, &data->split, part, max_cases, 0, err);
}

void rows_release(struct row_data *data)
{
    index_close(data->index);
    histories_free(data->histories);
    split_release(&data->split);
    sequences_release(&data->sequences);
    free(data->numbers);
}
