/* scan.h: one source, built three times; scan_inner_products() picks by CPU.  Not for other rooms.
 */
#ifndef INDEX_SCAN_H
#define INDEX_SCAN_H

#include <stddef.h>

void scan_plain(float *scores, const float *vectors, const float *query, size_t items, size_t dims);
void scan_avx2(float *scores, const float *vectors, const float *query, size_t items, size_t dims);
void scan_avx512(float *scores, const float *vectors, const float *query, size_t items,
                 size_t dims);

#endif
