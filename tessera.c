/*
 * tessera.c: the front door: one table of commands.
 *
 *     tessera --home DIR COMMAND [--setting value]...
 *
 * stdout is the product, stderr the log.  Exit: 0 done, 1 failed, 2 asked for something impossible.
 */
#include "base/log.h"
#include "data/export.h"
#include "data/import.h"
#include "data/records.h"
#include "index/faiss_c.h"
#include "service/service.h"
#include "train/jobs.h"

#include <cblas.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct import_settings {
    char items[SETTING_TEXT_SIZE], interactions[SETTING_TEXT_SIZE],
        conversations[SETTING_TEXT_SIZE];
    char format[SETTING_TEXT_SIZE];
};

static const struct setting IMPORT_SETTINGS[] = {
    SETTING(TEXT, import_settings, items, "", 0, 0,
            "items.jsonl, movies.dat or movies_with_mentions.csv; also .gz and .zst"),
    SETTING(TEXT, import_settings, interactions, "", 0, 0, "interactions.csv or ratings.dat"),
    SETTING(TEXT, import_settings, conversations, "", 0, 0,
            "conversations.jsonl or train_data.jsonl"),
    SETTING(TEXT, import_settings, format, "neutral", 0, 0, "neutral, movietweetings or redial"),
};

struct evaluate_settings {
    bool test, all, lists, dialogues;
    double judge_share;
    size_t reasons;
    char json[SETTING_TEXT_SIZE], targets[SETTING_TEXT_SIZE], runs[SETTING_TEXT_SIZE],
        ranks[SETTING_TEXT_SIZE], reason_ranks[SETTING_TEXT_SIZE], scores[SETTING_TEXT_SIZE],
        against[SETTING_TEXT_SIZE], label[SETTING_TEXT_SIZE], of[SETTING_TEXT_SIZE],
        among[SETTING_TEXT_SIZE], dialogue_runs[SETTING_TEXT_SIZE];
};

static const struct setting EVALUATE_SETTINGS[] = {
    SETTING(BOOL, evaluate_settings, test, "false", 0, 0,
            "judge on the test part and note the run"),
    SETTING(TEXT, evaluate_settings, json, "", 0, 0, "file for the figures as JSON rows"),
    SETTING(TEXT, evaluate_settings, targets, "docs/targets.json", 0, 0,
            "what the figures are held against"),
    SETTING(TEXT, evaluate_settings, runs, "docs/TEST_RUNS.tsv", 0, 0,
            "where --test appends its row"),
    SETTING(BOOL, evaluate_settings, all, "false", 0, 0,
            "also: seen items not masked, rare and cold targets, search"),
    SETTING(BOOL, evaluate_settings, lists, "false", 0, 0,
            "also: ranked lists against all that a user took later (split time)"),
    SETTING(SIZE, evaluate_settings, reasons, "0", 0, 10000000,
            "also: chains of reasons of so many users, and what they answer"),
    SETTING(TEXT, evaluate_settings, of, "production", 0, 0, "version that is judged"),
    SETTING(TEXT, evaluate_settings, ranks, "", 0, 0,
            "file for the rank of each user's target in each list; of compare: such files"),
    SETTING(TEXT, evaluate_settings, reason_ranks, "", 0, 0,
            "file for the same of --reasons, direct and reasoned"),
    SETTING(TEXT, evaluate_settings, scores, "", 0, 0,
            "file for what each user's ranked list is worth; of compare: such files"),
    SETTING(TEXT, evaluate_settings, against, "", 0, 0,
            "of compare: files of the same kind, whose figures are taken off"),
    SETTING(BOOL, evaluate_settings, dialogues, "false", 0, 0,
            "lists for what dialogues ask, instead of slates for users"),
    SETTING(TEXT, evaluate_settings, among, "", 0, 0,
            "of dialogues: file of the item ids that may be listed, one a line; empty: all"),
    SETTING(REAL, evaluate_settings, judge_share, "1", 0.001, 1,
            "of dialogues: a share of the part's, the same one every time"),
    SETTING(TEXT, evaluate_settings, dialogue_runs, "docs/DIALOGUE_RUNS.tsv", 0, 0,
            "of dialogues: where --test appends its row"),
    SETTING(TEXT, evaluate_settings, label, "own", 0, 0, "name of the data in a row of --runs"),
};

