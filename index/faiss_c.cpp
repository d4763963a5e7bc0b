/*
 * faiss_c.cpp: Faiss's C API over the C++ library, for systems that ship its headers without code.
 *
 * Built only where CMake finds no faiss_c library.  Each function does what its header in
 * faiss/c_api/ says; an exception becomes its error code and its text is kept for the thread.
 */
#include <faiss/AutoTune.h>
#include <faiss/Clustering.h>
#include <faiss/IndexFlat.h>
#include <faiss/impl/FaissException.h>
#include <faiss/index_factory.h>
#include <faiss/index_io.h>

#include <exception>
#include <string>

#include "index/faiss_c.h"

static thread_local std::string last_error;

template <typename Body> static int guarded(Body body)
{
    try {
        body();
        return OK;
    } catch (const faiss::FaissException &e) {
        last_error = e.what();
        return FAISS_EXCEPT;
    } catch (const std::exception &e) {
        last_error = e.what();
        return STD_EXCEPT;
    } catch (...) {
        last_error = "unknown exception";
        return UNKNOWN_EXCEPT;
    }
}

static faiss::Index *cpp(FaissIndex *index)
{
    return reinterpret_cast<faiss::Index *>(index);
}

static const faiss::Index *cpp(const FaissIndex *index)
{
    return reinterpret_cast<const faiss::Index *>(index);
}

extern "C" {

const char *faiss_get_last_error()
{
    return last_error.c_str();
}

void faiss_ClusteringParameters_init(FaissClusteringParameters *params)
{
    const faiss::ClusteringParameters defaults;
    params->niter = defaults.niter;
    params->nredo = defaults.nredo;
    params->verbose = defaults.verbose;
    params->spherical = defaults.spherical;
    params->int_centroids = defaults.int_centroids;
    params->update_index = defaults.update_index;
    params->frozen_centroids = defaults.frozen_centroids;
    params->min_points_per_centroid = defaults.min_points_per_centroid;
    params->max_points_per_centroid = defaults.max_points_per_centroid;
    params->seed = defaults.seed;
    params->decode_block_size = defaults.decode_block_size;
}

int faiss_Clustering_new_with_params(FaissClustering **out, int d, int k,
                                     const FaissClusteringParameters *from)
{
    return guarded([&] {
        faiss::ClusteringParameters params;
        params.niter = from->niter;
        params.nredo = from->nredo;
        params.verbose = from->verbose != 0;
        params.spherical = from->spherical != 0;
        params.int_centroids = from->int_centroids != 0;
        params.update_index = from->update_index != 0;
        params.frozen_centroids = from->frozen_centroids != 0;
        params.min_points_per_centroid = from->min_points_per_centroid;
        params.max_points_per_centroid = from->max_points_per_centroid;
        params.seed = from->seed;
        params.decode_block_size = from->decode_block_size;
        *out = reinterpret_cast<FaissClustering *>(new faiss::Clustering(d, k, params));
    });
}

int faiss_Clustering_train(FaissClustering *clustering, idx_t n, const float *x, FaissIndex *index)
{
    return guarded(
        [&] { reinterpret_cast<faiss::Clustering *>(clustering)->train(n, x, *cpp(index)); });
}

void faiss_Clustering_centroids(FaissClustering *clustering, float **centroids, size_t *size)
{
    auto &found = reinterpret_cast<faiss::Clustering *>(clustering)->centroids;
    *centroids = found.data();
    *size = found.size();
}

void faiss_Clustering_free(FaissClustering *clustering)
{
    delete reinterpret_cast<faiss::Clustering *>(clustering);
}

int faiss_IndexFlatL2_new_with(FaissIndexFlatL2 **out, idx_t d)
{
    return guarded([&] { *out = reinterpret_cast<FaissIndexFlatL2 *>(new faiss::IndexFlatL2(d)); });
}

int faiss_index_factory(FaissIndex **out, int d, const char *description, FaissMetricType metric)
{
    return guarded([&] {
        *out = reinterpret_cast<FaissIndex *>(
            faiss::index_factory(d, description, static_cast<faiss::MetricType>(metric)));
    });
}

void faiss_Index_free(FaissIndex *index)
{
    delete cpp(index);
}

int faiss_Index_d(const FaissIndex *index)
{
    return cpp(index)->d;
}

idx_t faiss_Index_ntotal(const FaissIndex *index)
{
    return cpp(index)->ntotal;
}

int faiss_Index_train(FaissIndex *index, idx_t n, const float *x)
{
    return guarded([&] { cpp(index)->train(n, x); });
}

int faiss_Index_add(FaissIndex *index, idx_t n, const float *x)
{
    return guarded([&] { cpp(index)->add(n, x); });
}

int faiss_Index_search(const FaissIndex *index, idx_t n, const float *x, idx_t k, float *distances,
                       idx_t *labels)
{
    return guarded([&] { cpp(index)->search(n, x, k, distances, labels); });
}

int faiss_write_index_fname(const FaissIndex *index, const char *path)
{
    return guarded([&] { faiss::write_index(cpp(index), path); });
}

int faiss_read_index_fname(const char *path, int io_flags, FaissIndex **out)
{
    return guarded(
        [&] { *out = reinterpret_cast<FaissIndex *>(faiss::read_index(path, io_flags)); });
}

int faiss_ParameterSpace_new(FaissParameterSpace **space)
{
    return guarded(
        [&] { *space = reinterpret_cast<FaissParameterSpace *>(new faiss::ParameterSpace()); });
}

void faiss_ParameterSpace_free(FaissParameterSpace *space)
{
    delete reinterpret_cast<faiss::ParameterSpace *>(space);
}

int faiss_ParameterSpace_set_index_parameter(const FaissParameterSpace *space, FaissIndex *index,
                                             const char *name, double value)
{
    return guarded([&] {
        reinterpret_cast<const faiss::ParameterSpace *>(space)->set_index_parameter(cpp(index),
                                                                                    name, value);
    });
}
}
