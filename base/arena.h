/*
 * arena.h: memory with one lifetime, taken in one piece and given back in one piece.
 *
 * An arena without a block is a ruler: it hands out NULL and only counts.  Running the same layout
 * function first over a ruler and then over a real arena measures and places with one piece of
 * code, so the two can never disagree.
 *
 * Threads   an arena belongs to one thread at a time.
 * Memory    arena_open() maps pages and asks for huge ones; what arena_take() returns is borrowed
 *           until arena_reset() or arena_close().  It is zeroed and aligned to ARENA_ALIGN.
 * Errors    arena_take() asserts (its need was measured); arena_try() returns NULL where the size
 *           comes from the input.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/err.h"

enum { ARENA_ALIGN = 64 }; /* bytes: a cache line and a zmm register */

struct arena {
    unsigned char *block; /* owned if opened by arena_open(); NULL for a ruler */
    size_t size;          /* bytes in block */
    size_t used;          /* bytes handed out, or counted */
};

bool arena_open(struct arena *arena, size_t size, struct err *err) MUST_CHECK;
void arena_close(struct arena *arena);
void arena_reset(struct arena *arena);
void *arena_take(struct arena *arena, size_t count, size_t size);
void *arena_try(struct arena *arena, size_t count, size_t size);

#endif