struct recommend_settings {
    bool all_users;
    size_t n;
    char out[SETTING_TEXT_SIZE];
};

static const struct setting RECOMMEND_SETTINGS[] = {
    SETTING(BOOL, recommend_settings, all_users, "false", 0, 0,
            "a slate for every user with events"),
    SETTING(SIZE, recommend_settings, n, "10", 1, 200, "items in a slate"),
    SETTING(TEXT, recommend_settings, out, "-", 0, 0, "file for one JSON line a user; -: stdout"),
};

struct other_settings {
    bool chat;
    char version[SETTING_TEXT_SIZE], folder[SETTING_TEXT_SIZE], name[SETTING_TEXT_SIZE],
        scopes[SETTING_TEXT_SIZE];
};

static const struct setting OTHER_SETTINGS[] = {
    SETTING(TEXT, other_settings, version, "previous", 0, 0,
            "version to put into production; previous: the one before"),
    SETTING(BOOL, other_settings, chat, "false", 0, 0,
            "of promote: it answers dialogues, and slates stay as they are"),
    SETTING(TEXT, other_settings, folder, "export", 0, 0, "folder that export writes into"),
    SETTING(TEXT, other_settings, name, "unnamed", 0, 0, "name of a new API key"),
    SETTING(TEXT, other_settings, scopes, "recommend chat events:write", 0, 0,
            "what a new API key may do: recommend chat events:write catalog:read catalog:write "
            "metrics"),
};

struct texts_settings {
    size_t texts_max;
    bool chains, lists, talks;
};

static const struct setting TEXTS_SETTINGS[] = {
    SETTING(SIZE, texts_settings, texts_max, "0", 0, 1e9, "questions in this run; 0: all"),
    SETTING(BOOL, texts_settings, chains, "false", 0, 0,
            "also: how one would argue from what each user took to what came next (stage reason)"),
    SETTING(BOOL, texts_settings, lists, "false", 0, 0,
            "also: what each user will take next, as a list (stage lists, --list-teacher rra)"),
    SETTING(BOOL, texts_settings, talks, "false", 0, 0,
            "first: what to list in dialogues that teach (stage dialogue, --list-teacher rra)"),
};

/* Everything a command may need; the tables point into it. */
struct front {
    const char *home;
    struct store_settings store;
    struct event_settings events;
    struct index_settings index;
    struct train_settings train;
    struct import_settings import;
    struct evaluate_settings evaluate;
    struct recommend_settings recommend;
    struct other_settings other;
    struct serve_settings serve;
    struct endpoint_settings endpoint;
    struct texts_settings texts;
    struct objective_settings objective;
};

enum {
    T_STORE = 1,
    T_EVENTS = 2,
    T_INDEX = 4,
    T_TRAIN = 8,
    T_IMPORT = 16,
    T_EVALUATE = 32,
    T_RECOMMEND = 64,
    T_OTHER = 128,
    T_SERVE = 256,
    T_TEXTS = 512,
    T_ENDPOINT = 1024,
    T_OBJECTIVE = 2048
};
enum { TABLES = 12 };

