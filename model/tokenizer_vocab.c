#include "model/tokenizer_vocab.h"

#include "base/rng.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include <xxhash.h>

enum { SCANNED = 48 }; /* symbols: longer words go through the heap */

/* ---- how GPT-2 spells a byte: itself if printable, else the next character from U+0100 on ---- */

static bool printable(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

static unsigned character_of(unsigned byte)
{
    unsigned next = 0x100;
    for (unsigned b = 0; b < byte; b++)
        next += !printable(b);
    return printable(byte) ? byte : next;
}

static int byte_of(utf8proc_int32_t character)
{
    int next = 0x100;
    for (int b = 0; b < 256; b++) {
        if (printable((unsigned)b) ? character == b : character == next)
            return b;
        next += !printable((unsigned)b);
    }
    return -1;
}

/* The bytes of a spelled token into out[size], or SIZE_MAX: it is plain. */
static size_t unspell(char *out, const char *spelled, size_t size)
{
    size_t count = 0;
    for (size_t at = 0; at < size;) {
        utf8proc_int32_t code;
        utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)spelled + at,
                                                 (utf8proc_ssize_t)(size - at), &code);
        int byte = step > 0 ? byte_of(code) : -1;
        if (byte < 0)
            return SIZE_MAX;
        out[count++] = (char)byte;
        at += (size_t)step;
    }
    return count;
}

void vocab_spell(struct text *text, const struct vocab *v, uint32_t token)
{
    const char *bytes = v->bytes + v->at[token];
    if (!v->byte_level || v->flags[token] & TOKEN_PLAIN) {
        text_add(text, bytes, v->length[token]);
        return;
    }
    for (size_t i = 0; i < v->length[token]; i++) {
        unsigned code = character_of((unsigned char)bytes[i]);
        char pair[2] = {(char)(0xc0 | code >> 6), (char)(0x80 | (code & 0x3f))};
        char single = (char)code;
        text_add(text, code < 0x80 ? &single : pair, code < 0x80 ? 1 : 2);
    }
}

/* ---- tables ---- */

static size_t slots_for(size_t count)
{
    size_t slots = 16;
    while (slots < 2 * count)
        slots *= 2;
    return slots;
}

bool vocab_room(struct vocab *v, size_t merges, struct err *err)
{
    free(v->merges);
    v->merges = NULL;
    v->merge_count = 0;
    v->merge_slots = slots_for(merges);
    if (merges <= MERGES_MOST)
        v->merges = malloc(v->merge_slots * sizeof *v->merges);
    for (size_t i = 0; v->merges && i < v->merge_slots; i++)
        v->merges[i].left = NO_TOKEN;
    return v->merges || err_set(err, ERR_LIMIT, "no memory for %zu merges", merges);
}

bool vocab_init(struct vocab *v, size_t ids, size_t bytes, size_t merges, struct err *err)
{
    *v = (struct vocab){.ids = ids, .room = bytes, .unknown = NO_TOKEN};
    if (ids == 0 || ids > VOCAB_MOST || bytes >= UINT32_MAX)
        return err_set(err, ERR_FORMAT, "expected 1 to %d tokens, found numbers to %zu", VOCAB_MOST,
                       ids);
    v->slots = slots_for(ids);
    v->bytes = malloc(bytes + 1);
    v->at = calloc(ids, sizeof *v->at);
    v->length = calloc(ids, sizeof *v->length);
    v->flags = calloc(ids, 1);
    v->slot = calloc(v->slots, sizeof *v->slot);
    if (!v->bytes || !v->at || !v->length || !v->flags || !v->slot)
        return err_set(err, ERR_SYSTEM, "no memory for %zu tokens", ids);
    return vocab_room(v, merges, err);
}

void vocab_release(struct vocab *v)
{
    free(v->bytes);
    free(v->at);
    free(v->length);
    free(v->flags);
    free(v->slot);
    free(v->merges);
    *v = (struct vocab){0};
}

static size_t slot_of(const struct vocab *v, const char *bytes, size_t size)
{
    size_t at = XXH3_64bits(bytes, size) & (v->slots - 1);
    for (; v->slot[at]; at = (at + 1) & (v->slots - 1)) {
        uint32_t token = v->slot[at] - 1;
        if (v->length[token] == size && memcmp(v->bytes + v->at[token], bytes, size) == 0)
            break;
    }
    return at;
}

uint32_t vocab_find(const struct vocab *v, const char *bytes, size_t size)
{
    return v->slot[slot_of(v, bytes, size)] - 1; /* a free slot is 0: NO_TOKEN */
}

static int shown(size_t size)
{
    return size < 40 ? (int)size : 40;
}

