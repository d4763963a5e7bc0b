/*
 * job_train.c: `tessera train`: sequences into a version, with a state that survives kill -9.
 *
 *   start or resume ─► step ─► … ─► look at validation ─► better? keep ─► … ─► patience or epochs
 *                        └─ every state_every_steps: state.safetensors, atomically
 *   end: best params ─► fit fusion on validation ─► version folder ─► gate ─► production
 */
#include "base/json.h"
#include "base/log.h"
#include "index/cooccurrence.h"
#include "model/checkpoint.h"
#include "train/training.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json_t *counters_of(const struct training *t)
{
    return json_pack("{s:I, s:f, s:I, s:I, s:I}", "step", (json_int_t)t->trainer.step, "best",
                     t->best, "looks", (json_int_t)t->looks, "since_best",
                     (json_int_t)t->since_best, "best_step", (json_int_t)t->best_step);
}

static struct training_state state_of(struct training *t)
{
    struct training_state state = {.params = t->trainer.policy.params,
                                   .first = t->trainer.first,
                                   .second = t->trainer.second,
                                   .average = t->trainer.average,
                                   .best = t->trainer.best,
                                   .shape = &t->trainer.shape,
                                   .fingerprint = t->hash};
    for (size_t i = 0; i < PARAM_COUNT; i++)
        if (t->trainer.still >> i & 1)
            *param_slot(&state.params, &PARAMS[i]) = NULL;
    if (t->trainer.rl) {
        state.prompts = (float *)t->rl.past.facts;
        state.prompt_count = t->rl.past.count + 1;
        state.prompt_facts = PROMPT_FACTS;
    }
    return state;
}

static bool save_state(struct training *t, struct err *err)
{
    struct training_state state = state_of(t);
    state.counters = counters_of(t);
    fflush(t->steps);
    if (t->rollouts)
        fflush(t->rollouts);
    bool fine = training_state_write(t->state_path, &state, err);
    json_decref(state.counters);
    return fine;
}

/*
 * A table of steps, to be appended to.  Drops the rows of steps that the state does not know, so
 * that a resumed file is that of one run.
 */
static bool open_table(FILE **file, const char *path, size_t step, const char *head,
                       struct err *err)
{
    *file = fopen(path, "a+");
    if (!*file)
        return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    setvbuf(*file, NULL, _IOLBF, 0); /* a step of a large trunk takes seconds: it is seen at once */
    char line[512];
    long keep = 0;
    bool any = false;
    rewind(*file);
    while (fgets(line, sizeof line, *file)) {
        if (any && strtoull(line, NULL, 10) > step)
            break;
        if (!strchr(line, '\n'))
            break;
        any = true;
        keep = ftell(*file);
    }
    if (ftruncate(fileno(*file), keep) != 0)
        return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    fseek(*file, 0, SEEK_END);
    if (keep == 0)
        fputs(head, *file);
    return true;
}

static bool open_tables(struct training *t, struct err *err)
{
    char path[PATH_SIZE];
    if (!open_table(&t->steps, t->steps_path, t->trainer.step,
                    "step\tepoch\tfind_loss\tname_loss\tsay_loss\tgradient_norm\tlearning_rate\t"
                    "validation_ndcg10\tpositions_per_s\n",
                    err))
        return false;
    return !t->trainer.rl || (path_make(path, err, "%s/rollouts.tsv", t->folder) &&
                              open_table(&t->rollouts, path, t->trainer.step,
                                         "step\tloss\treward\thits\tprefix\tndcg\tsilent_groups\t"
                                         "signal_units\tclipped\tkl\tentropy\tdisplaced\n",
                                         err));
}

static bool resume(struct training *t, struct err *err)
{
    if (!path_exists(t->state_path))
        return true;
    struct training_state state = state_of(t);
    if (!training_state_read(&state, t->state_path, err))
        return false;
    t->trainer.step = (size_t)json_integer_value(json_object_get(state.counters, "step"));
    t->looks = (size_t)json_integer_value(json_object_get(state.counters, "looks"));
    t->since_best = (size_t)json_integer_value(json_object_get(state.counters, "since_best"));
    t->best_step = (size_t)json_integer_value(json_object_get(state.counters, "best_step"));
    t->best = json_real_value(json_object_get(state.counters, "best"));
    json_decref(state.counters);
    log_info("train.resume step=%zu", t->trainer.step);
    return true;
}

