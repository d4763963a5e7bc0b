/* Votes of what was named: what they come to, and what they do to a list. */
#include "tests/recommend/trained.h"

#include "recommend/list.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum { NAMED = 3, RANKS = 10, BEAM = 400 }; /* of a beam of 10 the likeliest name may fall */

static uint64_t *skip;
static struct tally tally;

static int begin(void **state)
{
    if (trained_open(state) != 0)
        return -1;
    const struct sparse *n = &snapshot->version->index->neighbours;
    char path[] = SCRATCH "/together.safetensors";
    struct err err = {0};
    if (!neighbours_write(path, n, snapshot->version->index->fingerprint, &err) ||
        !(snapshot->version->together =
              neighbours_read(path, n->rows, snapshot->version->index->fingerprint, &err)))
        return -1;
    unlink(path);
    skip = calloc(snapshot->rows / 64 + 1, sizeof *skip);
    tally.score = calloc(snapshot->rows + 1, sizeof *tally.score);
    tally.touched = calloc(snapshot->rows + 1, sizeof *tally.touched);
    return skip && tally.score && tally.touched ? 0 : -1;
}

static int end(void **state)
{
    free(skip);
    free(tally.score);
    free(tally.touched);
    return trained_close(state);
}

/* The most popular rows have neighbours. */
static const uint32_t *named(size_t at)
{
    return snapshot->version->popular + at;
}

/* Nobody else of those named voted more for it. */
static void check_cause(uint32_t row)
{
    uint32_t cause = votes_cause(snapshot, named(0), NAMED, row);
    float weight = 1;
    float most = 0;
    float its = 0;
    for (size_t k = 0; k < NAMED; k++, weight *= VOTES_RECENCY) {
        const uint32_t *voter = named(NAMED - 1 - k);
        knn_votes(&tally, &snapshot->version->neighbours, voter, 1, 1, 1);
        most = fmaxf(most, tally.score[row] * weight);
        its = *voter == cause ? tally.score[row] * weight : its;
        tally_clear(&tally);
    }
    assert_true(cause != NO_ITEM && its > 0);
    assert_float_equal(its, most, 1e-6);
}

/* Each push is the formula's, in the order of names, of rows that may be listed. */
static void pushes_are_the_formula(void **state)
{
    struct votes votes;
    float most = 0;
    (void)state;
    list_skip(skip, snapshot);
    bit_set(skip, snapshot->version->popular[NAMED + 1]);
    votes_count(&votes, &tally, snapshot, named(0), NAMED, skip, 2);
    assert_int_equal(tally.count, 0);
    assert_true(votes.count > 10);
    knn_votes(&tally, &snapshot->version->neighbours, named(0), NAMED, KNN_HISTORY, VOTES_RECENCY);
    for (size_t i = 0; i < tally.count; i++)
        if (!bit_get(skip, tally.touched[i]))
            most = fmaxf(most, tally.score[tally.touched[i]]);
    for (size_t i = 0; i < votes.count; i++) {
        double share = (double)(tally.score[votes.row[i]] / most);
        assert_false(bit_get(skip, votes.row[i]));
        assert_true(i == 0 || votes.row[i] > votes.row[i - 1]);
        assert_float_equal(votes.push[i], 2 * log(1 + share / VOTES_FLOOR), 1e-4);
        assert_float_equal(votes_push(&votes, votes.row[i]), votes.push[i], 0);
    }
    assert_float_equal(votes_push(&votes, snapshot->version->popular[NAMED + 1]), 0, 0);
    tally_clear(&tally);
    for (size_t i = 0; i < votes.count; i++)
        check_cause(votes.row[i]);
    assert_int_equal(votes_cause(snapshot, named(0), 0, votes.row[0]), NO_ITEM);
    votes_count(&votes, &tally, snapshot, named(0), NAMED, skip, 0);
    assert_int_equal(votes.count, 0);
    votes_count(&votes, &tally, snapshot, named(0), 0, skip, 1);
    assert_int_equal(votes.count, 0);
}

/* A file of neighbours is read as it was written, and only beside the items it speaks of. */
static void neighbours_are_of_their_items(void **state)
{
    char path[] = SCRATCH "/neighbours-test.safetensors";
    struct err err = {0};
    const struct sparse *n = &snapshot->version->index->neighbours;
    const char *fingerprint = snapshot->version->index->fingerprint;
    (void)state;
    assert_fine(neighbours_write(path, n, fingerprint, &err), err);
    struct sparse *found = neighbours_read(path, n->rows, fingerprint, &err);
    assert_fine(found != NULL, err);
    assert_int_equal(found->entries, n->entries);
    assert_memory_equal(found->first, n->first, (n->rows + 1) * sizeof *n->first);
    assert_memory_equal(found->column, n->column, n->entries * sizeof *n->column);
    assert_memory_equal(found->value, n->value, n->entries * sizeof *n->value);
    sparse_free(found);
    assert_null(neighbours_read(path, n->rows, "0123456789abcdef0", &err));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_non_null(strstr(err.text, "expected neighbours among items 0123456789abcdef"));
    err = (struct err){0};
    assert_null(neighbours_read(path, n->rows - 1, fingerprint, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    unlink(path);
}

static uint32_t most_pushed(const struct votes *votes)
{
    size_t best = 0;
    for (size_t i = 1; i < votes->count; i++)
        best = votes->push[i] > votes->push[best] ? i : best;
    return votes->row[best];
}

/*
 * The first rank is the largest of log p + push over all that may be listed, wherever it stands in
 * the policy's own order; nothing is listed twice; log p is the policy's.
 */
static void ranks_are_the_largest_sum(void **state)
{
    struct err err = {0};
    struct list_work w;
    struct votes votes;
    size_t changed = 0;
    (void)state;
    assert_fine(list_work_open(&w, snapshot, 100, BEAM, &err), err);
    for (size_t at = 0; at < 20; at++) {
        uint32_t plain[RANKS];
        uint32_t pushed[RANKS];
        float log_p[RANKS];
        list_begin(&w, snapshot);
        assert_int_equal(list_make(plain, RANKS, &w, snapshot, named(at), NAMED, BEAM), RANKS);
        memcpy(log_p, w.log_p, sizeof log_p);
        list_begin(&w, snapshot);
        votes_count(&votes, &tally, snapshot, named(at), NAMED, w.skip, at < 10 ? 1 : 100);
        w.pushes.votes = &votes;
        assert_int_equal(list_make(pushed, RANKS, &w, snapshot, named(at), NAMED, BEAM), RANKS);
        w.pushes.votes = NULL;
        changed += memcmp(plain, pushed, sizeof plain) != 0;
        double worth = (double)w.log_p[0] + (double)votes_push(&votes, pushed[0]);
        assert_true(worth >= (double)log_p[0] + (double)votes_push(&votes, plain[0]) - 1e-4);
        assert_true(w.log_p[0] <= log_p[0] + 1e-4F);
        if (at >= 10)
            assert_int_equal(pushed[0], most_pushed(&votes));
        for (size_t k = 0; k < RANKS; k++)
            assert_false(numbers_hold(pushed, k, pushed[k]));
    }
    assert_true(changed > 10);
    list_work_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushes_are_the_formula),
        cmocka_unit_test(neighbours_are_of_their_items),
        cmocka_unit_test(ranks_are_the_largest_sum),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
