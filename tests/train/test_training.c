/*
 * Training is a function of its inputs: the same bytes on 1, 2 and 4 threads and after kill -9; and
 * what an item is called by others changes nothing.
 */
#include "tests/service/client.h"

#include "base/files.h"
#include "base/rng.h"
#include "data/lines.h"
#include "recommend/version.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <sys/wait.h>

#define SMALL                                                                                      \
    "--dim 32 --ffn 64 --heads 2 --kv_heads 2 --check_users 60 --window 20 --state_every_steps 3"

/* A fresh home with the fixture's store and index, and no models. */
static void home_without_models(char *home, size_t room, const char *name)
{
    home_copy(home, room, name);
    home_forget(home, false);
}

static char want[2][SHA256_TEXT];

static void the_same_bytes_on_1_2_and_4_threads(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads *= 2) {
        char home[512];
        char args[300];
        char got[2][SHA256_TEXT];
        home_without_models(home, sizeof home, "threads");
        snprintf(args, sizeof args, "train --epochs 3 " SMALL " --threads %d", threads);
        tessera_fine(home, args);
        home_weights(threads == 1 ? want : got, home);
        if (threads > 1) {
            assert_string_equal(want[0], got[0]);
            assert_string_equal(want[1], got[1]);
        }
        scratch_drop(home);
    }
}

/* Where find compares a sample, an item's rows are touched now and then: still the same bytes, on
 * any number of threads and after a run that was stopped. */
static void the_same_bytes_when_find_samples(void **state)
{
    static const char *const sampled =
        "train --epochs 3 " SMALL " --softmax_items 100 --negatives 300";
    char first[2][SHA256_TEXT];
    char got[2][SHA256_TEXT];
    (void)state;
    for (int round = 0; round < 3; round++) {
        char home[512];
        char args[400];
        home_without_models(home, sizeof home, "sampled");
        if (round == 2) {
            char command[900];
            snprintf(command, sizeof command,
                     "timeout -s KILL 0.7 " TESSERA " --home %s %s >%s/log 2>&1", home, sampled,
                     home);
            assert_int_not_equal(system(command), 0);
        }
        snprintf(args, sizeof args, "%s --threads %d", sampled, round + 1);
        tessera_fine(home, args);
        home_weights(round ? got : first, home);
        if (round) {
            assert_string_equal(first[0], got[0]);
            assert_string_equal(first[1], got[1]);
        }
        scratch_drop(home);
    }
    assert_string_not_equal(first[1], want[1]);
}

/* The baseline is trained beside the policy, judged beside it, and never put into production. */
static void sasrec_is_a_baseline_of_its_own(void **state)
{
    char home[512];
    char command[1400];
    char line[400];
    char before[PATH_SIZE];
    char after[PATH_SIZE];
    char path[PATH_SIZE];
    bool told = false;
    (void)state;
    home_copy(home, sizeof home, "sasrec");
    snprintf(path, sizeof path, "%s/production/recommend", home);
    assert_true(link_read(before, path));
    tessera_fine(home, "train --preset sasrec --epochs 2 " SMALL);
    assert_true(link_read(after, path));
    assert_string_equal(before, after);
    snprintf(command, sizeof command, TESSERA " --home %s evaluate", home);
    FILE *pipe = popen(command, "r");
    while (fgets(line, sizeof line, pipe))
        told = told || strncmp(line, "sasrec ", 7) == 0;
    assert_int_equal(pclose(pipe), 0);
    assert_true(told);
    char why[4000];
    assert_int_equal(tessera(why, sizeof why, home, "train --preset sasrek"), 2);
    assert_non_null(strstr(why, "preset: expected policy or sasrec, found 'sasrek'"));
    scratch_drop(home);
}

/* What no user took has the mean find vector of its nearest texts that somebody took. */
static void newcomers_are_like_their_nearest_texts(const char *home)
{
    struct err err = {0};
    char name[64];
    size_t found = 0;
    const struct store_settings settings = {.map_mib = 1024};
    struct store *store = store_open(home, &settings, false, &err);
    assert_fine(store != NULL, err);
    assert_fine(production_name(name, home, &err), err);
    struct version *v = version_open(home, name, store, SIZE_MAX, &err);
    assert_fine(v != NULL, err);
    size_t d = v->policy.shape.dim;
    const struct sparse *texts = &v->index->text_neighbours;
    for (size_t r = 0; r < v->index->items; r++) {
        double mean[64] = {0};
        double total = 0;
        size_t used = 0;
        for (size_t i = texts->first[r]; i < texts->first[r + 1] && used < 20; i++) {
            size_t other = texts->column[i];
            double weight = (double)texts->value[i] * (double)texts->value[i];
            if (v->index->events[other] == 0)
                continue;
            for (size_t k = 0; k < d; k++)
                mean[k] += weight * (double)v->policy.find_vectors[other * d + k];
            total += weight;
            used++;
        }
        if (v->index->events[r] || used == 0)
            continue;
        for (size_t k = 0; k < d; k++)
            assert_true(fabs((double)v->policy.find_vectors[r * d + k] - mean[k] / total) < 1e-4);
        found++;
    }
    assert_true(found > 20);
    version_drop(v);
    store_close(store);
}

