/*
 * Chains and their claims: every walk of the grammar ends and says what it was given, what the
 * grammar with facts offers is true, and a claim that was corrupted does not pass.
 */
#include "tests/test.h"

#include "base/rng.h"
#include "recommend/claims.h"

enum { ROWS = 9, KINDS = 4 };

/* Attributes of each row: a bit each. */
static const unsigned HAS[ROWS] = {0x1, 0x3, 0x2, 0x6, 0x0, 0x1, 0x9, 0x4, 0x3};

static struct attributes attributes;
static struct version version;
static struct snapshot snapshot;

static int start(void **state)
{
    static char *tags[KINDS] = {"brand=b", "category=a", "category=c", "year~199"};
    static double next[KINDS * SHARES];
    static uint32_t items[KINDS], first[ROWS + 1], all[ROWS * KINDS];
    (void)state;
    for (size_t i = 0; i < KINDS * SHARES; i++)
        next[i] = (double)(i % 10) / 10 + 0.05;
    attributes = (struct attributes){
        .count = KINDS, .token = 600, .tag = tags, .text = tags, .items = items, .next = next};
    for (uint32_t r = 0; r < ROWS; r++) {
        first[r + 1] = first[r];
        for (uint32_t a = 0; a < KINDS; a++)
            if (HAS[r] >> a & 1)
                all[first[r + 1]++] = a;
    }
    version.attributes = &attributes;
    snapshot = (struct snapshot){
        .version = &version, .rows = ROWS, .attribute_first = first, .attribute = all};
    return 0;
}

static const uint32_t HISTORY[] = {0, 1, 2, 3, 4, 1, 6};

static void walk(struct chain_writer *w, const struct snapshot *facts, size_t count, uint64_t seed)
{
    struct rng rng = rng_stream(seed, count, 0);
    size_t steps = 0;
    chain_begin(w, &attributes, facts, HISTORY, count);
    for (; w->choices; steps++)
        chain_take(w, w->choice[rng_below(&rng, w->choices)]);
    assert_int_equal(w->state, CHAIN_DONE);
    assert_true(steps <= CHAIN_SYMBOLS);
}

static void every_walk_ends_and_is_told_again(void **state)
{
    static struct chain_writer w;
    static struct chain_writer again;
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++)
        for (size_t count = 1; count <= 7; count += 2) {
            walk(&w, seed % 2 ? &snapshot : NULL, count, seed);
            size_t kept = 0;
            for (size_t i = 0; i < count; i++)
                kept += w.kept[i];
            assert_true(kept >= 1 && w.chain.drop_count <= CHAIN_DROPS);
            assert_true(w.chain.likes_count >= 1 && w.chain.next.attribute < KINDS &&
                        w.chain.plan < KINDS);
            chain_begin(&again, &attributes, NULL, HISTORY, count);
            while (again.choices) {
                uint32_t symbol = chain_symbol(&again, &w.chain);
                bool there = false;
                for (size_t i = 0; i < again.choices; i++)
                    there = there || again.choice[i] == symbol;
                assert_true(there);
                chain_take(&again, symbol);
            }
            assert_memory_equal(&again.chain.evidence, &w.chain.evidence,
                                w.chain.evidence_count * sizeof *w.chain.evidence);
            assert_memory_equal(&again.chain.likes, &w.chain.likes,
                                w.chain.likes_count * sizeof *w.chain.likes);
            assert_memory_equal(&again.chain.next, &w.chain.next, sizeof w.chain.next);
            assert_int_equal(again.chain.plan, w.chain.plan);
            assert_int_equal(again.chain.drop_count, w.chain.drop_count);
        }
}

