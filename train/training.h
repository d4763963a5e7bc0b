/*
 * training.h: the state of one training, between its run (job_train.c) and its version (publish.c).
 */
#ifndef TRAIN_TRAINING_H
#define TRAIN_TRAINING_H

#include "train/alarms.h"
#include "train/judge.h"
#include "train/rows.h"
#include "train/told.h"
#include "train/trainer.h"

#include <stdio.h>

/* Dialogues, of the stages that learn from them. */
struct talking {
    bool on;
    struct titles *titles;
    struct dialogues *dialogues;
    struct dialogue_counts counts;
    struct dialogue_lists lists;      /* to imitate */
    struct dialogue_prompts choosing; /* of validation */
    /* the first of those, borrowed: by which a stage is looked at, and votes are fitted */
    struct dialogue_prompts checks, judged;
};

struct training {
    const struct job *job;
    char hash[SHA256_TEXT]; /* of settings, events, index and watermark */
    char folder[PATH_SIZE]; /* HOME/training/<hash> */
    char state_path[PATH_SIZE];
    char steps_path[PATH_SIZE];
    char index_folder[PATH_SIZE];
    struct row_data data;
    struct version *version; /* follows the params at each look */
    struct snapshot *snapshot;
    struct item_words *words;
    struct told *told;       /* NULL: nobody was asked */
    uint64_t texts_revision; /* that the hash was made of; 0: none are read */
    uint64_t newer_upto;     /* the last event that rl_source newer reads; 0: it does not */
    struct tasks tasks;
    struct list_examples lists;   /* of stage lists */
    struct chain_examples chains; /* of stage reason */
    struct chain_teacher teacher; /* of chains: what a large model argued */
    struct list_cases list_cases; /* validation, of stages that write lists */
    struct talking talking;       /* of stage dialogue */
    struct version *start;        /* the version that a later stage starts from */
    struct trainer trainer;
    struct rl rl;              /* of stage rl */
    bool posttrains;           /* a later stage than sft */
    bool reasons;              /* it is stage reason */
    bool experience;           /* it is stage experience: the policy stays as it is */
    char init[64];             /* the version it starts from */
    struct backbone *backbone; /* a pretrained trunk that it starts from, or NULL */
    char backbone_hash[SHA256_TEXT];
    FILE *rollouts; /* rollouts.tsv, of stage rl */
    struct alarms alarms;
    struct cases cases; /* validation, for choosing */
    FILE *steps;        /* steps.tsv */
    double best;
    size_t looks, since_best, best_step;
    double started_s;
    size_t positions; /* since started_s */
};

/*
 * What a stage means in settings, and the version that it starts from; controls get the events that
 * were kept for rl; opened before the trainer, which then goes on from the start's params.
 */
bool stage_expand(struct training *training, struct train_settings *settings,
                  struct err *err) MUST_CHECK;
void stage_release_kept(struct training *training);
bool stage_open_start(struct training *training, struct attributes **attributes,
                      struct err *err) MUST_CHECK;
bool stage_open(struct training *training, struct err *err) MUST_CHECK;
void talking_release(struct talking *talking);
bool stage_go_on(struct training *training, struct err *err) MUST_CHECK;
bool experience_run(struct training *training, struct err *err) MUST_CHECK; /* in run's place */
bool stage_reads_newer(const struct train_settings *settings);
/*
 * start.c: a pretrained trunk and its words, if --backbone names one or the start has them: opened
 * before the hash is made; sizes (of the trunk alone) and tokenizer before the version is; the
 * version's params begun once there are item_words; the trainer goes on from them.
 */
bool start_open(struct training *training, struct err *err) MUST_CHECK;
struct tokenizer *start_tokenizer(const struct training *training, struct err *err) MUST_CHECK;
void start_shape(struct shape *shape, const struct training *training);
bool start_begin(struct training *training, struct err *err) MUST_CHECK;
bool start_go_on(struct training *training, struct err *err) MUST_CHECK;
json_t *start_words_from(const struct training *training, struct err *err);
void start_close(struct training *training);
/* The version becomes what these params make of it. */
void training_take_params(struct training *training, const struct params *params);
/* Looks at validation and notes whether it is the best so far; the params are the average's. */
bool training_look(struct training *training, double *value, struct err *err) MUST_CHECK;
/* How lists are looked at while dialogues are learnt: validation's, the policy's alone. */
struct dialogue_judging training_dialogues(const struct training *training);
/* Mean NDCG@10. */
double training_ndcg(const uint32_t *rank, size_t count);

/*
 * Whether validation's users lose beyond the interval to the version in production: at NDCG@10 of
 * the slate, and after post-training at HR@50 and coverage of the first ten, too.  `loses` says at
 * what, or is empty.  A version that cannot be compared with wins nothing.
 */
enum { GATE_TEXT_SIZE = 96 };
bool training_gate(struct training *training, const struct judgement *mine, char *loses,
                   struct err *err) MUST_CHECK;
/*
 * The best params become the version HOME/models/<name>: weights of the slate and of search are
 * fitted on validation, the files are written aside and renamed, and production moves unless
 * training_gate() says that it loses.
 */
bool training_publish(struct training *training, const char *name, struct err *err) MUST_CHECK;

#endif