double training_ndcg(const uint32_t *rank, size_t count)
{
    struct ranking ranking;
    ranking_measure(&ranking, rank, count);
    return ranking.ndcg[2];
}

void training_take_params(struct training *t, const struct params *params)
{
    trainer_export(&t->trainer, &t->version->policy.params, params);
    version_refresh(t->version);
}

/* Mean NDCG of what is written, at the last cut. */
static bool look_at_lists(struct training *t, double *value, struct err *err)
{
    struct list_judgement seen;
    if (!lists_judge(&seen, &t->list_cases, t->snapshot, t->job->train->window, 1, true,
                     t->job->pool, err))
        return false;
    *value = mean_of(seen.ndcg[LISTS_WRITTEN][LIST_CUTS - 1], t->list_cases.cases.count);
    alarms_look(&t->alarms, lists_coverage(seen.shown[LISTS_WRITTEN], t->snapshot->rows),
                t->trainer.step);
    list_judgement_free(&seen);
    log_info("train.look step=%zu lists_ndcg%zu=%.4f", t->trainer.step, LIST_CUT_AT[LIST_CUTS - 1],
             *value);
    return true;
}

static bool look_at_names(struct training *t, double *value, struct err *err)
{
    struct judgement seen;
    const struct judging_options options = {.beam = 20, .history_max = t->job->train->window};
    if (!judge(&seen, &t->cases, t->snapshot, &options, t->job->pool, err))
        return false;
    double find = training_ndcg(seen.rank[METHOD_FIND], t->cases.count);
    struct ranking name;
    ranking_measure(&name, seen.rank[METHOD_NAME], t->cases.count);
    if (t->posttrains)
        alarms_look(&t->alarms, lists_coverage(seen.shown[METHOD_NAME], t->snapshot->rows),
                    t->trainer.step);
    *value = t->trainer.sasrec ? find : t->posttrains ? name.ndcg[2] : (name.ndcg[2] + find) / 2;
    judgement_release(&seen, t->cases.count);
    log_info("train.look epoch=%zu step=%zu name_ndcg10=%.4f find_ndcg10=%.4f name_hr1=%.4f "
             "name_hr20=%.4f",
             trainer_epoch(&t->trainer), t->trainer.step, name.ndcg[2], find, name.hr[0],
             name.hr[3]);
    return true;
}

enum { LOOK_RANKS = 20 };

struct dialogue_judging training_dialogues(const struct training *t)
{
    return (struct dialogue_judging){.dialogues = t->talking.dialogues,
                                     .prompts = &t->talking.checks,
                                     .snapshot = t->snapshot,
                                     .ranks = LOOK_RANKS,
                                     .beam = LOOK_RANKS,
                                     .symbols = t->job->train->dialogue_symbols};
}

/* Mean NDCG@20 of lists over what validation's dialogues name. */
static bool look_at_dialogues(struct training *t, double *value, struct err *err)
{
    struct dialogue_judgement seen;
    struct ranking r;
    const struct dialogue_judging judging = training_dialogues(t);
    if (!dialogues_judge(&seen, &judging, t->job->pool, err))
        return false;
    ranking_measure(&r, seen.rank[DIALOGUE_LISTS], seen.labels);
    *value = r.ndcg[3];
    log_info("train.look step=%zu dialogue_ndcg20=%.4f recall1=%.4f recall10=%.4f ms=%.1f",
             t->trainer.step, *value, r.hr[0], r.hr[2],
             seen.seconds * 1000 / (double)(seen.lists + 1));
    dialogue_judgement_free(&seen);
    return true;
}

enum { LOOK_REASONS = 500 };

