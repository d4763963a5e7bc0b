#include "base/log.h"
#include "model/checkpoint.h"
#include "recommend/experience.h"
#include "train/search.h"
#include "train/training.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The share of what users took next from which on newcomers may cost the whole of newcomer_loss. */
static const double MANY_NEWCOMERS = 0.05;

static bool copy_index_files(const struct training *t, const char *folder, struct err *err)
{
    static const char *const files[] = {"text_vectors.safetensors", "semantic_ids.safetensors",
                                        "neighbours.safetensors"};
    for (size_t i = 0; i < COUNT(files); i++) {
        char from[PATH_SIZE];
        char to[PATH_SIZE];
        if (!path_make(from, err, "%s/%s", t->index_folder, files[i]) ||
            !path_make(to, err, "%s/%s", folder, files[i]) || !file_copy(to, from, err))
            return false;
    }
    return true;
}

static bool write_tokenizer(const struct training *t, const char *folder, struct err *err)
{
    char path[PATH_SIZE];
    return path_make(path, err, "%s/tokenizer.json", folder) &&
           tokenizer_write(t->version->tokenizer, path, err);
}

static json_t *manifest_facts(const struct training *t, const struct judgement *seen, bool promotes)
{
    char when[40];
    time_t now = time(NULL);
    struct tm utc;
    struct text settings;
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    text_init(&settings, 65536);
    const struct settings table = {TRAIN_SETTINGS, TRAIN_SETTINGS_COUNT,
                                   (void *)(uintptr_t)t->job->train};
    settings_print(&settings, &table);
    json_t *metrics = json_object();
    for (size_t m = 0; seen && m < METHODS; m++)
        json_object_set_new(metrics, METHOD_NAMES[m],
                            json_real(training_ndcg(seen->rank[m], t->cases.count)));
    json_t *facts = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:o}", "kind", "version", "created", when, "run",
        t->hash, "semantic_ids", t->version->index->fingerprint, "index", t->data.index_name,
        "upto", (json_int_t)t->data.histories->upto, "best_step", (json_int_t)t->best_step,
        "settings", settings.bytes, "validation_ndcg10", metrics);
    text_release(&settings);
    rows_note_meaning(facts, t->job);
    json_object_set_new(facts, "promote", json_boolean(promotes));
    return facts;
}

static bool copy_rollouts(struct training *t, const char *folder, struct err *err)
{
    char from[PATH_SIZE];
    char to[PATH_SIZE];
    if (!t->rollouts)
        return true;
    fclose(t->rollouts);
    t->rollouts = NULL;
    return path_make(from, err, "%s/rollouts.tsv", t->folder) &&
           path_make(to, err, "%s/rollouts.tsv", folder) && file_copy(to, from, err);
}

static bool write_version(struct training *t, const char *folder, const struct judgement *seen,
                          bool promotes, struct err *err)
{
    char path[PATH_SIZE];
    const struct shape *shape = &t->version->policy.shape;
    if (!copy_index_files(t, folder, err) || !write_tokenizer(t, folder, err) ||
        !checkpoint_write(folder, shape, &t->version->policy.params, t->version->index->fingerprint,
                          err) ||
        !fusion_write(t->version, folder, err) || !together_write(t->version, folder, err))
        return false;
    if (t->version->experience && !experience_write(folder, t->version->experience, shape->items,
                                                    t->version->index->fingerprint, err))
        return false;
    if (t->version->attributes && (!path_make(path, err, "%s/attributes.json", folder) ||
                                   !attributes_write(t->version->attributes, path, err)))
        return false;
    fclose(t->steps);
    t->steps = NULL;
    if (!path_make(path, err, "%s/training.tsv", folder) || !file_copy(path, t->steps_path, err) ||
        !copy_rollouts(t, folder, err) || !path_make(path, err, "%s/catalogue.faiss", folder))
        return false;
    struct catalogue_index *index =
        catalogue_index_open(t->version->policy.find_vectors, shape->items, shape->dim, path,
                             t->job->train->scan_items_max, err);
    catalogue_index_close(index);
    if (!index)
        return false;
    json_t *facts = manifest_facts(t, seen, promotes);
    json_t *words_from = start_words_from(t, err);
    if (words_from)
        json_object_set_new(facts, "words_from", words_from);
    bool fine = err->code == ERR_NONE && manifest_write(folder, facts, err);
    json_decref(facts);
    return fine;
}

/*
 * Each list that newcomers may enter has a scale of its own.  They may cost the others as much as
 * they are asked for: where users hardly ever take them, hardly anything.
 */
