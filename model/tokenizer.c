#include "model/tokenizer.h"

#include "base/json.h"
#include "model/gguf.h"
#include "model/tokenizer_foreign.h"
#include "model/tokenizer_parts.h"
#include "model/words.h"

#include <stdlib.h>
#include <string.h>

const char *const MARK_TEXTS[MARKS] = {"<item>",  "<list>",  "<query>",  "<title>",   "<about>",
                                       "<likes>", "<end>",   "<reason>", "<because>", "<next>",
                                       "<plan>",  "<clean>", "<drop>",   "<user>",    "<reply>"};

enum { WORD_BYTES = 128 }; /* a longer word is cut: nobody says it */

struct tokenizer *tokenizer_new(size_t room, struct err *err)
{
    struct tokenizer *t = calloc(1, sizeof *t);
    size_t slots = 16;
    while (slots < 2 * room)
        slots *= 2;
    if (t) {
        t->room = room;
        t->slots = slots;
        t->left = calloc(room, sizeof *t->left);
        t->right = calloc(room, sizeof *t->right);
        t->slot = calloc(slots, sizeof *t->slot);
    }
    if (t && t->left && t->right && t->slot) {
        t->size = TOKENIZER_LEAST;
        return t;
    }
    tokenizer_free(t);
    err_set(err, ERR_SYSTEM, "no memory for %zu tokens", room);
    return NULL;
}

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    foreign_free(t->foreign);
    free(t->left);
    free(t->right);
    free(t->slot);
    free(t);
}

struct tokenizer *tokenizer_wrap(struct foreign *foreign, struct err *err)
{
    struct tokenizer *t = foreign ? calloc(1, sizeof *t) : NULL;
    if (t) {
        t->foreign = foreign;
        t->size = foreign->marks + MARKS;
        return t;
    }
    if (foreign)
        err_set(err, ERR_SYSTEM, "no memory for a tokenizer");
    foreign_free(foreign);
    return NULL;
}

uint32_t tokenizer_marks(const struct tokenizer *t)
{
    return t->foreign ? t->foreign->marks : TOKENIZER_MARKS_AT;
}

size_t tokenizer_size(const struct tokenizer *t)
{
    return t->size;
}

static size_t slot_of(const struct tokenizer *t, uint32_t left, uint32_t right)
{
    size_t at = pair_hash(left, right) & (t->slots - 1);
    while (t->slot[at] && (t->left[t->slot[at]] != left || t->right[t->slot[at]] != right))
        at = (at + 1) & (t->slots - 1);
    return at;
}

void tokenizer_merge(struct tokenizer *t, uint32_t left, uint32_t right)
{
    uint32_t token = (uint32_t)t->size++;
    t->left[token] = left;
    t->right[token] = right;
    t->slot[slot_of(t, left, right)] = token;
}

/* The merge of two tokens, or 0: the smaller its number, the earlier it was learnt. */
uint32_t tokenizer_merged(const struct tokenizer *t, uint32_t left, uint32_t right)
{
    return t->slot[slot_of(t, left, right)];
}

struct encoding {
    const struct tokenizer *tokenizer;
    uint32_t *tokens;
    size_t count, most;
};

static bool encode_word(void *self, const char *word, size_t size, struct err *err)
{
    struct encoding *e = self;
    uint32_t part[WORD_BYTES];
    size_t count = 0;
    (void)err;
    for (; count < size && count < WORD_BYTES; count++)
        part[count] = (unsigned char)word[count];
    for (;;) {
        uint32_t best = UINT32_MAX;
        size_t at = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            uint32_t merged = tokenizer_merged(e->tokenizer, part[i], part[i + 1]);
            if (merged && merged < best) {
                best = merged;
                at = i;
            }
        }
        if (best == UINT32_MAX)
            break;
        part[at] = best;
        memmove(part + at + 1, part + at + 2, (--count - at - 1) * sizeof *part);
    }
    for (size_t i = 0; i < count && e->count < e->most; i++)
        e->tokens[e->count++] = part[i];
    return true;
}

size_t tokenizer_encode(uint32_t *tokens, size_t most, const struct tokenizer *t, const char *text,
                        struct err *err)
{
    struct encoding e = {t, tokens, 0, most};
    if (t->foreign)
        return foreign_encode(tokens, most, t->foreign, text, err);
    return words_each(text, encode_word, &e, err) ? e.count : 0;
}

