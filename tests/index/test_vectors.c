#include "tests/test.h"

#include "base/topk.h"

#include "base/rng.h"
#include "index/cooccurrence.h"
#include "index/quantiser.h"
#include "index/semantic_ids.h"
#include "index/text_vectors.h"

#include <math.h>

/* A matrix of known rank 3: the SVD of 3 dims gives it back, with orthonormal right vectors. */
static void svd_gives_a_low_rank_matrix_back(void **state)
{
    enum { ROWS = 40, COLUMNS = 30, RANK = 3 };
    struct err err = {0};
    struct pairs pairs = {0};
    struct rng rng = rng_stream(5, 0, 0);
    double a[ROWS][RANK];
    double b[COLUMNS][RANK];
    float left[ROWS * RANK];
    float right[COLUMNS * RANK];
    double worst = 0;
    (void)state;
    for (size_t k = 0; k < RANK; k++) {
        for (size_t r = 0; r < ROWS; r++)
            a[r][k] = rng_normal(&rng);
        for (size_t c = 0; c < COLUMNS; c++)
            b[c][k] = rng_normal(&rng);
    }
    for (uint32_t r = 0; r < ROWS; r++)
        for (uint32_t c = 0; c < COLUMNS; c++) {
            double v = 0;
            for (size_t k = 0; k < RANK; k++)
                v += a[r][k] * b[c][k];
            assert_fine(pairs_add(&pairs, (struct pair){r, c, (float)v}, &err), err);
        }
    struct sparse *m = sparse_from_pairs(&pairs, ROWS, COLUMNS, &err);
    assert_fine(svd_sparse(left, right, m, RANK, 1, &err), err);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < COLUMNS; c++) {
            double v = 0;
            for (size_t k = 0; k < RANK; k++)
                v += (double)left[r * RANK + k] * (double)right[c * RANK + k];
            worst = fmax(worst, fabs(v - (double)m->value[m->first[r] + c]));
        }
    assert_true(worst < 1e-3);
    for (size_t i = 0; i < RANK; i++)
        for (size_t j = 0; j < RANK; j++) {
            double v = 0;
            for (size_t c = 0; c < COLUMNS; c++)
                v += (double)right[c * RANK + i] * (double)right[c * RANK + j];
            assert_true(fabs(v - (i == j)) < 1e-3);
        }
    free(pairs.list);
    sparse_free(m);
}

static float cosine(const float *a, const float *b, size_t dims)
{
    float sum = 0;
    for (size_t d = 0; d < dims; d++)
        sum += a[d] * b[d];
    return sum;
}

/* Likes meet likes; an item coded alone later gets the vector it had in the catalogue. */
static void text_vectors_put_like_beside_like(void **state)
{
    enum { DIMS = 4 };
    static const char *const space[] = {"category=Space"};
    static const char *const love[] = {"category=Love"};
    static const char *const words[] = {"rocket", "moon", "star", "kiss", "heart", "Caf\xc3\xa9"};
    struct err err = {0};
    struct document documents[24];
    char titles[24][40];
    float vectors[24 * DIMS];
    float alone[DIMS];
    (void)state;
    for (size_t i = 0; i < 24; i++) {
        bool is_love = i % 2;
        snprintf(titles[i], sizeof titles[i], "%s %s", words[is_love * 3 + i % 3],
                 words[is_love * 3 + (i + 1) % 3]);
        documents[i] = (struct document){titles[i], "", is_love ? love : space, 1};
    }
    const struct documents list = {24, document_at, documents};
    struct text_coder *coder = text_coder_fit(vectors, &list, DIMS, 1, &err);
    assert_fine(coder, err);
    assert_true(cosine(vectors, vectors + 2 * DIMS, DIMS) >
                cosine(vectors, vectors + DIMS, DIMS) + 0.3F);
    assert_fine(text_encode(alone, coder, &documents[4], &err), err);
    for (size_t d = 0; d < DIMS; d++)
        assert_true(fabsf(alone[d] - vectors[4 * DIMS + d]) < 1e-3F);
    const struct document shouted = {"KISS CAFE\xcc\x81", "", love, 1}; /* folded: the same words */
    const struct document quiet = {"kiss caf\xc3\xa9", "", love, 1};
    float other[DIMS];
    assert_fine(
        text_encode(alone, coder, &shouted, &err) && text_encode(other, coder, &quiet, &err), err);
    assert_memory_equal(alone, other, sizeof alone);
    const struct document unknown = {"zzz", "", NULL, 0};
    assert_fine(text_encode(alone, coder, &unknown, &err), err);
    for (size_t d = 0; d < DIMS; d++)
        assert_true(alone[d] == 0);
    text_coder_free(coder);
}

