/*
 * Objectives on arrays alone, up to the advantages: published numbers, credits, who takes part,
 * what presets mean and which pairs are refused.
 */
#include "tests/objective/batch.h"

static const char *refusal(const char *algo, const char *name, const char *value)
{
    static char why[1000];
    struct err err = {0};
    struct objective o;
    struct objective_settings s;
    struct text warnings;
    const struct settings table = {OBJECTIVE_SETTINGS, OBJECTIVE_SETTINGS_COUNT, &s};
    settings_start(&table, 1);
    snprintf(s.algo, sizeof s.algo, "%s", algo);
    text_init(&warnings, 4096);
    bool fine = objective_expand(&s, &err) && (!name || settings_put(&table, 1, name, value, &err));
    assert_false(fine && objective_open(&o, &s, &warnings, &err));
    text_release(&warnings);
    snprintf(why, sizeof why, "%s", err.text);
    return why;
}

/* ---- published numbers ---- */

static void rsvr_is_the_root_of_the_share(void **state)
{
    static const double table[] = {0, 0.5, 0.707, 0.866, 0.95};
    struct objective_report report;
    (void)state;
    struct objective o = open_with("srpo", "filter=");
    make(1, 6, 1, 4, 1);
    for (size_t r = 0; r < 6; r++) {
        b.exact[r] = r == 5;
        b.matched[r] = r < 5 ? (double)r : 4;
    }
    objective_prepare(&o, &b, &report);
    for (size_t r = 0; r < 5; r++)
        near(b.reward[r], table[r], 1e-12);
    near(b.reward[5], 1, 0);
    b.valid[5] = 0;
    b.levels = 3;
    for (size_t r = 0; r < 4; r++)
        b.matched[r] = (double)r;
    objective_prepare(&o, &b, &report);
    near(b.reward[1], sqrt(1.0 / 3), 1e-12);
    near(b.reward[2], sqrt(2.0 / 3), 1e-12);
    near(b.reward[3], 0.95, 1e-12);
    near(b.reward[5], 0, 0);
}

/* What the bonus adds to hits and misses, n = 10, k = 4. */
static void the_bonus_has_the_published_numbers(void **state)
{
    static const double expected[][2] = {{0, 0}, {1.225, -0.136}, {0.707, -0.177}, {0.447, -0.192}};
    struct objective_report report;
    (void)state;
    struct objective with = open_with("srpo", "reward=exact filter=");
    struct objective without = open_with("srpo", "reward=exact filter= adv_bonus=");
    for (size_t hits = 0; hits <= 10; hits++) {
        double base[10];
        make(1, 10, 1, 3, hits);
        for (size_t r = 0; r < 10; r++)
            b.exact[r] = r < hits;
        objective_prepare(&without, &b, &report);
        for (size_t r = 0; r < 10; r++)
            base[r] = b.advantage[3 * r];
        objective_prepare(&with, &b, &report);
        for (size_t r = 0; r < 10; r++) {
            double bonus = b.advantage[3 * r] - base[r];
            if (hits < 4)
                near(bonus, expected[hits][r >= hits], 6e-4);
            if (hits >= 7)
                near(bonus, 0, 1e-9);
        }
    }
}

/* One hit at a rank: +2.474 / -.353 among 8; two: +1.620 / -.540; no hit: nothing. */
static void ranks_have_the_published_advantages(void **state)
{
    static const struct {
        size_t rows, hits;
        double hit, miss;
    } cases[] = {{8, 1, 2.474, -0.353},
                 {4, 1, 1.500, -0.500},
                 {16, 1, 3.749, -0.250},
                 {8, 2, 1.620, -0.540}};
    struct objective_report report;
    (void)state;
    struct objective o = open_with("rank_grpo", "");
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        make(1, cases[c].rows, 2, 3, c);
        for (size_t r = 0; r < cases[c].rows; r++) {
            b.exact[2 * r] = 0;
            b.exact[2 * r + 1] = r < cases[c].hits;
        }
        objective_prepare(&o, &b, &report);
        for (size_t r = 0; r < cases[c].rows; r++) {
            near(b.advantage[6 * r], 0, 0);
            near(b.advantage[6 * r + 3], r < cases[c].hits ? cases[c].hit : cases[c].miss, 1e-3);
        }
        near(report.signal_units, 0.5, 1e-12);
    }
}

/* Rollouts of 1, 3, 4 and 4 turns come to 1, 1, 0 and 2: each counts once, every turn gets it. */
static void turns_get_the_outcome_of_their_rollout(void **state)
{
    static const size_t turn[] = {0, 1, 4, 8, 12};
    static const double exact[] = {1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0};
    static const double expected[] = {0, 0, -1.2246, 1.2246};
    struct objective_report report;
    (void)state;
    make(1, 4, 3, 2, 21);
    memcpy(b.row_unit, turn, sizeof turn);
    memcpy(b.exact, exact, sizeof exact);
    struct objective o = open_with("turn_grpo", "");
    objective_prepare(&o, &b, &report);
    for (size_t r = 0; r < 4; r++)
        for (size_t t = row_first_token(&b, r); t < row_last_token(&b, r); t++)
            near(b.advantage[t], expected[r], 1e-4);
}

