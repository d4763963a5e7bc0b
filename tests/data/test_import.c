#include "tests/test.h"

#include "data/catalogue.h"
#include "data/export.h"
#include "data/import.h"

static const struct store_settings SETTINGS = {.map_mib = 256, .sync = true};

struct rejected {
    size_t count, lines[16];
    char reasons[16][200];
};

static void note(void *self, const char *path, size_t line, const char *reason)
{
    struct rejected *r = self;
    (void)path;
    if (r->count < 16) {
        r->lines[r->count] = line;
        snprintf(r->reasons[r->count], 200, "%s", reason);
    }
    r->count++;
}

static struct store *open_home(char *home, size_t room, const char *name)
{
    struct err err = {0};
    snprintf(home, room, "%s", scratch_folder(name));
    struct store *store = store_open(home, &SETTINGS, true, &err);
    assert_fine(store, err);
    return store;
}

static void every_row_is_accepted_duplicate_or_rejected_with_its_line(void **state)
{
    struct err err = {0};
    struct rejected rejected = {0};
    struct import_counts items = {0};
    struct import_counts events = {0};
    char home[512];
    char path[600];
    (void)state;
    struct store *store = open_home(home, sizeof home, "import");
    const struct importer importer = {store, note, &rejected};
    write_file(home, "items.jsonl",
               "{\"id\":\"a\",\"title\":\"A\",\"year\":1999,\"categories\":[[\"x\",\"y\"],[\"x\","
               "\"z\"]]}\n"
               "{\"id\":\"a\",\"title\":\"A\",\"year\":1999,\"categories\":[[\"x\",\"y\"],[\"x\","
               "\"z\"]]}\n"
               "not json\n\n{\"title\":\"no "
               "id\"}\n{\"id\":\"b\",\"title\":7}\n{\"id\":\"b\",\"title\":\"B\"}\r\n");
    snprintf(path, sizeof path, "%s/items.jsonl", home);
    assert_fine(import_items(&items, &importer, path, &err), err);
    assert_int_equal(items.accepted, 2);
    assert_int_equal(items.duplicates, 1);
    assert_int_equal(items.rejected, 3);
    assert_int_equal(rejected.lines[0], 3);
    assert_int_equal(rejected.lines[1], 5);
    assert_int_equal(rejected.lines[2], 6);
    assert_non_null(strstr(rejected.reasons[2], "title: expected a string, found a whole number"));

    rejected.count = 0;
    write_file(home, "events.csv",
               "user,item,rating,timestamp\nu,a,8,100\nu,a,8,100\nu,nobody,8,101\nu,a,eight,102\nu,"
               "a,8,soon\nu,a,8\n\"u,2\",a,8,100\n");
    snprintf(path, sizeof path, "%s/events.csv", home);
    assert_fine(import_interactions(&events, &importer, path, &err), err);
    assert_int_equal(events.accepted, 3);
    assert_int_equal(events.duplicates, 1);
    assert_int_equal(events.unjoined, 1);
    assert_int_equal(events.rejected, 3);
    assert_int_equal(rejected.lines[0], 5);
    assert_int_equal(rejected.lines[2], 7);

    struct store_txn txn;
    uint32_t number;
    assert_fine(store_begin(&txn, store, false, &err), err);
    assert_true(catalogue_find(&number, &txn, "a", &err));
    assert_true(user_find(&number, &txn, "u,2", &err));
    json_t *record = catalogue_get(&txn, 0, &err);
    assert_int_equal(json_array_size(json_object_get(record, "categories")), 3);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(record, "attributes"), "year")), 1999);
    json_decref(record);
    store_abort(&txn);
    store_close(store);
    scratch_drop(home);
}