/* Items taken out of training altogether have no events anywhere, and are judged as such. */
static void cold_items_are_out_of_training(void **state)
{
    char home[512];
    char command[1400];
    char line[400];
    unsigned warm = 0;
    unsigned all = 0;
    size_t cold_cases = 0;
    (void)state;
    home_without_models(home, sizeof home, "cold");
    snprintf(command, sizeof command,
             TESSERA " --home %s index --split none; " TESSERA
                     " --home %s index --split none --cold_share 0.3",
             home, home);
    FILE *pipe = popen(command, "r");
    while (fgets(line, sizeof line, pipe)) {
        unsigned found;
        if (sscanf(line, "items %*u, with events %u", &found) == 1) {
            warm = found;
            all = all ? all : found;
        }
    }
    assert_int_equal(pclose(pipe), 0);
    assert_true(warm < all * 0.8 && warm > all * 0.6);
    tessera_fine(home, "index --cold_share 0.3");
    char why[4000];
    assert_int_equal(tessera(why, sizeof why, home, "train --epochs 1 " SMALL), 2);
    assert_non_null(strstr(why, "cold_share = 0.3"));
    tessera_fine(home, "train --cold_share 0.3 --epochs 1 " SMALL);
    snprintf(command, sizeof command, TESSERA " --home %s evaluate --all --cold_share 0.3", home);
    pipe = popen(command, "r");
    while (fgets(line, sizeof line, pipe))
        sscanf(line, "targets without a training event: %zu cases", &cold_cases);
    assert_int_equal(pclose(pipe), 0);
    assert_true(cold_cases > 20);
    newcomers_are_like_their_nearest_texts(home);
    scratch_drop(home);
}

/* Killed again and again at ever later moments, it still ends in the same bytes. */
static void the_same_bytes_after_kill_9(void **state)
{
    char home[512];
    char got[2][SHA256_TEXT];
    unsigned kills = 0;
    (void)state;
    home_without_models(home, sizeof home, "killed");
    for (unsigned wait_ms = 150;; wait_ms += 100) {
        pid_t child = fork();
        if (child == 0) {
            if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
                _exit(9);
            execl(TESSERA, "tessera", "--home", home, "train", "--epochs", "3", "--dim", "32",
                  "--ffn", "64", "--heads", "2", "--kv_heads", "2", "--check_users", "60",
                  "--window", "20", "--state_every_steps", "3", (char *)NULL);
            _exit(9);
        }
        usleep(wait_ms * 1000);
        int status;
        if (waitpid(child, &status, WNOHANG) == child) {
            assert_int_equal(status, 0);
            break;
        }
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        kills++;
    }
    assert_true(kills >= 2);
    home_weights(got, home);
    assert_string_equal(want[0], got[0]);
    assert_string_equal(want[1], got[1]);
    scratch_drop(home);
}

static void run_again_does_nothing(void **state)
{
    char home[512];
    char command[1400];
    char line[200] = "";
    (void)state;
    home_copy(home, sizeof home, "again");
    snprintf(command, sizeof command,
             TESSERA " --home %s index && " TESSERA
                     " --home %s train --epochs 2 --check_users 50 --dim 32 --heads 2 --kv_heads 2 "
                     "--ffn 64 --seed 1",
             home, home);
    FILE *pipe = popen(command, "r");
    assert_non_null(fgets(line, sizeof line, pipe));
    assert_non_null(strstr(line, "is up to date"));
    assert_non_null(fgets(line, sizeof line, pipe));
    assert_non_null(strstr(line, "is up to date"));
    assert_int_equal(pclose(pipe), 0);
    scratch_drop(home);
}

/* An index that counted other events would leak them into training: it is refused, and told why. */
static void an_index_of_another_split_is_refused(void **state)
{
    char home[512];
    char why[4000];
    (void)state;
    home_without_models(home, sizeof home, "split");
    tessera_fine(home, "index --split time");
    assert_int_equal(tessera(why, sizeof why, home, "train --epochs 1 " SMALL), 2);
    assert_non_null(strstr(why, "'split = time', this command has 'split = leave_one_out'"));
    tessera_fine(home, "train --split time --epochs 1 " SMALL);
    assert_int_equal(tessera(why, sizeof why, home, "evaluate"), 2);
    assert_non_null(strstr(why, "split = time"));
    tessera_fine(home, "evaluate --split time");
    scratch_drop(home);
}

/* Validation NDCG@10 of the fused slate, from the table that evaluate prints. */
static double ndcg_of(const char *home)
{
    char command[700];
    char line[400];
    double found = -1;
    snprintf(command, sizeof command, TESSERA " --home %s evaluate", home);
    FILE *pipe = popen(command, "r");
    for (bool fused = false; fgets(line, sizeof line, pipe);) {
        fused = fused || strncmp(line, "fused ", 6) == 0;
        if (fused && found < 0 && strstr(line, "NDCG "))
            assert_int_equal(sscanf(line, " NDCG %*f %*f %lf", &found), 1);
    }
    assert_int_equal(pclose(pipe), 0);
    assert_true(found >= 0);
    return found;
}

