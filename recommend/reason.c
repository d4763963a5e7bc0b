#include "recommend/reason.h"

#include "model/decode.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { PLAIN_POSITIONS = CHAIN_HISTORY + 1, DROPS_TRIED = 3, PLAIN_ANSWERS = 10 };

static void work_layout(struct reason_work *w, const struct snapshot *s, size_t width,
                        struct arena *arena)
{
    const struct shape *shape = &s->version->policy.shape;
    size_t positions = CHAIN_HISTORY + CHAIN_SYMBOLS;
    /* a work that learns keeps all layers, which is what a cache of keys and values is */
    policy_layout(&w->policy, shape, positions, positions, width, 1, true, arena);
    policy_layout(&w->plain, shape, PLAIN_POSITIONS, PLAIN_POSITIONS, width, 0, false, arena);
    decode_layout(&w->decode, shape, PLAIN_ANSWERS, width, arena);
    w->input = arena_take(arena, positions, sizeof *w->input);
    w->query = arena_take(arena, shape->dim, sizeof *w->query);
    w->logits = arena_take(arena, ATTRIBUTES_MAX + 2, sizeof *w->logits);
    w->skip = arena_take(arena, w->rows_max / 64 + 1, sizeof *w->skip);
    w->allowed_before = arena_take(arena, w->rows_max / 64 + 1, sizeof *w->allowed_before);
}

bool reason_work_open(struct reason_work *w, const struct snapshot *s, size_t late_max,
                      struct err *err)
{
    struct arena ruler = {0};
    size_t width = s->version->trie.width + s->late_trie.width + late_max + 1;
    *w = (struct reason_work){.rows_max = s->rows + late_max};
    work_layout(w, s, width, &ruler);
    if (!arena_open(&w->arena, ruler.used, err))
        return false;
    work_layout(w, s, width, &w->arena);
    policy_prepare(&w->policy, &s->version->policy.shape);
    policy_prepare(&w->plain, &s->version->policy.shape);
    decode_prepare(&w->decode, &s->version->policy.shape);
    return true;
}

void reason_work_close(struct reason_work *w)
{
    arena_close(&w->arena);
}

/* ---- how likely the rest is ---- */

static double log_name(struct reason_work *w, const struct snapshot *s, const struct policy *policy,
                       size_t position, uint32_t row)
{
    const struct trie_mask mask = {.base = &s->version->trie, .late = &s->late_trie};
    const struct legal_tiles legal = trie_legal(&mask);
    float score;
    name_score(&score, &row, 1, &w->decode, policy, w->plain.trunk.z + position * policy->shape.dim,
               &legal);
    return (double)score;
}

static void read_plain(struct reason_work *w, const struct policy *policy, const uint32_t *rows,
                       size_t count)
{
    const uint32_t first[2] = {0, (uint32_t)count};
    const struct packed packed = {.positions = count, .sequences = 1, .first = first};
    const struct loss_options options = {0};
    assert(count > 0 && count <= PLAIN_POSITIONS);
    policy_forward(&w->plain, policy, &packed, rows, &options);
}

double reason_log_name(struct reason_work *w, const struct snapshot *s, const uint32_t *before,
                       size_t count, uint32_t row)
{
    const struct policy policy = snapshot_policy(s);
    read_plain(w, &policy, before, count);
    return log_name(w, s, &policy, count - 1, row);
}

size_t reason_without(uint32_t *out, const uint32_t *history, size_t count, uint32_t row)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (history[i] != row)
            out[kept++] = history[i];
    return kept;
}

double reason_gain(struct reason_work *w, const struct snapshot *s, const uint32_t *history,
                   size_t count, uint32_t row)
{
    const struct policy policy = snapshot_policy(s);
    uint32_t without[CHAIN_HISTORY];
    bool counts[CHAIN_HISTORY] = {false}; /* the rest that has a past both ways */
    size_t kept = reason_without(without, history, count, row);
    size_t before = 0; /* kept so far */
    size_t rest = 0;
    double gain = 0;
    for (size_t i = 0; i < count; i++) {
        counts[i] = history[i] != row && before > 0 && before < i;
        rest += counts[i];
        before += history[i] != row;
    }
    if (rest == 0)
        return 0;
    read_plain(w, &policy, history, count);
    for (size_t i = 1; i < count; i++)
        if (counts[i])
            gain -= log_name(w, s, &policy, i - 1, history[i]);
    read_plain(w, &policy, without, kept);
    before = 0;
    for (size_t i = 0; i < count; i++) {
        if (counts[i])
            gain += log_name(w, s, &policy, before - 1, history[i]);
        before += history[i] != row;
    }
    return gain / (double)rest;
}

