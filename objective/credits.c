/*
 * credits.c: which decisions of a row its advantage belongs to.
 *
 * Rows of a group that chose the same tiles so far stand at the same node of the trie; V of a node
 * is the mean advantage of the rows through it.  Three credits come from that: salt gives V(node) -
 * V(root), tree_td V(node) - V(parent), which sums to the row's own advantage, and gigpo adds to
 * the row's advantage how it fares among those that stood where the decision was taken.
 */
#include "objective/parts.h"

#include <math.h>
#include <string.h>

/* Whether two units took the same first `depth` decisions. */
static bool same_path(const struct rollouts *b, size_t x, size_t y, size_t depth)
{
    size_t a = b->unit_token[x];
    size_t c = b->unit_token[y];
    if (b->unit_token[x + 1] - a < depth || b->unit_token[y + 1] - c < depth)
        return false;
    return memcmp(b->tile + a, b->tile + c, depth * sizeof *b->tile) == 0;
}

/* Mean of what the units at this place had before, over those through the node at this depth. */
static double node_value(const struct rollouts *b, const double *before, size_t group, size_t unit,
                         size_t rank, size_t depth, size_t *through)
{
    double sum = 0;
    *through = 0;
    for (size_t r = b->group_row[group]; r < b->group_row[group + 1]; r++) {
        size_t other = b->row_unit[r] + rank;
        if (other >= b->row_unit[r + 1] || !row_counts(b, r) || !same_path(b, unit, other, depth))
            continue;
        sum += before[other];
        ++*through;
    }
    return *through ? sum / (double)*through : 0;
}

/* What is known where a decision was taken. */
struct branch {
    double own, root, parent, node; /* the row's advantage; V of the nodes */
    size_t through_parent;          /* rows */
};

typedef double credit_fn(const struct objective *o, const struct branch *branch);

static void each_node(const struct objective *o, struct rollouts *b, credit_fn *fn)
{
    double *before =
        b->scratch + b->tokens; /* of each unit: its advantage, the same at its tokens */
    for (size_t u = 0; u < b->units; u++)
        before[u] = b->unit_token[u + 1] > b->unit_token[u] ? b->advantage[b->unit_token[u]] : 0;
    for (size_t g = 0; g < b->groups; g++)
        for (size_t r = b->group_row[g]; r < b->group_row[g + 1]; r++)
            for (size_t u = b->row_unit[r]; row_counts(b, r) && u < b->row_unit[r + 1]; u++) {
                size_t rank = u - b->row_unit[r];
                size_t through;
                struct branch branch = {.own = before[u]};
                branch.root = branch.node = node_value(b, before, g, u, rank, 0, &through);
                for (size_t t = b->unit_token[u]; t < b->unit_token[u + 1]; t++) {
                    branch.parent = branch.node;
                    branch.through_parent = through;
                    branch.node =
                        node_value(b, before, g, u, rank, t - b->unit_token[u] + 1, &through);
                    b->advantage[t] = fn(o, &branch);
                }
            }
}

static double to_root(const struct objective *o, const struct branch *branch)
{
    (void)o;
    return branch->node - branch->root;
}

static double salt(const struct objective *o, struct rollouts *b)
{
    each_node(o, b, to_root);
    return 0;
}

static double to_parent(const struct objective *o, const struct branch *branch)
{
    (void)o;
    return branch->node - branch->parent;
}

static double tree_td(const struct objective *o, struct rollouts *b)
{
    each_node(o, b, to_parent);
    return 0;
}

static double step_relative(const struct objective *o, const struct branch *branch)
{
    double step = branch->through_parent > 1 ? branch->own - branch->parent : 0;
    return branch->own + o->settings.gigpo_omega * step;
}

static double gigpo(const struct objective *o, struct rollouts *b)
{
    each_node(o, b, step_relative);
    return 0;
}

/* A decision that both a good and a bad row took, from the first on: the good keep it twice, the
 * bad are not blamed for it. */
static double conflict_mask(const struct objective *o, struct rollouts *b)
{
    (void)o;
    memcpy(b->scratch, b->advantage, b->tokens * sizeof *b->scratch);
    for (size_t g = 0; g < b->groups; g++)
        for (size_t r = b->group_row[g]; r < b->group_row[g + 1]; r++)
            for (size_t u = b->row_unit[r]; row_counts(b, r) && u < b->row_unit[r + 1]; u++)
                for (size_t t = b->unit_token[u]; t < b->unit_token[u + 1]; t++) {
                    bool conflict = false;
                    for (size_t k = b->group_row[g]; k < b->group_row[g + 1]; k++) {
                        size_t other = b->row_unit[k] + u - b->row_unit[r];
                        conflict =
                            conflict ||
                            (other < b->row_unit[k + 1] && row_counts(b, k) &&
                             same_path(b, u, other, t - b->unit_token[u] + 1) &&
                             b->scratch[b->unit_token[other]] * b->scratch[b->unit_token[u]] < 0);
                    }
                    if (conflict)
                        b->advantage[t] *= b->advantage[t] > 0 ? 2 : 0;
                }
    return 0;
}

/* Only the share of tokens with the largest |advantage| * entropy stays in the loss. */
static double token_topk(const struct objective *o, struct rollouts *b)
{
    size_t live = 0;
    for (size_t t = 0; t < b->tokens; t++)
        if (b->weight[t] > 0)
            b->scratch[live++] = fabs(b->advantage[t]) * b->entropy[t];
    size_t keep = (size_t)ceil(o->settings.token_share * (double)live);
    if (keep >= live)
        return 0;
    for (size_t i = 1; i < live; i++) { /* the keep largest to the front, kept in falling order */
        double key = b->scratch[i];
        size_t k = i < keep ? i : keep;
        if (k == keep && (keep == 0 || key <= b->scratch[keep - 1]))
            continue;
        k = k == keep ? keep - 1 : k;
        for (; k > 0 && b->scratch[k - 1] < key; k--)
            b->scratch[k] = b->scratch[k - 1];
        b->scratch[k] = key;
    }
    double least = keep ? b->scratch[keep - 1] : HUGE_VAL;
    for (size_t t = 0; t < b->tokens; t++)
        if (b->weight[t] > 0 && fabs(b->advantage[t]) * b->entropy[t] < least)
            b->weight[t] = 0;
    return 0;
}

const struct objective_part CREDIT_PARTS[] = {
    {STAGE_CREDIT, "salt", 0, salt, "", "V(node) - V(root)", "SALT, arXiv 2510.20022"},
    {STAGE_CREDIT, "tree_td", 0, tree_td, "", "V(node) - V(parent)",
     "the difference form of SALT; sums to the row's advantage"},
    {STAGE_CREDIT, "gigpo", 0, gigpo, "gigpo_omega", "A + omega (A - V(parent))",
     "GiGPO, arXiv 2505.10978, anchor: the tiles so far"},
    {STAGE_CREDIT, "conflict_mask", 0, conflict_mask, "",
     "a prefix shared by good and bad rows: 2 A for the good, 0 for the bad",
     "GTPO, arXiv 2508.03772"},
    {STAGE_CREDIT, "token_topk", NEEDS_ENTROPY, token_topk, "token_share",
     "only the share of tokens with the largest |A| H", "D3S, arXiv 2509.22115, token level"},
};
const size_t CREDIT_PARTS_COUNT = COUNT(CREDIT_PARTS);
