/*
 * The whole policy in double: every parameter tensor's gradient against central differences of the
 * loss, with dropout on (its draws follow from the stream, so they are the same each time).  Inputs
 * and targets mix items and words.
 */
#include "tests/test.h"

#include "model/tokenizer.h"
#include "tests/model/toy.h"

#include <math.h>

enum { POSITIONS = 11, SET = 8 };

#define T(n) (TOKEN + (n))

static const uint32_t FIRST[] = {0, 4, 5, 11};
static const uint32_t INPUT[POSITIONS] = {0, 3, 5, 10, 7, T(2), 1, T(6), 6, 11, T(0)};
static const uint32_t TARGET[POSITIONS] = {3, 5, 10, 9, NO_ITEM, 0, T(3), 11, T(5), 8, T(5)};
static const real WEIGHT[POSITIONS] = {1, 1, 0.5, 1, 1, 2, 0.25, 1, 1, 0.5, 1};

/* The last sequence asks for a list and for what comes after it. */
static const uint32_t LIST_INPUT[POSITIONS] = {0, 3, 5, 10, 7, 1, T(MARK_LIST), 8, 11, 7, 0};
static const uint32_t LIST_TARGET[POSITIONS] = {3, 5, 10, 9, NO_ITEM, T(3), 8, 11, 7, 0, T(5)};

/* A sample that find compares: every target, most of what shares its name, and some others. */
static const uint32_t SET_ROW[SET] = {0, 3, 5, 7, 8, 9, 10, 11};
static const real SET_LOG[SET] = {-0.1, 0, -1, -2, -0.5, -0.3, -0.1, 0};

struct bench {
    struct toy toy;
    struct policy_work work;
    struct params grads;
    struct arena arena;
    struct legal_tiles legal;
    struct find_set find;
    uint32_t place[TOY_ITEMS];
    real set_content[TOY_ITEMS * TOY_CONTENT], set_vectors[TOY_ITEMS * 16];
    real dfind[TOY_ITEMS * 16];
    double name_teach, smoothing;
    bool list;
    bool name_only; /* the loss without find: what is taught is not to move the teacher */
};

static void bench_layout(struct bench *b, struct arena *arena)
{
    policy_layout(&b->work, &TOY_SHAPE, POSITIONS + 3, 8, TOY_TILES, TOY_ITEMS, true, arena);
    params_layout(&b->grads, &TOY_SHAPE, arena);
}

static uint32_t row_at(const struct bench *b, size_t k)
{
    return b->find.row ? b->find.row[k] : (uint32_t)k;
}

static void make_set(struct bench *b)
{
    for (size_t k = 0; k < b->find.count; k++)
        memcpy(b->set_content + k * TOY_CONTENT, b->toy.content + row_at(b, k) * TOY_CONTENT,
               TOY_CONTENT * sizeof(real));
    policy_find_content(b->set_vectors, &b->toy.policy, b->set_content, b->find.count);
    for (size_t k = 0; k < b->find.count; k++)
        for (size_t d = 0; d < 16; d++)
            b->set_vectors[k * 16 + d] += b->toy.policy.params.own[row_at(b, k) * 16 + d];
}

static double loss_of(struct bench *b, bool keep)
{
    struct losses losses = {0};
    const struct examples examples = {{.positions = POSITIONS, .sequences = 3, .first = FIRST},
                                      b->list ? LIST_INPUT : INPUT,
                                      b->list ? LIST_TARGET : TARGET,
                                      WEIGHT};
    const struct loss_options options = {
        .dropout = 0.3,
        .own_drop = 0.25,
        .find_weight = 0.7,
        .name_weight = 0.4,
        .say_weight = 0.3,
        .name_teach = b->name_teach,
        .smoothing = b->smoothing,
        .scale = 1.0 / 8,
        .rng = rng_stream(1, 2, 3),
        .legal = &b->legal,
        .find = &b->find,
    };
    make_set(b);
    memset(b->dfind, 0, sizeof b->dfind);
    for (size_t i = 0; i < PARAM_COUNT; i++)
        memset(*param_slot(&b->grads, &PARAMS[i]), 0,
               param_count(&PARAMS[i], &TOY_SHAPE) * sizeof(real));
    policy_learn(&b->work, &b->grads, b->dfind, &losses, &b->toy.policy, &examples, &options);
    if (keep) {
        policy_finish_gradients(&b->grads, b->dfind, &b->toy.policy, &b->find, 0, 10);
        policy_finish_gradients(&b->grads, b->dfind, &b->toy.policy, &b->find, 10, 16);
        for (size_t k = 0; k < b->find.count; k++)
            for (size_t d = 0; d < 16; d++)
                b->grads.own[row_at(b, k) * 16 + d] +=
                    b->toy.seen[row_at(b, k)] ? b->dfind[k * 16 + d] : 0;
    }
    assert_int_equal(losses.items, b->list ? 8 : 7);
    assert_int_equal(losses.tokens, b->list ? 2 : 3);
    if (b->name_only)
        return 0.4 * losses.name / 8;
    return (0.7 * losses.find + 0.4 * losses.name + 0.3 * losses.say) / 8;
}