/* The share of claims that hold; plans wait for an answer. */
static bool look_at_reasons(struct training *t, double *value, struct err *err)
{
    struct chain_judgement seen;
    struct cases some = t->cases;
    size_t said = 0;
    size_t held = 0;
    some.count = some.count < LOOK_REASONS ? some.count : LOOK_REASONS;
    const struct chain_judging options = {.quick = true};
    if (!chains_judge(&seen, &some, t->snapshot, &options, t->job->pool, err))
        return false;
    for (size_t k = 0; k < CLAIM_KINDS; k++)
        if (k != CLAIM_PLAN) {
            said += seen.said[k];
            held += seen.held[k];
            log_info("train.look step=%zu claims=%s said=%zu held=%zu", t->trainer.step,
                     CLAIM_NAMES[k], seen.said[k], seen.held[k]);
        }
    *value = said ? (double)held / (double)said : 0;
    chain_judgement_free(&seen);
    return true;
}

/* NDCG@10 of names after a chain. */
static bool look_at_reasoned(struct training *t, double *value, struct err *err)
{
    struct chain_judgement seen;
    struct ranking direct;
    struct ranking reasoned;
    const struct chain_judging options = {
        .beam = 20, .history_max = t->job->train->window, .facts = true};
    if (!chains_judge(&seen, &t->cases, t->snapshot, &options, t->job->pool, err))
        return false;
    ranking_measure(&direct, seen.rank[CHAINS_DIRECT][CHAINS_NAME], t->cases.count);
    ranking_measure(&reasoned, seen.rank[CHAINS_REASONED][CHAINS_NAME], t->cases.count);
    *value = reasoned.ndcg[2];
    chain_judgement_free(&seen);
    log_info("train.look step=%zu reasoned_ndcg10=%.4f direct_ndcg10=%.4f reasoned_hr1=%.4f "
             "direct_hr1=%.4f",
             t->trainer.step, reasoned.ndcg[2], direct.ndcg[2], reasoned.hr[0], direct.hr[0]);
    return true;
}

/*
 * On validation: the mean NDCG@10 of name and find, since both must be good when we stop; of later
 * stages, of what they train: name, lists, or claims that hold.
 */
bool training_look(struct training *t, double *value, struct err *err)
{
    bool lists = t->list_cases.cases.count > 0;
    training_take_params(t, &t->trainer.average);
    bool talks = t->talking.checks.count > 0;
    if (!(talks   ? look_at_dialogues(t, value, err)
          : lists ? look_at_lists(t, value, err)
                  : look_at_names(t, value, err)) ||
        (t->reasons && !look_at_reasons(t, value, err)) ||
        (t->rl.reasons && !look_at_reasoned(t, value, err)))
        return false;
    t->looks++;
    t->since_best++;
    if (*value > t->best) {
        t->best = *value;
        t->best_step = t->trainer.step;
        t->since_best = 0;
        params_copy(&t->trainer.best, &t->trainer.average, &t->trainer.shape);
    }
    return true;
}

static bool has_checks(const struct training *t)
{
    return t->cases.count > 0 || t->talking.checks.count > 0;
}

/* A later stage begins with something: what it makes must be better. */
static bool look_at_start(struct training *t, struct err *err)
{
    double value;
    if (!t->posttrains || t->trainer.step > 0 || !has_checks(t))
        return true;
    return training_look(t, &value, err);
}

static void show_progress(const struct training *t, const struct step_report *report, double loss)
{
    size_t total = t->trainer.steps;
    double seconds = clock_s() - t->started_s;
    double speed = (double)t->positions / (seconds > 0 ? seconds : 1);
    if (!isatty(STDERR_FILENO)) {
        if (t->trainer.step % (t->trainer.batches.steps_per_epoch * 5) == 0)
            log_info("train.progress epoch=%zu find_loss=%.4f name_loss=%.4f positions_per_s=%.0f",
                     trainer_epoch(&t->trainer), report->find_loss, report->name_loss, speed);
        return;
    }
    char bar[31] = "..............................";
    size_t done = t->trainer.step * 30 / total;
    memset(bar, '#', done < 30 ? done : 30);
    double left =
        (double)(total - t->trainer.step) * (double)report->targets / (speed > 0 ? speed : 1);
    fprintf(stderr, "\r[%s] epoch %zu/%zu  loss %.3f  %.0f positions/s  at most %.0f s left   ",
            bar, trainer_epoch(&t->trainer) + 1, t->job->train->epochs, loss, speed, left);
}

