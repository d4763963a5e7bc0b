/*
 * dialogues.h: the store's dialogues as flat arrays, and which of them teach, choose and judge.
 *
 * A dialogue whose `split` says "test" judges; of the others a tenth, by a hash of the id, chooses
 * (validation), and the rest teaches.  Roles are user and assistant, or seeker and recommender as
 * in ReDial; turns of other roles are left out.
 *
 * Memory    owned arrays; dialogues_free().
 */
#ifndef TRAIN_DIALOGUES_H
#define TRAIN_DIALOGUES_H

#include "recommend/dialogue.h"
#include "train/split.h"

enum dialogue_part { DIALOGUES_TRAIN, DIALOGUES_VALIDATION, DIALOGUES_TEST, DIALOGUE_PARTS };
extern const char *const DIALOGUE_PART_NAMES[DIALOGUE_PARTS];

/* What a dialogue's lists say of an item that it names; bits. */
enum said { SAID_LIKED = 1, SAID_DISLIKED = 2, SAID_SEEN = 4 };

struct dialogues {
    size_t count, turns, mentions;
    uint32_t *key;          /* [count] a hash of the id, by which files of scores know a dialogue */
    unsigned char *part;    /* [count] enum dialogue_part */
    size_t *first;          /* [count + 1] into the turns */
    unsigned char *speaker; /* [turns] enum speaker */
    size_t *text_at;        /* [turns] in `text`, each with its final 0 */
    char *text;
    size_t *item_first;  /* [turns + 1] into the mentions: distinct in a turn */
    uint32_t *item;      /* [mentions] numbers of the store; rows after dialogues_name() */
    unsigned char *said; /* [mentions] bits of enum said, of the whole dialogue */
    size_t unjoined;     /* mentions of items without a record: left out */
};

struct dialogues *dialogues_load(struct store *store, struct err *err) MUST_CHECK;
/* Of all dialogues of the store, so that who learns from them knows that they changed. */
bool dialogues_hash(uint64_t *hash, const struct store_txn *txn, struct err *err) MUST_CHECK;
void dialogues_free(struct dialogues *dialogues); /* NULL is fine */

/* Numbers become rows, once; what the version does not have is left out of the turns. */
void dialogues_name(struct dialogues *dialogues, const struct snapshot *snapshot);

/*
 * Adds a sequence for each dialogue that teaches: the items that it names and does not dislike, in
 * order and each once, as if one user had taken them.  `of` maps numbers (or is NULL): UINT32_MAX
 * and what lies beyond `numbers` is left out.
 */
bool dialogues_append(struct sequences *sequences, const struct dialogues *dialogues,
                      const uint32_t *of, size_t numbers, struct err *err) MUST_CHECK;

/*
 * The turns [begin, end) of a dialogue as messages, written into room for end - begin; they borrow
 * from the dialogues.
 */
void dialogues_messages(struct message *messages, const struct dialogues *dialogues, size_t begin,
                        size_t end);

/* Items of turns [begin, end), in order and each once; at most `most`; returns how many. */
size_t dialogues_rows(uint32_t *rows, size_t most, const struct dialogues *dialogues, size_t begin,
                      size_t end);

#endif
