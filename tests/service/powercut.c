/*
 * powercut.c: an LD_PRELOAD layer that forgets what was not synced.
 *
 * Before each write to a file under $POWERCUT_DIR the old bytes are noted; fsync, fdatasync and
 * msync forget the notes of that file.  A write through a descriptor opened with O_DSYNC or O_SYNC
 * counts as synced by itself.  On SIGUSR1 the power goes: no write begins any more, every noted one
 * is undone, newest first, the file gets the length it had, and the process ends at once.
 *
 * The cut is made by a thread of its own that holds the lock of all writes, so it falls between two
 * of them, as a real one does, and never into the middle of a commit that then goes on.
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

static void *power_cut(void *self)
{
    sigset_t signals;
    int got;
    (void)self;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigwait(&signals, &got);
    pthread_mutex_lock(&lock); /* for good */
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
    pthread_t thread;
    sigset_t signals;
    *(void **)&real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    *(void **)&real_pwritev = dlsym(RTLD_NEXT, "pwritev");
    *(void **)&real_write = dlsym(RTLD_NEXT, "write");
    *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    if (!dir)
        return;
    strncpy(data_path, dir, sizeof data_path - 20);
    strcat(data_path, "/data.mdb");
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* all later threads inherit it */
    pthread_create(&thread, NULL, power_cut, NULL);
}

/* The store's data file. */
static int is_ours(int fd, struct stat *info)
{
    struct stat data;
    return *data_path && fstat(fd, info) == 0 && stat(data_path, &data) == 0 &&
           info->st_ino == data.st_ino && info->st_dev == data.st_dev;
}

/* With the lock held.  A write that is synced by itself needs no note. */
static void take_note(int fd, const struct stat *info, size_t size, off_t at)
{
    if ((fcntl(fd, F_GETFL) & O_DSYNC) == O_DSYNC)
        return;
    int reader = open(data_path, O_RDONLY);
    struct note *note = malloc(sizeof *note + size);
    note->at = at;
    note->length_was = info->st_size;
    note->size = pread(reader, note->bytes, size, at);
    note->before = notes;
    notes = note;
    close(reader);
}

static int sync_and_forget(int fd, int (*real_sync)(int))
{
    struct stat info;
    if (!is_ours(fd, &info))
        return real_sync(fd);
    pthread_mutex_lock(&lock);
    int code = real_sync(fd);
    while (code == 0 && notes) {
        struct note *gone = notes;
        notes = gone->before;
        free(gone);
    }
    pthread_mutex_unlock(&lock);
    return code;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    struct stat info;
    if (!is_ours(fd, &info))
        return real_pwrite(fd, bytes, size, at);
    pthread_mutex_lock(&lock);
    take_note(fd, &info, size, at);
    ssize_t done = real_pwrite(fd, bytes, size, at);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off_t at)
{
    return pwrite(fd, bytes, size, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    struct stat info;
    size_t size = 0;
    if (!is_ours(fd, &info))
        return real_pwritev(fd, parts, count, at);
    for (int i = 0; i < count; i++)
        size += parts[i].iov_len;
    pthread_mutex_lock(&lock);
    take_note(fd, &info, size, at);
    ssize_t done = real_pwritev(fd, parts, count, at);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at)
{
    return pwritev(fd, parts, count, at);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    struct stat info;
    if (!is_ours(fd, &info))
        return real_write(fd, bytes, size);
    pthread_mutex_lock(&lock);
    take_note(fd, &info, size, lseek(fd, 0, SEEK_CUR));
    ssize_t done = real_write(fd, bytes, size);
    pthread_mutex_unlock(&lock);
    return done;
}

int fsync(int fd)
{
    return sync_and_forget(fd, real_fsync);
}

int fdatasync(int fd)
{
    return sync_and_forget(fd, real_fdatasync);
}
