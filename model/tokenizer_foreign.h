/*
 * tokenizer_foreign.h: a tokenizer of the Hugging Face world, however it was read; for tokenizer*.c
 * alone.
 *
 * Encoding goes as in the reference (huggingface/tokenizers, TokenizerImpl::encode, without special
 * tokens): added tokens that are not normalised are found in the text (leftmost, longest), what
 * lies between is normalised, the other added tokens are found in that, what lies between is cut
 * into words, each word is merged.  Our marks are found in no text.
 */
#ifndef MODEL_TOKENIZER_FOREIGN_H
#define MODEL_TOKENIZER_FOREIGN_H

#include "model/tokenizer.h"
#include "model/tokenizer_pieces.h"
#include "model/tokenizer_vocab.h"

enum { ADDED_MOST = 1 << 16, TOKENIZER_JSON_MAX = 1 << 26 };

struct added {
    const char *text; /* owned */
    size_t size;
    const char *normal; /* owned; what is looked for: the text, normalised if it says so */
    size_t normal_size;
    uint32_t token;
    bool special, single_word, lstrip, rstrip, normalized;
};

/* Added tokens by their first byte, the longest first. */
struct added_table {
    uint32_t *index;     /* owned [count] of struct added */
    uint32_t first[257]; /* where those of each first byte begin */
};

struct foreign {
    struct vocab vocab;
    struct pieces pieces;
    struct added *added; /* owned */
    size_t added_count;
    struct added_table raw, normal;
    json_t *normalizer, *pre_tokenizer, *post_processor, *decoder; /* owned; NULL or JSON null */
    char space[16];     /* what stands for a space in tokens that are text; "" for none */
    size_t strip;       /* spaces that decoding takes away at the start */
    size_t own;         /* 1 + its largest token */
    uint32_t marks;     /* the first of ours, >= own */
    uint32_t *added_at; /* owned: index + 1 of the added token, [own] */
};

struct foreign *foreign_new(struct err *err) MUST_CHECK;
void foreign_free(struct foreign *foreign); /* NULL is fine */
bool foreign_add(struct foreign *foreign, const struct added *added, struct err *err) MUST_CHECK;
/* After vocabulary, added tokens and the four JSON parts are in place. */
bool foreign_finish(struct foreign *foreign, size_t marks_at, struct err *err) MUST_CHECK;

size_t foreign_encode(uint32_t *tokens, size_t most, const struct foreign *foreign,
                      const char *text, struct err *err);
/* begins: the tokens are the first of a text, which may lose its first space. */
void foreign_decode(struct text *text, const struct foreign *foreign, const uint32_t *tokens,
                    size_t count, bool begins);
/* Whether a space is put before every text. */
bool foreign_prepends(const struct foreign *foreign);

/* tokenizer_json.c.  marks: they stand in the file, as foreign_write() puts them there. */
struct foreign *foreign_from_json(const json_t *file, bool marks, size_t marks_at,
                                  struct err *err) MUST_CHECK;
bool foreign_write(const struct foreign *foreign, const char *path, struct err *err) MUST_CHECK;
json_t *tokenizer_json(const char *path, struct err *err) MUST_CHECK; /* the file */

/* tokenizer.c */
struct tokenizer *tokenizer_wrap(struct foreign *foreign, struct err *err) MUST_CHECK;

#endif
