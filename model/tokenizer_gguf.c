/*
 * tokenizer_gguf.c: the vocabulary in a GGUF file.
 *
 * The file names its model (gpt2: byte-level BPE; llama: SentencePiece BPE, by scores) and its
 * pre-tokenizer (llama.cpp, src/llama-vocab.cpp has the names).  Both become the JSON that the
 * tokenizer.json of the same model says, so that there is one way from there on.
 */
#include "model/gguf.h"
#include "model/tokenizer_foreign.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(regex)                                                                               \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,"                    \
    "\"use_regex\":" regex "}"
#define SPLIT(regex)                                                                               \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" regex "\"},\"behavior\":\"Isolated\","         \
    "\"invert\":false}"
#define SEQUENCE(parts) "{\"type\":\"Sequence\",\"pretokenizers\":[" parts "]}"
#define MODERN(digits)                                                                             \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}" digits         \
    "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"

static const char DIGITS[] =
    SEQUENCE("{\"type\":\"Digits\",\"individual_digits\":true}," BYTES("true"));
static const char GPT2[] = BYTES("true");
static const char LLAMA3[] = SEQUENCE(SPLIT(MODERN("{1,3}")) "," BYTES("false"));
static const char QWEN2[] = SEQUENCE(SPLIT(MODERN("")) "," BYTES("false"));
static const char PLAIN[] = SEQUENCE(SPLIT("[\\\\p{P}\\\\$\\\\+<=>\\\\^~\\\\|]+") "," SPLIT(
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\\\p{L}+| ?\\\\p{N}+| ?[^\\\\s\\\\p{L}\\\\p{N}]+|"
    "\\\\s+(?!\\\\S)") "," SPLIT("\\\\p{N}+") "," SPLIT("[0-9][0-9][0-9]") "," BYTES("false"));

static const struct pre {
    const char *name, *json;
    bool ignore_merges, composed;
} PRES[] = {
    {"default", PLAIN, false, false},
    {"gpt-2", GPT2, false, false},
    {"phi-2", GPT2, false, false},
    {"mpt", GPT2, false, false},
    {"olmo", GPT2, false, false},
    {"jais", GPT2, false, false},
    {"smollm", DIGITS, false, false},
    {"starcoder", DIGITS, false, false},
    {"refact", DIGITS, false, false},
    {"command-r", DIGITS, false, false},
    {"llama-bpe", LLAMA3, true, false},
    {"llama-v3", LLAMA3, true, false},
    {"llama3", LLAMA3, true, false},
    {"qwen2", QWEN2, false, true},
    {"deepseek-r1-qwen", QWEN2, false, true},
};

/* llama.cpp, include/llama.h: what tokenizer.ggml.token_type says. */
enum { TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER = 4 };

struct reading {
    const struct gguf *gguf;
    struct gguf_list tokens, types, merges, scores;
    struct foreign *foreign;
    struct err *err;
};

static bool wrong(const struct reading *r, const char *what, const char *expected,
                  const char *found)
{
    return err_set(r->err, ERR_FORMAT, "%s: expected %s, found '%.40s'", what, expected, found);
}

static bool parse(json_t **out, const char *text, struct err *err)
{
    return (*out = json_parse(text, strlen(text), "its pre-tokenizer", err)) != NULL;
}

static bool byte_level_parts(struct reading *r)
{
    struct foreign *f = r->foreign;
    char name[64] = "default";
    if (!gguf_string(name, sizeof name, r->gguf, "tokenizer.ggml.pre", r->err))
        return false;
    size_t i = 0;
    while (i < COUNT(PRES) && strcmp(name, PRES[i].name) != 0)
        i++;
    if (i == COUNT(PRES))
        return wrong(r, "tokenizer.ggml.pre",
                     "default, gpt-2, smollm, llama-bpe, qwen2 or one of the same kind", name);
    f->vocab.ignore_merges = PRES[i].ignore_merges;
    return parse(&f->pre_tokenizer, PRES[i].json, r->err) && parse(&f->decoder, GPT2, r->err) &&
           (!PRES[i].composed || parse(&f->normalizer, "{\"type\":\"NFC\"}", r->err));
}