/* The likeliest names after a plain history, none of it; returns how many. */
static size_t plain_answers(struct hit hits[PLAIN_ANSWERS], struct reason_work *w,
                            const struct snapshot *s, const struct policy *policy,
                            const uint32_t *history, size_t count)
{
    memcpy(w->skip, s->hidden, (s->rows / 64 + 1) * sizeof *w->skip);
    for (size_t i = 0; i < count; i++)
        bit_set(w->skip, history[i]);
    trie_count_allowed(w->allowed_before, w->skip, s->rows);
    const struct trie_mask mask = {.base = &s->version->trie,
                                   .late = &s->late_trie,
                                   .skip = w->skip,
                                   .allowed_before = w->allowed_before};
    const struct legal_tiles legal = trie_legal(&mask);
    read_plain(w, policy, history, count);
    return name_beam(hits, PLAIN_ANSWERS, &w->decode, policy,
                     w->plain.trunk.z + (count - 1) * policy->shape.dim, &legal);
}

/* Only what enough of the likeliest answers have is planned; if nothing is, anything. */
static void find_plannable(struct chain_writer *writer, const struct snapshot *s,
                           const struct hit *hits, size_t count)
{
    unsigned char having[ATTRIBUTES_MAX] = {0};
    double least = PLAN_SHARE * (double)count;
    bool any = false;
    for (size_t i = 0; i < count; i++)
        for (size_t k = s->attribute_first[hits[i].row]; k < s->attribute_first[hits[i].row + 1];
             k++)
            having[s->attribute[k]]++;
    for (size_t a = 0; a < writer->attributes->count; a++)
        any = any || (double)having[a] >= least;
    for (size_t a = 0; any && a < writer->attributes->count; a++)
        writer->plannable[a] = (double)having[a] >= least;
}

/* Orders the history by how much less likely the likeliest answer would be without each item. */
static void find_idle(struct chain_writer *writer, struct reason_work *w, const struct snapshot *s,
                      uint32_t answer)
{
    size_t n = writer->history_count;
    struct hit without[CHAIN_HISTORY];
    uint32_t left[CHAIN_HISTORY];
    for (size_t i = 0; i < n; i++) {
        size_t kept = reason_without(left, writer->history, n, writer->history[i]);
        float lost = kept ? -(float)reason_log_name(w, s, left, kept, answer) : INFINITY;
        without[i] = (struct hit){(uint32_t)i, lost};
    }
    hits_sort(without, n); /* what makes it least likely first */
    for (size_t k = 0; k < n; k++)
        writer->idle[without[k].row] = (unsigned char)k;
}

static void find_facts(struct chain_writer *writer, struct reason_work *w, const struct snapshot *s,
                       const struct policy *policy)
{
    struct hit hits[PLAIN_ANSWERS];
    size_t count = plain_answers(hits, w, s, policy, writer->history, writer->history_count);
    if (count == 0)
        return;
    find_plannable(writer, s, hits, count);
    if (writer->history_count > 2)
        find_idle(writer, w, s, hits[0].row);
}

/* ---- writing ---- */

/* Which of the choices; adds its log-probability. */
static size_t choose(struct reasoned *out, struct reason_work *w, const struct policy *policy,
                     const real *z, const struct reason_options *options, struct rng *rng)
{
    size_t count = out->writer.choices;
    struct choice choice = {out->writer.choice, count, 0};
    double scale = options->temperature > 0 ? options->temperature : 1;
    double lp;
    double entropy;
    if (count == 1)
        return 0;
    choice_logits(w->logits, w->query, policy, z, choice.symbols, count);
    choice_score(&lp, &entropy, w->logits, &choice, scale);
    if (options->temperature > 0) {
        choice.chosen = choice_draw(w->logits, count, rng);
    } else {
        for (size_t i = 1; i < count; i++)
            choice.chosen = w->logits[i] > w->logits[choice.chosen] ? i : choice.chosen;
    }
    out->log_probability += log((double)w->logits[choice.chosen]);
    return choice.chosen;
}

