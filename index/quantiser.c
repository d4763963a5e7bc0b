#include "index/quantiser.h"

#include "index/catalogue_index.h"
#include "index/faiss_c.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NEAREST_CHUNK = 256 };

/* One k-means by Faiss: centroids [tiles, dims] of vectors [count, dims]. */
static bool cluster(float *centroids, const float *vectors, size_t count, size_t dims, size_t tiles,
                    uint64_t seed, struct err *err)
{
    FaissClusteringParameters settings;
    FaissClustering *clustering = NULL;
    FaissIndexFlatL2 *flat = NULL;
    faiss_ClusteringParameters_init(&settings);
    settings.niter = 25;
    settings.seed = (int)(seed % 1000000);
    settings.min_points_per_centroid = 1;
    settings.max_points_per_centroid = 256;
    int code = faiss_Clustering_new_with_params(&clustering, (int)dims, (int)tiles, &settings);
    if (!code)
        code = faiss_IndexFlatL2_new_with(&flat, (idx_t)dims);
    if (!code)
        code = faiss_Clustering_train(clustering, (idx_t)count, vectors, (FaissIndex *)flat);
    if (!code) {
        float *found;
        size_t size;
        faiss_Clustering_centroids(clustering, &found, &size);
        memcpy(centroids, found, tiles * dims * sizeof *found);
    } else {
        err_set(err, ERR_SYSTEM, "clustering %zu vectors into %zu: %s", count, tiles,
                faiss_get_last_error());
    }
    if (flat)
        faiss_Index_free((FaissIndex *)flat);
    if (clustering)
        faiss_Clustering_free(clustering);
    return code == 0;
}

/*
 * argmin |v - c|^2 = argmax v.c - |c|^2 / 2, the products by the vector scan.  `vector` [dims] is 0
 * beyond the dims that count.
 */
static size_t nearest(const struct quantiser *q, size_t level, const float *vector, bool text_only)
{
    float scores[NEAREST_CHUNK];
    const float *halves = q->halves + (text_only ? q->levels * q->tiles : 0) + level * q->tiles;
    const float *centroids = q->centroids + level * q->tiles * q->dims;
    size_t best = 0;
    float most = -INFINITY;
    for (size_t first = 0; first < q->tiles; first += NEAREST_CHUNK) {
        size_t count = q->tiles - first < NEAREST_CHUNK ? q->tiles - first : NEAREST_CHUNK;
        scan_inner_products(scores, centroids + first * q->dims, vector, count, q->dims);
        for (size_t k = 0; k < count; k++)
            if (scores[k] - halves[first + k] > most) {
                most = scores[k] - halves[first + k];
                best = first + k;
            }
    }
    return best;
}

static void prepare_level(struct quantiser *q, size_t level)
{
    size_t all = q->levels * q->tiles;
    for (size_t k = level * q->tiles; k < (level + 1) * q->tiles; k++)
        for (size_t d = 0; d < q->dims; d++) {
            float half = q->centroids[k * q->dims + d] * q->centroids[k * q->dims + d] / 2;
            q->halves[k] += half;
            if (d < q->text_dims)
                q->halves[all + k] += half;
        }
}

/* Moves the prices of a level towards equal shares of these vectors. */
static bool balance_level(struct quantiser *q, size_t level, const float *vectors, size_t count,
                          size_t rounds, struct err *err)
{
    size_t tiles = q->tiles;
    size_t all = q->levels * tiles;
    size_t *held = calloc(tiles, sizeof *held);
    double spread = 0; /* mean |v|^2: the scale of a price */
    for (size_t i = 0; i < count * q->dims; i++)
        spread += (double)vectors[i] * (double)vectors[i] / (double)count;
    for (size_t round = 0; held && round < rounds; round++) {
        memset(held, 0, tiles * sizeof *held);
        for (size_t i = 0; i < count; i++)
            held[nearest(q, level, vectors + i * q->dims, false)]++;
        for (size_t k = 0; k < tiles; k++) {
            double share = (double)held[k] * (double)tiles / (double)count;
            float step = (float)(0.05 * spread * fmax(-1, fmin(1, log(share + 0.05))) /
                                 (1 + 0.2 * (double)round));
            q->halves[level * tiles + k] += step;
            q->halves[all + level * tiles + k] += step;
        }
    }
    bool fine = held != NULL;
    free(held);
    return fine || err_set(err, ERR_SYSTEM, "no memory to balance %zu tiles", tiles);
}

bool quantiser_train(struct quantiser *quantiser, const float *vectors, size_t count, size_t dims,
                     size_t text_dims, size_t levels, size_t tiles, size_t balance_rounds,
                     uint64_t seed, struct err *err)
{
    if (count == 0)
        return err_set(err, ERR_INPUT, "the catalogue is empty: there is nothing to name");
    *quantiser =
        (struct quantiser){.levels = levels, .tiles = tiles, .dims = dims, .text_dims = text_dims};
    quantiser->centroids = calloc(levels * tiles * dims, sizeof(float));
    quantiser->halves = calloc(2 * levels * tiles + 1, sizeof(float));
    float *residual = malloc(count * dims * sizeof *residual);
    bool fine = quantiser->centroids && quantiser->halves && residual;
    if (!fine)
        err_set(err, ERR_SYSTEM, "no memory for %zu levels of %zu tiles", levels, tiles);
    else
        memcpy(residual, vectors, count * dims * sizeof *residual);
    for (size_t l = 0; fine && l < levels; l++) {
        float *centroids = quantiser->centroids + l * tiles * dims;
        size_t used = tiles < count ? tiles : count;
        fine = cluster(centroids, residual, count, dims, used, seed + l, err);
        for (size_t k = used; fine && k < tiles; k++) /* out of reach: never the nearest */
            for (size_t d = 0; d < dims; d++)
                centroids[k * dims + d] = 1e6F;
        if (fine)
            prepare_level(quantiser, l);
        fine = fine && balance_level(quantiser, l, residual, count, balance_rounds, err);
        for (size_t i = 0; fine && i < count; i++) {
            float *vector = residual + i * dims;
            size_t tile = nearest(quantiser, l, vector, false);
            for (size_t d = 0; d < dims; d++)
                vector[d] -= centroids[tile * dims + d];
        }
    }
    free(residual);
    if (!fine)
        quantiser_release(quantiser);
    return fine;
}

void quantiser_release(struct quantiser *quantiser)
{
    free(quantiser->centroids);
    free(quantiser->halves);
    *quantiser = (struct quantiser){0};
}

float quantiser_code(uint16_t *codes, const struct quantiser *quantiser, const float *vector,
                     bool text_only)
{
    float residual[1024] = {0};
    float left = 0;
    size_t dims = quantiser->dims;
    size_t used = text_only ? quantiser->text_dims : dims;
    memcpy(residual, vector, used * sizeof *residual);
    for (size_t l = 0; l < quantiser->levels; l++) {
        const float *centroids = quantiser->centroids + l * quantiser->tiles * dims;
        size_t tile = nearest(quantiser, l, residual, text_only);
        codes[l] = (uint16_t)tile;
        for (size_t d = 0; d < used; d++)
            residual[d] -= centroids[tile * dims + d];
    }
    for (size_t d = 0; d < used; d++)
        left += residual[d] * residual[d];
    return left;
}
