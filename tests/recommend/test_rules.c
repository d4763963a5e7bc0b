/*
 * Ten thousand generated lists, sixteen at a time, under masks of every size: each holds items of
 * the catalogue alone, none twice, none that was seen, shown or excluded, and as many as were asked
 * for while there are any.  Half of them are voted for, as dialogues are served, and some of the
 * votes are for what may not be listed.
 */
#include "tests/recommend/trained.h"
#include "tests/service/client.h"

#include "base/rng.h"
#include "recommend/talks.h"

enum { LISTS = 10000, STREAMS = 16, RANKS = 10, PROMPT_MAX = 12 };

/* A dialogue of a few items, and what it may not list: those, and a share of all rows. */
struct asked {
    struct talk talk;
    uint32_t prompt[PROMPT_MAX];
    struct votes votes;
    uint64_t *skip; /* owned */
    size_t left;    /* rows that may be listed */
};

static void ask_for_a_list(struct asked *a, struct rng *rng)
{
    size_t rows = snapshot->rows;
    size_t count = 1 + rng_below(rng, PROMPT_MAX);
    double share = rng_below(rng, 10) == 0 ? 0.9995 : 0.5 * rng_uniform(rng);
    memset(a->skip, 0, (rows / 64 + 1) * sizeof *a->skip);
    for (size_t i = 0; i < rows; i++)
        if (rng_uniform(rng) < share)
            bit_set(a->skip, i);
    for (size_t i = 0; i < count; i++) {
        a->prompt[i] = (uint32_t)rng_below(rng, rows);
        bit_set(a->skip, a->prompt[i]);
    }
    a->left = 0;
    for (size_t i = 0; i < rows; i++)
        a->left += !bit_get(a->skip, i) && !bit_get(snapshot->hidden, i) &&
                   !bit_get(snapshot->version->unseen, i);
    a->talk = (struct talk){
        .prompt = a->prompt, .prompt_count = count, .skip = a->skip, .n = RANKS, .self = a};
    a->votes.count = 0;
    size_t most = 2 * rows / VOTES_MAX;
    for (size_t i = rng_below(rng, most); i < rows && a->votes.count < VOTES_MAX;
         i += 1 + rng_below(rng, most)) {
        a->votes.row[a->votes.count] = (uint32_t)i;
        a->votes.push[a->votes.count++] = (float)(20 * rng_uniform(rng));
    }
    if (rng_below(rng, 2))
        a->talk.votes = &a->votes;
}

struct broken {
    size_t outside, twice, forbidden, missing, voted, lists, ranks;
};

static void look_at(struct broken *broken, const struct asked *a)
{
    const struct talk *t = &a->talk;
    size_t wanted = a->left < RANKS ? a->left : RANKS;
    broken->lists++;
    broken->ranks += t->listed;
    broken->missing += t->listed != wanted;
    for (size_t k = 0; k < t->listed; k++) {
        bool there = t->rows[k] < snapshot->rows;
        broken->outside += !there;
        broken->voted += there && t->votes && votes_push(t->votes, t->rows[k]) > 0;
        broken->forbidden +=
            there && (bit_get(a->skip, t->rows[k]) || bit_get(snapshot->hidden, t->rows[k]));
        for (size_t j = 0; j < k; j++)
            broken->twice += t->rows[j] == t->rows[k];
    }
}

static void ten_thousand_lists_break_no_rule(void **state)
{
    struct err err = {0};
    struct broken broken = {0};
    static struct asked asked[STREAMS];
    struct rng rng = rng_stream(11, 12, 13);
    const struct talks_options options = {
        .streams = STREAMS, .positions = TALK_POSITIONS_LEAST, .threads = 2, .beam = RANKS};
    (void)state;
    struct talks *talks = talks_open(snapshot, &options, &err);
    assert_fine(talks != NULL, err);
    for (size_t i = 0; i < STREAMS; i++) {
        asked[i].skip = calloc(snapshot->rows / 64 + 1, sizeof *asked[i].skip);
        assert_non_null(asked[i].skip);
        ask_for_a_list(&asked[i], &rng);
        assert_true(talks_add(talks, &asked[i].talk));
    }
    while (broken.lists < LISTS) {
        talks_step(talks);
        for (size_t i = 0; i < STREAMS; i++)
            if (asked[i].talk.state == TALK_DONE) {
                look_at(&broken, &asked[i]);
                ask_for_a_list(&asked[i], &rng);
                assert_true(talks_add(talks, &asked[i].talk));
            }
    }
    print_message("%zu lists, %zu ranks (%zu by votes): %zu outside the catalogue, %zu twice, %zu "
                  "forbidden, %zu lists too short\n",
                  broken.lists, broken.ranks, broken.voted, broken.outside, broken.twice,
                  broken.forbidden, broken.missing);
    assert_int_equal(broken.outside + broken.twice + broken.forbidden + broken.missing, 0);
    assert_true(broken.voted > broken.ranks / 8);
    talks_close(talks);
    for (size_t i = 0; i < STREAMS; i++)
        free(asked[i].skip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(ten_thousand_lists_break_no_rule)};
    return cmocka_run_group_tests(tests, trained_open, trained_close);
}