static void front_tables(struct settings tables[TABLES], struct front *front)
{
    const struct settings list[TABLES] = {
        {STORE_SETTINGS, STORE_SETTINGS_COUNT, &front->store},
        {EVENT_SETTINGS, EVENT_SETTINGS_COUNT, &front->events},
        {INDEX_SETTINGS, INDEX_SETTINGS_COUNT, &front->index},
        {TRAIN_SETTINGS, TRAIN_SETTINGS_COUNT, &front->train},
        {IMPORT_SETTINGS, COUNT(IMPORT_SETTINGS), &front->import},
        {EVALUATE_SETTINGS, COUNT(EVALUATE_SETTINGS), &front->evaluate},
        {RECOMMEND_SETTINGS, COUNT(RECOMMEND_SETTINGS), &front->recommend},
        {OTHER_SETTINGS, COUNT(OTHER_SETTINGS), &front->other},
        {SERVE_SETTINGS, SERVE_SETTINGS_COUNT, &front->serve},
        {TEXTS_SETTINGS, COUNT(TEXTS_SETTINGS), &front->texts},
        {ENDPOINT_SETTINGS, ENDPOINT_SETTINGS_COUNT, &front->endpoint},
        {OBJECTIVE_SETTINGS, OBJECTIVE_SETTINGS_COUNT, &front->objective},
    };
    memcpy(tables, list, sizeof list);
}

/* ---- commands ---- */

static void say_rejected(void *self, const char *path, size_t line, const char *reason)
{
    (void)self;
    fprintf(stderr, "%s:%zu: rejected: %s\n", path, line, reason);
}

typedef bool import_fn(struct import_counts *counts, const struct importer *importer,
                       const char *path, struct err *err);

static bool import_one(import_fn *fn, const struct importer *importer, const char *what,
                       const char *path, struct err *err)
{
    struct import_counts counts = {0};
    if (!*path)
        return true;
    if (!fn)
        return err_set(err, ERR_INPUT, "%s: this format has no %s", path, what);
    bool fine = fn(&counts, importer, path, err);
    printf("%-14s accepted %zu  duplicates %zu  rejected %zu  unjoined %zu\n", what,
           counts.accepted, counts.duplicates, counts.rejected, counts.unjoined);
    return fine;
}

static bool run_import(struct front *f, struct store *store, struct err *err)
{
    static const struct {
        const char *name;
        import_fn *items, *interactions, *conversations;
    } formats[] = {
        {"neutral", import_items, import_interactions, import_conversations},
        {"movietweetings", import_movietweetings_movies, import_movietweetings_ratings, NULL},
        {"redial", import_redial_movies, NULL, import_redial_dialogues},
    };
    const struct importer importer = {store, say_rejected, NULL};
    for (size_t i = 0; i < COUNT(formats); i++)
        if (strcmp(formats[i].name, f->import.format) == 0)
            return import_one(formats[i].items, &importer, "items", f->import.items, err) &&
                   import_one(formats[i].interactions, &importer, "interactions",
                              f->import.interactions, err) &&
                   import_one(formats[i].conversations, &importer, "conversations",
                              f->import.conversations, err);
    return err_set(err, ERR_INPUT, "format: expected neutral, movietweetings or redial, found '%s'",
                   f->import.format);
}

static bool with_job(struct front *f, struct store *store, struct err *err,
                     bool (*fn)(struct front *, const struct job *, struct err *))
{
    struct thread_pool *pool = thread_pool_new(f->train.threads, err);
    const struct job job = {f->home,   store,     pool,         &f->events,
                            &f->index, &f->train, &f->endpoint, &f->objective};
    bool fine = pool && fn(f, &job, err);
    thread_pool_free(pool);
    return fine;
}

static bool do_index(struct front *f, const struct job *job, struct err *err)
{
    (void)f;
    return job_index(job, err);
}

static bool do_train(struct front *f, const struct job *job, struct err *err)
{
    return f->train.watch ? job_watch(job, err) : job_train(job, err);
}

static bool do_texts(struct front *f, const struct job *job, struct err *err)
{
    const struct texts_options options = {f->texts.texts_max, f->texts.chains, f->texts.lists,
                                          f->texts.talks};
    return job_texts(job, &options, err);
}

