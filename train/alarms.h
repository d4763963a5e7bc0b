/*
 * alarms.h: what goes wrong in post-training before validation shows it.
 *
 *   entropy    the mean of the last ALARM_STEPS steps is below .3 of that of the first
 *   silent     more than .8 of the groups of the last ALARM_STEPS steps say nothing
 *   displaced  more than half of the decisions that were paid for became less likely when looked at
 *              again (LLDS, arXiv 2512.04220)
 *   coverage   lists of ten hold less than .7 of the items that they held at the first look
 *
 * Each is logged once a run; none stops anything.  What came before a resume is not known to it.
 */
#ifndef TRAIN_ALARMS_H
#define TRAIN_ALARMS_H

#include "train/rl.h"

enum { ALARM_STEPS = 20 };
enum alarm { ALARM_ENTROPY, ALARM_SILENT, ALARM_DISPLACED, ALARM_COVERAGE, ALARMS };

struct alarms {
    size_t steps;
    double entropy_start, entropy, silent, displaced; /* sums over ALARM_STEPS steps */
    double coverage_start;                            /* 0: not looked yet */
    bool raised[ALARMS];
};

void alarms_step(struct alarms *alarms, const struct objective_report *report, size_t step);
void alarms_look(struct alarms *alarms, double coverage, size_t step);

#endif
