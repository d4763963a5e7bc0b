/*
 * tokenizer_pieces.h: text to the words of a foreign tokenizer, as its tokenizer.json describes it:
 * normalizers, then pre-tokenizers; for tokenizer*.c alone.
 *
 *   normalizer      NFC NFD NFKC NFKD Lowercase Replace Prepend Sequence
 *   pre_tokenizer   ByteLevel Split Digits Punctuation Metaspace Whitespace WhitespaceSplit
 * Sequence
 *
 * Anything else is refused by name.  A pre-tokenizer becomes one or more stages; a stage cuts a
 * piece, or puts something before it, and hands each part to the next, so no list of pieces is ever
 * made.  A piece is the whole subject of what follows: a pattern cannot see beyond it.
 *
 * Threads   pieces never change once made; `struct piecing` is one thread's.
 * Memory    pieces borrow texts from the JSON that they were made of.
 */
#ifndef MODEL_TOKENIZER_PIECES_H
#define MODEL_TOKENIZER_PIECES_H

#include "base/json.h"
#include "base/text.h"
#include "model/tokenizer_pattern.h"

enum { PIECES_STEPS = 16, PIECES_TEXT_MAX = 1 << 28 };

enum normal_kind { NORMAL_COMPOSED, NORMAL_LOWER, NORMAL_REPLACE, NORMAL_PREPEND };

struct normal {
    enum normal_kind kind;
    int options;             /* of utf8proc: NORMAL_COMPOSED */
    struct pattern *pattern; /* owned; what is replaced, or else: */
    const char *literal;     /* borrowed */
    const char *content;     /* borrowed; what is put there */
};

enum stage_kind { STAGE_CUT, STAGE_PREFIX, STAGE_SPACES };
enum cut_by { BY_PATTERN, BY_LITERAL, BY_NUMBER, BY_PUNCTUATION, BY_WHITE };
enum cut_how { HOW_ISOLATED, HOW_REMOVED, HOW_PREVIOUS, HOW_NEXT, HOW_CONTIGUOUS };

struct stage {
    enum stage_kind kind;
    enum cut_by by;
    enum cut_how how;
    bool invert;             /* what is between the matches are the matches */
    bool first_only;         /* STAGE_PREFIX: only at the start of the whole text */
    struct pattern *pattern; /* owned */
    const char *text;        /* borrowed: BY_LITERAL, STAGE_PREFIX, STAGE_SPACES (for each space) */
};

struct pieces {
    struct normal normals[PIECES_STEPS];
    struct stage stages[PIECES_STEPS];
    size_t normal_count, stage_count;
    bool byte_level; /* the last pre-tokenizer is ByteLevel: words are bytes */
};

bool pieces_init(struct pieces *pieces, const json_t *normalizer, const json_t *pre_tokenizer,
                 struct err *err) MUST_CHECK;
void pieces_release(struct pieces *pieces);

/* Takes a word; false: enough. */
typedef bool piece_fn(void *self, const char *bytes, size_t size);

struct piecing {
    const struct pieces *pieces;
    struct matching *matching; /* owned */
    struct text normal[2];     /* owned */
    struct text stage[PIECES_STEPS];
    piece_fn *fn;
    void *self;
    struct err *err;
};
bool piecing_init(struct piecing *piecing, const struct pieces *pieces, piece_fn *fn, void *self,
                  struct err *err) MUST_CHECK;
void piecing_release(struct piecing *piecing);

/* Valid UTF-8 in, normal text out: `bytes` itself, or borrowed until the next call.  NULL: err. */
const char *pieces_normal(size_t *out, struct piecing *piecing, const char *bytes, size_t size);

/* The words of a normal text; first: it begins the whole text.  False: fn, or err, said stop. */
bool pieces_each(struct piecing *piecing, const char *bytes, size_t size, bool first);

#endif