/* With facts nothing is offered that the catalogue denies; without, a good part of it is wrong. */
static void what_facts_allow_holds(void **state)
{
    static struct chain_writer w;
    size_t said[2] = {0, 0};
    size_t held[2] = {0, 0};
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++)
        for (int facts = 0; facts < 2; facts++) {
            struct claim claims[CLAIMS_MAX];
            const double gains[CHAIN_DROPS] = {1, 1};
            walk(&w, facts ? &snapshot : NULL, 7, seed);
            size_t count = claims_check(claims, &w, gains, &snapshot, NULL, 0);
            for (size_t i = 0; i < count; i++) {
                if (claims[i].kind > CLAIM_INTENT)
                    continue;
                said[facts]++;
                held[facts] += claims[i].holds;
            }
        }
    assert_true(said[1] > 800);
    assert_int_equal(said[1], held[1]);
    assert_true(held[0] < said[0] / 2);
}

/* A chain that is wholly true of this history. */
static struct chain true_chain(void)
{
    return (struct chain){
        .evidence = {{{0, 1}, 0}, {{2, 3}, 1}},
        .evidence_count = 2,
        .likes = {{0, tenths_of(4.0 / 7)}, {1, tenths_of(4.0 / 7)}}, /* rows 0 1 1 6; 1 2 3 1 */
        .likes_count = 2,
        .next = {2, tenths_of(attributes.next[2 * SHARES + share_of(1, 7)])}, /* row 3 */
        .plan = 0,
        .drop = {4},
        .drop_count = 1,
    };
}

/* The claims of a chain, against an answer of which half is of attribute 0. */
static size_t check(struct claim claims[CLAIMS_MAX], const struct chain *chain, double gain)
{
    static struct chain_writer w;
    static const uint32_t answer[] = {5, 7};
    const double gains[CHAIN_DROPS] = {gain, gain};
    chain_begin(&w, &attributes, NULL, HISTORY, 7);
    while (w.choices)
        chain_take(&w, chain_symbol(&w, chain));
    return claims_check(claims, &w, gains, &snapshot, answer, 2);
}

static void holds_but_for(const struct chain *chain, double gain, size_t wrong)
{
    struct claim claims[CLAIMS_MAX];
    size_t count = check(claims, chain, gain);
    assert_int_equal(count, 7);
    for (size_t i = 0; i < count; i++)
        if (claims[i].holds != (i != wrong))
            fail_msg("claim %zu (%s) %s", i, CLAIM_NAMES[claims[i].kind],
                     claims[i].holds ? "holds" : "does not hold");
}

static void a_corrupted_claim_is_caught(void **state)
{
    struct chain c = true_chain();
    (void)state;
    holds_but_for(&c, 0.1, SIZE_MAX);
    c.evidence[0].attribute = 1; /* row 0 has it not */
    holds_but_for(&c, 0.1, 0);
    c = true_chain();
    c.evidence[1].item[1] = 6; /* another item of the history */
    holds_but_for(&c, 0.1, 1);
    c = true_chain();
    c.evidence[1] = (struct chain_evidence){{1, 0}, 0}; /* the first, the other way round */
    holds_but_for(&c, 0.1, 1);
    c = true_chain();
    c.likes[0].tenths += 2;
    holds_but_for(&c, 0.1, 2);
    c = true_chain();
    c.likes[1].tenths -= 2;
    holds_but_for(&c, 0.1, 3);
    c = true_chain();
    c.likes[1] = c.likes[0]; /* said twice */
    holds_but_for(&c, 0.1, 3);
    c = true_chain();
    c.next.tenths = c.next.tenths > 4 ? 0 : 9;
    holds_but_for(&c, 0.1, 4);
    c = true_chain();
    c.plan = 1; /* nothing of the answer */
    holds_but_for(&c, 0.1, 5);
    c = true_chain();
    holds_but_for(&c, -0.1, 6); /* the rest is likelier with it */
    holds_but_for(&c, 0, 6);
}