static void start(struct bench *b)
{
    struct err err = {0};
    struct arena ruler = {0};
    *b = (struct bench){0};
    toy_open(&b->toy, 3, &KERNELS_REFERENCE);
    b->legal = toy_legal(NULL);
    b->find =
        (struct find_set){.count = TOY_ITEMS, .content = b->set_content, .vectors = b->set_vectors};
    bench_layout(b, &ruler);
    assert_fine(arena_open(&b->arena, ruler.used, &err), err);
    bench_layout(b, &b->arena);
    policy_prepare(&b->work, &TOY_SHAPE);
}

static void end(struct bench *b)
{
    arena_close(&b->arena);
    toy_close(&b->toy);
}

static void check_tensor(struct bench *b, size_t i)
{
    size_t count = param_count(&PARAMS[i], &TOY_SHAPE);
    size_t row = extent_of(PARAMS[i].dims[2], &TOY_SHAPE);
    double difference = 0;
    double length = 0;
    if (count == 0) /* of other families: test_families.c */
        return;
    loss_of(b, true);
    double *grad = malloc(count * sizeof *grad);
    assert_non_null(grad);
    memcpy(grad, *param_slot(&b->grads, &PARAMS[i]), count * sizeof *grad);
    for (size_t k = 0; k < count; k++) {
        double *at = *param_slot(&b->toy.policy.params, &PARAMS[i]) + k;
        double was = *at;
        if (PARAMS[i].own && !b->toy.seen[k / row]) {
            assert_true(grad[k] == 0); /* an item without events keeps no embedding of its own */
            continue;
        }
        *at = was + 1e-5;
        double up = loss_of(b, false);
        *at = was - 1e-5;
        double down = loss_of(b, false);
        *at = was;
        double slope = (up - down) / 2e-5;
        difference += (slope - grad[k]) * (slope - grad[k]);
        length += slope * slope;
    }
    free(grad);
    if (!(sqrt(difference) <= 1e-6 * sqrt(length)) || length == 0)
        fail_msg("%s: |analytic - numeric| / |numeric| is %g, |numeric| %g", PARAMS[i].name,
                 sqrt(difference / (length > 0 ? length : 1)), sqrt(length));
}

static void every_tensor_has_the_gradient_of_the_loss(void **state)
{
    static struct bench b;
    (void)state;
    start(&b);
    b.smoothing = 0.1;
    for (int list = 0; list < 2; list++) {
        b.list = list;
        for (size_t i = 0; i < PARAM_COUNT; i++)
            check_tensor(&b, i);
    }
    end(&b);
}

static void compare_a_sample(struct bench *b)
{
    b->find.count = SET;
    b->find.row = SET_ROW;
    b->find.log_inclusion = SET_LOG;
    b->find.place = b->place;
    memset(b->place, 0xff, sizeof b->place);
    for (size_t k = 0; k < SET; k++)
        b->place[SET_ROW[k]] = (uint32_t)k;
}

static void so_it_has_when_find_compares_a_sample(void **state)
{
    static struct bench b;
    (void)state;
    start(&b);
    compare_a_sample(&b);
    for (int list = 0; list < 2; list++) {
        b.list = list;
        for (size_t i = 0; i < PARAM_COUNT; i++)
            check_tensor(&b, i);
    }
    end(&b);
}

/* What comes next in a list, with the losses of one target: items that are hidden, or listed. */
static struct losses next_of_list(struct bench *b, const uint32_t *input,
                                  const unsigned char *hidden)
{
    static const uint32_t first[] = {0, 4};
    static const uint32_t target[4] = {NO_ITEM, NO_ITEM, NO_ITEM, 11};
    struct losses losses = {0};
    const struct legal_tiles legal = toy_legal(hidden);
    const struct examples examples = {
        {.positions = 4, .sequences = 1, .first = first}, input, target, NULL};
    const struct loss_options options = {.find_weight = 1,
                                         .name_weight = 1,
                                         .smoothing = 0.1,
                                         .scale = 1,
                                         .legal = &legal,
                                         .find = &b->find};
    make_set(b);
    memset(b->dfind, 0, sizeof b->dfind);
    policy_learn(&b->work, &b->grads, b->dfind, &losses, &b->toy.policy, &examples, &options);
    return losses;
}

static void what_is_listed_is_no_rival(void **state)
{
    static const uint32_t list[] = {3, T(MARK_LIST), 8, 9};
    static const uint32_t none[] = {3, T(0), 8, 9}; /* another mark: a history like any other */
    static const unsigned char hidden[TOY_ITEMS] = {[8] = 1, [9] = 1};
    static struct bench b;
    (void)state;
    start(&b);
    struct losses listed = next_of_list(&b, list, NULL);
    for (size_t i = 0; i < TOY_ITEMS; i++) {
        double pull = 0;
        for (size_t d = 0; d < 16; d++)
            pull += fabs(b.dfind[i * 16 + d]);
        assert_int_equal(pull > 0, i != 8 && i != 9);
    }
    struct losses masked = next_of_list(&b, list, hidden);
    assert_true(fabs(listed.name - masked.name) < 1e-12);
    struct losses plain = next_of_list(&b, none, NULL);
    assert_true(fabs(plain.name - next_of_list(&b, none, hidden).name) > 1e-3);
    end(&b);
}

