/*
 * stages.c: what comes after supervised training goes on from a version: lists to imitate, or names
 * and lists that are paid for.
 */
#include "base/log.h"
#include "train/list_told.h"
#include "train/training.h"

#include <math.h>
#include <string.h>

enum { TALKING_RANKS = 20 };

/* Beside the objective; where nothing else is learnt, few windows are read in vain. */
static void weigh_beside(struct train_settings *s, bool talking)
{
    enum { FEW = 4 };
    double beside = s->rl_beside >= 0 ? s->rl_beside : talking ? 0 : 1;
    s->find_weight *= beside;
    s->name_weight *= beside;
    s->say_weight *= beside;
    if (beside > 0)
        return;
    s->task_share = 0;
    s->batch = FEW;
}

/* What a stage means in settings, and what it starts from. */
bool stage_expand(struct training *t, struct train_settings *s, struct err *err)
{
    bool rl = strcmp(s->stage, "rl") == 0;
    bool lists = strcmp(s->stage, "lists") == 0;
    if (strcmp(s->stage, "sft") == 0)
        return true;
    t->reasons = strcmp(s->stage, "reason") == 0;
    t->experience = strcmp(s->stage, "experience") == 0;
    bool dialogue = strcmp(s->stage, "dialogue") == 0;
    bool goes_on = strcmp(s->stage, "continue") == 0;
    t->talking.on =
        dialogue || ((rl || goes_on || t->experience) && strcmp(s->rl_source, "dialogues") == 0);
    if (!rl && !lists && !t->reasons && !dialogue && !goes_on && !t->experience)
        return err_set(err, ERR_INPUT,
                       "stage: expected sft, lists, reason, dialogue, experience, rl or continue, "
                       "found '%.40s'",
                       s->stage);
    if ((t->talking.on || t->experience) && s->list_items == 0)
        s->list_items = TALKING_RANKS;
    if (lists && s->list_items == 0)
        return err_set(err, ERR_INPUT, "stage: lists needs their length: add --list-items 20");
    if (strcmp(s->list_teacher, "slate") != 0 && strcmp(s->list_teacher, "rra") != 0)
        return err_set(err, ERR_INPUT, "list_teacher: expected slate or rra, found '%.40s'",
                       s->list_teacher);
    if (strcmp(s->rl_source, "kept") != 0 && strcmp(s->rl_source, "newer") != 0 &&
        strcmp(s->rl_source, "dialogues") != 0)
        return err_set(err, ERR_INPUT,
                       "rl_source: expected kept, newer or dialogues, found '%.40s'", s->rl_source);
    if (t->talking.on && s->rl_reasons)
        return err_set(err, ERR_INPUT,
                       "rl_reasons: a dialogue is answered by a list, not by a chain and a name");
    if (strcmp(s->preset, "policy") != 0)
        return err_set(err, ERR_INPUT, "stage: %s goes on from a policy, not from %s", s->stage,
                       s->preset);
    t->posttrains = true;
    if (rl)
        weigh_beside(s, t->talking.on);
    s->learning_rate = t->reasons ? s->reason_learning_rate
                       : dialogue ? s->dialogue_learning_rate
                                  : s->rl_learning_rate;
    s->rl_steps = t->reasons ? s->reason_steps : dialogue ? s->dialogue_steps : s->rl_steps;
    if (t->talking.on && !dialogue && strcmp(s->init, "production") == 0 &&
        version_link(t->init, t->job->home, "production/chat", &(struct err){0}))
        return true;
    if (strcmp(s->init, "production") == 0)
        return production_name(t->init, t->job->home, err);
    snprintf(t->init, sizeof t->init, "%.60s", s->init);
    return true;
}

/* Supervised losses that learn from the events kept for rl, too. */
void stage_release_kept(struct training *t)
{
    struct split *split = &t->data.split;
    const struct train_settings *s = t->job->train;
    if (strcmp(s->stage, "continue") == 0 || (t->posttrains && s->learn_kept))
        memcpy(split->train_end, split->rl_end, split->users * sizeof *split->train_end);
}

/*
 * Params fit if each tensor has as many numbers and attention cuts them alike; tokens of attributes
 * may be new.
 */
static bool fits(const struct shape *start, const struct shape *now)
{
    struct shape same = *now;
    if (start->vocab < now->vocab)
        same.vocab = start->vocab;
    for (size_t i = 0; i < PARAM_COUNT; i++)
        if (param_count(&PARAMS[i], start) != param_count(&PARAMS[i], &same))
            return false;
    return start->heads == now->heads && start->node_vectors == now->node_vectors;
}

