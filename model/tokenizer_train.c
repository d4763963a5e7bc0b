/*
 * tokenizer_train.c: which pairs to merge.
 *
 * Words are counted once; a merge then touches only the words that hold its pair.  Of the pairs
 * with the highest count the one with the smallest numbers is taken, so the result follows from the
 * counts alone.
 */
#include "model/tokenizer_parts.h"
#include "model/words.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { WORDS_MAX = 1 << 21, WORD_BYTES = 48, SIZE_LEAST = 512, SIZE_MOST = 8192 };

struct word {
    uint64_t hash;
    size_t count;
    uint32_t at; /* of its bytes, later of its tokens */
    uint16_t size;
};

struct corpus {
    struct word *words; /* hash table; count 0: free */
    size_t slots, used;
    char *bytes;
    size_t size, room;
};

struct corpus *corpus_new(struct err *err)
{
    struct corpus *c = calloc(1, sizeof *c);
    if (c) {
        c->slots = 1 << 12;
        c->words = calloc(c->slots, sizeof *c->words);
    }
    if (c && c->words)
        return c;
    corpus_free(c);
    err_set(err, ERR_SYSTEM, "no memory to count words");
    return NULL;
}

void corpus_free(struct corpus *c)
{
    if (!c)
        return;
    free(c->words);
    free(c->bytes);
    free(c);
}

static struct word *find_word(const struct corpus *c, struct word *words, size_t slots,
                              uint64_t hash, const char *bytes, size_t size)
{
    size_t at = hash & (slots - 1);
    while (words[at].count && (words[at].hash != hash || words[at].size != size ||
                               memcmp(c->bytes + words[at].at, bytes, size) != 0))
        at = (at + 1) & (slots - 1);
    return &words[at];
}

static bool grow(struct corpus *c, struct err *err)
{
    if (c->size + WORD_BYTES > c->room) {
        size_t room = (c->room + 4096) * 2;
        char *bytes = realloc(c->bytes, room);
        if (!bytes)
            return err_set(err, ERR_SYSTEM, "no memory for %zu bytes of words", room);
        c->bytes = bytes;
        c->room = room;
    }
    if (c->used * 2 < c->slots)
        return true;
    struct word *words = calloc(c->slots * 2, sizeof *words);
    if (!words)
        return err_set(err, ERR_SYSTEM, "no memory for %zu words", c->slots);
    for (size_t i = 0; i < c->slots; i++)
        if (c->words[i].count)
            *find_word(c, words, c->slots * 2, c->words[i].hash, c->bytes + c->words[i].at,
                       c->words[i].size) = c->words[i];
    free(c->words);
    c->words = words;
    c->slots *= 2;
    return true;
}

static bool count_word(void *self, const char *bytes, size_t size, struct err *err)
{
    struct corpus *c = self;
    if (size > WORD_BYTES || size < 2)
        return true;
    if (!grow(c, err))
        return false;
    uint64_t hash = XXH3_64bits(bytes, size);
    struct word *word = find_word(c, c->words, c->slots, hash, bytes, size);
    if (!word->count && c->used >= WORDS_MAX) /* what is met so late is rare */
        return true;
    if (!word->count++) {
        word->hash = hash;
        word->size = (uint16_t)size;
        word->at = (uint32_t)c->size;
        memcpy(c->bytes + c->size, bytes, size);
        c->size += size;
        c->used++;
    }
    return true;
}

bool corpus_add(struct corpus *c, const char *text, struct err *err)
{
    return words_each(text, count_word, c, err);
}

/* A pair that stands somewhere, how often, and in which words (some may have lost it since). */
struct pair_count {
    uint32_t left, right;
    size_t count;
    uint32_t *word; /* owned */
    uint32_t words, room;
};

struct learning {
    struct tokenizer *tokenizer;
    struct word *words; /* owned copy, those with two or more bytes */
    size_t word_count;
    uint32_t *tokens; /* owned: of all words, one after another */
    struct pair_count *pairs;
    size_t pair_count, pair_room;
    uint32_t *slot; /* hash table: 1 + index of a pair */
    size_t slots;
};

static bool more_pairs(struct learning *l, struct err *err)
{
    if (l->pair_count < l->pair_room)
        return true;
    size_t room = l->pair_room ? l->pair_room * 2 : 1 << 14;
    struct pair_count *pairs = realloc(l->pairs, room * sizeof *pairs);
    uint32_t *slot = calloc(room * 2, sizeof *slot);
    if (pairs)
        l->pairs = pairs;
    if (!pairs || !slot) {
        free(slot);
        return err_set(err, ERR_SYSTEM, "no memory for %zu pairs", room);
    }
    l->pair_room = room;
    l->slots = room * 2;
    free(l->slot);
    l->slot = slot;
    for (size_t i = 0; i < l->pair_count; i++) {
        size_t at = pair_hash(pairs[i].left, pairs[i].right) & (l->slots - 1);
        while (slot[at])
            at = (at + 1) & (l->slots - 1);
        slot[at] = (uint32_t)i + 1;
    }
    return true;
}

