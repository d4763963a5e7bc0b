/*
 * tokenizer.h: text to tokens and back: byte-level BPE (Sennrich et al., ACL 2016, over bytes as in
 * GPT-2), learnt from the catalogue's and the dialogues' own text.
 *
 * Text is brought to NFC and lower case, cut into words as GPT-2 does (a run of letters, of digits
 * or of other signs, each with the space before it; contractions apart; other white space), and
 * each word's bytes are merged in the order the merges were learnt.  A token never crosses a word.
 * Every byte is a token, so any text can be said; bytes that are not UTF-8 become U+FFFD first.
 *
 * Numbers: 0..255 the bytes, then the marks, then one token for each merge.  The file is the
 * tokenizer.json that the Hugging Face world reads (model BPE, pre-tokeniser ByteLevel).
 *
 * Or it is the tokenizer of somebody else's model (foreign): then text is normalised and cut as its
 * file says, its tokens keep their numbers, and the marks come behind them.  It gives the tokens of
 * the reference (huggingface/tokenizers) without special ones around; text that spells one of its
 * special tokens becomes that token, as there; text that spells a mark of ours does not.
 *
 * Threads   a tokenizer never changes once made; encoding takes memory of its own and gives it
 *           back.
 * Memory    owned; tokenizer_free().  A few dozen bytes a token.
 * Errors    a file that is broken, or that asks for what is not read here, is refused with its
 *           name, what was expected and what stands there (ERR_FORMAT, ERR_LIMIT).  Encoding fails
 *           (0 tokens, err) without memory, or when a pattern of the file takes too many steps.
 * Cost      time grows with n log n of the longest word.
 */
#ifndef MODEL_TOKENIZER_H
#define MODEL_TOKENIZER_H

#include "base/err.h"
#include "base/text.h"

#include <stdint.h>

/* Tokens that no text contains: they say what stands where. */
enum mark {
    MARK_ITEM,
    MARK_LIST,
    MARK_QUERY,
    MARK_TITLE,
    MARK_ABOUT,
    MARK_LIKES,
    MARK_END,
    MARK_REASON, /* the parts of a chain of reasons: recommend/chain.h */
    MARK_BECAUSE,
    MARK_NEXT,
    MARK_PLAN,
    MARK_CLEAN,
    MARK_DROP,
    MARK_USER, /* who speaks: recommend/dialogue.h */
    MARK_REPLY,
    MARKS
};
extern const char *const MARK_TEXTS[MARKS]; /* "<item>", ... */

enum { TOKENIZER_MARKS_AT = 256, TOKENIZER_LEAST = 256 + MARKS, TOKENIZER_MOST = 32768 };

struct tokenizer;

/* The text to learn from, given piece by piece in any order: the result does not depend on it. */
struct corpus;
struct corpus *corpus_new(struct err *err) MUST_CHECK;
bool corpus_add(struct corpus *corpus, const char *text, struct err *err) MUST_CHECK;
void corpus_free(struct corpus *corpus); /* NULL is fine */

/*
 * Learns at most `size` tokens; fewer when no pair stands `least` times any more.  size 0: from the
 * number of different words, between 512 and 8192.  A size below TOKENIZER_LEAST is raised to it.
 */
struct tokenizer *tokenizer_train(const struct corpus *corpus, size_t size, size_t least,
                                  struct err *err) MUST_CHECK;
/* Ours, or a foreign one with our marks, as tokenizer_write() writes it into a version. */
struct tokenizer *tokenizer_read(const char *path, struct err *err) MUST_CHECK;
bool tokenizer_write(const struct tokenizer *tokenizer, const char *path,
                     struct err *err) MUST_CHECK;
void tokenizer_free(struct tokenizer *tokenizer); /* NULL is fine */

/*
 * A tokenizer of somebody else's model, from its tokenizer.json or from a GGUF file's metadata.
 * The marks come after its own tokens: at `marks_at`, the rows that the model's embedding has
 * (often more than the vocabulary: padding), or right after the vocabulary if it is 0.  A
 * vocabulary that does not fit into marks_at is refused.
 */
struct gguf;
struct tokenizer *tokenizer_read_foreign(const char *path, size_t marks_at,
                                         struct err *err) MUST_CHECK;
struct tokenizer *tokenizer_of_gguf(const struct gguf *gguf, size_t marks_at,
                                    struct err *err) MUST_CHECK;

size_t tokenizer_size(const struct tokenizer *tokenizer);    /* tokens, marks included */
uint32_t tokenizer_marks(const struct tokenizer *tokenizer); /* the first mark's token */

/* Writes at most `most` tokens of the text and returns how many; the rest of it is left out. */
size_t tokenizer_encode(uint32_t *tokens, size_t most, const struct tokenizer *tokenizer,
                        const char *text, struct err *err);
/* For words within a sentence, with a space before them: without it, where the tokenizer puts one
 * before every text itself (Llama 2's Prepend). */
const char *tokenizer_within(const struct tokenizer *tokenizer, const char *text);
/*
 * Adds the text of the tokens; marks and special tokens are left out; broken bytes are repaired
 * (ours '?', foreign U+FFFD): tokens that end within a character end in one.  A foreign tokenizer
 * drops the first space of what `begins` a text: who streams decodes from the first token on, and
 * holds back the last U+FFFD.
 */
void tokenizer_decode(struct text *text, const struct tokenizer *tokenizer, const uint32_t *tokens,
                      size_t count, bool begins);

#endif