static void a_list_takes_no_time(void **state)
{
    static const uint32_t symbols[] = {4, T(2), T(MARK_LIST), 7, 2, T(3), 5, T(MARK_LIST), 1};
    static const uint32_t at[] = {0, 1, 2, 2, 2, 3, 4, 5, 5};
    static const uint32_t listing[] = {0, 0, 1, 2, 3, 0, 0, 1, 2};
    struct place place = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(symbols); i++) {
        place = place_after(i ? &place : NULL, symbols[i], T(MARK_LIST));
        assert_int_equal(place.at, at[i]);
        assert_int_equal(place.listing, listing[i]);
    }
}

/* The teacher is taken as given, so only what the depth head alone owns can be compared. */
static void the_taught_depth_head_has_the_gradient_of_its_loss(void **state)
{
    static const char *const heads[] = {"name_start", "tile_out",   "tile_bias",
                                        "depth_up",   "depth_tile", "depth_down"};
    static struct bench b;
    size_t checked = 0;
    (void)state;
    start(&b);
    b.name_teach = 0.6;
    b.name_only = true;
    for (size_t i = 0; i < PARAM_COUNT; i++)
        for (size_t h = 0; h < COUNT(heads); h++)
            if (strcmp(PARAMS[i].name, heads[h]) == 0) {
                check_tensor(&b, i);
                checked++;
            }
    assert_int_equal(checked, COUNT(heads));
    end(&b);
}

/* Taught alone, name's loss is least where its tiles have find's probabilities. */
static void find_teaches_its_own_probabilities(void **state)
{
    static struct bench b;
    static const uint32_t want[] = {3, 5, 10, 9, 0, 11, 8};
    (void)state;
    start(&b);
    b.name_teach = 1;
    loss_of(&b, false);
    for (size_t at = 0; at < 7; at++)
        for (size_t l = 0; l < TOY_LEVELS; l++) {
            const real *teach = b.work.teach + (l * b.work.trunk.positions_max + at) * TOY_TILES;
            double sum = 0;
            struct tile_child children[TOY_TILES];
            const uint16_t *codes = TOY_CODES + want[at] * (TOY_LEVELS + 1);
            struct tile_node node = b.legal.root;
            for (size_t k = 0; k < l; k++) {
                size_t count = toy_children(NULL, children, node, k);
                for (size_t c = 0; c < count; c++)
                    if (children[c].tile == codes[k])
                        node = children[c].node;
            }
            size_t count = toy_children(NULL, children, node, l);
            for (size_t c = 0; c < count; c++) {
                assert_true(teach[c] > 0);
                sum += teach[c];
            }
            assert_true(fabs(sum - 1) < 1e-12);
        }
    end(&b);
}

/* A forgotten or doubled line of the table would bind a tensor to the wrong pointer. */
static void the_table_follows_the_struct(void **state)
{
    (void)state;
    for (size_t i = 0; i < PARAM_COUNT; i++) {
        assert_non_null(PARAMS[i].name);
        assert_int_equal(PARAMS[i].offset, i * sizeof(real *));
    }
}

/* Sequences packed together give what each gives alone. */
static void packing_changes_nothing(void **state)
{
    static struct bench b;
    static real together[POSITIONS * 16];
    const struct loss_options options = {0};
    (void)state;
    start(&b);
    const struct packed all = {.positions = POSITIONS, .sequences = 3, .first = FIRST};
    policy_forward(&b.work, &b.toy.policy, &all, INPUT, &options);
    memcpy(together, b.work.trunk.z, sizeof together);
    for (size_t s = 0; s < 3; s++) {
        const uint32_t first[2] = {0, FIRST[s + 1] - FIRST[s]};
        const struct packed one = {.positions = first[1], .sequences = 1, .first = first};
        policy_forward(&b.work, &b.toy.policy, &one, INPUT + FIRST[s], &options);
        for (size_t k = 0; k < first[1] * 16; k++)
            assert_true(fabs(b.work.trunk.z[k] - together[FIRST[s] * 16 + k]) < 1e-12);
    }
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_table_follows_the_struct),
        TEST(every_tensor_has_the_gradient_of_the_loss),
        TEST(so_it_has_when_find_compares_a_sample),
        TEST(what_is_listed_is_no_rival),
        TEST(a_list_takes_no_time),
        TEST(the_taught_depth_head_has_the_gradient_of_its_loss),
        TEST(find_teaches_its_own_probabilities),
        TEST(packing_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
