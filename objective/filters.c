/* filters.c: which rows take part. */
#include "objective/parts.h"

#include <math.h>

static void drop_row(struct rollouts *b, size_t row)
{
    for (size_t t = row_first_token(b, row); t < row_last_token(b, row); t++)
        b->weight[t] = 0;
}

/* Whether all counted rows of a group are worth the same at every place. */
static bool is_silent(const struct rollouts *b, size_t group)
{
    size_t first = b->group_row[group];
    while (first < b->group_row[group + 1] && !row_counts(b, first))
        first++;
    for (size_t r = first + 1; r < b->group_row[group + 1]; r++) {
        size_t units = b->row_unit[r + 1] - b->row_unit[r];
        if (!row_counts(b, r))
            continue;
        if (units != b->row_unit[first + 1] - b->row_unit[first])
            return false;
        for (size_t u = 0; u < units; u++)
            if (fabs(b->reward[b->row_unit[r] + u] - b->reward[b->row_unit[first] + u]) > 1e-12)
                return false;
    }
    return true;
}

static double zero_std(const struct objective *o, struct rollouts *b)
{
    (void)o;
    for (size_t g = 0; g < b->groups; g++)
        if (is_silent(b, g))
            for (size_t r = b->group_row[g]; r < b->group_row[g + 1]; r++)
                drop_row(b, r);
    return 0;
}

/*
 * Of each group the keep_rows rows whose rewards vary most: some of the smallest and the rest of
 * the largest (the best subset always has this form).
 */
static double max_var(const struct objective *o, struct rollouts *b)
{
    for (size_t g = 0; g < b->groups; g++) {
        size_t rows[256];
        size_t count = 0;
        for (size_t r = b->group_row[g]; r < b->group_row[g + 1] && count < COUNT(rows); r++)
            if (row_counts(b, r))
                rows[count++] = r;
        for (size_t i = 1; i < count; i++) /* by rising reward; a group is small */
            for (size_t k = i; k > 0 && row_reward(b, rows[k]) < row_reward(b, rows[k - 1]); k--) {
                size_t moved = rows[k];
                rows[k] = rows[k - 1];
                rows[k - 1] = moved;
            }
        size_t keep = o->settings.keep_rows < count ? o->settings.keep_rows : count;
        size_t best = 0;
        double most = -1;
        for (size_t low = 0; low <= keep; low++) {
            double sum = 0;
            double squares = 0;
            for (size_t i = 0; i < keep; i++) {
                double x = row_reward(b, rows[i < low ? i : count - keep + i]);
                sum += x;
                squares += x * x;
            }
            double variance = squares - sum * sum / (double)(keep ? keep : 1);
            if (variance > most + 1e-15) {
                most = variance;
                best = low;
            }
        }
        for (size_t i = best; i < count - keep + best; i++)
            drop_row(b, rows[i]);
    }
    return 0;
}

/* At most as many misses as hits; which of them stay is drawn. */
static double balance(const struct objective *o, struct rollouts *b)
{
    (void)o;
    for (size_t g = 0; g < b->groups; g++) {
        double mean = 0;
        size_t count = 0;
        size_t hits = 0;
        for (size_t r = b->group_row[g]; r < b->group_row[g + 1]; r++)
            if (row_counts(b, r)) {
                mean += row_reward(b, r);
                count++;
            }
        mean /= (double)(count ? count : 1);
        for (size_t r = b->group_row[g]; r < b->group_row[g + 1]; r++)
            hits += row_counts(b, r) && row_reward(b, r) > mean;
        size_t left = count - hits;
        size_t wanted = hits < left ? hits : left;
        for (size_t r = b->group_row[g]; hits && r < b->group_row[g + 1]; r++) {
            if (!row_counts(b, r) || row_reward(b, r) > mean)
                continue;
            if (rng_below(&b->rng, left--) < wanted)
                wanted--;
            else
                drop_row(b, r);
        }
    }
    return 0;
}

const struct objective_part FILTER_PARTS[] = {
    {STAGE_FILTER, "zero_std", 0, zero_std, "", "groups whose rewards do not differ are dropped",
     "DAPO, arXiv 2503.14476; SRPO's code"},
    {STAGE_FILTER, "max_var", 0, max_var, "keep_rows",
     "the keep_rows rows of a group with the largest variance of rewards",
     "D3S, arXiv 2509.22115, sample level"},
    {STAGE_FILTER, "balance", 0, balance, "", "surplus misses of a group are dropped at random",
     "RED-Drop, arXiv 2509.24203"},
};
const size_t FILTER_PARTS_COUNT = COUNT(FILTER_PARTS);
