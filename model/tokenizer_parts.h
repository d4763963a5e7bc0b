/* tokenizer_parts.h: what learning and using a tokenizer share; for tokenizer*.c alone. */
#ifndef MODEL_TOKENIZER_PARTS_H
#define MODEL_TOKENIZER_PARTS_H

#include "base/rng.h"
#include "model/tokenizer.h"

struct foreign;

struct tokenizer {
    struct foreign *foreign; /* owned; NULL: it is one of ours, as follows */
    size_t size, room;
    uint32_t *left, *right; /* [room] of each merge */
    uint32_t *slot;         /* [slots] hash table of merges by their pair; 0: free */
    size_t slots;           /* a power of two */
};

struct tokenizer *tokenizer_new(size_t room, struct err *err) MUST_CHECK; /* bytes and marks */
void tokenizer_merge(struct tokenizer *tokenizer, uint32_t left, uint32_t right);
uint32_t tokenizer_merged(const struct tokenizer *tokenizer, uint32_t left, uint32_t right);

static inline uint64_t pair_hash(uint32_t left, uint32_t right)
{
    return rng_mix((uint64_t)left << 32 | right);
}

#endif