/* What shares rare words is near, the nearest first, and nobody is near to himself. */
static void nearest_texts_share_words(void **state)
{
    struct err err = {0};
    const struct document documents[] = {
        {"red apple pie", "", NULL, 0}, {"red apple tart", "", NULL, 0},
        {"green pie", "", NULL, 0},     {"blue tart", "", NULL, 0},
        {"blue green", "", NULL, 0},    {"nothing else", "", NULL, 0}};
    const struct documents list = {6, document_at, (void *)(uintptr_t)documents};
    float vectors[6 * 2];
    (void)state;
    struct text_coder *coder = text_coder_fit(vectors, &list, 2, 1, &err);
    assert_fine(coder, err);
    struct sparse *rows = text_rows(coder, &list, &err);
    assert_fine(rows, err);
    struct sparse *postings = text_postings(rows, coder->terms, &err);
    assert_fine(postings, err);
    struct sparse *near = text_neighbours(rows, postings, 2, &err);
    assert_fine(near, err);
    assert_int_equal(near->column[near->first[0]], 1);
    assert_int_equal(near->column[near->first[1]], 0);
    assert_int_equal(near->first[6] - near->first[5], 0);
    for (size_t r = 0; r < 6; r++)
        for (size_t e = near->first[r]; e < near->first[r + 1]; e++) {
            assert_true(near->column[e] != r);
            assert_true(e == near->first[r] || near->value[e] <= near->value[e - 1]);
            assert_true(near->value[e] > 0 && near->value[e] < 1);
        }
    /* the same by way of a query: "red apple" meets the first two and nobody else */
    uint32_t terms[8];
    float weights[8];
    float score[6] = {0};
    const struct document red = {"RED apple", "", NULL, 0};
    size_t count = text_query(terms, weights, 8, coder, &red, &err);
    assert_int_equal(count, 3); /* two words and the pair */
    for (size_t t = 0; t < count; t++)
        for (size_t e = postings->first[terms[t]]; e < postings->first[terms[t] + 1]; e++)
            score[postings->column[e]] += weights[t] * postings->value[e];
    assert_true(score[0] > 0.3F && score[1] > 0.3F);
    for (size_t r = 2; r < 6; r++)
        assert_true(score[r] == 0);
    struct hit hits[3];
    assert_int_equal(text_nearest(hits, 3, coder, postings, &red, &err), 2);
    assert_true(hits[0].row <= 1 && hits[1].row <= 1 && hits[0].score >= hits[1].score);
    /* what the likes of an item do with others stands in for what it does itself */
    const float parts[6 * 2] = {1, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9};
    const uint32_t events[6] = {2, 0, 0, 0, 0, 0};
    const uint32_t both[] = {1, 0};
    const float likeness[] = {0.9F, 0.5F};
    float guess[2];
    assert_true(nearest_mean(guess, 2, both, likeness, 2, parts, 2, events));
    assert_true(guess[0] == 1 && guess[1] == 0); /* only the one with events counts */
    assert_false(nearest_mean(guess, 2, both, likeness, 1, parts, 2, events));
    assert_true(guess[0] == 0 && guess[1] == 0);
    sparse_free(near);
    sparse_free(postings);
    sparse_free(rows);
    text_coder_free(coder);
}

static void neighbours_are_counted_forwards_and_backwards(void **state)
{
    struct err err = {0};
    const uint32_t items[] = {0, 1, 2, 0, 1};
    const size_t first[] = {0, 3, 5};
    (void)state;
    struct neighbour_options how = {
        .most = 10, .window = 5, .backward = 0.5, .from = 1, .to = 0.5, .shrink = 2};
    struct sparse *n = neighbours_count(items, first, 2, 4, &how, &err);
    assert_fine(n, err);
    /* 0 -> 1 twice at gap 1, both with 2 events: 2 / (4 * sqrt(4)) * 2 / 3 */
    assert_true(fabsf(n->value[n->first[0]] - 1.0F / 6) < 1e-6F);
    /* 1 -> 0 the same backwards: 1 / 8 * 1 / 2 */
    assert_true(fabsf(n->value[n->first[1]] - 1.0F / 16) < 1e-6F);
    /* 0 -> 2 once at gap 2, and 2 has one event: g / (4 * sqrt(3)) * g / (g + 1), g = 1/sqrt(2) */
    assert_int_equal(n->column[n->first[0] + 1], 2);
    assert_true(fabsf(n->value[n->first[0] + 1] - 0.0422750F) < 1e-5F);
    assert_int_equal(n->first[4] - n->first[3], 0);
    sparse_free(n);
    how.most = 1;
    n = neighbours_count(items, first, 2, 4, &how, &err);
    assert_int_equal(n->entries, 3); /* one each: the strongest */
    assert_int_equal(n->column[0], 1);
    sparse_free(n);
}

/* Names rise, are unique, share tiles where vectors are close, and do not depend on the order of
 * items. */
