#include "tests/test.h"

#include "base/files.h"
#include "data/catalogue.h"
#include "data/records.h"
#include "data/store.h"

#include <sys/wait.h>

static const struct store_settings SMALL = {.map_mib = 4, .sync = true};
static const struct store_settings LARGE = {.map_mib = 256, .sync = true};

static bool put_bytes(struct store *store, const char *key, size_t size, struct err *err)
{
    struct store_txn txn;
    char *bytes = calloc(size, 1);
    bool fine = store_begin(&txn, store, true, err) &&
                store_put(&txn, TABLE_SLATES, key, strlen(key), bytes, size, err);
    if (fine)
        fine = store_commit(&txn, err);
    else
        store_abort(&txn);
    free(bytes);
    return fine;
}

/* Another process with a larger map writes beyond ours; our next transaction must adopt the size.
 */
static void a_map_that_another_process_enlarged_is_adopted(void **state)
{
    struct err err = {0};
    struct store_txn txn;
    MDB_val found;
    char home[512];
    (void)state;
    snprintf(home, sizeof home, "%s", scratch_folder("resized"));
    struct store *store = store_open(home, &SMALL, true, &err);
    assert_fine(store, err);
    assert_fine(put_bytes(store, "a", 100, &err), err);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "test_store", "child", home, (char *)NULL);
        _exit(9);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_fine(store_begin(&txn, store, false, &err), err);
    assert_true(store_get(&found, &txn, TABLE_SLATES, "large", 5, &err));
    assert_int_equal(found.mv_size, 32 << 20);
    store_abort(&txn);
    assert_fine(put_bytes(store, "after", 1000, &err), err);
    store_close(store);
    scratch_drop(home);
}

static int child_main(const char *home)
{
    struct err err = {0};
    struct store *store = store_open(home, &LARGE, false, &err);
    bool fine = store && put_bytes(store, "large", 32 << 20, &err);
    store_close(store);
    if (!fine)
        fprintf(stderr, "child: %s\n", err.text);
    return fine ? 0 : 1;
}

static void a_full_map_is_an_error_and_loses_nothing(void **state)
{
    struct err err = {0};
    char home[512];
    (void)state;
    snprintf(home, sizeof home, "%s", scratch_folder("full"));
    struct store *store = store_open(home, &SMALL, true, &err);
    assert_fine(store, err);
    assert_fine(put_bytes(store, "kept", 1000, &err), err);
    assert_false(put_bytes(store, "much", 8 << 20, &err));
    assert_int_equal(err.code, ERR_FULL);
    assert_says(err, "map_mib");
    struct err again = {0};
    assert_fine(put_bytes(store, "small", 1000, &again), again);
    struct store_txn txn;
    assert_fine(store_begin(&txn, store, false, &again), again);
    assert_int_equal(store_entries(&txn, TABLE_SLATES), 2);
    store_abort(&txn);
    store_close(store);
    scratch_drop(home);
}

