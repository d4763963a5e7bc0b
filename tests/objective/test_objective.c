/*
 * Objectives on arrays alone: published numbers, identities between methods, derivatives by finite
 * differences, and what presets mean.
 */
#include "tests/test.h"

#include "objective/objective.h"

#include <math.h>

enum { GROUPS = 3, ROWS = 6, RANKS = 3, TILES = 4 };

static struct rollouts b;
static struct arena arena;

static void lay_out(struct arena *a, size_t groups, size_t rows, size_t units, size_t tokens)
{
    rollouts_layout(&b, groups, rows, units, tokens, a);
}

/* groups of `rows` rows of `units` units of `tokens` tokens; everything else drawn by the seed. */
static void make(size_t groups, size_t rows, size_t units, size_t tokens, uint64_t seed)
{
    struct err err = {0};
    struct arena ruler = {0};
    arena_close(&arena);
    size_t all_rows = groups * rows;
    size_t all_units = all_rows * units;
    size_t all = all_units * tokens;
    b = (struct rollouts){.levels = 4};
    lay_out(&ruler, groups, all_rows, all_units, all);
    assert_fine(arena_open(&arena, ruler.used, &err), err);
    lay_out(&arena, groups, all_rows, all_units, all);
    b.groups = groups;
    b.rows = all_rows;
    b.units = all_units;
    b.tokens = all;
    b.rng = rng_stream(seed, 1, 2);
    struct rng rng = rng_stream(seed, 3, 4);
    for (size_t g = 0; g <= groups; g++)
        b.group_row[g] = g * rows;
    for (size_t r = 0; r <= all_rows; r++)
        b.row_unit[r] = r * units;
    for (size_t u = 0; u <= all_units; u++)
        b.unit_token[u] = u * tokens;
    for (size_t r = 0; r < all_rows; r++) {
        b.kind[r] = ROW_ROLLOUT;
        b.valid[r] = 1;
    }
    for (size_t u = 0; u < all_units; u++) {
        b.exact[u] = rng_uniform(&rng) < 0.3;
        b.matched[u] = b.exact[u] > 0 ? 4 : (double)rng_below(&rng, 4);
        b.alike[u] = rng_uniform(&rng);
    }
    for (size_t t = 0; t < all; t++) {
        b.tile[t] = (uint32_t)rng_below(&rng, 2);
        b.lp_old[t] = -0.1 - 2 * rng_uniform(&rng);
        b.lp[t] = b.lp_old[t] + 0.2 * rng_normal(&rng);
        b.lp_ref[t] = b.lp_old[t] + 0.1 * rng_normal(&rng);
        b.entropy[t] = 0.5 + rng_uniform(&rng);
    }
}

static struct objective open_with(const char *algo, const char *more)
{
    struct err err = {0};
    struct objective o;
    struct objective_settings s;
    struct text warnings;
    const struct settings table = {OBJECTIVE_SETTINGS, OBJECTIVE_SETTINGS_COUNT, &s};
    settings_start(&table, 1);
    snprintf(s.algo, sizeof s.algo, "%s", algo);
    assert_fine(objective_expand(&s, &err), err);
    for (const char *at = more; *at; at += strspn(at, " ")) {
        char pair[200];
        size_t size = strcspn(at, " ");
        snprintf(pair, sizeof pair, "%.*s", (int)size, at);
        char *equals = strchr(pair, '=');
        *equals = 0;
        assert_fine(settings_put(&table, 1, pair, equals + 1, &err), err);
        at += size;
    }
    text_init(&warnings, 4096);
    assert_fine(objective_open(&o, &s, &warnings, &err), err);
    text_release(&warnings);
    return o;
}

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