/* Of the history without what was dropped before. */
static double gain_without(struct reason_work *w, const struct snapshot *s,
                           const struct chain_writer *writer, size_t dropped, uint32_t row)
{
    uint32_t left[CHAIN_HISTORY];
    size_t count = 0;
    for (size_t i = 0; i < writer->history_count; i++) {
        bool gone = false;
        for (size_t d = 0; d < dropped; d++)
            gone = gone || (!writer->kept[i] && writer->history[i] == writer->chain.drop[d]);
        if (!gone)
            left[count++] = writer->history[i];
    }
    return reason_gain(w, s, left, count, row);
}

/* What was to be dropped stays, unless the rest is likelier without it. */
static void check_drops(struct reasoned *out, struct reason_work *w, const struct snapshot *s)
{
    struct chain_writer *writer = &out->writer;
    for (size_t d = 0; d < writer->chain.drop_count; d++) {
        out->gains[d] = gain_without(w, s, writer, d, writer->chain.drop[d]);
        if (out->gains[d] <= 0)
            chain_keep(writer, writer->chain.drop[d]);
    }
}

/* The likeliest few to be dropped, in turn: the first that the rest is likelier without. */
static bool find_drop(uint32_t *row, const struct reasoned *out, struct reason_work *w,
                      const struct snapshot *s, const struct policy *policy, const real *z)
{
    const struct chain_writer *writer = &out->writer;
    choice_logits(w->logits, w->query, policy, z, writer->choice, writer->choices);
    for (size_t tries = 0; tries < DROPS_TRIED && tries < writer->choices; tries++) {
        size_t best = 0;
        for (size_t i = 1; i < writer->choices; i++)
            best = w->logits[i] > w->logits[best] ? i : best;
        *row = writer->choice[best];
        if (gain_without(w, s, writer, writer->chain.drop_count, *row) > 0)
            return true;
        w->logits[best] = -INFINITY;
    }
    return false;
}

void reason_write(struct reasoned *out, struct reason_work *w, const struct snapshot *s,
                  const uint32_t *history, size_t count, const struct reason_options *options,
                  struct rng *rng)
{
    const struct policy policy = snapshot_policy(s);
    struct chain_writer *writer = &out->writer;
    chain_begin(writer, s->version->attributes, options->facts ? s : NULL, history, count);
    if (options->facts)
        find_facts(writer, w, s, &policy);
    size_t read = writer->history_count;
    const uint32_t first[2] = {0, (uint32_t)read};
    const uint32_t prefix[1] = {0};
    const struct packed packed = {.positions = read + CHAIN_SYMBOLS,
                                  .sequences = 1,
                                  .first = first,
                                  .suffixes = 1,
                                  .steps = CHAIN_SYMBOLS,
                                  .prefix = prefix};
    out->log_probability = 0;
    out->count = read;
    memcpy(w->input, writer->history, read * sizeof *w->input);
    policy_forward_prefixes(&w->policy, &policy, &packed, w->input);
    while (writer->state != CHAIN_COPY) {
        const real *z = w->policy.trunk.z + (out->count - 1) * policy.shape.dim;
        uint32_t symbol = NO_ITEM;
        if (options->facts && writer->state == CHAIN_DROPPED) {
            if (!find_drop(&symbol, out, w, s, &policy, z)) {
                chain_refuse(writer);
                out->count--;
                continue;
            }
        } else {
            bool drops = options->facts && writer->state == CHAIN_MORE_DROPS;
            double before = out->log_probability;
            symbol = writer->choice[choose(out, w, &policy, z, options, rng)];
            out->log_probability = drops ? before : out->log_probability;
        }
        chain_take(writer, symbol);
        w->input[out->count] = symbol;
        policy_forward_step(&w->policy, &policy, &packed, w->input, out->count - read);
        out->count++;
    }
    check_drops(out, w, s);
    while (writer->choices) { /* the copy is not chosen */
        w->input[out->count++] = writer->choice[0];
        chain_take(writer, writer->choice[0]);
    }
    assert(out->count <= read + CHAIN_SYMBOLS);
    memcpy(out->symbols, w->input, out->count * sizeof *w->input);
}

size_t reason_clean(uint32_t *cleaned, const struct reasoned *reasoned, const uint32_t *history,
                    size_t count)
{
    const struct chain_writer *w = &reasoned->writer;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool out = false;
        for (size_t k = 0; k < w->history_count; k++)
            out = out || (!w->kept[k] && w->history[k] == history[i]);
        if (!out)
            cleaned[kept++] = history[i];
    }
    return kept;
}