const char *tokenizer_within(const struct tokenizer *t, const char *text)
{
    return *text == ' ' && t->foreign && foreign_prepends(t->foreign) ? text + 1 : text;
}

static void add_bytes(struct text *text, const struct tokenizer *t, uint32_t token)
{
    if (token < TOKENIZER_MARKS_AT) {
        char byte = (char)token;
        text_add(text, &byte, 1);
    } else if (token >= TOKENIZER_LEAST && token < t->size) {
        add_bytes(text, t, t->left[token]);
        add_bytes(text, t, t->right[token]);
    }
}

void tokenizer_decode(struct text *text, const struct tokenizer *t, const uint32_t *tokens,
                      size_t count, bool begins)
{
    size_t from = text->size;
    if (t->foreign) {
        foreign_decode(text, t->foreign, tokens, count, begins);
        return;
    }
    for (size_t i = 0; i < count; i++)
        add_bytes(text, t, tokens[i]);
    if (text->size > from)
        utf8_repair(text->bytes + from);
}

/* ---- tokenizer.json ---- */

/* GPT-2 writes a byte as a printable character: itself, or one from U+0100 on. */
static uint32_t character_of(unsigned byte)
{
    uint32_t next = 0x100;
    for (unsigned b = 0; b < 256; b++) {
        bool printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        if (b == byte)
            return printable ? b : next;
        next += !printable;
    }
    return 0;
}

static void add_character(struct text *text, uint32_t code)
{
    char bytes[2] = {(char)(0xc0 | code >> 6), (char)(0x80 | (code & 0x3f))};
    char single = (char)code;
    text_add(text, code < 0x80 ? &single : bytes, code < 0x80 ? 1 : 2);
}

static void spell(struct text *text, const struct tokenizer *t, uint32_t token)
{
    struct text bytes;
    if (token >= TOKENIZER_MARKS_AT && token < TOKENIZER_LEAST) {
        text_addf(text, "%s", MARK_TEXTS[token - TOKENIZER_MARKS_AT]);
        return;
    }
    text_init(&bytes, 1 << 20);
    add_bytes(&bytes, t, token);
    for (size_t i = 0; i < bytes.size; i++)
        add_character(text, character_of((unsigned char)bytes.bytes[i]));
    text_release(&bytes);
}

static json_t *spelled(const struct tokenizer *t, uint32_t token)
{
    struct text text;
    text_init(&text, 1 << 20);
    spell(&text, t, token);
    json_t *out = json_stringn(text.bytes, text.size);
    text_release(&text);
    return out;
}

static json_t *model_json(const struct tokenizer *t)
{
    json_t *vocab = json_object();
    json_t *merges = json_array();
    for (uint32_t token = 0; token < t->size; token++) {
        struct text text;
        text_init(&text, 1 << 20);
        spell(&text, t, token);
        json_object_set_new(vocab, text.bytes, json_integer(token));
        text_release(&text);
        if (token < TOKENIZER_LEAST)
            continue;
        json_t *pair = json_array();
        json_array_append_new(pair, spelled(t, t->left[token]));
        json_array_append_new(pair, spelled(t, t->right[token]));
        json_array_append_new(merges, pair);
    }
    return json_pack("{s:s, s:n, s:n, s:s, s:s, s:b, s:b, s:o, s:o}", "type", "BPE", "dropout",
                     "unk_token", "continuing_subword_prefix", "", "end_of_word_suffix", "",
                     "fuse_unk", 0, "byte_fallback", 0, "vocab", vocab, "merges", merges);
}