static size_t list_history(const struct train_settings *s)
{
    return s->window < LIST_HISTORY_MAX ? s->window : LIST_HISTORY_MAX;
}

static bool writes_lists(const struct training *t)
{
    return t->posttrains && !t->talking.on && t->job->train->list_items > 0;
}

static bool not_alike(const struct training *t, struct err *err)
{
    return err_set(err, ERR_INPUT,
                   "init: version %s was made from another index or with other sizes than these "
                   "settings say",
                   t->init);
}

/* The version that a later stage starts from; one that can reason goes on being one that can. */
bool stage_open_start(struct training *t, struct attributes **attributes, struct err *err)
{
    const struct train_settings *s = t->job->train;
    char path[PATH_SIZE];
    *attributes = NULL;
    if (!t->posttrains)
        return true;
    t->start = version_open(t->job->home, t->init, t->job->store, s->scan_items_max, err);
    if (!t->start)
        return false;
    if (strcmp(t->start->index->fingerprint, t->data.index->fingerprint) != 0)
        return not_alike(t, err);
    if (t->reasons && t->start->policy.marks != TOKENIZER_MARKS_AT)
        return err_set(err, ERR_INPUT,
                       "stage: reason needs words of our own; version %s has those of a backbone",
                       t->init);
    if (!t->start->attributes && !t->reasons)
        return true;
    bool fine = t->start->attributes
                    ? path_make(path, err, "%s/models/%s/attributes.json", t->job->home, t->init)
                    : path_make(path, err, "%s/attributes.json", t->folder);
    if (fine && (t->start->attributes || path_exists(path))) {
        *attributes = attributes_read(path, tokenizer_size(t->start->tokenizer), err);
    } else if (fine) { /* the catalogue may change before a killed run goes on */
        *attributes = chains_attributes(t->start, t->job->store, err);
        fine =
            *attributes && folder_make(t->folder, err) && attributes_write(*attributes, path, err);
    }
    return fine && *attributes != NULL;
}

/* An attribute that is new begins as the mean of its words. */
static bool begin_attributes(struct version *v, size_t known, struct err *err)
{
    enum { WORDS = 16 };
    uint32_t symbols[WORDS];
    size_t d = v->policy.shape.dim;
    for (size_t token = known; token < v->policy.shape.vocab; token++) {
        const char *text = v->attributes->text[token - v->attributes->token];
        size_t count = text_symbols(symbols, WORDS, v->tokenizer, text, err);
        real *row = v->policy.params.text + token * d;
        if (err->code != ERR_NONE)
            return false;
        memset(row, 0, d * sizeof *row);
        for (size_t i = 0; i < count; i++)
            for (size_t k = 0; k < d; k++)
                row[k] += v->policy.params.text[(symbols[i] - TOKEN) * d + k] / (real)count;
    }
    return true;
}

/* The version becomes what it starts from. */
static bool take_start(struct training *t, struct err *err)
{
    if (!t->posttrains)
        return true;
    if (!fits(&t->start->policy.shape, &t->version->policy.shape))
        return not_alike(t, err);
    t->version->fusion = t->start->fusion;
    t->version->newcomers = t->start->newcomers;
    params_copy(&t->version->policy.params, &t->start->policy.params, &t->start->policy.shape);
    if (!begin_attributes(t->version, t->start->policy.shape.vocab, err))
        return false;
    version_refresh(t->version);
    return true;
}

/* Lists to imitate, in the place of tasks; they go on while lists are paid for. */
static bool open_lists(struct training *t, struct err *err)
{
    const struct train_settings *s = t->job->train;
    if (!writes_lists(t) || t->experience)
        return true;
    struct snapshot *snapshot = snapshot_open(version_hold(t->start), t->job->store, err);
    struct list_told told = {0};
    bool taught = strcmp(s->list_teacher, "rra") == 0;
    bool fine =
        snapshot && (!taught || list_told_load(&told, &t->data, snapshot, s->seed, err)) &&
        list_examples_make(&t->lists, &t->data.sequences, snapshot, s->list_items, list_history(s),
                           s->seed, taught ? &told : NULL, t->job->pool, err);
    list_told_free(&told);
    snapshot_drop(snapshot);
    if (fine)
        log_info("train.lists count=%zu", t->lists.count);
    t->tasks.lists = &t->lists;
    t->tasks.per_epoch = s->name_weight > 0 ? t->lists.count : 0;
    return fine;
}

bool stage_reads_newer(const struct train_settings *s)
{
    bool paid = strcmp(s->stage, "rl") == 0 || strcmp(s->stage, "experience") == 0;
    return paid && strcmp(s->rl_source, "newer") == 0;
}

