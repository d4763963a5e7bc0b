/* What rollouts say of prompts, which are asked next, and the baseline that comes of it. */
#include "tests/objective/batch.h"

#include "objective/prompts.h"

enum { PROMPTS_MAX = 4000 };
static struct prompt_facts facts[PROMPTS_MAX + 1];

static struct prompts some(size_t count)
{
    memset(facts, 0, sizeof facts);
    return (struct prompts){count, facts};
}

/* A group of rows, so many of them hits. */
static void group_of(size_t rows, size_t hits)
{
    make(1, rows, 1, 2, 1);
    for (size_t r = 0; r < rows; r++)
        b.reward[r] = r < hits;
}

/* The counts of VADE's figure: .1 and 8.4, one hit in eight, become 1.02 and 8.68; 9 idles to
 * 8.991. */
static void counts_follow_the_figure(void **state)
{
    const uint32_t asked[] = {0};
    struct objective o = open_with("srpo+vade", "");
    struct prompts p = some(2);
    (void)state;
    facts[0] = (struct prompt_facts){0.1F, 8.4F, 1, 5};
    group_of(8, 1);
    prompts_observe(&p, &o.settings, &b, asked, 5); /* asked in the step before, too */
    near((double)facts[0].won, 1.02, 1e-5);
    near((double)facts[0].missed, 8.68, 1e-5);
    facts[0] = (struct prompt_facts){9, 9, 1, 5};
    group_of(8, 0);
    prompts_observe(&p, &o.settings, &b, asked, 6);
    near((double)facts[0].won, 0.2 * 8.991, 1e-5);
}

static void a_prompt_is_expected_to_give_what_it_gave(void **state)
{
    const uint32_t asked[] = {1};
    struct objective_report report;
    struct objective o = open_with("spo", "scale_rewards=batch");
    struct prompts p = some(3);
    (void)state;
    near(prompts_expected(&p, 0), 0.5, 1e-12);
    for (size_t step = 0; step < 40; step++) {
        group_of(4, 1);
        prompts_observe(&p, &o.settings, &b, asked, step);
    }
    near(prompts_expected(&p, 1), 0.25, 1e-2);
    near(prompts_expected(&p, 2), 0.25, 1e-2); /* never asked: as all */
    make(2, 4, 1, 2, 1);
    for (size_t r = 0; r < 8; r++)
        b.exact[r] = r == 0;
    b.expected[0] = 0.25;
    b.expected[1] = 0.1;
    objective_prepare(&o, &b, &report);
    /* the second group has no hit, and yet says something */
    double scale = b.advantage[0] - b.advantage[2]; /* of a reward of 1 */
    near(b.advantage[2] - b.advantage[8], scale * (-0.25 + 0.1), 1e-9);
    assert_true(b.advantage[8] < b.advantage[0] && b.advantage[8] != 0);
}

/* How often each of three prompts is the one that is asked. */
static void ask_often(double share[3], const struct objective *o, const struct prompts *p)
{
    enum { ROUNDS = 4000 };
    struct hit room[1];
    size_t times[3] = {0};
    for (uint64_t i = 0; i < ROUNDS; i++) {
        uint32_t picked;
        struct rng rng = rng_stream(i, 7, 7);
        prompts_pick(&picked, 1, p, &o->settings, 0, 1, 1, &rng, room);
        assert_true(picked < 3);
        times[picked]++;
    }
    for (size_t k = 0; k < 3; k++)
        share[k] = (double)times[k] / ROUNDS;
}

/* One of three rewards is worth asking about; always and never are not. */
static void selectors_ask_where_it_is_open(void **state)
{
    static const char *const algos[] = {"srpo+vade", "spo", "srpo+vas"};
    (void)state;
    for (size_t a = 0; a < COUNT(algos); a++) {
        double share[3];
        struct objective o =
            open_with(algos[a], a == 2 ? "mix_ratio=1 selector_pool=3" : "selector_pool=3");
        struct prompts p = some(3);
        facts[0] = (struct prompt_facts){0, 30, 0.2F, 1};
        facts[1] = (struct prompt_facts){10, 20, 0.2F, 1};
        facts[2] = (struct prompt_facts){30, 0, 0.2F, 1};
        ask_often(share, &o, &p);
        assert_true(share[1] > 0.5 && share[1] > 2 * share[0] && share[1] > 2 * share[2]);
        if (a == 1) { /* without replacement, the first is drawn by weight */
            double weight[3];
            for (uint32_t k = 0; k < 3; k++) {
                double v = prompts_expected(&p, k);
                weight[k] = sqrt(v * (1 - v)) + 0.05;
            }
            near(share[1], weight[1] / (weight[0] + weight[1] + weight[2]), 0.03);
        }
    }
}

/* Without a selector all are asked alike; with one, none twice in a part, none of another part's.
 */
static void parts_ask_their_own(void **state)
{
    enum { ASKED = 16, PARTS = 4, STEPS = 1500 };
    static const char *const algos[] = {"srpo", "srpo+vade", "spo"};
    static const size_t counts[] = {PROMPTS_MAX, 100, 7};
    struct hit room[ASKED];
    (void)state;
    for (size_t c = 0; c < COUNT(counts) * COUNT(algos); c++) {
        size_t count = counts[c / COUNT(algos)];
        struct objective o = open_with(algos[c % COUNT(algos)], "");
        struct prompts p = some(count);
        static size_t times[PROMPTS_MAX];
        memset(times, 0, sizeof times);
        for (uint64_t step = 0; step < STEPS; step++)
            for (size_t part = 0; part < PARTS; part++) {
                uint32_t picked[ASKED];
                struct rng rng = rng_stream(step, part, 3);
                prompts_pick(picked, ASKED, &p, &o.settings, part, PARTS, step, &rng, room);
                for (size_t i = 0; i < ASKED; i++) {
                    assert_true(picked[i] < count);
                    times[picked[i]]++;
                    for (size_t k = 0; k < i && count >= PARTS * ASKED * 2; k++)
                        assert_true(picked[k] != picked[i]);
                }
            }
        for (size_t i = 0; i < count; i++)
            assert_true(times[i] > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counts_follow_the_figure),
        TEST(a_prompt_is_expected_to_give_what_it_gave),
        TEST(selectors_ask_where_it_is_open),
        TEST(parts_ask_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