static bool is_time_to_look(const struct training *t)
{
    const struct train_settings *s = t->job->train;
    const struct trainer *trainer = &t->trainer;
    if (trainer->step == trainer->steps)
        return true;
    if (t->posttrains)
        return trainer->step % s->rl_check_every == 0;
    return trainer->step % trainer->batches.steps_per_epoch == 0 &&
           trainer_epoch(trainer) % s->check_every == 0;
}

/* Names that are looked at several times cannot be drawn again by a changed policy. */
static bool may_save(const struct training *t)
{
    return !t->trainer.rl ||
           t->trainer.step % t->trainer.rl->objective.settings.num_iterations == 0;
}

static void note_rollouts(struct training *t, const struct rl_report *r)
{
    const struct objective_report *o = &r->objective;
    if (!t->rollouts)
        return;
    fprintf(t->rollouts, "%zu\t%.5f\t%.5f\t%.5f\t%.5f\t%.5f\t%.4f\t%.4f\t%.4f\t%.6f\t%.4f\t%.4f\n",
            t->trainer.step, r->loss, o->reward, r->hit_rate, r->prefix, r->ndcg, o->silent_groups,
            o->signal_units, o->clipped, o->kl, o->entropy, o->displaced);
    alarms_step(&t->alarms, o, t->trainer.step);
    if (t->trainer.step % 20 == 0)
        log_info("train.rl step=%zu reward=%.4f hits=%.4f silent_groups=%.3f signal=%.3f "
                 "clipped=%.3f kl=%.5f entropy=%.3f",
                 t->trainer.step, o->reward, r->hit_rate, o->silent_groups, o->signal_units,
                 o->clipped, o->kl, o->entropy);
}

static bool run(struct training *t, struct err *err)
{
    const struct train_settings *s = t->job->train;
    size_t total = t->trainer.steps;
    bool fine = look_at_start(t, err);
    t->started_s = clock_s();
    while (fine && t->trainer.step < total && t->since_best < s->patience) {
        struct step_report report;
        double value = -1;
        trainer_step(&t->trainer, &report);
        t->positions += report.targets;
        if (is_time_to_look(t))
            fine = !has_checks(t) || training_look(t, &value, err);
        fprintf(t->steps, "%zu\t%zu\t%.5f\t%.5f\t%.5f\t%.4f\t%.6g\t", t->trainer.step,
                trainer_epoch(&t->trainer), report.find_loss, report.name_loss, report.say_loss,
                report.gradient_norm, report.rate);
        if (value >= 0)
            fprintf(t->steps, "%.5f", value);
        fprintf(t->steps, "\t%.0f\n", (double)t->positions / (clock_s() - t->started_s));
        show_progress(t, &report, report.find_loss + s->name_weight * report.name_loss);
        note_rollouts(t, &report.rl);
        if (fine && (value >= 0 || t->trainer.step % s->state_every_steps == 0) && may_save(t))
            fine = save_state(t, err);
    }
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    return fine;
}

/* Versions are numbered in the order they were made; the rest of the name says what they were made
 * of. */
static bool find_version(char *name, size_t room, const char *home, const char *hash, bool *there,
                         struct err *err)
{
    char folder[PATH_SIZE];
    unsigned long last = 0;
    *there = false;
    if (!path_make(folder, err, "%s/models", home) || !folder_make(folder, err))
        return false;
    DIR *dir = opendir(folder);
    if (!dir)
        return err_set(err, ERR_SYSTEM, "%s: %s", folder, strerror(errno));
    for (struct dirent *entry; !*there && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        unsigned long number = strtoul(entry->d_name, NULL, 10);
        last = number > last ? number : last;
        const char *dash = strchr(entry->d_name, '-');
        if (dash && strncmp(dash + 1, hash, 8) == 0) {
            snprintf(name, room, "%.*s", (int)room - 1, entry->d_name);
            *there = true;
        }
    }
    closedir(dir);
    if (!*there)
        snprintf(name, room, "%04lu-%.8s", last + 1, hash);
    return true;
}

