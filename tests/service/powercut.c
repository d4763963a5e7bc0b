/*
 * powercut.c: an LD_PRELOAD layer that forgets what was not synced.
 *
 * Before each write to a file under $POWERCUT_DIR the old bytes are noted; fsync, fdatasync and
 * msync forget the notes of that file.  A write through a descriptor opened with O_DSYNC or O_SYNC
 * counts as synced by itself.  On SIGUSR1 the power goes: every noted write is undone, newest
 * first, the file gets the length it had, and the process ends at once.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct note {
    struct note *before;
    ino_t inode;
    off_t at, length_was;
    ssize_t size;
    char bytes[];
};

static struct note *notes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static char data_path[1024];

/* Another thread that reads pages we cut off waits here for the end. */
static void hold(int signal_number)
{
    (void)signal_number;
    for (;;)
        pause();
}

static void power_cut(int signal_number)
{
    (void)signal_number;
    signal(SIGBUS, hold);
    signal(SIGSEGV, hold);
    signal(SIGABRT, hold); /* LMDB, finding pages that changed under it */
    int fd = open(data_path, O_WRONLY);
    off_t length = -1;
    for (struct note *note = notes; note && fd >= 0; note = note->before) {
        if (note->size > 0 && real_pwrite(fd, note->bytes, (size_t)note->size, note->at) < 0)
            _exit(98);
        length = note->length_was;
    }
    if (length >= 0 && ftruncate(fd, length) != 0)
        _exit(97);
    _exit(99);
}

__attribute__((constructor)) static void begin(void)
{
    const char *dir = getenv("POWERCUT_DIR");
    *(void **)&real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    *(void **)&real_pwritev = dlsym(RTLD_NEXT, "pwritev");
    *(void **)&real_write = dlsym(RTLD_NEXT, "write");
    *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    if (!dir)
        return;
    strncpy(data_path, dir, sizeof data_path - 20);
    strcat(data_path, "/data.mdb");
    signal(SIGUSR1, power_cut);
}

/* The store's data file, written without O_DSYNC. */
static int is_ours(int fd, struct stat *info)
{
    struct stat data;
    int flags = fcntl(fd, F_GETFL);
    return *data_path && fstat(fd, info) == 0 && stat(data_path, &data) == 0 &&
           info->st_ino == data.st_ino && info->st_dev == data.st_dev &&
           (flags & O_DSYNC) != O_DSYNC;
}

static void take_note(int fd, size_t size, off_t at)
{
    struct stat info;
    if (!is_ours(fd, &info))
        return;
    int reader = open(data_path, O_RDONLY);
    struct note *note = malloc(sizeof *note + size);
    pthread_mutex_lock(&lock);
    note->inode = info.st_ino;
    note->at = at;
    note->length_was = info.st_size;
    note->size = pread(reader, note->bytes, size, at);
    note->before = notes;
    notes = note;
    pthread_mutex_unlock(&lock);
    close(reader);
}

static void forget(int fd)
{
    struct stat info;
    if (!is_ours(fd, &info))
        return;
    pthread_mutex_lock(&lock);
    while (notes) {
        struct note *gone = notes;
        notes = gone->before;
        free(gone);
    }
    pthread_mutex_unlock(&lock);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    take_note(fd, size, at);
    return real_pwrite(fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t at)
{
    return pwrite(fd, bytes, size, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    take_note(fd, size, at);
    return real_pwritev(fd, parts, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at)
{
    return pwritev(fd, parts, count, at);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    struct stat info;
    if (is_ours(fd, &info))
        take_note(fd, size, lseek(fd, 0, SEEK_CUR));
    return real_write(fd, bytes, size);
}

int fsync(int fd)
{
    int code = real_fsync(fd);
    if (code == 0)
        forget(fd);
    return code;
}

int fdatasync(int fd)
{
    int code = real_fdatasync(fd);
    if (code == 0)
        forget(fd);
    return code;
}
