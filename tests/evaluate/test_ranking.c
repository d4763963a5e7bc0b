#include "tests/test.h"

#include "base/rng.h"
#include "evaluate/baselines.h"
#include "evaluate/ranking.h"

#include <math.h>

static void figures_by_hand(void **state)
{
    const uint32_t rank[] = {1, 3, 0, 11};
    struct ranking r;
    (void)state;
    ranking_measure(&r, rank, 4);
    assert_true(fabs(r.hr[0] - 0.25) < 1e-12);
    assert_true(fabs(r.hr[2] - 0.5) < 1e-12);
    assert_true(fabs(r.hr[3] - 0.75) < 1e-12);
    assert_true(fabs(r.ndcg[2] - (1 + 0.5) / 4) < 1e-12); /* 1/log2(4) = .5 */
    assert_true(fabs(r.mrr[3] - (1 + 1.0 / 3 + 1.0 / 11) / 4) < 1e-12);
    struct ranking none;
    ranking_measure(&none, rank, 0);
    assert_true(none.hr[4] == 0);
}

/* Equal lists give an interval around 0; a real lift is seen; the interval covers as it says. */
static void intervals_cover_the_truth(void **state)
{
    enum { USERS = 400, ROUNDS = 60 };
    static uint32_t a[USERS];
    static uint32_t b[USERS];
    size_t covered = 0;
    (void)state;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct rng rng = rng_stream(round, 1, 1);
        for (size_t u = 0; u < USERS; u++) {
            a[u] = (uint32_t)rng_below(&rng, 30);
            b[u] = (uint32_t)rng_below(&rng, 30);
        }
        struct interval i = ranking_compare(a, b, USERS, 10, RANKING_NDCG, round);
        covered += i.low <= 0 && i.high >= 0; /* the true difference is 0 */
    }
    assert_true(covered >= ROUNDS * 85 / 100);
    assert_true(covered < ROUNDS || ROUNDS < 60);
    struct interval same = ranking_compare(a, a, USERS, 10, RANKING_NDCG, 1);
    assert_true(same.low == 0 && same.high == 0);
    size_t first = 0;
    for (size_t u = 0; u < USERS; u++) {
        b[u] = a[u] ? a[u] + 5 : 0;
        first += a[u] == 1;
    }
    struct interval lift = ranking_compare(a, b, USERS, 10, RANKING_NDCG, 1);
    assert_true(lift.low > 0 && lift.detectable > 0);
    struct interval hits = ranking_compare(a, b, USERS, 1, RANKING_HR, 1);
    assert_true(fabs(hits.mean - (double)first / USERS) < 1e-12 && hits.low > 0);
}

static void coverage_and_gini_at_their_ends(void **state)
{
    const uint32_t even[] = {3, 3, 3, 3};
    const uint32_t one[] = {12, 0, 0, 0};
    (void)state;
    assert_true(lists_coverage(even, 4) == 1 && lists_coverage(one, 4) == 0.25);
    assert_true(fabs(lists_gini(even, 4)) < 1e-12);
    assert_true(fabs(lists_gini(one, 4) - 0.75) < 1e-12);
}

/* What is shown once may be left out next time; what is shown a hundred times will not. */
static void a_loss_of_coverage_is_seen(void **state)
{
    enum { ITEMS = 1000 };
    static uint32_t wide[ITEMS];
    static uint32_t narrow[ITEMS];
    static uint32_t chance[ITEMS];
    (void)state;
    for (size_t i = 0; i < ITEMS; i++) {
        wide[i] = i < 800 ? 100 : 1;
        narrow[i] = i < 800 ? 100 : 0;
        chance[i] = i < 990 ? wide[i] : 0;
    }
    struct interval loss = coverage_compare(narrow, wide, ITEMS);
    assert_true(fabs(loss.mean + 0.2) < 1e-12 && loss.high < 0);
    assert_true(coverage_compare(chance, wide, ITEMS).high > 0);
    assert_true(coverage_compare(wide, wide, ITEMS).mean == 0);
    assert_true(coverage_compare(wide, wide, 0).mean == 0);
}

