/*
 * jobs.h: the offline jobs of the command line, and their settings.
 *
 * A job reads the store up to its watermark, works on flat arrays, and publishes a folder in one
 * step.  Run again with nothing changed it says so and does nothing: each result carries the hash
 * of its settings and data.
 */
#ifndef TRAIN_JOBS_H
#define TRAIN_JOBS_H

#include "base/endpoint.h"
#include "base/threads.h"
#include "data/events.h"
#include "objective/objective.h"
#include "recommend/version.h"

struct index_settings {
    size_t tile_levels, tiles, vocab, text_dims, event_dims, neighbours, index_seed;
    double cold_share, rl_share, text_weight, event_weight, neighbour_shrink, neighbour_backward,
        neighbour_from, neighbour_to;
    size_t neighbour_window, text_neighbours, tile_balance, rl_events;
    bool feed_back, count_dialogues;
    char split[SETTING_TEXT_SIZE];
};

struct train_settings {
    size_t dim, layers, heads, kv_heads, ffn, epochs, batch, window, warmup_steps, patience,
        check_every;
    size_t check_users, judge_users, state_every_steps, seed, threads, beam, scan_items_max;
    double learning_rate, weight_decay, dropout, own_drop, name_weight, find_weight, clip_norm,
        adam_beta2, average_decay, name_teach, smoothing, task_share, task_weight, say_weight,
        newcomer_loss;
    size_t softmax_items, negatives;
    bool learn_kept, rl_reasons, promote, node_vectors, texts, watch;
    char preset[SETTING_TEXT_SIZE], stage[SETTING_TEXT_SIZE], init[SETTING_TEXT_SIZE],
        rl_source[SETTING_TEXT_SIZE], list_teacher[SETTING_TEXT_SIZE];
    double reason_share, reason_weight, reason_learning_rate;
    size_t reason_steps;
    size_t watch_events, rl_steps, rl_prompts, rl_turns, rl_check_every, list_items;
    double rl_learning_rate, rl_temperature, rl_weight, rl_beside;
    size_t dialogue_symbols, dialogue_steps;
    size_t experience_rounds, experience_prompts, experience_lists;
    double experience_prior;
    double dialogue_share, dialogue_learning_rate, list_truth;
    char backbone[SETTING_TEXT_SIZE];
    double trunk_rate, lora_alpha;
    size_t lora_rank;
};

extern const struct setting INDEX_SETTINGS[];
extern const size_t INDEX_SETTINGS_COUNT;
extern const struct setting TRAIN_SETTINGS[];
extern const size_t TRAIN_SETTINGS_COUNT;

struct job {
    const char *home;
    struct store *store;
    struct thread_pool *pool;
    const struct event_settings *events;
    const struct index_settings *index;
    const struct train_settings *train;
    const struct endpoint_settings *endpoint;
    const struct objective_settings *objective; /* expanded */
};

bool job_index(const struct job *job, struct err *err) MUST_CHECK;
bool job_train(const struct job *job, struct err *err) MUST_CHECK;
/*
 * Trains by settings whenever watch_events more events are newer than the index, and goes on until
 * an error or a signal.
 */
bool job_watch(const struct job *job, struct err *err) MUST_CHECK;

struct texts_options {
    size_t most; /* questions; 0: all */
    bool chains; /* also for arguments (chain_teacher.h) */
    bool lists;  /* and for lists for users (list_told.h) */
    bool talks;  /* and for lists in dialogues (talk_told.h): these first */
};

/* Asks a large model about items and users, and what options say, if it has not answered yet. */
bool job_texts(const struct job *job, const struct texts_options *options,
               struct err *err) MUST_CHECK;

struct evaluate_options {
    bool test;             /* the test part; appends to runs_path */
    const char *json_path; /* NULL: none */
    const char *targets_path;
    const char *runs_path;         /* NULL: none */
    const char *ranks_path;        /* NULL: none; the rank of each case's target in each list */
    const char *reason_ranks_path; /* NULL: none; the same of reasons */
    const char *scores_path;       /* NULL: none; what each case's written list is worth (lists) */
    const char *label;             /* what data it is, for the row of a test run */
    const char *version;           /* "production", or a version's name */
    bool all;                      /* everything that can be asked */
    bool lists;                    /* and ranked lists against all later targets of a user */
    size_t reasons;                /* and chains of reasons of so many users; 0: none */
    const char *among;             /* of dialogues: a file of the ids that may be listed, or "" */
    double judge_share;            /* of dialogues: a share of the part's */
};

bool job_evaluate(const struct job *job, const struct evaluate_options *options,
                  struct err *err) MUST_CHECK;

/* Of the version in production/chat, if there is one, or the one that is named. */
bool job_evaluate_dialogues(const struct job *job, const struct evaluate_options *options,
                            struct err *err) MUST_CHECK;

struct compare_options {
    const char *ranks, *scores; /* of `evaluate --ranks` or `--scores`, parted by spaces; or "" */
    const char *against;        /* more of the same, to compare with; or "" */
    const char *json_path, *targets_path;
    const char *label;
};

/* Several runs over the same users, or two lots of them, as one table with intervals. */
bool job_compare(const struct compare_options *options, struct err *err) MUST_CHECK;

/* One JSON line a user into `path` ("-": stdout). */
bool job_recommend_all(const struct job *job, size_t n, const char *path,
                       struct err *err) MUST_CHECK;

/* SHA-256 of the settings that shape a result, with a text that says what data it came from. */
void settings_hash(char digest[SHA256_TEXT], const struct settings *tables, size_t count,
                   const char *data);

#endif