/* What training would pass over in silence is refused at the door, by name. */
static void a_dialogue_that_would_not_teach_is_rejected(void **state)
{
    static const struct {
        const char *line, *why;
    } bad[] = {
        {"{\"id\":\"1\",\"turns\":[{\"role\":\"bot\",\"text\":\"hi\"}]}",
         "turns[0]: role: expected user, assistant, seeker, recommender or system, found 'bot'"},
        {"{\"id\":\"1\",\"turns\":[],\"disliked\":\"tt1\"}", "disliked: expected an array"},
        {"{\"id\":\"1\",\"turns\":[],\"liked\":[7]}", "liked[0]: expected a string"},
        {"{\"id\":\"1\",\"turns\":[],\"split\":\"valid\"}",
         "split: expected train or test, found 'valid'"},
        {"{\"id\":\"1\",\"turns\":[{\"text\":\"hi\"}]}", "turns[0]: role: missing"},
    };
    struct err err = {0};
    struct rejected rejected = {0};
    struct import_counts counts = {0};
    char home[512];
    char path[600];
    char text[2000] = "";
    (void)state;
    struct store *store = open_home(home, sizeof home, "baddialogues");
    const struct importer importer = {store, note, &rejected};
    for (size_t i = 0; i < COUNT(bad); i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n", bad[i].line);
    snprintf(text + strlen(text), sizeof text - strlen(text),
             "{\"id\":\"1\",\"turns\":[{\"role\":\"system\",\"text\":\"be kind\"}],\"split\":"
             "\"test\",\"seen\":[\"a\"]}\n");
    write_file(home, "dialogues.jsonl", text);
    snprintf(path, sizeof path, "%s/dialogues.jsonl", home);
    assert_fine(import_conversations(&counts, &importer, path, &err), err);
    assert_int_equal(counts.accepted, 1);
    assert_int_equal(counts.rejected, COUNT(bad));
    for (size_t i = 0; i < COUNT(bad); i++)
        if (!strstr(rejected.reasons[i], bad[i].why))
            fail_msg("expected '%s' in '%s'", bad[i].why, rejected.reasons[i]);
    store_close(store);
    scratch_drop(home);
}

static void a_file_without_its_header_or_cut_short_is_named(void **state)
{
    struct err err = {0};
    struct import_counts counts = {0};
    char home[512];
    char path[600];
    (void)state;
    struct store *store = open_home(home, sizeof home, "badfile");
    const struct importer importer = {store, NULL, NULL};
    write_file(home, "events.csv", "who,what\n1,2\n");
    snprintf(path, sizeof path, "%s/events.csv", home);
    assert_false(import_interactions(&counts, &importer, path, &err));
    assert_says(err, "events.csv:1");
    assert_says(err, "header");
    struct err cut = {0};
    char command[1400];
    snprintf(command, sizeof command, "head -c 20000 " SAMPLE "/items.jsonl.zst > %s/cut.jsonl.zst",
             home);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof path, "%s/cut.jsonl.zst", home);
    assert_false(import_items(&counts, &importer, path, &cut));
    assert_int_equal(cut.code, ERR_FORMAT);
    assert_says(cut, "cut.jsonl.zst: after line");
    struct err missing = {0};
    assert_false(import_items(&counts, &importer, "/no/such.jsonl", &missing));
    assert_int_equal(missing.code, ERR_MISSING);
    store_close(store);
    scratch_drop(home);
}

static void movietweetings_comes_in_as_it_was_published(void **state)
{
    struct err err = {0};
    struct import_counts items = {0};
    struct import_counts events = {0};
    char home[512];
    char path[600];
    (void)state;
    struct store *store = open_home(home, sizeof home, "movietweetings");
    const struct importer importer = {store, NULL, NULL};
    write_file(
        home, "movies.dat",
        "0002844::Fant\xc3\xb4mas (1913)::Crime|Drama\n0113277::Heat (1995)::\nbroken line\n");
    write_file(home, "ratings.dat",
               "1::0113277::9::1365029107\n1::0113277::9::1365029107\n2::9999999::3::1365029108\n");
    snprintf(path, sizeof path, "%s/movies.dat", home);
    assert_fine(import_movietweetings_movies(&items, &importer, path, &err), err);
    snprintf(path, sizeof path, "%s/ratings.dat", home);
    assert_fine(import_movietweetings_ratings(&events, &importer, path, &err), err);
    assert_int_equal(items.accepted, 2);
    assert_int_equal(items.rejected, 1);
    assert_int_equal(events.accepted, 2);
    assert_int_equal(events.duplicates, 1);
    assert_int_equal(events.unjoined, 1);
    store_close(store);
    scratch_drop(home);
}

