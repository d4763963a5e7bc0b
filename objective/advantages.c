/* advantages.c: rewards become advantages, within a group, place by place. */
#include "objective/parts.h"

#include <math.h>
#include <string.h>

enum { GROUP_MAX = 4096 };

static void give(struct rollouts *b, size_t unit, double advantage)
{
    for (size_t t = b->unit_token[unit]; t < b->unit_token[unit + 1]; t++)
        b->advantage[t] = advantage;
}

static bool by_rank(const struct objective *o)
{
    return strcmp(o->settings.adv_scope, "rank") == 0;
}

/* One population whose members are compared: a whole row each, or the units at one rank. */
struct population {
    size_t count;
    size_t row[GROUP_MAX];
    double value[GROUP_MAX];
};

static void gather(struct population *p, const struct rollouts *b, size_t group, size_t rank,
                   bool ranked)
{
    p->count = 0;
    for (size_t r = b->group_row[group]; r < b->group_row[group + 1] && p->count < GROUP_MAX; r++) {
        if (!row_counts(b, r) || (ranked && b->row_unit[r] + rank >= b->row_unit[r + 1]))
            continue;
        p->row[p->count] = r;
        p->value[p->count++] = ranked ? b->reward[b->row_unit[r] + rank] : row_reward(b, r);
    }
}

typedef void advantage_fn(const struct objective *o, const struct rollouts *b,
                          struct population *p);

/* Applies fn to every population and hands out what it left in `value`. */
static void each_population(const struct objective *o, struct rollouts *b, advantage_fn *fn)
{
    static _Thread_local struct population p;
    bool ranked = by_rank(o);
    for (size_t g = 0; g < b->groups; g++) {
        size_t ranks = 1;
        for (size_t r = b->group_row[g]; ranked && r < b->group_row[g + 1]; r++) {
            size_t units = b->row_unit[r + 1] - b->row_unit[r];
            ranks = units > ranks ? units : ranks;
        }
        for (size_t k = 0; k < ranks; k++) {
            gather(&p, b, g, k, ranked);
            fn(o, b, &p);
            for (size_t i = 0; i < p.count; i++) {
                size_t first = b->row_unit[p.row[i]] + (ranked ? k : 0);
                size_t last = ranked ? first + 1 : b->row_unit[p.row[i] + 1];
                for (size_t u = first; u < last; u++)
                    give(b, u, p.value[i]);
            }
        }
    }
}

static void centre(const struct objective *o, const struct rollouts *b, struct population *p)
{
    double mean;
    double deviation;
    (void)b;
    mean_and_deviation(&mean, &deviation, p->value, p->count);
    double scale = strcmp(o->settings.scale_rewards, "group") == 0
                       ? 1 / (deviation + o->settings.std_floor)
                       : 1;
    for (size_t i = 0; i < p->count; i++)
        p->value[i] = (p->value[i] - mean) * scale;
}

static double grpo(const struct objective *o, struct rollouts *b)
{
    each_population(o, b, centre);
    return 0;
}

/* Where the talk of a group ends. */
static size_t talk_end(const struct rollouts *b, size_t group)
{
    size_t end = group + 1;
    while (b->talk[group] && end < b->groups && b->talk[end] == b->talk[group])
        end++;
    return end;
}

/* What the row at a place came to over the groups of a talk; false: one of them does not count. */
static bool talk_sum(double *sum, const struct rollouts *b, size_t first, size_t end, size_t place)
{
    *sum = 0;
    for (size_t g = first; g < end; g++) {
        size_t row = b->group_row[g] + place;
        if (row >= b->group_row[g + 1] || !row_counts(b, row))
            return false;
        *sum += row_reward(b, row) * (double)(b->row_unit[row + 1] - b->row_unit[row]);
    }
    return true;
}

/*
 * Every turn of a rollout gets what the whole of it came to: the sum of its turns, compared among
 * rollouts, each counted once.  (Flow-GRPO's released code compares among turns, so that a long
 * rollout counts more often than a short one.)  Within a list a turn is a rank; of a talk's lists,
 * answered one after another, each gets what all of them came to.
 */
