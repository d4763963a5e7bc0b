#include "tests/test.h"

#include "base/rng.h"
#include "index/trie.h"

enum { ITEMS = 200, LEVELS = 3, TILES = 5 };

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, LEVELS * sizeof(uint16_t));
}

/* Random names, sorted and without repeats; returns how many. */
static size_t make_names(uint16_t *codes, size_t count, uint64_t seed)
{
    struct rng rng = rng_stream(seed, 0, 0);
    for (size_t i = 0; i < count * LEVELS; i++)
        codes[i] = (uint16_t)(rng_below(&rng, TILES) << 8); /* big-endian, so that memcmp sorts */
    qsort(codes, count, LEVELS * sizeof *codes, compare);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || compare(codes + i * LEVELS, codes + (kept - 1) * LEVELS) != 0)
            memmove(codes + kept++ * LEVELS, codes + i * LEVELS, LEVELS * sizeof *codes);
    for (size_t i = 0; i < kept * LEVELS; i++)
        codes[i] >>= 8;
    return kept;
}

struct walk {
    const struct legal_tiles *legal;
    unsigned found[2 * ITEMS];
};

static void follow(struct walk *walk, struct tile_node node, size_t level)
{
    struct tile_child children[64];
    size_t count = walk->legal->children(walk->legal->self, children, node, level);
    assert_true(count <= walk->legal->width && count <= 64);
    for (size_t c = 0; c < count; c++) {
        if (c > 0)
            assert_true(children[c].tile > children[c - 1].tile);
        if (level + 1 == walk->legal->levels)
            walk->found[children[c].item]++;
        else
            follow(walk, children[c].node, level + 1);
    }
}

/* Following legal tiles from the root visits exactly the allowed items, old and late, each once. */
static void legal_tiles_lead_to_every_allowed_item_and_no_other(void **state)
{
    static uint16_t all[ITEMS * LEVELS];
    static uint16_t base[ITEMS * LEVELS];
    static uint16_t late[ITEMS * LEVELS];
    static uint32_t late_row[ITEMS];
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct err err = {0};
        struct trie base_trie;
        struct trie late_trie;
        struct rng rng = rng_stream(seed, 9, 9);
        uint32_t allowed_before[2 * ITEMS / 64 + 1];
        uint64_t skip[2 * ITEMS / 64 + 1] = {0};
        bool allowed[2 * ITEMS];
        size_t total = make_names(all, ITEMS, seed);
        size_t n = 0;
        size_t m = 0;
        for (size_t i = 0; i < total; i++) {
            if (rng_below(&rng, 4))
                memcpy(base + n++ * LEVELS, all + i * LEVELS, sizeof(uint16_t) * LEVELS);
            else
                memcpy(late + m++ * LEVELS, all + i * LEVELS, sizeof(uint16_t) * LEVELS);
        }
        for (size_t i = 0; i < m; i++)
            late_row[i] = (uint32_t)(n + (m - 1 - i)); /* arrival is not the order of names */
        assert_fine(trie_open(&base_trie, base, NULL, n, LEVELS, &err) &&
                        trie_open(&late_trie, late, late_row, m, LEVELS, &err),
                    err);
        uint32_t before = 0;
        for (size_t r = 0; r < n + m; r++) {
            allowed[r] = seed % 3 == 0 ? false : rng_below(&rng, 3) > 0;
            if (!allowed[r])
                skip[r / 64] |= (uint64_t)1 << r % 64;
            before += allowed[r];
        }
        trie_count_allowed(allowed_before, skip, n + m);
        uint32_t listed[4]; /* as if a list held them already */
        size_t listed_count = 0;
        for (size_t r = 0; seed % 5 && r < n + m && listed_count < seed % 4; r++)
            if (allowed[r] && rng_below(&rng, 2)) {
                listed[listed_count++] = (uint32_t)r;
                allowed[r] = false;
            }
        const struct trie_mask mask = {&base_trie,     &late_trie, seed % 5 ? skip : NULL,
                                       allowed_before, listed,     listed_count};
        const struct legal_tiles legal = trie_legal(&mask);
        struct walk walk = {.legal = &legal};
        follow(&walk, legal.root, 0);
        for (size_t r = 0; r < n + m; r++)
            assert_int_equal(walk.found[r], mask.skip ? allowed[r] : 1);
        uint32_t row = 0;
        assert_true(trie_find(&row, &base_trie, base + (n / 2) * LEVELS));
        assert_int_equal(row, n / 2);
        if (m) {
            assert_true(trie_find(&row, &late_trie, late));
            assert_int_equal(row, late_row[0]);
            assert_false(trie_find(&row, &base_trie, late));
        }
        trie_close(&base_trie);
        trie_close(&late_trie);
    }
}

static void names_that_do_not_rise_are_refused(void **state)
{
    struct err err = {0};
    struct trie trie;
    const uint16_t twice[] = {1, 2, 3, 1, 2, 3};
    (void)state;
    assert_false(trie_open(&trie, twice, NULL, 2, 3, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    struct err none = {0};
    assert_fine(trie_open(&trie, twice, NULL, 0, 3, &none), none); /* empty is a trie too */
    struct trie other = trie;
    const struct trie_mask mask = {.base = &trie, .late = &other};
    const struct legal_tiles legal = trie_legal(&mask);
    struct tile_child child[4];
    assert_int_equal(legal.children(legal.self, child, legal.root, 0), 0);
    trie_close(&trie);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(legal_tiles_lead_to_every_allowed_item_and_no_other),
        TEST(names_that_do_not_rise_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