static bool do_evaluate(struct front *f, const struct job *job, struct err *err)
{
    const struct evaluate_settings *s = &f->evaluate;
    struct evaluate_options options = {
        .test = s->test,
        .all = s->all,
        .json_path = *s->json ? s->json : NULL,
        .targets_path = s->targets,
        .runs_path = *s->runs ? s->runs : NULL,
        .ranks_path = *s->ranks ? s->ranks : NULL,
        .scores_path = *s->scores ? s->scores : NULL,
        .label = s->label,
        .version = s->of,
        .lists = s->lists,
        .reasons = s->reasons,
        .reason_ranks_path = *s->reason_ranks ? s->reason_ranks : NULL,
        .among = s->among,
        .judge_share = s->judge_share,
    };
    if (s->dialogues) {
        options.runs_path = *s->dialogue_runs ? s->dialogue_runs : NULL;
        return job_evaluate_dialogues(job, &options, err);
    }
    return job_evaluate(job, &options, err);
}

static bool do_recommend(struct front *f, const struct job *job, struct err *err)
{
    if (!f->recommend.all_users)
        return err_set(err, ERR_INPUT, "expected --all-users (for one user ask the service)");
    return job_recommend_all(job, f->recommend.n, f->recommend.out, err);
}

static bool run_index(struct front *f, struct store *store, struct err *err)
{
    return with_job(f, store, err, do_index);
}

static bool run_train(struct front *f, struct store *store, struct err *err)
{
    return with_job(f, store, err, do_train);
}

static bool run_texts(struct front *f, struct store *store, struct err *err)
{
    return with_job(f, store, err, do_texts);
}

static bool run_evaluate(struct front *f, struct store *store, struct err *err)
{
    return with_job(f, store, err, do_evaluate);
}

static bool run_compare(struct front *f, struct store *store, struct err *err)
{
    const struct evaluate_settings *s = &f->evaluate;
    const struct compare_options options = {
        s->ranks, s->scores, s->against, *s->json ? s->json : NULL, s->targets, s->label};
    (void)store;
    return job_compare(&options, err);
}

static bool run_recommend(struct front *f, struct store *store, struct err *err)
{
    return with_job(f, store, err, do_recommend);
}

static bool run_serve(struct front *f, struct store *store, struct err *err)
{
    const struct serve_job job = {f->home, store, &f->serve, &f->events};
    return job_serve(&job, err);
}

static bool run_export(struct front *f, struct store *store, struct err *err)
{
    struct export_counts counts;
    if (!export_all(&counts, store, f->other.folder, err))
        return false;
    printf("%s: items %zu  events %zu  dialogues %zu\n", f->other.folder, counts.items,
           counts.events, counts.dialogues);
    return true;
}

static bool run_promote(struct front *f, struct store *store, struct err *err)
{
    char name[64];
    (void)store;
    bool previous = strcmp(f->other.version, "previous") == 0;
    if (f->other.chat) {
        if (previous)
            return err_set(err, ERR_INPUT, "promote: --chat needs the --version that is to answer");
        if (!chat_set(f->home, f->other.version, err))
            return false;
        printf("version %s answers dialogues\n", f->other.version);
        return true;
    }
    bool fine =
        previous ? production_back(f->home, err) : production_set(f->home, f->other.version, err);
    if (fine && production_name(name, f->home, err))
        printf("version %s is in production\n", name);
    return fine;
}

static bool run_verify(struct front *f, struct store *store, struct err *err)
{
    size_t rows[TABLE_COUNT];
    char name[64];
    if (!store_verify(store, rows, err))
        return false;
    for (size_t t = 0; t < TABLE_COUNT; t++)
        printf("%-14s %zu rows\n", store_table_name((enum store_table)t), rows[t]);
    struct err none = {0};
    if (!production_name(name, f->home, &none)) {
        printf("no version is in production\n");
        return true;
    }
    struct version *version = version_open(f->home, name, store, f->train.scan_items_max, err);
    if (!version)
        return false;
    printf("version %s: %zu items, names of %zu tiles, every file as its manifest says\n", name,
           version->index->items, version->index->levels);
    version_drop(version);
    return true;
}