enum { LINES = 20000, FILMS = 8000 };

/* Writes items in another order and under other ids, and the interactions to match. */
static void write_permuted(const char *home, uint64_t seed)
{
    struct err err = {0};
    struct line line;
    char path[600];
    static char *rows[FILMS];
    static uint32_t order[FILMS];
    size_t count = 0;
    struct lines *in = lines_open(SAMPLE "/items.jsonl.zst", &err);
    while (lines_next(&line, in, &err)) {
        order[count] = (uint32_t)count;
        rows[count++] = strdup(line.bytes);
    }
    lines_close(in);
    struct rng rng = rng_stream(seed, 0, 0);
    if (seed)
        rng_shuffle(&rng, order, count);
    snprintf(path, sizeof path, "%s/items.jsonl", home);
    FILE *out = fopen(path, "wb");
    for (size_t i = 0; i < count; i++) {
        json_t *row = json_loads(rows[order[i]], 0, NULL);
        char id[80];
        snprintf(id, sizeof id, "%llx-%s",
                 (unsigned long long)(seed ? rng_mix(seed + order[i]) & 0xffff : 0),
                 json_string_value(json_object_get(row, "id")));
        json_object_set_new(row, "id", json_string(id));
        json_dumpf(row, out, JSON_COMPACT);
        fputc('\n', out);
        json_decref(row);
    }
    assert_int_equal(fclose(out), 0);
    json_t *numbers = json_object(); /* id -> place, to give events the same new id */
    for (size_t i = 0; i < count; i++) {
        json_t *row = json_loads(rows[i], 0, NULL);
        json_object_set_new(numbers, json_string_value(json_object_get(row, "id")),
                            json_integer((json_int_t)i));
        json_decref(row);
        free(rows[i]);
    }
    snprintf(path, sizeof path, "%s/events.csv", home);
    out = fopen(path, "wb");
    in = lines_open(SAMPLE "/interactions.csv.zst", &err);
    for (size_t i = 0; i < LINES && lines_next(&line, in, &err); i++) {
        char user[40];
        char item[40];
        char rest[80];
        if (i == 0 || sscanf(line.bytes, "%39[^,],%39[^,],%79s", user, item, rest) != 3) {
            fprintf(out, "%s\n", line.bytes);
            continue;
        }
        uint64_t place = (uint64_t)json_integer_value(json_object_get(numbers, item));
        fprintf(out, "%s,%llx-%s,%s\n", user,
                (unsigned long long)(seed ? rng_mix(seed + place) & 0xffff : 0), item, rest);
    }
    lines_close(in);
    json_decref(numbers);
    assert_int_equal(fclose(out), 0);
}

/*
 * Item numbers and file order carry no information, so permuting them may move a metric no further
 * than another seed does.
 */
static void permuting_items_moves_metrics_no_further_than_seeds_do(void **state)
{
    double seeds[3];
    double permuted[3];
    (void)state;
    for (int i = 0; i < 6; i++) {
        char home[512];
        char args[1600];
        bool permutes = i >= 3;
        snprintf(home, sizeof home, "%s", scratch_folder("permuted"));
        write_permuted(home, permutes ? (uint64_t)i : 0);
        snprintf(args, sizeof args, "import --items %s/items.jsonl --interactions %s/events.csv",
                 home, home);
        tessera_fine(home, args);
        snprintf(args, sizeof args, "index --index_seed %d", permutes ? 1 : i + 1);
        tessera_fine(home, args);
        snprintf(args, sizeof args,
                 "train --epochs 6 --check_every 3 --check_users 300 --dim 32 --heads 2 --kv_heads "
                 "2 --ffn 64 --seed %d "
                 "--index_seed %d",
                 permutes ? 1 : i + 1, permutes ? 1 : i + 1);
        tessera_fine(home, args);
        *(permutes ? &permuted[i - 3] : &seeds[i]) = ndcg_of(home);
        scratch_drop(home);
    }
    double low = 1;
    double high = 0;
    double difference = 0;
    for (int i = 0; i < 3; i++) {
        low = seeds[i] < low ? seeds[i] : low;
        high = seeds[i] > high ? seeds[i] : high;
        difference += (permuted[i] - seeds[i]) / 3;
        printf("seed %d: %.4f   permutation %d: %.4f\n", i + 1, seeds[i], i + 1, permuted[i]);
    }
    double spread = high - low > 0.004 ? high - low : 0.004; /* three seeds may happen to agree */
    printf("mean difference %+.4f, seed spread %.4f\n", difference, spread);
    assert_true(difference <= spread && difference >= -spread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_bytes_on_1_2_and_4_threads),
        TEST(the_same_bytes_after_kill_9),
        TEST(the_same_bytes_when_find_samples),
        TEST(sasrec_is_a_baseline_of_its_own),
        TEST(cold_items_are_out_of_training),
        TEST(run_again_does_nothing),
        TEST(an_index_of_another_split_is_refused),
        TEST(permuting_items_moves_metrics_no_further_than_seeds_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