static bool open_tasks(struct training *t, struct err *err)
{
    const struct train_settings *s = t->job->train;
    size_t windows = t->data.sequences.users;
    t->words = item_words_load(t->version, t->job->store, t->version->tokenizer, err);
    if (t->words && t->texts_revision)
        t->told = told_load(&t->data, t->version, t->words, t->texts_revision, err);
    t->tasks = (struct tasks){.words = t->words,
                              .marks = t->version->policy.marks,
                              .told = t->told,
                              .sequences = &t->data.sequences,
                              .seen = t->version->policy.items.seen,
                              .per_epoch = (size_t)(s->task_share * (double)windows),
                              .item_weight = s->task_weight,
                              .word_weight = s->say_weight,
                              .seed = s->seed};
    return t->words != NULL && err->code == ERR_NONE;
}

static bool open_training(struct training *t, struct err *err)
{
    const struct train_settings *s = t->job->train;
    struct item_index *index = t->data.index;
    struct attributes *attributes;
    if (!stage_open_start(t, &attributes, err))
        return false;
    struct tokenizer *tokenizer = start_tokenizer(t, err);
    if (!tokenizer) {
        attributes_free(attributes);
        return false;
    }
    struct shape shape;
    start_shape(&shape, t);
    shape.content = index->quantiser.dims;
    shape.items = index->items;
    shape.levels = index->quantiser.levels;
    shape.tiles = index->quantiser.tiles;
    shape.vocab = tokenizer_size(tokenizer) + (attributes ? attributes->count : 0);
    /* m needs the find vectors of all items at every step */
    shape.node_vectors = index->items <= s->softmax_items && s->node_vectors;
    if (shape_check(&shape, "settings", err))
        t->version = version_from(index, tokenizer, attributes, &shape, NULL, t->job->store, err);
    if (!t->version) {
        attributes_free(attributes);
        tokenizer_free(tokenizer);
        return false;
    }
    t->data.index = NULL; /* the version owns it now */
    t->version->find_index = catalogue_index_open(t->version->policy.find_vectors, shape.items,
                                                  shape.dim, "", SIZE_MAX, err);
    if (!t->version->find_index)
        return false;
    t->snapshot = snapshot_open(t->version, t->job->store, err);
    if (!t->snapshot)
        t->version = NULL; /* its only share went with the snapshot */
    return t->snapshot && rows_name(&t->data, t->snapshot, err) && open_tasks(t, err) &&
           stage_open(t, err) && start_begin(t, err) &&
           trainer_open(&t->trainer, s, t->version, &t->data.sequences,
                        t->tasks.per_epoch || t->tasks.dialogues_a_step ? &t->tasks : NULL,
                        t->job->pool, err) &&
           start_go_on(t, err) && stage_go_on(t, err) &&
           cases_make(&t->cases, t->data.histories, &t->data.split, PART_VALIDATION, s->check_users,
                      s->seed, err) &&
           folder_make(t->folder, err) && resume(t, err) && open_tables(t, err);
}

static bool make_hash(struct training *t, struct err *err)
{
    char data[256];
    char parent[PATH_SIZE];
    struct store_txn txn;
    if (!store_begin(&txn, t->job->store, false, err))
        return false;
    if (t->job->train->texts && t->job->train->task_share > 0)
        t->texts_revision = texts_revision(&txn);
    if (stage_reads_newer(t->job->train))
        t->newer_upto = store_sequence(&txn);
    uint64_t said = 0;
    bool reads = t->talking.on || t->job->index->count_dialogues;
    bool fine = !reads || dialogues_hash(&said, &txn, err);
    store_abort(&txn);
    if (!fine)
        return false;
    snprintf(data, sizeof data, "%s %016llx %llu %llu %llu %s%s%s", t->data.index_name,
             (unsigned long long)said, (unsigned long long)t->data.histories->upto,
             (unsigned long long)t->texts_revision, (unsigned long long)t->newer_upto, t->init,
             *t->backbone_hash ? " " : "", t->backbone_hash);
    struct train_settings shaping =
        *t->job->train; /* what does not change the result stays out of it */
    shaping.threads = 0;
    shaping.promote = false;
    shaping.watch = false;
    shaping.watch_events = 1;
    shaping.state_every_steps = 1;
    const struct settings tables[] = {
        {TRAIN_SETTINGS, TRAIN_SETTINGS_COUNT, &shaping},
        {INDEX_SETTINGS, INDEX_SETTINGS_COUNT, (void *)(uintptr_t)t->job->index},
        {EVENT_SETTINGS, EVENT_SETTINGS_COUNT, (void *)(uintptr_t)t->job->events},
        {OBJECTIVE_SETTINGS, OBJECTIVE_SETTINGS_COUNT, (void *)(uintptr_t)t->job->objective}};
    bool rl = strcmp(shaping.stage, "rl") == 0;
    settings_hash(t->hash, tables, COUNT(tables) - !rl, data);
    return path_make(parent, err, "%s/training", t->job->home) && folder_make(parent, err) &&
           path_make(t->folder, err, "%s/%.8s", parent, t->hash) &&
           path_make(t->state_path, err, "%s/state.safetensors", t->folder) &&
           path_make(t->steps_path, err, "%s/steps.tsv", t->folder) &&
           path_make(t->index_folder, err, "%s/indexes/%s", t->job->home, t->data.index_name);
}