static bool run_key(struct front *f, struct store *store, struct err *err)
{
    unsigned char bytes[24];
    char digits[2 * sizeof bytes + 1];
    char key[sizeof digits + 4];
    struct store_txn txn;
    randombytes_buf(bytes, sizeof bytes);
    hex_encode(digits, bytes, sizeof bytes);
    snprintf(key, sizeof key, "tk_%s", digits);
    if (!store_begin(&txn, store, true, err))
        return false;
    bool fine = api_key_put(&txn, key, f->other.name, f->other.scopes, err);
    if (fine)
        fine = store_commit(&txn, err);
    else
        store_abort(&txn);
    if (fine)
        printf("%s\n", key);
    return fine;
}

static const struct command {
    const char *name, *help;
    bool (*run)(struct front *front, struct store *store, struct err *err);
    enum { STORE_MADE, STORE_THERE, STORE_NONE } store;
    unsigned tables;
} COMMANDS[] = {
    {"import", "files into the store", run_import, STORE_MADE, T_IMPORT | T_STORE},
    {"index", "content vectors, names and neighbours from catalogue and training events", run_index,
     STORE_THERE, T_INDEX | T_EVENTS},
    {"texts", "a large model's words on items and users, for training", run_texts, STORE_THERE,
     T_TEXTS | T_ENDPOINT | T_INDEX | T_EVENTS},
    {"train", "a model version from the current index and the events", run_train, STORE_THERE,
     T_TRAIN | T_INDEX | T_EVENTS | T_OBJECTIVE},
    {"evaluate", "the version in production against the baselines", run_evaluate, STORE_THERE,
     T_EVALUATE | T_TRAIN | T_INDEX | T_EVENTS},
    {"compare", "several runs of evaluate as one table, or against others", run_compare, STORE_NONE,
     T_EVALUATE},
    {"recommend", "slates for all users at once", run_recommend, STORE_THERE, T_RECOMMEND},
    {"serve", "the HTTP service", run_serve, STORE_MADE, T_SERVE | T_EVENTS | T_STORE},
    {"promote", "another version into production, or back", run_promote, STORE_THERE, T_OTHER},
    {"export", "the store back into the neutral form", run_export, STORE_THERE, T_OTHER},
    {"verify", "every row of the store and every file of the version in production", run_verify,
     STORE_THERE, 0},
    {"key", "a new API key, printed once", run_key, STORE_MADE, T_OTHER},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COUNT(COMMANDS); i++)
        if (strcmp(COMMANDS[i].name, name) == 0)
            return &COMMANDS[i];
    return NULL;
}

static int help(struct front *front, const char *name)
{
    struct settings tables[TABLES];
    struct text text;
    const struct command *command = name ? find_command(name) : NULL;
    front_tables(tables, front);
    text_init(&text, 1 << 20);
    if (command) {
        text_addf(&text, "tessera --home DIR %s: %s\n", command->name, command->help);
        for (size_t t = 0; t < TABLES; t++)
            if (command->tables & (1u << t))
                settings_help(&text, &tables[t]);
    } else {
        text_addf(&text, "usage: tessera --home DIR COMMAND [--setting value]...\n\n");
        for (size_t i = 0; i < COUNT(COMMANDS); i++)
            text_addf(&text, "  %-10s %s\n", COMMANDS[i].name, COMMANDS[i].help);
        text_addf(&text, "\n`tessera help COMMAND` lists its settings; HOME/tessera.conf holds "
                         "them as name = value.\n");
    }
    fputs(text.bytes, name && !command ? stderr : stdout);
    text_release(&text);
    return name && !command ? 2 : 0;
}