bool tokenizer_write(const struct tokenizer *t, const char *path, struct err *err)
{
    if (t->foreign)
        return foreign_write(t->foreign, path, err);
    json_t *added = json_array();
    for (uint32_t m = 0; m < MARKS; m++)
        json_array_append_new(added, json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id",
                                               TOKENIZER_MARKS_AT + m, "content", MARK_TEXTS[m],
                                               "single_word", 0, "lstrip", 0, "rstrip", 0,
                                               "normalized", 0, "special", 1));
    json_t *byte_level = json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space",
                                   0, "trim_offsets", 1, "use_regex", 1);
    json_t *file =
        json_pack("{s:s, s:n, s:n, s:o, s:{s:s, s:[{s:s}, {s:s}]}, s:O, s:n, s:O, s:o}", "version",
                  "1.0", "truncation", "padding", "added_tokens", added, "normalizer", "type",
                  "Sequence", "normalizers", "type", "NFC", "type", "Lowercase", "pre_tokenizer",
                  byte_level, "post_processor", "decoder", byte_level, "model", model_json(t));
    bool fine = file ? json_write(path, file, JSON_INDENT(0) | JSON_COMPACT, err)
                     : err_set(err, ERR_SYSTEM, "no memory for %s", path);
    json_decref(byte_level);
    json_decref(file);
    return fine;
}

static bool read_token(uint32_t *token, const json_t *vocab, const json_t *spelling, size_t size)
{
    const char *text = json_string_value(spelling);
    const json_t *number = text ? json_object_get(vocab, text) : NULL;
    json_int_t value = json_is_integer(number) ? json_integer_value(number) : -1;
    *token = (uint32_t)value;
    return value >= 0 && (size_t)value < size;
}

static bool read_merges(struct tokenizer *t, const json_t *merges, const json_t *vocab,
                        const char *path, struct err *err)
{
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const json_t *pair = json_array_get(merges, i);
        uint32_t left;
        uint32_t right;
        if (!read_token(&left, vocab, json_array_get(pair, 0), t->size) ||
            !read_token(&right, vocab, json_array_get(pair, 1), t->size) ||
            tokenizer_merged(t, left, right))
            return err_set(err, ERR_FORMAT,
                           "%s: merge %zu: expected two earlier tokens not yet merged", path, i);
        tokenizer_merge(t, left, right);
        struct text text;
        text_init(&text, 1 << 20);
        spell(&text, t, (uint32_t)t->size - 1);
        const json_t *number = json_object_get(vocab, text.bytes ? text.bytes : "");
        text_release(&text);
        if (!json_is_integer(number) || (size_t)json_integer_value(number) != t->size - 1)
            return err_set(err, ERR_FORMAT, "%s: merge %zu: expected token %zu in the vocabulary",
                           path, i, t->size - 1);
    }
    return true;
}

static struct tokenizer *read_ours(const json_t *model, const char *path, struct err *err)
{
    const json_t *vocab = json_object_get(model, "vocab");
    const json_t *merges = json_object_get(model, "merges");
    size_t size = TOKENIZER_LEAST + json_array_size(merges);
    struct tokenizer *t = NULL;
    if (!json_is_array(merges) || json_object_size(vocab) != size || size > TOKENIZER_MOST)
        err_set(err, ERR_FORMAT, "%s: expected a vocabulary of %d and one token a merge, found %zu",
                path, TOKENIZER_LEAST, json_object_size(vocab));
    else
        t = tokenizer_new(size, err);
    if (t && !read_merges(t, merges, vocab, path, err)) {
        tokenizer_free(t);
        t = NULL;
    }
    return t;
}

/* foreign_write() says whether merges are ignored; tokenizer_write() of ours has no such word. */
struct tokenizer *tokenizer_read(const char *path, struct err *err)
{
    json_t *file = tokenizer_json(path, err);
    if (!file)
        return NULL;
    const json_t *model = json_object_get(file, "model");
    struct tokenizer *t;
    if (json_object_get(model, "ignore_merges")) {
        t = tokenizer_wrap(foreign_from_json(file, true, 0, err), err);
        if (!t)
            err_place(err, "%s", path);
    } else
        t = read_ours(model, path, err);
    json_decref(file);
    return t;
}

struct tokenizer *tokenizer_read_foreign(const char *path, size_t marks_at, struct err *err)
{
    struct gguf gguf;
    struct tokenizer *t = NULL;
    if (gguf_is(path)) {
        if (!gguf_open(&gguf, path, err))
            return NULL;
        t = tokenizer_of_gguf(&gguf, marks_at, err);
        gguf_close(&gguf);
        return t;
    }
    json_t *file = tokenizer_json(path, err);
    if (!file)
        return NULL;
    t = tokenizer_wrap(foreign_from_json(file, false, marks_at, err), err);
    if (!t)
        err_place(err, "%s", path);
    json_decref(file);
    return t;
}
