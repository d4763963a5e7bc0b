/*
 * tokenizer_vocab.h: the tokens of a foreign tokenizer and the merging of one word; for
 * tokenizer*.c alone.
 *
 * A token's text is kept as the bytes it stands for.  Byte-level vocabularies (GPT-2) spell a byte
 * as a printable character: `Ġ` is a space; a token with another character than those 256 is
 * `plain`: no word is ever merged to it.  Vocabularies in the way of SentencePiece spell text as it
 * is, a space as U+2581 and, with byte_fallback, a byte as <0xAB>.
 *
 * Merging takes, again and again, the leftmost of the pairs with the lowest rank (Sennrich et al.,
 * ACL 2016).  Short words by scanning, long ones with a heap: n log n, whatever the text.
 *
 * Threads   a finished vocabulary never changes.
 * Memory    owned: about 40 bytes a token and 40 a merge.
 */
#ifndef MODEL_TOKENIZER_VOCAB_H
#define MODEL_TOKENIZER_VOCAB_H

#include "base/err.h"
#include "base/text.h"

#include <stdint.h>

enum { VOCAB_MOST = 1 << 20, MERGES_MOST = 1 << 23, TOKEN_BYTES_MAX = 4096 };
static const uint32_t NO_TOKEN = UINT32_MAX;

enum token_flag {
    TOKEN_THERE = 1, /* the number is taken: there may be holes */
    TOKEN_PLAIN = 2,
    TOKEN_WHOLE = 4, /* its own text merges to it: most words are found in one look */
};

struct vocab_merge {
    uint32_t left, right, rank, token; /* left NO_TOKEN: free */
};

struct vocab {
    char *bytes; /* owned: of all tokens */
    size_t used, room;
    uint32_t *at, *length; /* owned [ids] */
    unsigned char *flags;  /* owned [ids]: enum token_flag */
    size_t ids, count;     /* numbers, and how many of them are taken */
    uint32_t *slot;        /* owned: hash table of 1 + token by its bytes; none for plain ones */
    size_t slots;
    struct vocab_merge *merges; /* owned: hash table by pair */
    size_t merge_slots, merge_count;
    uint32_t byte[256]; /* token of each byte (byte-level, or <0xAB>), or NO_TOKEN */
    uint32_t unknown;   /* token for what has none, or NO_TOKEN: it is left out */
    bool byte_level, byte_fallback, fuse_unknown, ignore_merges;
};

bool vocab_init(struct vocab *vocab, size_t ids, size_t bytes, size_t merges,
                struct err *err) MUST_CHECK;
void vocab_release(struct vocab *vocab);

/* `spelled` as in the file; a number or a text that is taken is refused. */
bool vocab_add(struct vocab *vocab, size_t id, const char *spelled, size_t size,
               struct err *err) MUST_CHECK;
/* After the last of them: no plain token stands there twice. */
bool vocab_check(struct vocab *vocab, struct err *err) MUST_CHECK;
/* Of two spelled tokens, to the token of both together.  A pair that comes again counts anew. */
bool vocab_merge_add(struct vocab *vocab, const char *left, size_t left_size, const char *right,
                     size_t right_size, uint32_t rank, struct err *err) MUST_CHECK;
/* The same by numbers; vocab_room() makes a new, empty table of merges first. */
bool vocab_room(struct vocab *vocab, size_t merges, struct err *err) MUST_CHECK;
void vocab_merge_put(struct vocab *vocab, uint32_t left, uint32_t right, uint32_t token,
                     uint32_t rank);
/* After the last merge: finds the bytes, marks whole tokens. */
bool vocab_finish(struct vocab *vocab, struct err *err) MUST_CHECK;

uint32_t vocab_find(const struct vocab *vocab, const char *bytes, size_t size); /* or NO_TOKEN */
void vocab_spell(struct text *text, const struct vocab *vocab, uint32_t token);
/* Merges by rising rank; malloc'ed [merge_count]. */
struct vocab_merge *vocab_merges(const struct vocab *vocab, struct err *err);

/* Room to merge in; grows to the longest word.  Zeroed before the first use. */
struct merging {
    uint32_t *block; /* owned */
    size_t room;     /* symbols */
};
void merging_release(struct merging *merging);

/* Writes at most `most` tokens of a word and returns how many; SIZE_MAX: out of memory. */
size_t vocab_word(uint32_t *tokens, size_t most, const struct vocab *vocab, struct merging *merging,
                  const char *word, size_t size);

#endif