static void a_claim_can_be_read(void **state)
{
    struct claim claims[CLAIMS_MAX];
    const struct chain c = true_chain();
    size_t count = check(claims, &c, 0.1);
    struct text text;
    (void)state;
    text_init(&text, 4096);
    for (size_t i = 0; i < count; i++) {
        static const char *const titles[] = {"X", "Y"};
        claim_text(&text, &claims[i], &attributes, titles);
        text_addf(&text, "\n");
    }
    assert_string_equal(
        text.bytes,
        "X and Y are both brand=b.\nX and Y are both category=a.\n57 % of what you liked lately is "
        "brand=b.\n57 % of what you liked lately is category=a.\nAfter histories like this one, "
        "what "
        "came next was category=c in 35 of 100 cases.\nSo 50 % of this list is brand=b.\nX does "
        "not "
        "fit the rest of what you liked and was left out.\n");
    text_release(&text);
}

/* ---- the vocabulary ---- */

static void attributes_are_what_several_items_share(void **state)
{
    struct err err = {0};
    struct attribute_counts counts;
    char *folder = scratch_folder("attributes");
    char path[700];
    (void)state;
    assert_fine(attribute_counts_open(&counts, &err), err);
    for (int i = 0; i < 40; i++) {
        json_t *record =
            json_pack("{s:s, s:[s, s], s:{s:s, s:s, s:i}}", "title", "t", "categories", "All",
                      i % 4 ? "Comedy" : "Drama", "attributes", "brand", i < 12 ? "OPI" : "None",
                      "asin", "12-345", "year", 1990 + i % 20);
        assert_fine(attribute_counts_add(&counts, record, &err), err);
        json_decref(record);
    }
    struct attributes *a = attributes_make(&counts, 600, &err);
    assert_non_null(a);
    /* not all have it, not too few, and no number of an article */
    static const char *const tags[] = {"brand=OPI", "category=Drama", "year~199", "year~200"};
    static const char *const texts[] = {"brand OPI", "Drama", "from the 1990s", "from the 2000s"};
    assert_int_equal(a->count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(a->tag[i], tags[i]);
        assert_string_equal(a->text[i], texts[i]);
        for (size_t s = 0; s < SHARES; s++)
            a->next[i * SHARES + s] = (double)(i + s) / 10;
    }
    snprintf(path, sizeof path, "%s/attributes.json", folder);
    assert_fine(attributes_write(a, path, &err), err);
    struct attributes *back = attributes_read(path, 600, &err);
    assert_fine(back, err);
    assert_int_equal(back->count, 4);
    assert_memory_equal(back->items, a->items, 4 * sizeof *a->items);
    assert_memory_equal(back->next, a->next, 4 * SHARES * sizeof *a->next);
    attributes_free(back);
    attributes_free(a);
    attribute_counts_close(&counts);
    static const struct {
        const char *text, *says;
    } broken[] = {
        {"{", "attributes.json"},
        {"{\"attributes\": 3}", "expected a list"},
        {"{\"attributes\": [{\"tag\": \"x\", \"items\": 3, \"next\": [0,0,0,0,0,0]}]}",
         "key=value"},
        {"{\"attributes\": [{\"tag\": \"a=x\", \"items\": -3, \"next\": [0,0,0,0,0,0]}]}",
         "how many"},
        {"{\"attributes\": [{\"tag\": \"a=x\", \"items\": 3, \"next\": [0,0,0,0,0,2]}]}", "shares"},
        {"{\"attributes\": [{\"tag\": \"a=x\", \"items\": 3, \"next\": [0]}]}", "shares"},
    };
    for (size_t i = 0; i < COUNT(broken); i++) {
        err = (struct err){0};
        write_file(folder, "attributes.json", broken[i].text);
        assert_null(attributes_read(path, 600, &err));
        assert_says(err, broken[i].says);
    }
    scratch_drop(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_walk_ends_and_is_told_again),
        TEST(what_facts_allow_holds),
        TEST(a_corrupted_claim_is_caught),
        TEST(a_claim_can_be_read),
        TEST(attributes_are_what_several_items_share),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