static void fit_newcomers(struct training *t, const struct judgement *seen,
                          const struct cases *cases)
{
    struct version *v = t->version;
    size_t taken = 0;
    for (size_t i = 0; i < cases->count; i++) {
        uint32_t row = cases->target[i];
        taken += row >= v->index->items || v->index->events[row] == 0;
    }
    double share = (double)taken / (double)cases->count;
    double loss = t->job->train->newcomer_loss * fmin(1, share / MANY_NEWCOMERS);
    double name[FEATURES] = {[FEATURE_NAME] = 1};
    double find[FEATURES] = {[FEATURE_FIND] = 1};
    if (v->unseen_count == 0) /* nobody to measure it by: late items get what the weights give */
        return;
    v->newcomers.name = newcomers_fit(name, loss, seen, cases->count);
    v->newcomers.find = newcomers_fit(find, loss, seen, cases->count);
    v->fusion.weight[FEATURE_NEW] = newcomers_fit(v->fusion.weight, loss, seen, cases->count);
    log_info("newcomers.fit share=%.4f name=%.3f find=%.3f slate=%.3f", share, v->newcomers.name,
             v->newcomers.find, v->fusion.weight[FEATURE_NEW]);
}

static bool fit_weights(struct fusion *fusion, struct training *t, const struct cases *cases,
                        struct err *err)
{
    struct judgement seen = {0};
    const struct judging_options options = {
        .beam = t->job->train->beam, .history_max = t->job->train->window, .keep_features = true};
    if (cases->count == 0)
        return true;
    if (!judge(&seen, cases, t->snapshot, &options, t->job->pool, err))
        return false;
    fusion_fit(fusion, &seen, cases->count);
    if (fusion == &t->version->fusion)
        fit_newcomers(t, &seen, cases);
    judgement_release(&seen, cases->count);
    return true;
}

/* By queries of all kinds; t->cases are those of validation. */
static bool fit_search(struct training *t, struct err *err)
{
    struct search_queries queries;
    bool fine = search_queries_make(&queries, t->words, t->version->tokenizer,
                                    t->version->policy.items.seen, &t->cases, PART_VALIDATION, err);
    fine = fine && fit_weights(&t->version->search, t, &queries.cases, err);
    cases_release(&queries.cases);
    return fine;
}

/* What a dialogue names speaks beside the policy as far as validation's dialogues like it. */
static bool fit_votes(struct training *t, struct err *err)
{
    struct dialogue_judging judging = training_dialogues(t);
    judging.prompts = &t->talking.judged;
    if (!t->talking.on || t->talking.judged.count == 0)
        return true;
    t->version->together = t->talking.counts.together; /* lists to imitate are made */
    t->talking.counts.together = NULL;
    return dialogue_votes_fit(&t->version->list_votes, &judging, t->job->pool, err);
}

bool training_publish(struct training *t, const char *name, struct err *err)
{
    char aside[PATH_SIZE];
    char final[PATH_SIZE];
    struct judgement seen = {0};
    char loses[GATE_TEXT_SIZE] = "";
    const struct train_settings *s = t->job->train;
    training_take_params(t, t->looks ? &t->trainer.best : &t->trainer.average);
    cases_release(&t->cases);
    if (!rows_cases(&t->cases, &t->data, t->snapshot, PART_VALIDATION, s->judge_users, err) ||
        !fit_search(t, err) || !fit_weights(&t->version->fusion, t, &t->cases, err) ||
        !fit_votes(t, err))
        return false;
    const struct judging_options options = {.beam = s->beam, .history_max = s->window};
    if (!judge(&seen, &t->cases, t->snapshot, &options, t->job->pool, err))
        return false;
    bool fine = (t->trainer.sasrec || t->talking.on || training_gate(t, &seen, loses, err)) &&
                path_make(aside, err, "%s/models/.part-%d", t->job->home, (int)getpid()) &&
                path_make(final, err, "%s/models/%s", t->job->home, name);
    bool better = !t->talking.on || !t->looks || t->best_step > 0;
    bool promotes = !loses[0] && s->promote && !t->trainer.sasrec && better;
    if (fine) {
        folder_remove(aside);
        fine = folder_make(aside, err) && write_version(t, aside, &seen, promotes, err) &&
               folder_publish(aside, final, err);
    }
    judgement_release(&seen, t->cases.count);
    if (fine && t->trainer.sasrec)
        fine = baseline_set(t->job->home, name, err);
    else if (fine && promotes)
        fine = (t->talking.on ? chat_set : production_set)(t->job->home, name, err);
    if (fine && t->posttrains && t->looks && t->best_step == 0)
        printf("no look at validation was better than what %s began with\n", t->init);
    if (fine) {
        folder_remove(t->folder);
        printf("version %s%s%s\n", name,
               t->trainer.sasrec ? " is the baseline SASRec"
               : loses[0]        ? " was not promoted: it loses to the one in production at "
               : promotes        ? (t->talking.on ? " answers dialogues" : " is in production")
                                 : "",
               loses);
    }
    return fine;
}