static void near(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("expected %.8f, found %.8f", expected, found);
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

/* ---- derivatives ---- */

static double loss_at(const struct objective *o)
{
    struct objective_report report;
    return objective_gradient(o, &b, &report);
}

static void check_derivatives_of(const char *algo, const char *more, size_t ranks)
{
    const double h = 1e-5;
    struct objective_report report;
    struct objective o = open_with(algo, more);
    static double g_lp[GROUPS * ROWS * RANKS * TILES];
    static double g_entropy[GROUPS * ROWS * RANKS * TILES];
    make(GROUPS, ROWS, ranks, TILES, 11);
    b.kind[1] = ROW_LOGGED;
    objective_prepare(&o, &b, &report);
    loss_at(&o);
    memcpy(g_lp, b.g_lp, b.tokens * sizeof *g_lp);
    memcpy(g_entropy, b.g_entropy, b.tokens * sizeof *g_entropy);
    size_t moved = 0;
    for (size_t t = 0; t < b.tokens; t++) {
        double *const at[] = {&b.lp[t], &b.entropy[t]};
        const double expected[] = {g_lp[t], g_entropy[t]};
        for (size_t k = 0; k < 2; k++) {
            double kept = *at[k];
            *at[k] = kept + h;
            double above = loss_at(&o);
            *at[k] = kept - h;
            double below = loss_at(&o);
            *at[k] = kept;
            double slope = (above - below) / (2 * h);
            if (fabs(slope - expected[k]) > 1e-6 * (1 + fabs(slope)))
                fail_msg("%s %s: token %zu: expected %.9f, found %.9f", algo, more, t, slope,
                         expected[k]);
            moved += expected[k] != 0;
        }
    }
    if (moved == 0)
        fail_msg("%s %s: no gradient at all", algo, more);
}

static void check_derivatives(const char *algo, const char *more)
{
    check_derivatives_of(algo, more, RANKS);
}

static void gradients_are_derivatives(void **state)
{
    static const char *const levels[] = {"token", "item", "sequence"};
    static const char *const modes[] = {"token-mean", "seq-mean-token-sum", "seq-mean-token-mean",
                                        "seq-mean-token-sum-norm", "unit-mean"};
    char more[200];
    (void)state;
    for (size_t l = 0; l < 3; l++)
        for (size_t m = 0; m < 5; m++) {
            snprintf(more, sizeof more,
                     "reg= delta=1.3 importance_sampling_level=%s loss_agg_mode=%s", levels[l],
                     modes[m]);
            check_derivatives("grpo", more);
        }
    check_derivatives("sapo", "");
    check_derivatives("copg", "");
    check_derivatives("reg_grpo", "");
    check_derivatives("rpo", "");
    check_derivatives("reinforce", "");
    check_derivatives("opmd", "");
    check_derivatives("asymre", "");
    check_derivatives_of("disco", "", 1);
    check_derivatives_of("disco_b", "kl_hinge_delta=0", 1);
    check_derivatives("grpo+llds", "num_iterations=2");
    check_derivatives("grpo+entropy", "entropy_coef=0.3");
    for (int k = 1; k <= 3; k++)
        for (int a = 0; a < 2; a++) {
            snprintf(more, sizeof more, "beta=0.7 kl_estimator=k%d kl_anchor=%s", k,
                     a ? "ref" : "old");
            check_derivatives("grpo", more);
        }
}

/* ---- identities ---- */

static void copy_gradient(double *to, const char *algo, const char *more)
{
    struct objective_report report;
    struct objective o = open_with(algo, more);
    objective_prepare(&o, &b, &report);
    objective_gradient(&o, &b, &report);
    memcpy(to, b.g_lp, b.tokens * sizeof *to);
}

/* While the policy is the one that sampled, every surrogate is REINFORCE. */
static void surrogates_agree_where_they_start(void **state)
{
    static const char *const losses[] = {"clip", "cispo", "sapo", "rec", "logp"};
    static double first[GROUPS * ROWS * TILES];
    static double other[GROUPS * ROWS * TILES];
    (void)state;
    make(GROUPS, ROWS, 1, TILES, 21);
    memcpy(b.lp, b.lp_old, b.tokens * sizeof *b.lp);
    copy_gradient(first, "grpo", "reg=");
    for (size_t i = 1; i < sizeof losses / sizeof *losses; i++) {
        char more[80];
        snprintf(more, sizeof more, "reg= loss_type=%s", losses[i]);
        copy_gradient(other, "grpo", more);
        for (size_t t = 0; t < b.tokens; t++)
            near(other[t], first[t], 1e-12);
    }
    /* a rank's geometric mean too, when its tokens are summed */
    make(GROUPS, ROWS, RANKS, TILES, 22);
    memcpy(b.lp, b.lp_old, b.tokens * sizeof *b.lp);
    static double ranked[GROUPS * ROWS * RANKS * TILES];
    static double tokens[GROUPS * ROWS * RANKS * TILES];
    copy_gradient(ranked, "rank_grpo", "reg= loss_agg_mode=token-mean");
    copy_gradient(tokens, "rank_grpo",
                  "reg= loss_agg_mode=token-mean importance_sampling_level=token");
    for (size_t t = 0; t < b.tokens; t++)
        near(ranked[t], tokens[t], 1e-12);
    /* and with equal ranks the same, weighed by 1 / the rank's length */
    copy_gradient(ranked, "rank_grpo", "reg=");
    for (size_t t = 0; t < b.tokens; t++)
        near(ranked[t] * RANKS * TILES * (double)b.rows, tokens[t] * (double)b.tokens, 1e-9);
}

/* The clip's gradient is the one-sided mask times ratio times advantage. */
static void the_clip_is_a_mask(void **state)
{
    static double clip[GROUPS * ROWS * TILES];
    static double rec[GROUPS * ROWS * TILES];
    (void)state;
    make(GROUPS, ROWS, 1, TILES, 31);
    copy_gradient(clip, "grpo", "reg=");
    copy_gradient(rec, "grpo", "reg= loss_type=rec");
    size_t masked = 0;
    for (size_t t = 0; t < b.tokens; t++) {
        near(clip[t], rec[t] * exp(b.lp[t] - b.lp_old[t]), 1e-12);
        masked += clip[t] == 0 && b.advantage[t] != 0;
    }
    assert_true(masked > 5);
}

/* Binary rewards: GRPO is DisCO-b times sqrt(p (1 - p)), Dr. GRPO times p (1 - p). */
static void grpo_weighs_middling_groups(void **state)
{
    struct objective_report report;
    double advantage[3][8];
    (void)state;
    for (size_t hits = 1; hits < 8; hits++) {
        static const char *const algos[] = {"disco_b", "grpo", "dr_grpo"};
        make(1, 8, 1, 2, hits);
        for (size_t i = 0; i < 3; i++) {
            struct objective o = open_with(algos[i], i == 1 ? "std_floor=1e-12" : "");
            for (size_t r = 0; r < 8; r++)
                b.exact[r] = r < hits;
            objective_prepare(&o, &b, &report);
            for (size_t r = 0; r < 8; r++)
                advantage[i][r] = b.advantage[2 * r];
        }
        double p = (double)hits / 8;
        for (size_t r = 0; r < 8; r++) {
            near(advantage[1][r], advantage[0][r] * sqrt(p * (1 - p) * 7 / 8), 1e-9);
            near(advantage[2][r], advantage[0][r] * p * (1 - p), 1e-9);
        }
    }
}

static void rloo_is_grpo_without_scale_times_a_constant(void **state)
{
    static double grpo[GROUPS * ROWS * TILES];
    static double rloo[GROUPS * ROWS * TILES];
    (void)state;
    make(GROUPS, ROWS, 1, TILES, 41);
    copy_gradient(grpo, "rloo", "adv=grpo");
    copy_gradient(rloo, "rloo", "");
    for (size_t t = 0; t < b.tokens; t++)
        near(rloo[t], grpo[t] * ROWS / (ROWS - 1.0), 1e-12);
}

/* The regression in linear time is the one over all pairs. */
static void regression_is_over_all_pairs(void **state)
{
    static double found[ROWS * TILES];
    double a[ROWS];
    (void)state;
    make(1, ROWS, 1, TILES, 51);
    copy_gradient(found, "copg", "regress_beta=0.3");
    for (size_t r = 0; r < ROWS; r++) {
        a[r] = b.reward[r];
        for (size_t t = r * TILES; t < (r + 1) * TILES; t++)
            a[r] -= 0.3 * (b.lp[t] - b.lp_ref[t]);
    }
    for (size_t r = 0; r < ROWS; r++) {
        double pairs = 0;
        for (size_t k = 0; k < ROWS; k++)
            pairs += a[r] - a[k];
        near(found[r * TILES], -0.3 * pairs / ROWS / ROWS, 1e-12);
    }
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

/* ---- a bandit ---- */

/*
 * Three arms worth 1, .95 and 0, always sampled .3, .5, .2: the plain group-relative gradient runs
 * off to the second, which was seen most; a mask or a pull towards the sampler holds it.  After the
 * toy of arXiv 2509.24203.
 */
static void bandit(double p[3], const char *algo, const char *more)
{
    static const double worth[] = {1, 0.95, 0};
    static const double sampler[] = {0.3, 0.5, 0.2};
    double z[] = {log(0.3), log(0.5), log(0.2)};
    struct objective_report report;
    struct objective o = open_with(algo, more);
    struct rng rng = rng_stream(17, 0, 0);
    make(1, 8, 1, 1, 99);
    for (int step = 0; step < 4000; step++) {
        double total = exp(z[0]) + exp(z[1]) + exp(z[2]);
        for (size_t a = 0; a < 3; a++)
            p[a] = exp(z[a]) / total;
        for (size_t r = 0; r < 8; r++) {
            double u = rng_uniform(&rng);
            uint32_t arm = u < sampler[0] ? 0 : u < sampler[0] + sampler[1] ? 1 : 2;
            b.tile[r] = arm;
            b.exact[r] = worth[arm];
            b.lp_old[r] = log(sampler[arm]);
            b.lp[r] = log(fmax(p[arm], 1e-12));
        }
        objective_prepare(&o, &b, &report);
        objective_gradient(&o, &b, &report);
        for (size_t r = 0; r < 8; r++)
            for (size_t a = 0; a < 3; a++)
                z[a] -= 0.05 * b.g_lp[r] * ((double)(b.tile[r] == a) - p[a]);
    }
}

static void without_a_bound_stale_data_run_away(void **state)
{
    double plain[3];
    double masked[3];
    double pulled[3];
    (void)state;
    bandit(plain, "dr_grpo", "loss_type=logp loss_agg_mode=token-mean");
    bandit(masked, "rec", "");
    bandit(pulled, "opmd", "");
    assert_true(plain[1] > 0.95); /* not the best arm */
    assert_true(masked[0] > 0.25 && masked[1] < 0.7 && masked[2] > 0.02);
    assert_true(pulled[0] > 0.3 && pulled[1] < 0.7 && pulled[2] < 0.2);
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
        TEST(gradients_are_derivatives),
        TEST(surrogates_agree_where_they_start),
        TEST(the_clip_is_a_mask),
        TEST(grpo_weighs_middling_groups),
        TEST(rloo_is_grpo_without_scale_times_a_constant),
        TEST(regression_is_over_all_pairs),
        TEST(tree_credit_sums_to_the_advantage),
        TEST(silent_groups_leave_and_variance_stays),
        TEST(hints_and_logged_rows_take_no_part),
        TEST(parts_of_a_batch_sum_to_it),
        TEST(without_a_bound_stale_data_run_away),
        TEST(senseless_pairs_are_refused),
        TEST(presets_keep_their_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
