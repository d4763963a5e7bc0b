#include "base/files.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static enum err_code os_code(void)
{
    return errno == ENOENT                      ? ERR_MISSING
           : errno == ENOSPC || errno == EDQUOT ? ERR_FULL
                                                : ERR_SYSTEM;
}

static bool os_error(struct err *err, const char *path, const char *verb)
{
    return err_set(err, os_code(), "%s: cannot %s: %s", path, verb, strerror(errno));
}

bool path_make(char path[PATH_SIZE], struct err *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(path, PATH_SIZE, format, args);
    va_end(args);
    if (size < 0 || size >= PATH_SIZE)
        return err_set(err, ERR_INPUT, "path is longer than %d bytes: %.80s...", PATH_SIZE - 1,
                       path);
    return true;
}

bool path_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool folder_make(const char *path, struct err *err)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return true;
    return os_error(err, path, "make folder");
}

void folder_remove(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    rmdir(path);
}

char *file_read(const char *path, size_t size_max, size_t *size, struct err *err)
{
    struct file_map map;
    if (!file_map_open(&map, path, err))
        return NULL;
    char *bytes = NULL;
    if (map.size > size_max)
        err_set(err, ERR_LIMIT, "%s: %zu bytes, expected at most %zu", path, map.size, size_max);
    else if (!(bytes = malloc(map.size + 1)))
        err_set(err, ERR_SYSTEM, "%s: no memory for %zu bytes", path, map.size);
    else {
        if (map.size)
            memcpy(bytes, map.bytes, map.size);
        bytes[map.size] = 0;
        *size = map.size;
    }
    file_map_close(&map);
    return bytes;
}

bool file_map_open(struct file_map *map, const char *path, struct err *err)
{
    *map = (struct file_map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return os_error(err, path, "open");
    struct stat info;
    bool fine = fstat(fd, &info) == 0;
    if (!fine)
        os_error(err, path, "stat");
    else if (!S_ISREG(info.st_mode))
        fine = err_set(err, ERR_INPUT, "%s: expected a plain file", path);
    else if (info.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (bytes == MAP_FAILED)
            fine = os_error(err, path, "map");
        else
            *map = (struct file_map){bytes, (size_t)info.st_size};
    }
    close(fd);
    return fine;
}

void file_map_close(struct file_map *map)
{
    if (map->bytes)
        munmap((void *)(uintptr_t)map->bytes, map->size);
    *map = (struct file_map){0};
}

bool file_sync(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return os_error(err, path, "open");
    bool fine = fsync(fd) == 0;
    if (!fine)
        os_error(err, path, "sync");
    close(fd);
    return fine;
}

static bool parent_sync(const char *path, struct err *err)
{
    char parent[PATH_SIZE];
    if (!path_make(parent, err, "%s", path))
        return false;
    char *slash = strrchr(parent, '/');
    if (!slash)
        return file_sync(".", err);
    slash[slash == parent] = 0;
    return file_sync(parent, err);
}

bool fd_write(int fd, const void *from, size_t size)
{
    const char *bytes = from;
    while (size > 0) {
        ssize_t done = write(fd, bytes, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes += done;
        size -= (size_t)done;
    }
    return true;
}

bool file_write_atomic(const char *path, const void *bytes, size_t size, struct err *err)
{
    char aside[PATH_SIZE];
    if (!path_make(aside, err, "%s.part", path))
        return false;
    int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return os_error(err, aside, "create");
    bool fine = fd_write(fd, bytes, size) && fsync(fd) == 0;
    if (!fine)
        os_error(err, aside, "write");
    if (close(fd) != 0 && fine)
        fine = os_error(err, aside, "close");
    if (fine && rename(aside, path) != 0)
        fine = os_error(err, path, "rename to");
    if (!fine) {
        unlink(aside);
        return false;
    }
    return parent_sync(path, err);
}

bool file_copy(const char *to, const char *from, struct err *err)
{
    struct file_map map;
    if (!file_map_open(&map, from, err))
        return false;
    bool fine =
        file_write_atomic(to, map.bytes ? map.bytes : (const unsigned char *)"", map.size, err);
    file_map_close(&map);
    return fine;
}

void text_sha256(char digest[SHA256_TEXT], const char *bytes, size_t size)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const unsigned char *)bytes, size);
    hex_encode(digest, hash, sizeof hash);
}

bool file_sha256(char digest[SHA256_TEXT], const char *path, struct err *err)
{
    struct file_map map;
    if (!file_map_open(&map, path, err))
        return false;
    text_sha256(digest, map.bytes ? (const char *)map.bytes : "", map.size);
    file_map_close(&map);
    return true;
}

bool folder_publish(const char *aside, const char *final, struct err *err)
{
    DIR *dir = opendir(aside);
    if (!dir)
        return os_error(err, aside, "open folder");
    bool fine = true;
    for (struct dirent *entry; fine && (entry = readdir(dir));) {
        char path[PATH_SIZE];
        if (entry->d_name[0] == '.')
            continue;
        fine = path_make(path, err, "%s/%s", aside, entry->d_name) && file_sync(path, err);
    }
    closedir(dir);
    if (!fine || !file_sync(aside, err))
        return false;
    if (rename(aside, final) != 0)
        return os_error(err, final, "rename to");
    return parent_sync(final, err);
}

bool link_move(const char *path, const char *target, struct err *err)
{
    char aside[PATH_SIZE];
    if (!path_make(aside, err, "%s.part", path))
        return false;
    unlink(aside);
    if (symlink(target, aside) != 0)
        return os_error(err, aside, "link");
    if (rename(aside, path) != 0)
        return os_error(err, path, "rename to");
    return parent_sync(path, err);
}

bool link_read(char target[PATH_SIZE], const char *path)
{
    ssize_t size = readlink(path, target, PATH_SIZE - 1);
    if (size < 0)
        return false;
    target[size] = 0;
    return true;
}

double clock_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