static bool sentence_parts(struct reading *r)
{
    struct foreign *f = r->foreign;
    bool prefix = true;
    if (!gguf_flag(&prefix, r->gguf, "tokenizer.ggml.add_space_prefix", r->err))
        return false;
    f->vocab.byte_fallback = true;
    f->vocab.fuse_unknown = true;
    static const char REPLACE[] =
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"}";
    static const char BOTH[] =
        "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":"
        "\"\xe2\x96\x81\"},"
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"}]}";
    static const char DECODER[] =
        "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":"
        "\"\xe2\x96\x81\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}";
    static const char STRIP[] = ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}";
    struct text decoder;
    text_init(&decoder, 4096);
    text_addf(&decoder, "%s%s]}", DECODER, prefix ? STRIP : "");
    bool fine = parse(&f->normalizer, prefix ? BOTH : REPLACE, r->err) &&
                parse(&f->decoder, decoder.bytes ? decoder.bytes : "", r->err);
    text_release(&decoder);
    return fine;
}

static bool text_fine(const struct gguf_text *text)
{
    return utf8_valid(text->bytes, text->size) && !memchr(text->bytes, 0, text->size);
}

static bool read_tokens(struct reading *r)
{
    struct vocab *v = &r->foreign->vocab;
    struct vocab kind = *v;
    struct gguf_list list = r->tokens;
    size_t bytes = 0;
    size_t count = list.count;
    while (list.count)
        bytes += gguf_next_text(&list).size;
    if (!vocab_init(v, count, bytes, r->merges.count, r->err))
        return false;
    v->byte_level = r->foreign->pieces.byte_level;
    v->byte_fallback = kind.byte_fallback;
    v->fuse_unknown = kind.fuse_unknown;
    v->ignore_merges = kind.ignore_merges;
    list = r->tokens;
    for (size_t id = 0; id < count; id++) {
        struct gguf_text text = gguf_next_text(&list);
        double type = r->types.count ? gguf_number(&r->types, id) : 0;
        if (!text_fine(&text))
            return err_set(r->err, ERR_FORMAT, "token %zu is not UTF-8 without zeros", id);
        if (type == TYPE_UNKNOWN && !v->byte_level)
            v->unknown = (uint32_t)id;
        if (text.size == 0)
            continue; /* padding */
        if (!vocab_add(v, id, text.bytes, text.size, r->err))
            return false;
        struct added added = {.text = text.bytes,
                              .size = text.size,
                              .token = (uint32_t)id,
                              .special = type == TYPE_CONTROL || type == TYPE_UNKNOWN};
        if ((added.special || type == TYPE_USER) && !foreign_add(r->foreign, &added, r->err))
            return false;
    }
    return vocab_check(v, r->err);
}

static bool read_merges(struct reading *r)
{
    struct gguf_list list = r->merges;
    for (uint32_t rank = 0; list.count; rank++) {
        struct gguf_text text = gguf_next_text(&list);
        const char *space = memchr(text.bytes, ' ', text.size);
        size_t left = space ? (size_t)(space - text.bytes) : 0;
        if (!text_fine(&text) || !space || memchr(space + 1, ' ', text.size - left - 1))
            return err_set(r->err, ERR_FORMAT, "merge %u: expected two tokens and a space", rank);
        if (!vocab_merge_add(&r->foreign->vocab, text.bytes, left, space + 1, text.size - left - 1,
                             rank, r->err))
            return false;
    }
    return true;
}

/*
 * SentencePiece merges the neighbours that make the token of the highest score; so each way to cut
 * a token into two is a merge, ordered by the score of the whole, then by the parts' numbers (as
 * huggingface/transformers, convert_slow_tokenizer.py, generate_merges).
 */
struct pairing {
    double score;
    uint32_t left, right, token;
};

static int by_score(const void *a, const void *b)
{
    const struct pairing *x = a;
    const struct pairing *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    if (x->token != y->token)
        return x->token < y->token ? -1 : 1;
    if (x->left != y->left)
        return x->left < y->left ? -1 : 1;
    return (x->right > y->right) - (x->right < y->right);
}

