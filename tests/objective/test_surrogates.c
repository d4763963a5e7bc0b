/*
 * Surrogates on arrays alone: derivatives by finite differences, identities between methods, and
 * what stale data do to them.
 */
#include "tests/objective/batch.h"

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
    b.kind[2] = ROW_ANCHOR;
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
    check_derivatives("grpo+prdc", "prdc_coef=0.3");
    check_derivatives("grpo+feedback", "feedback_coef=0.3");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gradients_are_derivatives),
        TEST(surrogates_agree_where_they_start),
        TEST(the_clip_is_a_mask),
        TEST(grpo_weighs_middling_groups),
        TEST(rloo_is_grpo_without_scale_times_a_constant),
        TEST(regression_is_over_all_pairs),
        TEST(without_a_bound_stale_data_run_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
