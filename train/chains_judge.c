/* chains_judge.c: what written chains are worth: whether their claims hold, and what they answer.
 */
#include "train/chains.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { JUDGED_AT_ONCE = 16, JUDGED_ITEMS = 50 };

/* What one case showed. */
struct seen_case {
    bool answered, measured, lowered[2]; /* of the policy's answer, of the slate's first */
    unsigned char said[CLAIM_KINDS], held[CLAIM_KINDS];
    unsigned char confidence; /* tenths */
    bool came_true;           /* what was said to come next did */
    double reason_ms, direct_ms;
};

struct judging {
    struct chain_judgement *out;
    struct seen_case *seen;
    const struct cases *cases;
    const struct snapshot *snapshot;
    const struct chain_judging *options;
    struct chain_works works;
};

static uint32_t place_of(const struct hit *hits, size_t count, uint32_t row)
{
    for (size_t i = 0; i < count; i++)
        if (hits[i].row == row)
            return (uint32_t)i + 1;
    return 0;
}

static bool judge_slate(struct judging *j, size_t at, size_t worker, int mode)
{
    const struct cases *c = j->cases;
    struct slate_work *w = &j->works.slates[worker];
    struct slate *slate = &j->works.slate[worker];
    const struct reasoned *r = &j->works.reasoned[worker];
    const uint32_t *history = c->history + c->history_first[at];
    size_t count = c->history_first[at + 1] - c->history_first[at];
    struct slate_request request = {
        .history = history, .history_count = count, .n = JUDGED_ITEMS, .beam = j->options->beam};
    uint32_t *cleaned = j->works.cleaned[worker];
    if (mode == CHAINS_REASONED) {
        size_t newest = count < j->options->history_max ? count : j->options->history_max;
        request.history = cleaned;
        request.history_count = reason_clean(cleaned, r, history + count - newest, newest);
        request.prompt = r->symbols;
        request.prompt_count = r->count;
    }
    slate_begin(w, j->snapshot);
    for (size_t i = c->seen_first[at]; i < c->seen_first[at + 1]; i++)
        bit_set(w->skip, c->seen[i]);
    if (!slate_make(slate, w, j->snapshot, NULL, &request, &j->works.errors[worker]))
        return false;
    j->out->rank[mode][CHAINS_NAME][at] = place_of(w->name_hits, w->name_count, c->target[at]);
    j->out->rank[mode][CHAINS_SLATE][at] = 0;
    for (size_t i = 0; i < slate->count; i++)
        if (slate->items[i].row == c->target[at])
            j->out->rank[mode][CHAINS_SLATE][at] = (uint32_t)i + 1;
    return true;
}

/* log p(answer) without some items of the history, read plainly. */
static double log_without(struct judging *j, size_t worker, const bool *out, uint32_t answer)
{
    const struct chain_writer *w = &j->works.reasoned[worker].writer;
    uint32_t left[CHAIN_HISTORY];
    size_t count = 0;
    for (size_t i = 0; i < w->history_count; i++)
        if (!out[i])
            left[count++] = w->history[i];
    return reason_log_name(&j->works.reasons[worker], j->snapshot, left, count, answer);
}

/*
 * Whether the items that hold the claims up matter: without as many of the others the answer must
 * stay likelier.  Of the others a fixed stream says which; of the cited, where there are more,
 * those that were named first; with nothing else in the history, or nothing cited, there is nothing
 * to measure.
 */
static void judge_removal(struct judging *j, size_t at, size_t worker, const struct claim *claims,
                          size_t count, const uint32_t answer[2])
{
    const struct chain_writer *w = &j->works.reasoned[worker].writer;
    bool is_cited[CHAIN_HISTORY] = {false};
    uint32_t cited[CHAIN_HISTORY];
    uint32_t other[CHAIN_HISTORY];
    size_t cited_count = 0;
    size_t other_count = 0;
    struct rng rng = rng_stream(0x5eed, at, 0);
    for (size_t k = 0; k < count; k++)
        for (size_t n = 0; n < claims[k].items; n++)
            for (size_t i = 0; i < w->history_count; i++)
                if (claims[k].kind == CLAIM_EVIDENCE && claims[k].holds && !is_cited[i] &&
                    claims[k].item[n] == w->history[i]) {
                    is_cited[i] = true;
                    cited[cited_count++] = (uint32_t)i;
                }
    for (size_t i = 0; i < w->history_count; i++)
        if (!is_cited[i])
            other[other_count++] = (uint32_t)i;
    size_t many = cited_count < other_count ? cited_count : other_count;
    if (many == 0)
        return;
    rng_shuffle(&rng, other, other_count);
    bool without[2][CHAIN_HISTORY] = {{false}};
    for (size_t i = 0; i < many; i++)
        without[0][cited[i]] = without[1][other[i]] = true;
    j->seen[at].measured = true;
    for (size_t k = 0; k < 2; k++)
        j->seen[at].lowered[k] = log_without(j, worker, without[0], answer[k]) <
                                 log_without(j, worker, without[1], answer[k]);
}