/* --name value, --name=value, and --flag alone for a true. */
static bool read_flags(struct settings *tables, int argc, char **argv, int at, struct err *err)
{
    while (at < argc) {
        if (strncmp(argv[at], "--", 2) != 0)
            return err_set(err, ERR_INPUT, "expected --setting, found '%.60s'", argv[at]);
        char name[64];
        char *equals = strchr(argv[at], '=');
        snprintf(name, sizeof name, "%.*s", (int)(equals ? equals - argv[at] - 2 : 60),
                 argv[at] + 2);
        for (char *c = name; *c; c++)
            *c = *c == '-' ? '_' : *c;
        const char *value = equals ? equals + 1 : "true";
        if (!equals && at + 1 < argc && strncmp(argv[at + 1], "--", 2) != 0)
            value = argv[++at];
        if (!settings_put(tables, TABLES, name, value, err))
            return false;
        at++;
    }
    return true;
}

static int fail(const struct err *err)
{
    fprintf(stderr, "tessera: %s\n", err->text);
    return err->code == ERR_INPUT || err->code == ERR_MISSING ? 2 : 1;
}

/* Settings of a file, then of the command line; a preset of post-training stands below both. */
static bool read_settings(struct front *f, struct settings *tables, const char *path, int argc,
                          char **argv, int at, struct err *err)
{
    if (!settings_read(tables, TABLES, path, err) || !read_flags(tables, argc, argv, at, err))
        return false;
    bool named = objective_is_preset(f->train.stage); /* --stage srpo: rl by --algo srpo */
    if (named)
        snprintf(f->objective.algo, sizeof f->objective.algo, "%s", f->train.stage);
    else if (strcmp(f->train.stage, "rl") != 0)
        return true;
    bool fine = objective_expand(&f->objective, err) && settings_read(tables, TABLES, path, err);
    if (named) /* the file's is for stage rl */
        snprintf(f->objective.algo, sizeof f->objective.algo, "%s", f->train.stage);
    fine = fine && read_flags(tables, argc, argv, at, err);
    if (fine && named && strcmp(f->objective.algo, f->train.stage) != 0)
        return err_set(err, ERR_INPUT,
                       "algo: stage '%.60s' is a method already: expected --stage %.60s alone, or "
                       "--stage rl --algo %.60s",
                       f->train.stage, f->train.stage, f->objective.algo);
    if (named)
        snprintf(f->train.stage, sizeof f->train.stage, "rl");
    return fine;
}

static int list_methods(void)
{
    struct text text;
    text_init(&text, 1 << 20);
    objective_list(&text);
    fputs(text.bytes, stdout);
    text_release(&text);
    return 0;
}

int main(int argc, char **argv)
{
    static struct front front;
    struct settings tables[TABLES];
    struct err err = {0};
    char path[PATH_SIZE];
    int at = 1;
    if (sodium_init() < 0)
        return 1;
    openblas_set_num_threads(1); /* our threads each call it; see model/real.h */
    omp_set_num_threads(1);      /* Faiss: k-means must not depend on the number of cores */
    front.home = getenv("TESSERA_HOME");
    front_tables(tables, &front);
    settings_start(tables, TABLES);
    if (at + 1 < argc && strcmp(argv[at], "--home") == 0) {
        front.home = argv[at + 1];
        at += 2;
    }
    const char *name = at < argc ? argv[at++] : "help";
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0)
        return help(&front, at < argc ? argv[at] : NULL);
    const struct command *command = find_command(name);
    if (!command)
        return help(&front, name);
    if (strcmp(name, "train") == 0 && at < argc && strcmp(argv[at], "--list-methods") == 0)
        return list_methods();
    if (command->store == STORE_NONE)
        front.home = front.home ? front.home : ".";
    if (!front.home)
        err_set(&err, ERR_INPUT, "expected --home DIR (or TESSERA_HOME) before the command");
    if (err.code || !path_make(path, &err, "%s/tessera.conf", front.home) ||
        !read_settings(&front, tables, path, argc, argv, at, &err))
        return fail(&err);
    struct store *store = NULL;
    if (command->store != STORE_NONE)
        store = store_open(front.home, &front.store, command->store == STORE_MADE, &err);
    bool fine = (store || command->store == STORE_NONE) && command->run(&front, store, &err);
    store_close(store);
    return fine ? 0 : fail(&err);
}