static void names_do_not_depend_on_the_order_of_items(void **state)
{
    enum { ITEMS = 300, DIMS = 8 };
    static float vectors[ITEMS * DIMS];
    static float turned[ITEMS * DIMS];
    static bool warm[ITEMS];
    struct err err = {0};
    struct quantiser q;
    struct semantic_ids a;
    struct semantic_ids b;
    struct rng rng = rng_stream(3, 0, 0);
    (void)state;
    for (size_t i = 0; i < ITEMS * DIMS; i++)
        vectors[i] = (float)rng_normal(&rng);
    memcpy(vectors + 10 * DIMS, vectors + 11 * DIMS, DIMS * sizeof *vectors); /* twins collide */
    for (size_t i = 0; i < ITEMS; i++) {
        warm[i] = true;
        memcpy(turned + (ITEMS - 1 - i) * DIMS, vectors + i * DIMS, DIMS * sizeof *vectors);
    }
    assert_fine(quantiser_train(&q, vectors, ITEMS, DIMS, 4, 2, 8, 0, 1, &err), err);
    assert_fine(semantic_ids_make(&a, &q, vectors, warm, ITEMS, &err), err);
    assert_fine(semantic_ids_make(&b, &q, turned, warm, ITEMS, &err), err);
    assert_memory_equal(a.codes, b.codes, ITEMS * 3 * sizeof *a.codes);
    for (size_t r = 0; r < ITEMS; r++) {
        uint32_t x = a.slot[r];
        uint32_t y = ITEMS - 1 - b.slot[r];
        assert_true(x == y || (x >= 10 && x <= 11 && y >= 10 && y <= 11));
        if (r > 0)
            assert_true(memcmp(a.codes + r * 3, a.codes + (r - 1) * 3, 6) != 0);
    }
    struct semantic_ids_report report;
    semantic_ids_measure(&report, &a, &q, vectors, vectors, warm);
    assert_true(report.reconstruction < 0.7 && report.reconstruction > 0);
    assert_true(report.entropy_bits[0] > 2 && report.entropy_bits[0] <= 3);
    assert_true(report.collisions >= 2);
    semantic_ids_release(&a);
    semantic_ids_release(&b);
    quantiser_release(&q);
    struct err none = {0};
    assert_false(quantiser_train(&q, vectors, 0, DIMS, 4, 2, 8, 0, 1, &none));
    assert_says(none, "empty");
}

/* What every document says brings no two of them together. */
static void terms_of_all_documents_weigh_nothing(void **state)
{
    struct err err = {0};
    static const char *const tags[] = {"category=Shop", "currency=EUR", "stock=yes"};
    struct document documents[20];
    const struct documents list = {20, document_at, documents};
    float vectors[20 * 2];
    (void)state;
    for (size_t i = 0; i < 20; i++)
        documents[i] = (struct document){i < 2 ? "twin" : "", "", tags, 3};
    struct text_coder *coder = text_coder_fit(vectors, &list, 2, 1, &err);
    assert_fine(coder, err);
    struct sparse *rows = text_rows(coder, &list, &err);
    assert_fine(rows, err);
    struct sparse *postings = text_postings(rows, coder->terms, &err);
    assert_fine(postings, err);
    struct sparse *near = text_neighbours(rows, postings, 10, &err);
    assert_fine(near, err);
    assert_int_equal(near->entries, 2); /* the twins have each other */
    assert_int_equal(near->column[0], 1);
    assert_int_equal(near->column[1], 0);
    sparse_free(near);
    sparse_free(postings);
    sparse_free(rows);
    text_coder_free(coder);
}

/* Prices bring the tiles of a lopsided catalogue nearer to equal shares, and code what comes later.
 */
static void prices_balance_tiles(void **state)
{
    enum { COUNT_ALL = 600, DIMS = 4, TILES = 6 };
    static float vectors[COUNT_ALL * DIMS];
    struct err err = {0};
    size_t largest[2] = {0};
    (void)state;
    struct rng rng = rng_stream(5, 0, 0);
    for (size_t i = 0; i < COUNT_ALL; i++)
        for (size_t d = 0; d < DIMS; d++)
            vectors[i * DIMS + d] = (float)(rng_normal(&rng) * (i % 3 ? 0.5 : 2));
    for (size_t balanced = 0; balanced < 2; balanced++) {
        struct quantiser q;
        size_t held[TILES] = {0};
        assert_fine(
            quantiser_train(&q, vectors, COUNT_ALL, DIMS, 2, 1, TILES, balanced * 100, 1, &err),
            err);
        for (size_t i = 0; i < COUNT_ALL; i++) {
            uint16_t code;
            quantiser_code(&code, &q, vectors + i * DIMS, false);
            held[code]++;
        }
        for (size_t k = 0; k < TILES; k++)
            largest[balanced] = held[k] > largest[balanced] ? held[k] : largest[balanced];
        quantiser_release(&q);
    }
    if (largest[1] >= COUNT_ALL / TILES * 3 / 2)
        fail_msg("largest %zu, balanced %zu", largest[0], largest[1]);
    assert_true(largest[1] * 3 < largest[0] * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(svd_gives_a_low_rank_matrix_back),
        TEST(text_vectors_put_like_beside_like),
        TEST(nearest_texts_share_words),
        TEST(prices_balance_tiles),
        TEST(terms_of_all_documents_weigh_nothing),
        TEST(neighbours_are_counted_forwards_and_backwards),
        TEST(names_do_not_depend_on_the_order_of_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
