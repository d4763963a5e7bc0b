/*
 * quantiser.h: content vectors to tiles, level by level.
 *
 *     r_1 = v     tile_l = argmin_k |r_l - c_{l,k}|     r_{l+1} = r_l - c_{l,tile_l}
 *
 * (residual k-means, as in GREAM's index construction; the clustering is Faiss's).  The first
 * text_dims of a vector come from text, the rest from events.  A vector without events is coded by
 * the text dimensions of the centroids alone.
 *
 * Balance gives each tile a price, tile_l = argmin_k |r_l - c_{l,k}|^2 / 2 + price_{l,k}, that
 * rises while the tile holds more than its share and falls while it holds less: GREAM's balanced
 * clusters in a form that also codes what comes later.
 *
 * Threads   a trained quantiser never changes.
 */
#ifndef INDEX_QUANTISER_H
#define INDEX_QUANTISER_H

#include "base/err.h"

#include <stdint.h>

struct quantiser {
    size_t levels, tiles, dims, text_dims;
    float *centroids; /* owned [levels, tiles, dims]; equal centroids at the end of a level are
                         unused */
    float *halves; /* owned [2, levels, tiles]: |c|^2 / 2 + price, of all dims, then of the text */
};

bool quantiser_train(struct quantiser *quantiser, const float *vectors, size_t count, size_t dims,
                     size_t text_dims, size_t levels, size_t tiles, size_t balance_rounds,
                     uint64_t seed, struct err *err) MUST_CHECK;
void quantiser_release(struct quantiser *quantiser);

/* Writes levels codes; returns the squared length of what is left (of the dims that were used). */
float quantiser_code(uint16_t *codes, const struct quantiser *quantiser, const float *vector,
                     bool text_only);

#endif
