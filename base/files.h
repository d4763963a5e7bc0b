/*
 * files.h: reading whole files, and writing them so that a crash leaves the old or the new.
 *
 * Publishing is always the same four steps: write aside, fsync, rename, fsync the folder.
 *
 * Memory    file_read() returns malloc'ed bytes with a final 0 that is not counted.
 * Errors    every text names the file.
 */
#ifndef BASE_FILES_H
#define BASE_FILES_H

#include "base/err.h"

#include <stdint.h>

enum { PATH_SIZE = 1024, SHA256_TEXT = 65 };

struct file_map {
    const unsigned char *bytes; /* owned mapping, read-only; NULL for an empty file */
    size_t size;
};

bool path_make(char path[PATH_SIZE], struct err *err, const char *format, ...)
    PRINTF(3, 4) MUST_CHECK;
bool path_exists(const char *path);
bool folder_make(const char *path, struct err *err) MUST_CHECK; /* one that exists is fine */
void folder_remove(const char *path); /* a folder of plain files; what cannot go stays */

char *file_read(const char *path, size_t size_max, size_t *size, struct err *err) MUST_CHECK;
bool file_map_open(struct file_map *map, const char *path, struct err *err) MUST_CHECK;
void file_map_close(struct file_map *map);
bool file_write_atomic(const char *path, const void *bytes, size_t size,
                       struct err *err) MUST_CHECK;
bool fd_write(int fd, const void *bytes, size_t size);        /* all of it; false: errno says why */
bool file_sync(const char *path, struct err *err) MUST_CHECK; /* a file or a folder */
bool file_copy(const char *to, const char *from, struct err *err) MUST_CHECK;
bool file_sha256(char digest[SHA256_TEXT], const char *path, struct err *err) MUST_CHECK;
void text_sha256(char digest[SHA256_TEXT], const char *bytes, size_t size);

/* Renames a finished folder to its final name: its files, itself and its parent are synced. */
bool folder_publish(const char *aside, const char *final, struct err *err) MUST_CHECK;

/* Makes the symbolic link `path` point to `target` in one step, whether or not it existed. */
bool link_move(const char *path, const char *target, struct err *err) MUST_CHECK;
bool link_read(char target[PATH_SIZE], const char *path);

double clock_s(void); /* monotonic seconds, for durations and deadlines */
int64_t now_ms(void); /* milliseconds since 1970, UTC */

#endif
