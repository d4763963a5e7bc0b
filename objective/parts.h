/* parts.h: what the files of parts share; every part is in the table of its file. */
#ifndef OBJECTIVE_PARTS_H
#define OBJECTIVE_PARTS_H

#include "objective/objective.h"

extern const struct objective_part REWARD_PARTS[], FILTER_PARTS[], ADVANTAGE_PARTS[],
    CREDIT_PARTS[], LOSS_PARTS[], REGULARISER_PARTS[];
extern const size_t REWARD_PARTS_COUNT, FILTER_PARTS_COUNT, ADVANTAGE_PARTS_COUNT,
    CREDIT_PARTS_COUNT, LOSS_PARTS_COUNT, REGULARISER_PARTS_COUNT;

/* Mean reward over a row's units: the reward of an item, or of a list. */
double row_reward(const struct rollouts *b, size_t row);
/* Rows of a group that the policy sampled and no filter dropped. */
bool row_counts(const struct rollouts *b, size_t row);
/* Mean and unbiased standard deviation; 0 deviation below two values. */
void mean_and_deviation(double *mean, double *deviation, const double *values, size_t count);
/* Tokens of a row's units with weight, summed. */
double row_live(const struct rollouts *b, size_t row);

#endif