static void a_truncated_or_foreign_store_is_refused_by_name(void **state)
{
    struct err err = {0};
    char home[512];
    char path[600];
    (void)state;
    snprintf(home, sizeof home, "%s", scratch_folder("truncated"));
    struct store *store = store_open(home, &SMALL, true, &err);
    assert_fine(store, err);
    assert_fine(put_bytes(store, "a", 1 << 20, &err), err);
    store_close(store);
    snprintf(path, sizeof path, "%s/store/data.mdb", home);
    assert_int_equal(truncate(path, 40960), 0);
    assert_null(store_open(home, &SMALL, false, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_says(err, "data.mdb");
    assert_says(err, "truncated");
    struct err foreign = {0};
    char store_folder[600];
    snprintf(store_folder, sizeof store_folder, "%s/store", home);
    write_file(store_folder, "data.mdb",
               "this is no database at all, but it is longer than a page header ................");
    assert_null(store_open(home, &SMALL, false, &foreign));
    assert_says(foreign, "data.mdb");
    scratch_drop(home);
}

static void another_schema_is_refused(void **state)
{
    struct err err = {0};
    struct store_txn txn;
    char home[512];
    (void)state;
    snprintf(home, sizeof home, "%s", scratch_folder("schema"));
    struct store *store = store_open(home, &SMALL, true, &err);
    assert_fine(store, err);
    assert_fine(store_begin(&txn, store, true, &err) &&
                    store_put(&txn, TABLE_META, "schema", 6, "7", 1, &err) &&
                    store_commit(&txn, &err),
                err);
    store_close(store);
    assert_null(store_open(home, &SMALL, false, &err));
    assert_says(err, "schema 7, this program reads 1");
    struct err missing = {0};
    assert_null(store_open("/no/such/home", &SMALL, false, &missing));
    assert_int_equal(missing.code, ERR_MISSING);
    assert_says(missing, "import");
    scratch_drop(home);
}

static void an_item_keeps_its_number_through_deletion(void **state)
{
    struct err err = {0};
    struct store_txn txn;
    enum put_result result;
    uint32_t a;
    uint32_t b;
    uint32_t again;
    char home[512];
    (void)state;
    snprintf(home, sizeof home, "%s", scratch_folder("numbers"));
    struct store *store = store_open(home, &SMALL, true, &err);
    assert_fine(store, err);
    json_t *record = json_pack("{s:s}", "title", "A");
    assert_fine(store_begin(&txn, store, true, &err), err);
    assert_fine(catalogue_put(&result, &a, &txn, "a", record, &err), err);
    assert_int_equal(result, PUT_NEW);
    assert_fine(catalogue_put(&result, &again, &txn, "a", record, &err), err);
    assert_int_equal(result, PUT_SAME);
    assert_true(catalogue_delete(&txn, "a", &err));
    assert_false(catalogue_find(&again, &txn, "a", &err));
    assert_fine(catalogue_put(&result, &b, &txn, "b", record, &err), err);
    assert_fine(catalogue_put(&result, &again, &txn, "a", record, &err), err);
    assert_int_equal(result, PUT_NEW);
    assert_int_equal(a, again);
    assert_int_not_equal(a, b);
    assert_fine(store_commit(&txn, &err), err);
    json_decref(record);
    store_close(store);
    scratch_drop(home);
}

static void slates_go_oldest_first(void **state)
{
    struct err err = {0};
    struct store_txn txn;
    char home[512];
    char ids[5][64];
    (void)state;
    snprintf(home, sizeof home, "%s", scratch_folder("slates"));
    struct store *store = store_open(home, &SMALL, true, &err);
    assert_fine(store, err);
    assert_fine(store_begin(&txn, store, true, &err), err);
    for (int i = 0; i < 5; i++) {
        snprintf(ids[i], sizeof ids[i], "rec_%012llx%020d",
                 (unsigned long long)now_ms() - 1000000ull * (unsigned)(5 - i), i);
        assert_fine(slate_put(&txn, ids[i], "{}", 2, &err), err);
    }
    assert_int_equal(slates_prune(&txn, 3, 0, 100, &err), 2);
    json_t *gone = slate_get(&txn, ids[1], &err);
    json_t *kept = slate_get(&txn, ids[2], &err);
    assert_null(gone);
    assert_non_null(kept);
    json_decref(kept);
    assert_int_equal(slates_prune(&txn, 100, now_ms() - 1500000, 100, &err), 2); /* by age */
    store_abort(&txn);
    store_close(store);
    scratch_drop(home);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "child") == 0)
        return child_main(argv[2]);
    const struct CMUnitTest tests[] = {
        TEST(a_map_that_another_process_enlarged_is_adopted),
        TEST(a_full_map_is_an_error_and_loses_nothing),
        TEST(a_truncated_or_foreign_store_is_refused_by_name),
        TEST(another_schema_is_refused),
        TEST(an_item_keeps_its_number_through_deletion),
        TEST(slates_go_oldest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