static void redial_comes_in_as_it_was_published(void **state)
{
    struct err err = {0};
    struct import_counts items = {0};
    struct import_counts dialogues = {0};
    struct import_counts judged = {0};
    struct store_txn txn;
    MDB_val found;
    char home[512];
    char path[600];
    (void)state;
    struct store *store = open_home(home, sizeof home, "redial");
    const struct importer importer = {store, NULL, NULL};
    write_file(home, "movies.csv",
               "movieId,movieName,nbMentions\n111,\"Heat, the film (1995)\",3\n222,Up,1\n");
    write_file(home, "train.jsonl",
               "{\"conversationId\":\"7\",\"initiatorWorkerId\":1,\"respondentWorkerId\":2,"
               "\"movieMentions\":{\"111\":\"Heat (1995)\"},"
               "\"initiatorQuestions\":{\"111\":{\"suggested\":1,\"seen\":0,\"liked\":1}},"
               "\"respondentQuestions\":{},"
               "\"messages\":[{\"senderWorkerId\":2,\"text\":\"Try @111 "
               "!\"},{\"senderWorkerId\":1,\"text\":\"mail me@home\"}]}\n"
               "{\"other\":1}\n");
    snprintf(path, sizeof path, "%s/movies.csv", home);
    assert_fine(import_redial_movies(&items, &importer, path, &err), err);
    snprintf(path, sizeof path, "%s/train.jsonl", home);
    assert_fine(import_redial_dialogues(&dialogues, &importer, path, &err), err);
    write_file(home, "test_data.jsonl",
               "{\"conversationId\":\"8\",\"initiatorWorkerId\":1,\"respondentWorkerId\":2,"
               "\"movieMentions\":{},\"initiatorQuestions\":{},\"respondentQuestions\":{},"
               "\"messages\":[{\"senderWorkerId\":2,\"text\":\"hi\"}]}\n");
    snprintf(path, sizeof path, "%s/test_data.jsonl", home);
    assert_fine(import_redial_dialogues(&judged, &importer, path, &err), err);
    assert_int_equal(judged.accepted, 1);
    assert_int_equal(items.accepted, 2);
    assert_int_equal(dialogues.accepted, 1);
    assert_int_equal(dialogues.rejected, 1);
    assert_fine(store_begin(&txn, store, false, &err), err);
    assert_true(store_get(&found, &txn, TABLE_DIALOGUES, "7", 1, &err));
    json_t *row = json_loadb(found.mv_data, found.mv_size, 0, NULL);
    json_t *turn = json_array_get(json_object_get(row, "turns"), 0);
    assert_string_equal(json_string_value(json_object_get(turn, "text")), "Try Heat (1995) !");
    assert_string_equal(json_string_value(json_object_get(turn, "role")), "recommender");
    assert_int_equal(json_array_size(json_object_get(turn, "items_mentioned")), 1);
    assert_int_equal(json_array_size(json_object_get(row, "liked")), 1);
    assert_null(json_object_get(row, "split"));
    json_decref(row);
    assert_true(store_get(&found, &txn, TABLE_DIALOGUES, "8", 1, &err));
    row = json_loadb(found.mv_data, found.mv_size, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(row, "split")), "test");
    json_decref(row);
    store_abort(&txn);
    store_close(store);
    scratch_drop(home);
}

/* The sample in, out, and in again: the second store equals the first. */
static void what_goes_out_comes_back_the_same(void **state)
{
    struct err err = {0};
    struct import_counts counts[6] = {{0}};
    struct export_counts out[2];
    char home[512];
    char other[512];
    char folder[600];
    char path[700];
    (void)state;
    struct store *store = open_home(home, sizeof home, "roundtrip");
    struct importer importer = {store, NULL, NULL};
    assert_fine(import_items(&counts[0], &importer, SAMPLE "/items.jsonl.zst", &err), err);
    assert_fine(import_interactions(&counts[1], &importer, SAMPLE "/interactions.csv.zst", &err),
                err);
    assert_fine(
        import_conversations(&counts[2], &importer, SAMPLE "/conversations.jsonl.zst", &err), err);
    assert_int_equal(counts[0].accepted, 7637);
    assert_int_equal(counts[1].accepted, 68055);
    assert_int_equal(counts[2].accepted, 5791);
    snprintf(folder, sizeof folder, "%s/out", home);
    assert_fine(export_all(&out[0], store, folder, &err), err);
    store_close(store);
    snprintf(other, sizeof other, "%s-again", home);
    snprintf(path, sizeof path, "mkdir -p %s", other);
    assert_int_equal(system(path), 0);
    store = store_open(other, &SETTINGS, true, &err);
    importer.store = store;
    snprintf(path, sizeof path, "%s/items.jsonl", folder);
    assert_fine(import_items(&counts[3], &importer, path, &err), err);
    snprintf(path, sizeof path, "%s/interactions.csv", folder);
    assert_fine(import_interactions(&counts[4], &importer, path, &err), err);
    snprintf(path, sizeof path, "%s/conversations.jsonl", folder);
    assert_fine(import_conversations(&counts[5], &importer, path, &err), err);
    assert_int_equal(counts[3].accepted, 7637);
    assert_int_equal(counts[4].accepted, 68055);
    assert_int_equal(counts[5].accepted, 5791);
    snprintf(folder, sizeof folder, "%s/out", other);
    assert_fine(export_all(&out[1], store, folder, &err), err);
    store_close(store);
    char command[2000];
    snprintf(command, sizeof command,
             "for f in items.jsonl conversations.jsonl interactions.csv; do a=$(sort %s/out/$f | "
             "md5sum); b=$(sort %s/out/$f | md5sum); [ \"$a\" = \"$b\" ] || exit 1; done",
             home, other);
    assert_int_equal(system(command), 0);
    scratch_drop(home);
    scratch_drop(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_row_is_accepted_duplicate_or_rejected_with_its_line),
        TEST(a_dialogue_that_would_not_teach_is_rejected),
        TEST(a_file_without_its_header_or_cut_short_is_named),
        TEST(movietweetings_comes_in_as_it_was_published),
        TEST(redial_comes_in_as_it_was_published),
        TEST(what_goes_out_comes_back_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