static double turns(const struct objective *o, struct rollouts *b)
{
    static _Thread_local struct population p;
    for (size_t first = 0, end = 0; first < b->groups; first = end) {
        end = talk_end(b, first);
        p.count = 0;
        for (size_t i = 0; b->group_row[first] + i < b->group_row[first + 1]; i++)
            if (p.count < GROUP_MAX && talk_sum(&p.value[p.count], b, first, end, i))
                p.row[p.count++] = i; /* its place in each group */
        centre(o, b, &p);
        for (size_t g = first; g < end; g++)
            for (size_t i = 0; i < p.count; i++) {
                size_t row = b->group_row[g] + p.row[i];
                for (size_t u = b->row_unit[row]; u < b->row_unit[row + 1]; u++)
                    give(b, u, p.value[i]);
            }
    }
    return 0;
}

static void leave_one_out(const struct objective *o, const struct rollouts *b, struct population *p)
{
    double sum = 0;
    (void)o;
    (void)b;
    for (size_t i = 0; i < p->count; i++)
        sum += p->value[i];
    for (size_t i = 0; i < p->count; i++)
        p->value[i] -= p->count > 1 ? (sum - p->value[i]) / (double)(p->count - 1) : 0;
}

static double rloo(const struct objective *o, struct rollouts *b)
{
    each_population(o, b, leave_one_out);
    return 0;
}

static void as_it_is(const struct objective *o, const struct rollouts *b, struct population *p)
{
    (void)o;
    (void)b;
    (void)p;
}

static double reinforce(const struct objective *o, struct rollouts *b)
{
    each_population(o, b, as_it_is);
    return 0;
}

/* Each row against what its prompt gave before: a group of misses says something, too. */
static double spo(const struct objective *o, struct rollouts *b)
{
    (void)o;
    for (size_t g = 0; g < b->groups; g++)
        for (size_t r = b->group_row[g]; r < b->group_row[g + 1]; r++) {
            double advantage = row_reward(b, r) - b->expected[g];
            for (size_t u = b->row_unit[r]; row_counts(b, r) && u < b->row_unit[r + 1]; u++)
                give(b, u, advantage);
        }
    return 0;
}

static void shifted(const struct objective *o, const struct rollouts *b, struct population *p)
{
    double mean;
    double deviation;
    (void)b;
    mean_and_deviation(&mean, &deviation, p->value, p->count);
    for (size_t i = 0; i < p->count; i++)
        p->value[i] -= mean + o->settings.asymre_shift;
}

static double asymre(const struct objective *o, struct rollouts *b)
{
    each_population(o, b, shifted);
    return 0;
}

/* Hits and misses, each as a whole: without the weight that GRPO gives to middling groups. */
static void discriminate(const struct objective *o, const struct rollouts *b, struct population *p)
{
    size_t hits = 0;
    (void)o;
    (void)b;
    for (size_t i = 0; i < p->count; i++)
        hits += p->value[i] >= 1;
    size_t misses = p->count - hits;
    for (size_t i = 0; i < p->count; i++)
        p->value[i] = hits == 0 || misses == 0 ? 0
                      : p->value[i] >= 1       ? (double)p->count / (double)hits
                                               : -(double)p->count / (double)misses;
}

static double disco_b(const struct objective *o, struct rollouts *b)
{
    each_population(o, b, discriminate);
    return 0;
}

static double mean_lp(const struct rollouts *b, size_t row)
{
    double sum = 0;
    size_t first = row_first_token(b, row);
    size_t last = row_last_token(b, row);
    for (size_t t = first; t < last; t++)
        sum += b->lp_old[t];
    return last > first ? sum / (double)(last - first) : 0;
}

/* The misses that the policy likes best are pushed down most: softmax of their scores. */
static void discriminate_hard(const struct objective *o, const struct rollouts *b,
                              struct population *p)
{
    double total = 0;
    double most = -INFINITY;
    bool hit[GROUP_MAX];
    size_t hits = 0;
    for (size_t i = 0; i < p->count; i++) {
        hit[i] = p->value[i] >= 1;
        hits += hit[i];
        if (!hit[i])
            most = fmax(most, mean_lp(b, p->row[i]) / o->settings.disco_tau);
    }
    for (size_t i = 0; i < p->count; i++)
        if (!hit[i])
            total += p->value[i] = exp(mean_lp(b, p->row[i]) / o->settings.disco_tau - most);
    for (size_t i = 0; i < p->count; i++)
        p->value[i] = hits == 0 || hits == p->count ? 0
                      : hit[i]                      ? (double)p->count / (double)hits
                                                    : -(double)p->count * p->value[i] / total;
}