bool vocab_add(struct vocab *v, size_t id, const char *spelled, size_t size, struct err *err)
{
    assert(v->used + size <= v->room);
    if (size > TOKEN_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "token %zu has %zu bytes, expected at most %d", id, size,
                       TOKEN_BYTES_MAX);
    if (id >= v->ids || v->flags[id])
        return err_set(err, ERR_FORMAT, "token %.*s has number %zu, as another one", shown(size),
                       spelled, id);
    char *bytes = v->bytes + v->used;
    size_t count = v->byte_level ? unspell(bytes, spelled, size) : SIZE_MAX;
    v->flags[id] =
        (unsigned char)(TOKEN_THERE | (v->byte_level && count == SIZE_MAX ? TOKEN_PLAIN : 0));
    if (count == SIZE_MAX) {
        memcpy(bytes, spelled, size);
        count = size;
    }
    v->at[id] = (uint32_t)v->used;
    v->length[id] = (uint32_t)count;
    v->used += count;
    v->count++;
    if (v->flags[id] & TOKEN_PLAIN)
        return true;
    size_t slot = slot_of(v, bytes, count);
    if (v->slot[slot])
        return err_set(err, ERR_FORMAT, "token %.*s stands there twice, as %u and %zu", shown(size),
                       spelled, v->slot[slot] - 1, id);
    v->slot[slot] = (uint32_t)id + 1;
    return true;
}

static int compare_tokens(const void *a, const void *b, void *self)
{
    const struct vocab *v = self;
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    size_t size = v->length[x] < v->length[y] ? v->length[x] : v->length[y];
    int order = memcmp(v->bytes + v->at[x], v->bytes + v->at[y], size);
    return order ? order : (v->length[x] > v->length[y]) - (v->length[x] < v->length[y]);
}

bool vocab_check(struct vocab *v, struct err *err)
{
    uint32_t *plain = malloc((v->ids + 1) * sizeof *plain);
    size_t count = 0;
    bool fine = plain || err_set(err, ERR_SYSTEM, "no memory for %zu tokens", v->ids);
    for (size_t id = 0; fine && id < v->ids; id++)
        if (v->flags[id] & TOKEN_PLAIN)
            plain[count++] = (uint32_t)id;
    if (fine && count)
        qsort_r(plain, count, sizeof *plain, compare_tokens, v);
    for (size_t i = 1; fine && i < count; i++)
        if (compare_tokens(&plain[i - 1], &plain[i], v) == 0)
            fine = err_set(err, ERR_FORMAT, "token %.*s stands there twice, as %u and %u",
                           shown(v->length[plain[i]]), v->bytes + v->at[plain[i]], plain[i - 1],
                           plain[i]);
    free(plain);
    return fine;
}

static struct vocab_merge *merge_of(const struct vocab *v, uint32_t left, uint32_t right)
{
    size_t at = rng_mix((uint64_t)left << 32 | right) & (v->merge_slots - 1);
    while (v->merges[at].left != NO_TOKEN &&
           (v->merges[at].left != left || v->merges[at].right != right))
        at = (at + 1) & (v->merge_slots - 1);
    return &v->merges[at];
}

void vocab_merge_put(struct vocab *v, uint32_t left, uint32_t right, uint32_t token, uint32_t rank)
{
    struct vocab_merge *merge = merge_of(v, left, right);
    v->merge_count += merge->left == NO_TOKEN;
    assert(2 * v->merge_count <= v->merge_slots);
    *merge = (struct vocab_merge){left, right, rank, token};
}

bool vocab_merge_add(struct vocab *v, const char *left, size_t left_size, const char *right,
                     size_t right_size, uint32_t rank, struct err *err)
{
    size_t size = left_size + right_size;
    char *both = malloc(size + 1);
    if (!both)
        return err_set(err, ERR_SYSTEM, "merge %u: no memory", rank);
    size_t l = left_size;
    size_t r = right_size;
    if (v->byte_level) {
        l = unspell(both, left, left_size);
        r = l == SIZE_MAX ? l : unspell(both + l, right, right_size);
    } else {
        memcpy(both, left, left_size);
        memcpy(both + left_size, right, right_size);
    }
    uint32_t tokens[3] = {NO_TOKEN, NO_TOKEN, NO_TOKEN};
    if (l != SIZE_MAX && r != SIZE_MAX && l && r) {
        tokens[0] = vocab_find(v, both, l);
        tokens[1] = vocab_find(v, both + l, r);
        tokens[2] = vocab_find(v, both, l + r);
    }
    free(both);
    for (size_t i = 0; i < 3; i++)
        if (tokens[i] == NO_TOKEN)
            return err_set(err, ERR_FORMAT,
                           "merge %u: expected two tokens and what they make, '%.*s' '%.*s' names "
                           "one that is not in the vocabulary",
                           rank, shown(left_size), left, shown(right_size), right);
    vocab_merge_put(v, tokens[0], tokens[1], tokens[2], rank);
    return true;
}

