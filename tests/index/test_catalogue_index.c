#include "tests/test.h"

#include "base/rng.h"
#include "index/catalogue_index.h"
#include "index/scan.h"

#include <math.h>

enum { ITEMS = 3001, DIMS = 48, QUERIES = 50 };

static float vectors[ITEMS * DIMS];
static float query[QUERIES * DIMS];
static float scores[ITEMS];

/* Forty clumps: catalogues have them, pure noise has no neighbours worth finding. */
static void fill(float *to, size_t count, uint64_t seed)
{
    struct rng rng = rng_stream(seed, 0, 0);
    for (size_t i = 0; i < count; i++)
        for (size_t d = 0; d < DIMS; d++) {
            struct rng centre = rng_stream(77, i % 40, d);
            to[i * DIMS + d] = (float)(rng_normal(&centre) + 0.6 * rng_normal(&rng));
        }
}

static int start(void **state)
{
    (void)state;
    fill(vectors, ITEMS, 11);
    fill(query, QUERIES, 12);
    return 0;
}

static void every_scan_equals_the_plain_one(void **state)
{
    static float want[ITEMS];
    static float got[ITEMS];
    (void)state;
    scan_plain(want, vectors, query, ITEMS, DIMS);
    for (int variant = 0; variant < 2; variant++) {
        bool runs = variant ? __builtin_cpu_supports("avx512f")
                            : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        if (!runs)
            continue;
        (variant ? scan_avx512 : scan_avx2)(got, vectors, query, ITEMS, DIMS);
        for (size_t i = 0; i < ITEMS; i++)
            assert_true(fabsf(got[i] - want[i]) < 1e-3F);
    }
}

static void skipped_rows_are_never_found(void **state)
{
    struct err err = {0};
    static uint64_t skip[ITEMS / 64 + 1];
    struct hit hits[20];
    struct catalogue_index *index = catalogue_index_open(vectors, ITEMS, DIMS, "", SIZE_MAX, &err);
    (void)state;
    assert_fine(index, err);
    assert_true(catalogue_index_is_exact(index));
    struct topk first = {.hits = hits, .max = 20};
    assert_fine(catalogue_index_search(&first, index, query, NULL, scores, &err), err);
    topk_sort(&first);
    uint32_t best = hits[0].row;
    skip[best / 64] |= (uint64_t)1 << (best % 64);
    struct topk second = {.hits = hits, .max = 20};
    assert_fine(catalogue_index_search(&second, index, query, skip, scores, &err), err);
    topk_sort(&second);
    for (size_t i = 0; i < 20; i++)
        assert_int_not_equal(hits[i].row, best);
    catalogue_index_close(index);
}

/* Above the limit Faiss answers; it must find most of what the scan finds, also after being read
 * back. */
static void faiss_finds_most_of_what_the_scan_finds(void **state)
{
    struct err err = {0};
    char path[600];
    char folder[512];
    (void)state;
    snprintf(folder, sizeof folder, "%s", scratch_folder("faiss"));
    snprintf(path, sizeof path, "%s/catalogue.faiss", folder);
    struct catalogue_index *exact = catalogue_index_open(vectors, ITEMS, DIMS, "", SIZE_MAX, &err);
    for (int round = 0; round < 2; round++) { /* made, then read */
        struct catalogue_index *index = catalogue_index_open(vectors, ITEMS, DIMS, path, 10, &err);
        size_t both = 0;
        assert_fine(index, err);
        assert_false(catalogue_index_is_exact(index));
        for (size_t q = 0; q < QUERIES; q++) {
            struct hit a[10];
            struct hit b[10];
            struct topk x = {.hits = a, .max = 10};
            struct topk y = {.hits = b, .max = 10};
            assert_fine(catalogue_index_search(&x, exact, query + q * DIMS, NULL, scores, &err) &&
                            catalogue_index_search(&y, index, query + q * DIMS, NULL, scores, &err),
                        err);
            for (size_t i = 0; i < x.count; i++)
                for (size_t j = 0; j < y.count; j++)
                    both += a[i].row == b[j].row;
        }
        if (both < QUERIES * 10 * 8 / 10)
            fail_msg("recall %zu of %d", both, QUERIES * 10);
        catalogue_index_close(index);
    }
    struct err other = {0};
    assert_null(catalogue_index_open(vectors, ITEMS - 1, DIMS, path, 10, &other));
    assert_says(other, "expected 3000 vectors");
    write_file(folder, "bad.faiss", "no index");
    snprintf(path, sizeof path, "%s/bad.faiss", folder);
    struct err bad = {0};
    assert_null(catalogue_index_open(vectors, ITEMS, DIMS, path, 10, &bad));
    assert_says(bad, "bad.faiss");
    catalogue_index_close(exact);
    scratch_drop(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_scan_equals_the_plain_one),
        TEST(skipped_rows_are_never_found),
        TEST(faiss_finds_most_of_what_the_scan_finds),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