/* Killed between publishing and promoting: the state folder, which goes last, is still there. */
static bool finish_promotion(const struct training *t, const char *name, struct err *err)
{
    char folder[PATH_SIZE];
    if (!path_exists(t->folder))
        return true;
    if (!path_make(folder, err, "%s/models/%s", t->job->home, name))
        return false;
    json_t *manifest = manifest_read(folder, err);
    bool fine = manifest != NULL;
    if (fine && json_is_true(json_object_get(manifest, "promote")))
        fine = (t->talking.on ? chat_set : production_set)(t->job->home, name, err);
    json_decref(manifest);
    if (fine)
        folder_remove(t->folder);
    return fine;
}

/* What a preset means in settings; the rest stays what was asked. */
static bool expand_preset(struct train_settings *s, struct err *err)
{
    if (strcmp(s->preset, "policy") == 0)
        return true;
    if (strcmp(s->preset, "sasrec") != 0)
        return err_set(err, ERR_INPUT, "preset: expected policy or sasrec, found '%.40s'",
                       s->preset);
    s->name_weight = 0;
    s->task_share = 0;
    s->own_drop = 0;
    return true;
}

bool job_train(const struct job *job_asked, struct err *err)
{
    struct train_settings expanded = *job_asked->train;
    struct job with_preset = *job_asked;
    const struct job *job = &with_preset;
    with_preset.train = &expanded;
    if (!expand_preset(&expanded, err))
        return false;
    struct training t = {.job = job, .best = -1};
    if (!stage_expand(&t, &expanded, err))
        return false;
    if (!start_open(&t, err)) {
        start_close(&t);
        return false;
    }
    char name[64];
    bool there = false;
    bool fine = rows_load(&t.data, job, err);
    if (fine)
        stage_release_kept(&t);
    fine = fine && make_hash(&t, err) &&
           find_version(name, sizeof name, job->home, t.hash, &there, err);
    if (fine && there)
        fine = (strcmp(expanded.preset, "sasrec") == 0 ? baseline_set(job->home, name, err)
                                                       : finish_promotion(&t, name, err)) &&
               printf("version %s is up to date\n", name) > 0;
    if (fine && !there) {
        fine = open_training(&t, err) && (t.experience ? experience_run(&t, err) : run(&t, err)) &&
               training_publish(&t, name, err);
        if (fine)
            log_info("train.done version=%s steps=%zu best_step=%zu positions_per_s=%.0f", name,
                     t.trainer.step, t.best_step, (double)t.positions / (clock_s() - t.started_s));
    }
    if (t.steps)
        fclose(t.steps);
    if (t.rollouts)
        fclose(t.rollouts);
    rl_prompts_free(&t.rl.prompts);
    anchors_free(&t.rl.anchors);
    list_examples_free(&t.lists);
    list_cases_free(&t.list_cases);
    chains_free(&t.chains);
    talking_release(&t.talking);
    chain_teacher_free(&t.teacher);
    version_drop(t.start);
    start_close(&t);
    cases_release(&t.cases);
    trainer_close(&t.trainer);
    item_words_free(t.words);
    told_free(t.told);
    if (t.snapshot)
        snapshot_drop(t.snapshot);
    else
        version_drop(t.version);
    rows_release(&t.data);
    return fine;
}
