#include "train/alarms.h"

#include "base/log.h"

static const struct {
    const char *name, *means;
} ALARM_TEXTS[ALARMS] = {
    {"entropy", "names become the same: try a lower rl_learning_rate, or +entropy"},
    {"silent", "nearly all groups say nothing: try +igpo, more rollouts, or other prompts (+vade)"},
    {"displaced", "what was paid for becomes less likely: try +llds"},
    {"coverage", "fewer items are shown: the reward favours what is popular"},
};

static void raise_alarm(struct alarms *a, enum alarm alarm, double value, double limit, size_t step)
{
    if (a->raised[alarm])
        return;
    a->raised[alarm] = true;
    log_info("train.alarm kind=%s step=%zu value=%.4f limit=%.4f means=\"%s\"",
             ALARM_TEXTS[alarm].name, step, value, limit, ALARM_TEXTS[alarm].means);
}

void alarms_step(struct alarms *a, const struct objective_report *r, size_t step)
{
    a->entropy += r->entropy;
    a->silent += r->silent_groups;
    a->displaced += r->displaced;
    a->steps++;
    if (a->steps % ALARM_STEPS != 0)
        return;
    if (a->steps == ALARM_STEPS)
        a->entropy_start = a->entropy;
    if (a->entropy < 0.3 * a->entropy_start)
        raise_alarm(a, ALARM_ENTROPY, a->entropy / ALARM_STEPS,
                    0.3 * a->entropy_start / ALARM_STEPS, step);
    if (a->silent > 0.8 * ALARM_STEPS)
        raise_alarm(a, ALARM_SILENT, a->silent / ALARM_STEPS, 0.8, step);
    if (a->displaced > 0.5 * ALARM_STEPS)
        raise_alarm(a, ALARM_DISPLACED, a->displaced / ALARM_STEPS, 0.5, step);
    a->entropy = a->silent = a->displaced = 0;
}

void alarms_look(struct alarms *a, double coverage, size_t step)
{
    if (a->coverage_start == 0)
        a->coverage_start = coverage;
    if (coverage < 0.7 * a->coverage_start)
        raise_alarm(a, ALARM_COVERAGE, coverage, 0.7 * a->coverage_start, step);
}