static double disco(const struct objective *o, struct rollouts *b)
{
    each_population(o, b, discriminate_hard);
    return 0;
}

/* C(a, k) / C(b, k) for a <= b, without large numbers. */
static double choose_ratio(size_t a, size_t b, size_t k)
{
    double ratio = 1;
    for (size_t i = 0; i < k; i++)
        ratio *= a > i ? (double)(a - i) / (double)(b - i) : 0;
    return ratio;
}

/*
 * Bonus-Calibrated Group Advantage Estimation: on top of the z-score, the analytic advantage under
 * Pass@k (Chen et al., arXiv 2508.10751): how much more often k draws hold a hit thanks to this
 * row.
 */
static double passk(const struct objective *o, struct rollouts *b)
{
    size_t k = o->settings.passk;
    for (size_t g = 0; g < b->groups; g++) {
        size_t n = 0;
        size_t hits = 0;
        for (size_t r = b->group_row[g]; r < b->group_row[g + 1]; r++)
            if (row_counts(b, r)) {
                n++;
                hits += row_reward(b, r) >= 1;
            }
        if (n <= k)
            continue;
        double pass = 1 - choose_ratio(n - hits, n, k);
        double deviation = sqrt(pass * (1 - pass)) + 1e-6;
        double positive = (1 - pass) / deviation;
        double negative =
            hits < n ? (1 - pass - choose_ratio(n - hits - 1, n - 1, k - 1)) / deviation : 0;
        for (size_t r = b->group_row[g]; r < b->group_row[g + 1]; r++)
            for (size_t t = row_first_token(b, r); row_counts(b, r) && t < row_last_token(b, r);
                 t++)
                b->advantage[t] += row_reward(b, r) >= 1 ? positive : negative;
    }
    return 0;
}

const struct objective_part ADVANTAGE_PARTS[] = {
    {STAGE_ADVANTAGE, "grpo", 0, grpo, "adv_scope scale_rewards std_floor",
     "(r - mean of the group) / (deviation + floor)", "GRPO, arXiv 2402.03300, 4.1"},
    {STAGE_ADVANTAGE, "turns", 0, turns, "scale_rewards std_floor",
     "each turn: (R - mean of the group) / (deviation + floor), R the sum of the rollout's turns "
     "(rl_turns: of all its lists)",
     "AgentFlow, arXiv 2510.05592"},
    {STAGE_ADVANTAGE, "rloo", 0, rloo, "adv_scope", "r - mean of the others",
     "RLOO, arXiv 2402.14740"},
    {STAGE_ADVANTAGE, "reinforce", 0, reinforce, "adv_scope", "r", "Williams 1992"},
    {STAGE_ADVANTAGE, "spo", NEEDS_PAST, spo, "decay_past",
     "r - what the prompt's earlier rollouts lead to expect", "SPO, arXiv 2509.13232"},
    {STAGE_ADVANTAGE, "asymre", 0, asymre, "adv_scope asymre_shift", "r - (mean + shift)",
     "AsymRE, in arXiv 2509.24203"},
    {STAGE_ADVANTAGE, "disco_b", 0, disco_b, "", "hits: 1 / share of hits; misses: -1 / share",
     "DisCO-b, arXiv 2505.12366"},
    {STAGE_ADVANTAGE, "disco", 0, disco, "disco_tau",
     "the same, misses weighed by softmax(mean lp / tau)", "DisCO, arXiv 2505.12366"},
    {STAGE_BONUS, "passk", 0, passk, "passk",
     "rho = 1 - C(n-c,k)/C(n,k); hits (1-rho)/s, misses (1-rho-C(n-c-1,k-1)/C(n-1,k-1))/s, "
     "s = sqrt(rho(1-rho))",
     "SRPO, arXiv 2510.20815, its code; arXiv 2508.10751"},
};
const size_t ADVANTAGE_PARTS_COUNT = COUNT(ADVANTAGE_PARTS);