static void the_newest_item_votes_loudest(void **state)
{
    const size_t first[] = {0, 1, 2, 2};
    const uint32_t item[] = {1, 2};
    const float similarity[] = {0.5F, 0.5F};
    const struct neighbour_lists lists = {first, item, similarity, 3};
    const uint32_t history[] = {0, 1, 99};
    float scores[3] = {0};
    uint32_t touched[3];
    struct tally tally = {scores, touched, 0};
    (void)state;
    /* 99 is unknown and has no vote, but is the newest */
    knn_votes(&tally, &lists, history, 3, KNN_HISTORY, 0.7F);
    assert_true(fabsf(scores[2] - 0.5F * 0.7F) < 1e-6F);
    assert_true(fabsf(scores[1] - 0.5F * 0.49F) < 1e-6F);
    assert_int_equal(tally.count, 2);
    tally_clear(&tally);
    assert_true(scores[1] == 0 && scores[2] == 0 && tally.count == 0);
    knn_votes(&tally, &lists, history, 2, 1, 1);
    assert_true(scores[1] == 0 && scores[2] == 0.5F);
}

/* An item's likes vote in its place, by their likeness squared. */
static void likes_vote_in_an_items_place(void **state)
{
    const size_t like_first[] = {0, 2, 2, 2, 2};
    const uint32_t like[] = {1, 2};
    const float likeness[] = {0.8F, 0.4F};
    const size_t first[] = {0, 0, 1, 2, 2};
    const uint32_t item[] = {3, 0};
    const float similarity[] = {1, 1};
    const struct neighbour_lists texts = {like_first, like, likeness, 4};
    const struct neighbour_lists lists = {first, item, similarity, 4};
    const uint32_t history[] = {0};
    float scores[4] = {0};
    uint32_t touched[4];
    struct tally tally = {scores, touched, 0};
    (void)state;
    walk_votes(&tally, &texts, &lists, history, 1, 5, 0.5F, 2);
    assert_true(fabsf(scores[3] - 0.8F) < 1e-6F); /* .64 / (.64 + .16) */
    assert_true(fabsf(scores[0] - 0.2F) < 1e-6F);
    tally_clear(&tally);
    walk_votes(&tally, &texts, &lists, history, 1, 5, 0.5F, 1); /* the nearest alone */
    assert_true(fabsf(scores[3] - 1) < 1e-6F && scores[0] == 0);
}

/* Several targets: hits at ranks 1 and 4 of a list of five, three relevant. */
static void lists_are_held_against_all_targets(void **state)
{
    const uint32_t list[] = {7, 1, 2, 9, 3};
    const uint32_t relevant[] = {9, 5, 7};
    (void)state;
    double most = 1 + 1 / log2(3) + 1 / log2(4);
    struct list_score score = list_measure(list, 5, relevant, 3, 10);
    assert_true(fabs(score.ndcg - (1 + 1 / log2(5)) / most) < 1e-12);
    assert_true(fabs(score.recall - 2.0 / 3) < 1e-12);
    score = list_measure(list, 5, relevant, 3, 2); /* only what is above the cut */
    assert_true(fabs(score.ndcg - 1 / (1 + 1 / log2(3))) < 1e-12);
    assert_true(fabs(score.recall - 1.0 / 3) < 1e-12);
    assert_true(list_measure(list, 0, relevant, 3, 10).ndcg == 0);
    assert_true(list_measure(relevant, 3, relevant, 3, 20).ndcg == 1);
    assert_true(list_measure(list, 5, relevant, 0, 10).ndcg == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lists_are_held_against_all_targets), TEST(figures_by_hand),
        TEST(intervals_cover_the_truth),          TEST(coverage_and_gini_at_their_ends),
        TEST(a_loss_of_coverage_is_seen),         TEST(the_newest_item_votes_loudest),
        TEST(likes_vote_in_an_items_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