/* Two talks of two and one prompts: the rows of one place are one rollout, whose lists all get what
 * they came to together. */
static void lists_of_one_talk_get_the_outcome_of_all(void **state)
{
    static const double exact[3][4] = {{1, 0, 0, 0}, {0, 0, 1, 0}, {1, 0, 0, 0}};
    static const double expected[2][4] = {{0.866, -0.866, 0.866, -0.866}, {1.5, -0.5, -0.5, -0.5}};
    struct objective_report report;
    (void)state;
    make(3, 4, 2, 2, 23); /* a list of two ranks; the second is the one that may be right */
    for (size_t g = 0; g < 3; g++) {
        b.talk[g] = g < 2 ? 7 : 8;
        for (size_t i = 0; i < 4; i++) {
            b.exact[2 * (4 * g + i)] = 0;
            b.exact[2 * (4 * g + i) + 1] = exact[g][i];
        }
    }
    struct objective o = open_with("turn_grpo", "");
    objective_prepare(&o, &b, &report);
    for (size_t r = 0; r < 12; r++)
        for (size_t t = row_first_token(&b, r); t < row_last_token(&b, r); t++)
            near(b.advantage[t], expected[r / 8][r % 4], 2e-3);
}

static void rank_rewards_look_down_only(void **state)
{
    struct objective_report report;
    (void)state;
    make(1, 2, 4, 1, 5);
    static const double relevant[] = {0, 1, 0, 1};
    memcpy(b.exact, relevant, sizeof relevant);
    struct objective o = open_with("rank_grpo", "reward=rank_exp rank_gamma=2");
    objective_prepare(&o, &b, &report);
    near(b.reward[3], 1, 0);
    near(b.reward[2], 0.5, 1e-12);
    near(b.reward[1], 1.25, 1e-12);
    near(b.reward[0], 0.625, 1e-12);
    o = open_with("rank_grpo", "reward=rank_log");
    objective_prepare(&o, &b, &report);
    near(b.reward[3], 1 / log2(5), 1e-12);
    near(b.reward[1], 1 / log2(3) + 1 / log2(5), 1e-12);
    near(b.reward[0], b.reward[1], 1e-12);
    o = open_with("rank_grpo", "reward=rank_exp rank_gamma=1e6");
    objective_prepare(&o, &b, &report);
    near(b.reward[0], 0, 2e-6); /* an infinite gamma is rank_exp_inf */
}

/* Credits along the trie: differences sum to the row's own advantage; a node's is its mean. */
static void tree_credit_sums_to_the_advantage(void **state)
{
    struct objective_report report;
    double own[ROWS];
    (void)state;
    make(1, ROWS, 1, TILES, 61);
    for (size_t r = 0; r < ROWS; r++) /* no two rows alike */
        for (size_t l = 0; l < TILES; l++)
            b.tile[r * TILES + l] = (uint32_t)(r >> (TILES - 1 - l) & 1);
    struct objective o = open_with("grpo", "reward=rsvr");
    objective_prepare(&o, &b, &report);
    for (size_t r = 0; r < ROWS; r++)
        own[r] = b.advantage[r * TILES];
    o = open_with("grpo+tree_td", "reward=rsvr");
    objective_prepare(&o, &b, &report);
    for (size_t r = 0; r < ROWS; r++) {
        double sum = 0;
        for (size_t l = 0; l < TILES; l++)
            sum += b.advantage[r * TILES + l];
        near(sum, own[r], 1e-12); /* the root's value is 0: the group's mean */
    }
    o = open_with("grpo+salt", "reward=rsvr");
    objective_prepare(&o, &b, &report);
    near(b.advantage[0 * TILES + 2], (own[0] + own[1]) / 2, 1e-12); /* 0000 and 0001 share three */
    near(b.advantage[0 * TILES + 3], own[0], 1e-12);
    o = open_with("grpo+gigpo", "reward=rsvr gigpo_omega=0.5");
    objective_prepare(&o, &b, &report);
    near(b.advantage[0 * TILES + 3], own[0] + 0.5 * (own[0] - (own[0] + own[1]) / 2), 1e-12);
}

/* ---- filters ---- */

static void silent_groups_leave_and_variance_stays(void **state)
{
    struct objective_report report;
    (void)state;
    make(2, 6, 1, 2, 71);
    for (size_t r = 0; r < 12; r++)
        b.exact[r] = r >= 6 && r < 8;
    struct objective o = open_with("dapo", "");
    objective_prepare(&o, &b, &report);
    near(report.silent_groups, 0.5, 1e-12);
    for (size_t t = 0; t < 24; t++)
        assert_true(t < 12 ? b.weight[t] == 0 && b.share[t] == 0 : b.weight[t] == 1);
    near(b.share[12], 1.0 / 12, 1e-12);
    o = open_with("dapo", "filter=max_var keep_rows=4");
    objective_prepare(&o, &b, &report);
    double kept = 0;
    for (size_t r = 6; r < 12; r++)
        kept += b.weight[2 * r];
    near(kept, 4, 0);
    assert_true(b.weight[2 * 6] == 1 &&
                b.weight[2 * 7] == 1); /* both hits: two and two vary most */
    o = open_with("red_drop", "");
    objective_prepare(&o, &b, &report);
    kept = 0;
    for (size_t r = 8; r < 12; r++)
        kept += b.weight[2 * r];
    near(kept, 2, 0); /* as many misses as hits */
}

