/* toy.h: a small policy over a small catalogue, for tests. */
#ifndef TESTS_MODEL_TOY_H
#define TESTS_MODEL_TOY_H

#include "base/rng.h"
#include "model/decode.h"

enum {
    TOY_ITEMS = 12,
    TOY_LEVELS = 2,
    TOY_TILES = 3,
    TOY_CONTENT = 5,
    TOY_TEXT = 3,
    TOY_VOCAB = 7
};

static const struct shape TOY_SHAPE = {
    .dim = 16,
    .layers = 2,
    .heads = 2,
    .kv_heads = 1,
    .ffn = 12,
    .content = TOY_CONTENT,
    .items = TOY_ITEMS,
    .levels = TOY_LEVELS,
    .tiles = TOY_TILES,
    .vocab = TOY_VOCAB,
    .node_vectors = true,
    .rope_base = 10000,
    .norm_eps = 1e-5,
};

/* names, rising; some items share their quantised tiles */
static const uint16_t TOY_CODES[TOY_ITEMS * (TOY_LEVELS + 1)] = {
    0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 0, 1, 0, 0, 1, 0, 1,
    1, 0, 2, 1, 2, 0, 2, 0, 0, 2, 1, 0, 2, 1, 1, 2, 2, 0,
};

/* The trie as a plain search over the names: nothing to do with index/. */
static inline size_t toy_children(const void *self, struct tile_child *children,
                                  struct tile_node node, size_t level)
{
    size_t count = 0;
    const unsigned char *hidden = self;
    for (uint32_t i = node.first; i < node.last; i++) {
        uint32_t tile = TOY_CODES[i * (TOY_LEVELS + 1) + level];
        if (hidden && hidden[i])
            continue;
        if (count == 0 || children[count - 1].tile != tile)
            children[count++] = (struct tile_child){tile, i, {i, i, 0, 0}};
        children[count - 1].node.last = i + 1;
    }
    return count;
}

static inline struct legal_tiles toy_legal(const unsigned char *hidden)
{
    return (struct legal_tiles){
        toy_children, {0, TOY_ITEMS, 0, 0}, TOY_LEVELS + 1, TOY_TILES, hidden};
}

struct toy {
    struct policy policy;
    real content[TOY_ITEMS * TOY_CONTENT];
    unsigned char seen[TOY_ITEMS];
    real find_vectors[TOY_ITEMS * 16];
    uint32_t node[TOY_LEVELS * TOY_ITEMS];
    real node_vectors[TOY_LEVELS * TOY_ITEMS * 16];
    struct arena arena;
};

static inline void toy_number_nodes(struct toy *toy)
{
    uint32_t node = UINT32_MAX;
    for (size_t l = 0; l < TOY_LEVELS; l++)
        for (size_t i = 0; i < TOY_ITEMS; i++) {
            const uint16_t *codes = TOY_CODES + i * (TOY_LEVELS + 1);
            if (i == 0 || memcmp(codes, codes - TOY_LEVELS - 1, (l + 1) * sizeof *codes) != 0)
                node++;
            toy->node[l * TOY_ITEMS + i] = node;
        }
    toy->policy.items.node = toy->node;
    toy->policy.items.node_vectors = toy->node_vectors;
    toy->policy.items.nodes = node + 1;
    for (size_t l = 0; l < TOY_LEVELS; l++)
        policy_node_vectors(toy->node_vectors, &toy->policy, NULL, TOY_ITEMS, toy->find_vectors, l);
}

static inline void toy_open(struct toy *toy, uint64_t seed, const struct kernels *kernels)
{
    struct arena ruler = {0};
    struct err err = {0};
    struct rng rng = rng_stream(seed, 1, 1);
    *toy = (struct toy){.policy = {.shape = TOY_SHAPE, .kernels = kernels}};
    for (size_t i = 0; i < TOY_ITEMS * TOY_CONTENT; i++)
        toy->content[i] = (real)rng_normal(&rng);
    for (size_t i = 0; i < TOY_ITEMS; i++)
        toy->seen[i] = i % 5 != 4;
    params_layout(&toy->policy.params, &TOY_SHAPE, &ruler);
    if (!arena_open(&toy->arena, ruler.used, &err))
        abort();
    params_layout(&toy->policy.params, &TOY_SHAPE, &toy->arena);
    params_start(&toy->policy.params, &TOY_SHAPE, toy->seen, seed);
    /* larger than at a real start, so that every gradient is far from rounding */
    for (size_t i = 0; i < PARAM_COUNT; i++)
        for (size_t k = 0; k < param_count(&PARAMS[i], &TOY_SHAPE); k++) {
            real *at = *param_slot(&toy->policy.params, &PARAMS[i]) + k;
            size_t row = k / extent_of(PARAMS[i].dims[2], &TOY_SHAPE);
            if (!PARAMS[i].own || toy->seen[row])
                *at += (real)(0.2 * rng_normal(&rng));
        }
    toy->policy.items = (struct item_table){.count = TOY_ITEMS,
                                            .text_dims = TOY_TEXT,
                                            .content = toy->content,
                                            .codes = TOY_CODES,
                                            .seen = toy->seen};
    toy->policy.find_vectors = toy->find_vectors;
    policy_find_vectors(toy->find_vectors, &toy->policy, 0, TOY_ITEMS);
    toy_number_nodes(toy);
}

static inline void toy_close(struct toy *toy)
{
    arena_close(&toy->arena);
}

#endif