static int by_rank(const void *a, const void *b)
{
    const struct vocab_merge *x = a;
    const struct vocab_merge *y = b;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

struct vocab_merge *vocab_merges(const struct vocab *v, struct err *err)
{
    struct vocab_merge *list = malloc((v->merge_count + 1) * sizeof *list);
    size_t count = 0;
    if (!list) {
        err_set(err, ERR_SYSTEM, "no memory for %zu merges", v->merge_count);
        return NULL;
    }
    for (size_t i = 0; i < v->merge_slots; i++)
        if (v->merges[i].left != NO_TOKEN)
            list[count++] = v->merges[i];
    qsort(list, count, sizeof *list, by_rank);
    return list;
}

static void find_bytes(struct vocab *v)
{
    for (unsigned b = 0; b < 256; b++) {
        char text[8] = {(char)b};
        if (!v->byte_level)
            snprintf(text, sizeof text, "<0x%02X>", b);
        v->byte[b] = v->byte_level || v->byte_fallback
                         ? vocab_find(v, text, v->byte_level ? 1 : strlen(text))
                         : NO_TOKEN;
    }
    for (unsigned b = 0; b < 256 && v->byte_fallback; b++) /* all or none, as the reference */
        v->byte_fallback = v->byte[b] != NO_TOKEN;
}

bool vocab_finish(struct vocab *v, struct err *err)
{
    struct merging merging = {0};
    uint32_t tokens[2];
    bool fine = true;
    find_bytes(v);
    for (uint32_t id = 0; fine && id < v->ids; id++) {
        if ((v->flags[id] & (TOKEN_THERE | TOKEN_PLAIN)) != TOKEN_THERE)
            continue;
        size_t count = vocab_word(tokens, 2, v, &merging, v->bytes + v->at[id], v->length[id]);
        fine = count != SIZE_MAX || err_set(err, ERR_SYSTEM, "no memory to merge token %u", id);
        if (count == 1 && tokens[0] == id)
            v->flags[id] |= TOKEN_WHOLE;
    }
    merging_release(&merging);
    return fine;
}

/* ---- one word ---- */

void merging_release(struct merging *merging)
{
    free(merging->block);
    *merging = (struct merging){0};
}

/* Words a symbol: itself, rank and token of its merge with the next, next, previous; the heap. */
enum { COLUMNS = 5, HEAP_COLUMNS = 6 };

static bool make_room(struct merging *m, size_t symbols)
{
    if (m->block && symbols <= m->room)
        return true;
    size_t room = symbols < 256 ? 256 : symbols + symbols / 2;
    free(m->block);
    m->block = malloc(room * (COLUMNS + HEAP_COLUMNS) * sizeof *m->block);
    m->room = m->block ? room : 0;
    return m->block != NULL;
}

/* The reference drops what has no token, or says it with `unknown`, a run of them once if fused. */
static size_t symbols_of(uint32_t *symbol, const struct vocab *v, const char *word, size_t size)
{
    size_t count = 0;
    bool fused = false;
    for (size_t at = 0; at < size;) {
        size_t step = 1;
        uint32_t token;
        if (v->byte_level) {
            token = v->byte[(unsigned char)word[at]];
        } else {
            utf8proc_int32_t code;
            utf8proc_ssize_t length = utf8proc_iterate((const utf8proc_uint8_t *)word + at,
                                                       (utf8proc_ssize_t)(size - at), &code);
            step = length > 0 ? (size_t)length : 1;
            token = vocab_find(v, word + at, step);
        }
        if (token != NO_TOKEN)
            symbol[count++] = token;
        else if (!v->byte_level && v->byte_fallback)
            for (size_t i = 0; i < step; i++)
                symbol[count++] = v->byte[(unsigned char)word[at + i]];
        else if (v->unknown != NO_TOKEN && !(fused && v->fuse_unknown))
            symbol[count++] = v->unknown;
        fused = token == NO_TOKEN && !v->byte_fallback;
        at += step;
    }
    return count;
}

/* The merge of symbols a and b goes to rank[at] and made[at]. */
static void look_up(uint32_t *rank, uint32_t *made, const struct vocab *v, uint32_t at, uint32_t a,
                    uint32_t b)
{
    const struct vocab_merge *merge = merge_of(v, a, b);
    rank[at] = merge->left == NO_TOKEN ? UINT32_MAX : merge->rank;
    made[at] = merge->token;
}

static size_t merge_scanning(uint32_t *symbol, uint32_t *rank, uint32_t *made, size_t count,
                             const struct vocab *v)
{
    for (uint32_t i = 0; i + 1 < count; i++)
        look_up(rank, made, v, i, symbol[i], symbol[i + 1]);
    while (count > 1) {
        uint32_t best = 0;
        for (uint32_t i = 1; i + 1 < count; i++)
            if (rank[i] < rank[best])
                best = i;
        if (rank[best] == UINT32_MAX)
            break;
        symbol[best] = made[best];
        count--;
        size_t after = (count - best - 1) * sizeof *symbol; /* bytes of what stands behind */
        memmove(symbol + best + 1, symbol + best + 2, after);
        memmove(rank + best, rank + best + 1, after);
        memmove(made + best, made + best + 1, after);
        if (best)
            look_up(rank, made, v, best - 1, symbol[best - 1], symbol[best]);
        if (best + 1 < count)
            look_up(rank, made, v, best, symbol[best], symbol[best + 1]);
    }
    return count;
}

/* A heap of rank << 32 | place: the least first, so the leftmost of equals. */
static void heap_push(uint64_t *heap, size_t count, uint64_t entry)
{
    size_t at = count;
    for (; at && heap[(at - 1) / 2] > entry; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = entry;
}

static uint64_t heap_pop(uint64_t *heap, size_t count)
{
    uint64_t least = heap[0];
    uint64_t last = heap[count - 1];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < count - 1; at = child) {
        child += child + 1 < count - 1 && heap[child + 1] < heap[child];
        if (heap[child] >= last)
            break;
        heap[at] = heap[child];
    }
    heap[at] = last;
    return least;
}

/* Symbols are a list: next and previous by place, `count` stands for none. */
static size_t merge_heaped(struct merging *m, size_t count, const struct vocab *v)
{
    uint64_t *heap = (uint64_t *)m->block;
    uint32_t *symbol = m->block + HEAP_COLUMNS * m->room;
    uint32_t *rank = symbol + m->room;
    uint32_t *made = rank + m->room;
    uint32_t *next = made + m->room;
    uint32_t *previous = next + m->room;
    uint32_t none = (uint32_t)count;
    size_t heaped = 0;
    for (uint32_t i = 0; i < none; i++) {
        next[i] = i + 1;
        previous[i] = i ? i - 1 : none;
        rank[i] = UINT32_MAX;
        if (i + 1 < none)
            look_up(rank, made, v, i, symbol[i], symbol[i + 1]);
        if (rank[i] != UINT32_MAX)
            heap_push(heap, heaped++, (uint64_t)rank[i] << 32 | i);
    }
    while (heaped) {
        uint64_t entry = heap_pop(heap, heaped--);
        uint32_t at = (uint32_t)entry;
        if (rank[at] != entry >> 32) /* one of the two has been merged since */
            continue;
        uint32_t gone = next[at];
        symbol[at] = made[at];
        rank[gone] = UINT32_MAX;
        symbol[gone] = NO_TOKEN;
        next[at] = next[gone];
        if (next[at] != none)
            previous[next[at]] = at;
        uint32_t places[2] = {previous[at], at};
        for (size_t i = 0; i < 2; i++) {
            uint32_t place = places[i];
            if (place == none)
                continue;
            rank[place] = UINT32_MAX;
            if (next[place] != none)
                look_up(rank, made, v, place, symbol[place], symbol[next[place]]);
            if (rank[place] != UINT32_MAX)
                heap_push(heap, heaped++, (uint64_t)rank[place] << 32 | place);
        }
    }
    size_t kept = 0;
    for (uint32_t i = 0; i < none; i = next[i])
        symbol[kept++] = symbol[i];
    return kept;
}

size_t vocab_word(uint32_t *tokens, size_t most, const struct vocab *v, struct merging *m,
                  const char *word, size_t size)
{
    uint32_t whole = vocab_find(v, word, size);
    if (most && whole != NO_TOKEN && (v->ignore_merges || v->flags[whole] & TOKEN_WHOLE)) {
        tokens[0] = whole;
        return 1;
    }
    if (size >= UINT32_MAX / 16 || !make_room(m, size))
        return SIZE_MAX;
    uint32_t *symbol = m->block + HEAP_COLUMNS * m->room;
    size_t count = symbols_of(symbol, v, word, size);
    count = count <= SCANNED
                ? merge_scanning(symbol, symbol + m->room, symbol + 2 * m->room, count, v)
                : merge_heaped(m, count, v);
    count = count < most ? count : most;
    memcpy(tokens, symbol, count * sizeof *tokens);
    return count;
}