static void hints_and_logged_rows_take_no_part(void **state)
{
    struct objective_report report;
    (void)state;
    make(1, 4, 1, 3, 81);
    b.hint[0] = 1;
    b.kind[3] = ROW_LOGGED;
    struct objective o = open_with("grpo", "reg=");
    objective_prepare(&o, &b, &report);
    objective_gradient(&o, &b, &report);
    assert_true(b.g_lp[0] == 0);
    for (size_t t = 9; t < 12; t++)
        assert_true(b.g_lp[t] == 0 && b.advantage[t] == 0);
    /* of ten given tiles, the two where the policy was least sure take part */
    make(1, 4, 1, 3, 82);
    for (size_t t = 0; t < 10; t++)
        b.hint[t] = 1;
    b.entropy[3] = 9;
    b.entropy[7] = 8;
    objective_prepare(&o, &b, &report);
    for (size_t t = 0; t < 12; t++)
        assert_true((b.weight[t] > 0) == (t == 3 || t == 7 || t >= 10));
}

/* Shares are of the whole batch: a part of it has the same gradient alone as within. */
static void parts_of_a_batch_sum_to_it(void **state)
{
    struct objective_report report;
    double whole[GROUPS * ROWS * TILES];
    double sum = 0;
    (void)state;
    make(GROUPS, ROWS, 1, TILES, 91);
    struct objective o = open_with("srpo", "filter=");
    objective_prepare(&o, &b, &report);
    double all = objective_gradient(&o, &b, &report);
    memcpy(whole, b.g_lp, sizeof whole);
    for (size_t g = 0; g < GROUPS; g++) {
        struct rollouts part = b;
        part.groups = 1;
        part.rows = ROWS;
        part.units = ROWS;
        part.tokens = ROWS * TILES;
        size_t at = g * ROWS * TILES;
        double **arrays[] = {&part.lp,      &part.lp_old,    &part.lp_ref,
                             &part.entropy, &part.advantage, &part.weight,
                             &part.share,   &part.g_lp,      &part.g_entropy};
        for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
            *arrays[i] += at;
        sum += objective_gradient(&o, &part, &report);
    }
    near(sum, all, 1e-12);
    for (size_t t = 0; t < b.tokens; t++)
        near(b.g_lp[t], whole[t], 1e-15);
}

/* ---- names ---- */

static void senseless_pairs_are_refused(void **state)
{
    (void)state;
    assert_non_null(strstr(refusal("nonsense", NULL, NULL), "algo: expected a preset"));
    assert_non_null(strstr(refusal("srpo+grpo", NULL, NULL), "expected a modifier after '+'"));
    assert_non_null(strstr(refusal("gspo+salt", NULL, NULL), "average away"));
    assert_non_null(strstr(refusal("sapo", "importance_sampling_level", "sequence"),
                           "goes with loss_type clip alone"));
    assert_non_null(strstr(refusal("srpo", "reward_shape", "entity"), "entity goes with exact"));
    assert_non_null(strstr(refusal("srpo", "passk", "10"), "expected less than num_generations"));
    assert_non_null(strstr(refusal("srpo", "loss_agg_mode", "mean"), "expected one of"));
    assert_non_null(strstr(refusal("srpo", "reg", "kl,magic"), "found 'magic'"));
    assert_non_null(strstr(refusal("turn_grpo", "adv_scope", "rank"), "the whole rollout"));
}

static void presets_keep_their_meaning(void **state)
{
    static char golden[16000];
    struct text text;
    (void)state;
    FILE *file = fopen(GOLDEN, "r");
    assert_non_null(file);
    golden[fread(golden, 1, sizeof golden - 1, file)] = 0;
    fclose(file);
    text_init(&text, 1 << 20);
    objective_list(&text);
    char *end = strstr(text.bytes, "\nreward\n");
    assert_non_null(end);
    *end = 0;
    assert_string_equal(text.bytes, golden);
    text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rsvr_is_the_root_of_the_share),
        TEST(the_bonus_has_the_published_numbers),
        TEST(ranks_have_the_published_advantages),
        TEST(rank_rewards_look_down_only),
        TEST(turns_get_the_outcome_of_their_rollout),
        TEST(lists_of_one_talk_get_the_outcome_of_all),
        TEST(tree_credit_sums_to_the_advantage),
        TEST(silent_groups_leave_and_variance_stays),
        TEST(hints_and_logged_rows_take_no_part),
        TEST(parts_of_a_batch_sum_to_it),
        TEST(senseless_pairs_are_refused),
        TEST(presets_keep_their_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