static void judge_answer(struct judging *j, size_t at, size_t worker)
{
    struct seen_case *seen = &j->seen[at];
    const struct reasoned *r = &j->works.reasoned[worker];
    struct claim claims[CLAIMS_MAX];
    uint32_t answer[PLAN_ITEMS];
    size_t answers = 0;
    if (!j->options->quick && judge_slate(j, at, worker, CHAINS_REASONED)) {
        const struct slate *slate = &j->works.slate[worker];
        for (; answers < PLAN_ITEMS && answers < slate->count; answers++)
            answer[answers] = slate->items[answers].row;
    }
    size_t count = claims_check(claims, &r->writer, r->gains, j->snapshot, answer, answers);
    for (size_t k = 0; k < count; k++) {
        seen->said[claims[k].kind]++;
        seen->held[claims[k].kind] += claims[k].holds;
    }
    if (answers && j->works.slates[worker].name_count) {
        const uint32_t first[2] = {j->works.slates[worker].name_hits[0].row, answer[0]};
        judge_removal(j, at, worker, claims, count, first);
    }
    seen->confidence = (unsigned char)r->writer.chain.next.tenths;
    seen->came_true =
        j->cases->target[at] != NO_ITEM &&
        snapshot_has_attribute(j->snapshot, j->cases->target[at], r->writer.chain.next.attribute);
}

static void judge_case(struct judging *j, size_t at, size_t worker)
{
    const struct cases *c = j->cases;
    struct seen_case *seen = &j->seen[at];
    size_t count = c->history_first[at + 1] - c->history_first[at];
    const struct reason_options writing = {.facts = j->options->facts};
    double start = clock_s();
    for (int m = 0; m < 2; m++)
        j->out->rank[m][CHAINS_NAME][at] = j->out->rank[m][CHAINS_SLATE][at] = 0;
    if (count == 0)
        return;
    seen->answered = true;
    if (!j->options->quick && !judge_slate(j, at, worker, CHAINS_DIRECT))
        return;
    double direct = clock_s();
    reason_write(&j->works.reasoned[worker], &j->works.reasons[worker], j->snapshot,
                 c->history + c->history_first[at], count, &writing, NULL);
    judge_answer(j, at, worker);
    seen->direct_ms = (direct - start) * 1000;
    seen->reason_ms = (clock_s() - direct) * 1000;
}

static void judge_piece(void *self, size_t piece, size_t worker)
{
    struct judging *j = self;
    for (size_t i = piece * JUDGED_AT_ONCE; i < (piece + 1) * JUDGED_AT_ONCE && i < j->cases->count;
         i++)
        judge_case(j, i, worker);
}

static void sum_up(struct chain_judgement *out, const struct judging *j)
{
    double said[CHAIN_TENTHS] = {0};
    double came[CHAIN_TENTHS] = {0};
    for (size_t i = 0; i < j->cases->count; i++) {
        const struct seen_case *s = &j->seen[i];
        size_t kinds = 0;
        size_t held = 0;
        if (!s->answered)
            continue;
        out->answers++;
        for (size_t k = 0; k < CLAIM_KINDS; k++) {
            out->said[k] += s->said[k];
            out->held[k] += s->held[k];
            held += s->held[k];
            kinds += s->held[k] > 0;
        }
        out->surviving += held;
        out->two_of_two += held >= 2 && kinds >= 2;
        out->removals += s->measured;
        for (size_t k = 0; k < 2; k++)
            out->lowered[k] += s->measured && s->lowered[k];
        out->reason_ms += s->reason_ms;
        out->direct_ms += s->direct_ms;
        said[s->confidence]++;
        came[s->confidence] += s->came_true;
    }
    double answers = out->answers ? (double)out->answers : 1;
    for (size_t d = 0; d < CHAIN_TENTHS; d++)
        out->calibration += fabs(said[d] * ((double)d + 0.5) / CHAIN_TENTHS - came[d]) / answers;
    out->reason_ms /= answers;
    out->direct_ms /= answers;
}

static bool judging_open(struct judging *j, struct thread_pool *pool, struct err *err)
{
    size_t cases = j->cases->count;
    j->seen = calloc(cases + 1, sizeof *j->seen);
    bool fine = j->seen != NULL;
    for (int m = 0; m < 2; m++)
        for (int k = 0; k < 2; k++) {
            j->out->rank[m][k] = calloc(cases + 1, sizeof(uint32_t));
            fine = fine && j->out->rank[m][k];
        }
    if (!fine)
        return err_set(err, ERR_SYSTEM, "no memory to judge %zu chains", cases);
    return chain_works_open(&j->works, j->snapshot, j->options->history_max, !j->options->quick,
                            pool, err);
}

bool chains_judge(struct chain_judgement *out, const struct cases *cases,
                  const struct snapshot *snapshot, const struct chain_judging *options,
                  struct thread_pool *pool, struct err *err)
{
    struct judging j = {.out = out, .cases = cases, .snapshot = snapshot, .options = options};
    *out = (struct chain_judgement){0};
    bool fine = judging_open(&j, pool, err);
    if (fine)
        thread_pool_run(pool, (cases->count + JUDGED_AT_ONCE - 1) / JUDGED_AT_ONCE, judge_piece,
                        &j);
    fine = fine && chain_works_fine(&j.works, err);
    if (fine)
        sum_up(out, &j);
    chain_works_close(&j.works);
    free(j.seen);
    if (!fine)
        chain_judgement_free(out);
    return fine;
}

void chain_judgement_free(struct chain_judgement *out)
{
    for (int m = 0; m < 2; m++)
        for (int k = 0; k < 2; k++)
            free(out->rank[m][k]);
    *out = (struct chain_judgement){0};
}