static bool open_chains(struct training *t, struct err *err)
{
    const struct train_settings *s = t->job->train;
    if (!t->reasons && !s->rl_reasons)
        return true;
    if (!t->version->attributes)
        return true; /* may_reason() says so */
    if (t->tasks.per_epoch == 0)
        return err_set(err, ERR_INPUT,
                       "task_share: expected more than 0 where chains of reasons are learnt");
    if (!chains_count_next(t->version->attributes, t->snapshot, &t->data.sequences, err))
        return false;
    if ((t->texts_revision &&
         !chain_teacher_load(&t->teacher, &t->data, t->version, t->version->attributes, err)) ||
        !chains_make(&t->chains, &t->data.sequences, t->snapshot, &t->teacher, s->seed,
                     t->job->pool, err))
        return false;
    log_info("train.chains count=%zu attributes=%zu", t->chains.count,
             t->version->attributes->count);
    t->tasks.chains = &t->chains;
    t->tasks.reason_share = s->reason_share;
    t->tasks.reason_weight = s->reason_weight;
    t->tasks.steps = t->reasons ? s->rl_steps : 0;
    return true;
}

/* Those of the first so many dialogues that choose. */
static struct dialogue_prompts first_prompts(const struct talking *k, size_t most)
{
    size_t end = 0;
    for (size_t left = most; end < k->dialogues->count; end++)
        if (k->dialogues->part[end] == DIALOGUES_VALIDATION && left-- == 0)
            break;
    return dialogue_prompts_before(&k->choosing, end);
}

static bool open_talking(struct training *t, struct err *err)
{
    const struct train_settings *s = t->job->train;
    struct talking *k = &t->talking;
    if (!k->on)
        return true;
    k->titles = titles_open(t->snapshot, t->job->store, err);
    k->dialogues = k->titles ? dialogues_load(t->job->store, err) : NULL;
    if (!k->dialogues)
        return false;
    dialogues_name(k->dialogues, t->snapshot);
    bool fine = dialogue_counts_make(&k->counts, k->dialogues, t->version->index->items, err) &&
                dialogue_lists_make(&k->lists, k->dialogues, t->snapshot, k->titles, s->list_items,
                                    s->dialogue_symbols, err) &&
                (strcmp(s->list_teacher, "rra") != 0 ||
                 dialogue_lists_teach(&k->lists, k->dialogues, t->snapshot, k->titles,
                                      t->job->store, t->job->pool, err)) &&
                dialogue_prompts_make(&k->choosing, k->dialogues, DIALOGUES_VALIDATION,
                                      s->dialogue_symbols, t->snapshot, k->titles, err);
    if (!fine)
        return false;
    k->checks = first_prompts(k, s->check_users);
    k->judged = first_prompts(k, s->judge_users);
    log_info("train.dialogues prompts=%zu checks=%zu judged=%zu", k->lists.prompts.count,
             k->checks.count, k->judged.count);
    t->tasks.dialogues = &k->lists;
    if (s->name_weight > 0)
        t->tasks.dialogues_a_step = (size_t)ceil(s->dialogue_share * (double)s->batch);
    t->tasks.list_truth = s->list_truth;
    return true;
}

void talking_release(struct talking *k)
{
    dialogue_prompts_free(&k->choosing);
    dialogue_lists_free(&k->lists);
    dialogue_counts_free(&k->counts);
    dialogues_free(k->dialogues);
    titles_free(k->titles);
}

bool stage_open(struct training *t, struct err *err)
{
    return take_start(t, err) && open_lists(t, err) && open_chains(t, err) && open_talking(t, err);
}

static bool make_prompts(struct training *t, struct err *err)
{
    const struct train_settings *s = t->job->train;
    size_t history = t->rl.lists ? list_history(s) : s->window;
    if (t->rl.reasons && history > CHAIN_HISTORY)
        history = CHAIN_HISTORY;
    bool dislikes = t->rl.objective.needs & NEEDS_DISLIKES;
    if (t->talking.on)
        return rl_prompts_talk(&t->rl.prompts, &t->talking.lists.prompts, s->list_items, err);
    if (!stage_reads_newer(s))
        return rl_prompts_make(&t->rl.prompts, &t->data, t->version, history, s->list_items,
                               dislikes, err);
    struct row_data newer;
    if (t->newer_upto == t->data.histories->upto)
        return err_set(err, ERR_INPUT,
                       "rl_source: expected events that are newer than the index, found none");
    bool fine =
        rows_load_newer(&newer, &t->data, t->newer_upto, t->snapshot, err) &&
        rl_prompts_make(&t->rl.prompts, &newer, t->version, history, s->list_items, dislikes, err);
    rows_release(&newer);
    return fine;
}

