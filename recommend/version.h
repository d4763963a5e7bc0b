/*
 * version.h: a trained model version, opened: everything it takes to recommend.
 *
 * A version is an immutable folder HOME/models/<name>.  Opening checks every file against the
 * SHA-256 in manifest.json, then sizes, names and fingerprints against each other.
 *
 * Threads   an open version never changes; version_hold/_drop count its users.
 * Memory    owns its maps and one arena; the last drop closes it.
 */
#ifndef RECOMMEND_VERSION_H
#define RECOMMEND_VERSION_H

#include "data/store.h"
#include "evaluate/baselines.h"
#include "index/catalogue_index.h"
#include "index/index_files.h"
#include "index/trie.h"
#include "model/decode.h"
#include "model/tokenizer.h"
#include "recommend/attributes.h"

#include <stdatomic.h>

/* What the slate knows of a candidate; each is a log-score or behaves like one. */
enum feature {
    FEATURE_NAME,  /* log p(name) */
    FEATURE_FIND,  /* q . f */
    FEATURE_COUNT, /* log(COUNT_FLOOR + votes of the history's neighbours): more votes, more sure */
    FEATURE_LAST,  /* relative: votes of the newest item alone */
    FEATURE_TEXT,  /* relative: nearness of the words */
    FEATURE_WALK,  /* relative: votes of what is like the history by its words */
    FEATURE_FRESH, /* log((1 + training sequences that end here) / (5 + training events)) */
    FEATURE_POPULAR, /* log(1 + training events) */
    FEATURE_NEW,     /* 1 for a newcomer: an item without training events */
    FEATURES
};
extern const char *const FEATURE_NAMES[FEATURES];

/* Weights of the sum, fitted on validation. */
struct fusion {
    double weight[FEATURES];
};

/*
 * What a newcomer gets on top of its score, in each reading's own list and (as the weight of
 * FEATURE_NEW) in the slate: as much as costs the others a set share of HR@10 on validation.
 */
struct newcomers {
    double name, find;
};

struct version {
    char name[64];
    struct item_index *index;
    struct tokenizer *tokenizer;
    struct policy policy;
    struct trie trie;
    struct catalogue_index *find_index;
    struct neighbour_lists neighbours, texts;
    struct fusion fusion; /* of a history */
    struct fusion search; /* of a query */
    struct newcomers newcomers;
    struct sparse *together;       /* owned: what dialogues name together; NULL: not taught */
    double list_votes;             /* weight of these votes in lists (votes.h); 0: none */
    struct attributes *attributes; /* owned; NULL: it was not trained to give reasons */
    float *experience;             /* owned [items], experience.h; NULL: none */
    uint64_t *unseen;              /* owned: a bit per row without training events */
    uint32_t *unseen_row;          /* owned [unseen_count] */
    size_t unseen_count;
    uint32_t *node;          /* owned [levels, items]: see item_table */
    uint32_t *popular;       /* [items] rows by falling training events */
    uint32_t *number_of_row; /* [items] in the store it was opened with; NO_ITEM: not there */
    uint32_t *row_of_number; /* [numbers] or NO_ITEM */
    size_t numbers;
    real *typical; /* [dim] the mean find vector of items with events */
    struct arena arena;
    unsigned long serial; /* of this opening; an address may come again, a serial does not */
    atomic_uint uses;
};

struct version *version_open(const char *home, const char *name, struct store *store,
                             size_t scan_items_max, struct err *err) MUST_CHECK;
struct version *version_hold(struct version *version);
void version_drop(struct version *version); /* NULL is fine */

/*
 * The same from files that are not published yet: an index folder and a policy in memory.  Index,
 * tokenizer and attributes (NULL: none) become the version's own; on failure they stay the
 * caller's.
 */
struct version *version_from(struct item_index *index, struct tokenizer *tokenizer,
                             struct attributes *attributes, const struct shape *shape,
                             const struct params *params, struct store *store,
                             struct err *err) MUST_CHECK;
/*
 * The find vector of a newcomer: the mean of those of its nearest texts with events, by likeness
 * squared; without any, that of all items with events.
 */
void version_newcomer(real *vector, const struct version *version, const uint32_t *near,
                      const float *likeness, size_t count);
/* Refreshes what is derived from params: the find vectors (training does so at each check). */
void version_refresh(struct version *version);

/* Lists are written with it from now on; it becomes the version's own.  NULL: without any. */
void version_take_experience(struct version *version, float *experience);

/* together.safetensors, if it was taught dialogues. */
bool together_write(const struct version *version, const char *folder, struct err *err) MUST_CHECK;

/* fusion.json, as version_open() reads it. */
bool fusion_write(const struct version *version, const char *folder, struct err *err) MUST_CHECK;

/* The name of the version that HOME/<link> points to; ERR_MISSING if there is none. */
bool version_link(char name[64], const char *home, const char *link, struct err *err) MUST_CHECK;

/* The name that production/recommend points to; ERR_MISSING if there is none. */
bool production_name(char name[64], const char *home, struct err *err) MUST_CHECK;
bool production_set(const char *home, const char *name,
                    struct err *err) MUST_CHECK; /* keeps the old as previous */
/* Points HOME/baselines/sasrec to a version. */
bool baseline_set(const char *home, const char *name, struct err *err) MUST_CHECK;
/* Points production/chat, which dialogues are answered by, to a version. */
bool chat_set(const char *home, const char *name, struct err *err) MUST_CHECK;
bool production_back(const char *home, struct err *err) MUST_CHECK;

json_t *manifest_read(const char *folder, struct err *err) MUST_CHECK; /* new reference */
bool manifest_check(const char *folder,
                    struct err *err) MUST_CHECK; /* files against their SHA-256 */
bool manifest_write(const char *folder, json_t *facts,
                    struct err *err) MUST_CHECK; /* adds "files" */

#endif
