/*
 * faiss_c.h: the part of Faiss's C API that we use.
 *
 * Debian's libfaiss-dev has the C headers but not their code, so where no faiss_c library is found
 * faiss_c.cpp implements these functions over libfaiss.  No exception passes.
 */
#ifndef INDEX_FAISS_C_H
#define INDEX_FAISS_C_H

#pragma GCC diagnostic push
#ifndef __cplusplus
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#endif
#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/Clustering_c.h>
#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>
#pragma GCC diagnostic pop

#ifndef __cplusplus
/* libgomp's: Faiss runs its loops on that many threads.  Its header belongs to one compiler. */
void omp_set_num_threads(int threads);
#endif

#endif