static bool may_reason(const struct training *t, struct err *err)
{
    if (!t->version->attributes)
        return err_set(
            err, ERR_INPUT,
            "rl_reasons: version %s gives no reasons: train it with --stage reason first", t->init);
    if (t->rl.lists)
        return err_set(err, ERR_INPUT,
                       "rl_reasons: a chain ends in one name, not in a list: leave "
                       "--list-items out");
    if (t->rl.objective.needs & (NEEDS_LOGGED | NEEDS_ANCHORS) || *t->job->objective->rescue)
        return err_set(err, ERR_INPUT,
                       "rl_reasons: this objective learns from names that were given, and nobody "
                       "gave a chain with them");
    return true;
}

static bool open_rl(struct training *t, struct err *err)
{
    const struct train_settings *s = t->job->train;
    struct text warnings;
    text_init(&warnings, 1 << 16);
    t->rl.words = t->words;
    t->rl.lists = s->list_items > 0;
    t->rl.reasons = s->rl_reasons;
    t->rl.facts = t->snapshot;
    t->rl.ranks = t->rl.lists ? s->list_items : 1;
    t->rl.prompt_max = s->window;
    bool fine = objective_open(&t->rl.objective, t->job->objective, &warnings, err);
    if (fine && !t->rl.lists && strcmp(t->job->objective->adv_scope, "rank") == 0)
        fine = err_set(err, ERR_INPUT, "adv_scope: rank is for lists: add --list-items 20");
    if (fine && t->rl.lists && t->rl.objective.needs & (NEEDS_LOGGED | NEEDS_ANCHORS))
        fine = err_set(err, ERR_INPUT,
                       "list_items: this objective learns from what the log says came next, which "
                       "is an item, not a list: leave --list-items out");
    if (fine && s->rl_turns > 1 && (!t->talking.on || strcmp(t->job->objective->adv, "turns") != 0))
        fine = err_set(err, ERR_INPUT,
                       "rl_turns: several turns of a dialogue are one rollout of --algo turn_grpo "
                       "--rl-source dialogues; expected 1 without them, found %zu",
                       s->rl_turns);
    size_t part = rl_prompts_a_part(s);
    if (fine && s->rl_turns > part)
        fine =
            err_set(err, ERR_INPUT,
                    "rl_turns: a quarter of rl_prompts are drawn together, so expected 1 to %zu, "
                    "found %zu: add --rl-prompts %zu",
                    part, s->rl_turns, s->rl_turns * GRADIENTS);
    if (fine && s->rl_turns > 1 && *t->job->objective->filter)
        fine =
            err_set(err, ERR_INPUT,
                    "filter: a turn that is dropped would take its whole dialogue's credit along: "
                    "leave it out with rl_turns above 1, found '%.40s'",
                    t->job->objective->filter);
    if (fine && t->rl.lists && *t->job->objective->rescue)
        fine = err_set(err, ERR_INPUT,
                       "rescue: a hint is the beginning of one item's name, not of a list: leave "
                       "--list-items out");
    fine = fine && (!s->rl_reasons || may_reason(t, err)) && make_prompts(t, err);
    if (fine && t->rl.objective.needs & NEEDS_ANCHORS)
        fine = anchors_make(&t->rl.anchors, &t->version->policy, &t->data.sequences, err);
    for (char *at = warnings.bytes; at && *at; at += strcspn(at, "\n"), at += *at == '\n')
        log_info("train.objective warning=\"%.*s\"", (int)strcspn(at, "\n"), at);
    if (fine && t->rl.reasons && t->rl.objective.settings.max_num_gen_batches > 1)
        log_info(
            "train.objective warning=\"max_num_gen_batches: chains are drawn once, groups that "
            "say nothing stay\"");
    if (fine)
        log_info("train.prompts count=%zu dropped=%zu disliked=%zu", t->rl.prompts.count,
                 t->rl.prompts.dropped, t->rl.prompts.disliked);
    text_release(&warnings);
    return fine;
}

/* Takes up the params of the version that a later stage starts from. */
bool stage_go_on(struct training *t, struct err *err)
{
    bool rl = strcmp(t->job->train->stage, "rl") == 0;
    if (!t->posttrains)
        return true;
    t->rl.lists = t->experience;
    if (t->experience && !make_prompts(t, err))
        return false;
    return (!rl || open_rl(t, err)) &&
           trainer_continue(&t->trainer, &t->version->policy.params, rl ? &t->rl : NULL, err) &&
           (!writes_lists(t) || list_cases_make(&t->list_cases, &t->data, PART_VALIDATION,
                                                t->job->train->check_users, err));
}