static struct pair_count *pair_at(struct learning *l, uint32_t left, uint32_t right,
                                  struct err *err)
{
    if (!more_pairs(l, err))
        return NULL;
    size_t at = pair_hash(left, right) & (l->slots - 1);
    while (l->slot[at] &&
           (l->pairs[l->slot[at] - 1].left != left || l->pairs[l->slot[at] - 1].right != right))
        at = (at + 1) & (l->slots - 1);
    if (!l->slot[at]) {
        l->pairs[l->pair_count] = (struct pair_count){.left = left, .right = right};
        l->slot[at] = (uint32_t)++l->pair_count;
    }
    return &l->pairs[l->slot[at] - 1];
}

static bool note_pair(struct learning *l, uint32_t left, uint32_t right, uint32_t word,
                      struct err *err)
{
    struct pair_count *pair = pair_at(l, left, right, err);
    if (!pair)
        return false;
    pair->count += l->words[word].count;
    if (pair->words && pair->word[pair->words - 1] == word)
        return true;
    if (pair->words == pair->room) {
        uint32_t room = pair->room ? pair->room * 2 : 4;
        uint32_t *list = realloc(pair->word, room * sizeof *list);
        if (!list)
            return err_set(err, ERR_SYSTEM, "no memory for the words of a pair");
        pair->word = list;
        pair->room = room;
    }
    pair->word[pair->words++] = word;
    return true;
}

static bool start(struct learning *l, const struct corpus *c, struct err *err)
{
    l->words = calloc(c->used + 1, sizeof *l->words);
    l->tokens = calloc(c->size + 1, sizeof *l->tokens);
    if (!l->words || !l->tokens)
        return err_set(err, ERR_SYSTEM, "no memory for %zu words", c->used);
    for (size_t i = 0; i < c->size; i++)
        l->tokens[i] = (unsigned char)c->bytes[i];
    for (size_t i = 0; i < c->slots; i++)
        if (c->words[i].count)
            l->words[l->word_count++] = c->words[i];
    for (uint32_t w = 0; w < l->word_count; w++)
        for (size_t k = 0; k + 1u < l->words[w].size; k++) {
            const uint32_t *at = l->tokens + l->words[w].at + k;
            if (!note_pair(l, at[0], at[1], w, err))
                return false;
        }
    return true;
}

/* Takes the word's pairs out of the counts, merges, and counts what it holds now. */
static bool merge_in_word(struct learning *l, uint32_t w, uint32_t left, uint32_t right,
                          uint32_t merged, struct err *err)
{
    struct word *word = &l->words[w];
    uint32_t *t = l->tokens + word->at;
    bool there = false;
    for (size_t k = 0; k + 1u < word->size; k++)
        there = there || (t[k] == left && t[k + 1] == right);
    if (!there)
        return true;
    for (size_t k = 0; k + 1u < word->size; k++) {
        struct pair_count *pair = pair_at(l, t[k], t[k + 1], err);
        if (!pair)
            return false;
        pair->count -= word->count;
    }
    uint16_t out = 0;
    for (uint16_t k = 0; k < word->size;) {
        bool hit = k + 1 < word->size && t[k] == left && t[k + 1] == right;
        t[out++] = hit ? merged : t[k];
        k = (uint16_t)(k + (hit ? 2 : 1));
    }
    word->size = out;
    for (size_t k = 0; k + 1u < word->size; k++)
        if (!note_pair(l, t[k], t[k + 1], w, err))
            return false;
    return true;
}

static const struct pair_count *best_pair(const struct learning *l)
{
    const struct pair_count *best = NULL;
    for (size_t i = 0; i < l->pair_count; i++) {
        const struct pair_count *p = &l->pairs[i];
        if (!best || p->count > best->count ||
            (p->count == best->count &&
             (p->left < best->left || (p->left == best->left && p->right < best->right))))
            best = p;
    }
    return best;
}

static bool learn(struct learning *l, size_t size, size_t least, struct err *err)
{
    while (l->tokenizer->size < size) {
        const struct pair_count *best = best_pair(l);
        if (!best || best->count < least || best->count == 0)
            break;
        struct pair_count pair = *best;
        uint32_t merged = (uint32_t)l->tokenizer->size;
        tokenizer_merge(l->tokenizer, pair.left, pair.right);
        for (uint32_t i = 0; i < pair.words; i++) {
            /* the list may grow and move while we walk: only by words that we put there again */
            const struct pair_count *now = pair_at(l, pair.left, pair.right, err);
            if (!now)
                return false;
            uint32_t w = now->word[i];
            if (!merge_in_word(l, w, pair.left, pair.right, merged, err))
                return false;
        }
    }
    return true;
}

struct tokenizer *tokenizer_train(const struct corpus *corpus, size_t size, size_t least,
                                  struct err *err)
{
    struct learning l = {0};
    if (!size) {
        size = corpus->used / 4;
        size = size < SIZE_LEAST ? SIZE_LEAST : size > SIZE_MOST ? SIZE_MOST : size;
    }
    size = size < TOKENIZER_LEAST ? TOKENIZER_LEAST : size > TOKENIZER_MOST ? TOKENIZER_MOST : size;
    l.tokenizer = tokenizer_new(size, err);
    bool fine = l.tokenizer && start(&l, corpus, err) && learn(&l, size, least, err);
    for (size_t i = 0; i < l.pair_count; i++)
        free(l.pairs[i].word);
    free(l.pairs);
    free(l.slot);
    free(l.words);
    free(l.tokens);
    if (fine)
        return l.tokenizer;
    tokenizer_free(l.tokenizer);
    return NULL;
}