static bool pair_up(struct pairing **list, size_t *count, struct reading *r)
{
    const struct vocab *v = &r->foreign->vocab;
    size_t room = 0;
    for (uint32_t token = 0; token < v->ids; token++) {
        const char *text = v->bytes + v->at[token];
        for (size_t cut = 1; cut < v->length[token]; cut++) {
            uint32_t left = vocab_find(v, text, cut);
            uint32_t right =
                left == NO_TOKEN ? left : vocab_find(v, text + cut, v->length[token] - cut);
            if (right == NO_TOKEN)
                continue;
            if (*count == room) {
                room = room ? 2 * room : 4096;
                struct pairing *more = realloc(*list, room * sizeof *more);
                if (!more)
                    return err_set(r->err, ERR_SYSTEM, "no memory for %zu merges", room);
                *list = more;
            }
            double score = gguf_number(&r->scores, token);
            if (!isfinite(score))
                return err_set(r->err, ERR_FORMAT, "token %u: its score is no number", token);
            (*list)[(*count)++] = (struct pairing){score, left, right, token};
        }
    }
    return true;
}

static bool merges_of_scores(struct reading *r)
{
    struct vocab *v = &r->foreign->vocab;
    struct pairing *list = NULL;
    size_t count = 0;
    bool fine = pair_up(&list, &count, r) && vocab_room(v, count, r->err);
    if (count)
        qsort(list, count, sizeof *list, by_score);
    for (size_t i = 0; fine && i < count; i++)
        vocab_merge_put(v, list[i].left, list[i].right, list[i].token, (uint32_t)i);
    free(list);
    return fine;
}

static bool read_lists(struct reading *r, bool sentence)
{
    const struct gguf *g = r->gguf;
    if (!gguf_array(&r->tokens, g, "tokenizer.ggml.tokens", GGUF_TEXT, r->err) ||
        !gguf_array(&r->types, g, "tokenizer.ggml.token_type", GGUF_I32, r->err) ||
        !gguf_array(&r->merges, g, "tokenizer.ggml.merges", GGUF_TEXT, r->err) ||
        !gguf_array(&r->scores, g, "tokenizer.ggml.scores", GGUF_F32, r->err))
        return false;
    if (r->tokens.count == 0)
        return err_set(r->err, ERR_FORMAT, "tokenizer.ggml.tokens is missing");
    if (r->types.count && r->types.count != r->tokens.count)
        return err_set(r->err, ERR_FORMAT, "%zu tokens, %zu token types", r->tokens.count,
                       r->types.count);
    if (sentence ? r->scores.count != r->tokens.count : r->merges.count == 0)
        return err_set(r->err, ERR_FORMAT, "expected tokenizer.ggml.%s",
                       sentence ? "scores, one a token" : "merges");
    return true;
}

static bool read_all(struct reading *r, size_t marks_at)
{
    char model[32] = "";
    struct foreign *f = r->foreign;
    if (!gguf_string(model, sizeof model, r->gguf, "tokenizer.ggml.model", r->err))
        return false;
    bool sentence = strcmp(model, "llama") == 0;
    if (!sentence && strcmp(model, "gpt2") != 0)
        return wrong(r, "tokenizer.ggml.model", "gpt2 or llama", model);
    return read_lists(r, sentence) && (sentence ? sentence_parts(r) : byte_level_parts(r)) &&
           pieces_init(&f->pieces, f->normalizer, f->pre_tokenizer, r->err) && read_tokens(r) &&
           (sentence ? merges_of_scores(r) : read_merges(r)) && foreign_finish(f, marks_at, r->err);
}

struct tokenizer *tokenizer_of_gguf(const struct gguf *gguf, size_t marks_at, struct err *err)
{
    struct reading r = {.gguf = gguf, .foreign = foreign_new(err), .err = err};
    if (r.foreign && read_all(&r, marks_at))
        return tokenizer_wrap(r.foreign, err);
    err_place(err, "%s", gguf->path);
    foreign_free(r.foreign);
    return NULL;
}
