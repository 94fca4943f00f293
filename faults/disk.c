/* Preloaded (LD_PRELOAD) into a process: makes its n-th operation on files below a folder fail. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char below[PATH_MAX];
static int failure; /* an errno, or 0 for short writes */
static long nth;    /* which operation fails; 0: none */
static atomic_long seen;

void disk_fault(const char *folder, int kind, long which) {
    strncpy(below, folder, sizeof below - 1);
    failure = kind;
    nth = which;
    seen = 0;
}

long disk_operations(void) { return seen; }

static int inside(const char *path) { return below[0] && strncmp(path, below, strlen(below)) == 0; }

static int inside_fd(int fd) {
    char link[64], path[PATH_MAX] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return below[0] && readlink(link, path, sizeof path - 1) > 0 && inside(path);
}

/* A full disk stays full; a broken one fails once; short writes go on. */
static int fails(int counts) {
    if (!counts) return 0;
    long now = ++seen;
    return nth && (failure == EIO ? now == nth : now >= nth);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL_IF(condition, result) \
    if (fails(condition) && failure) { errno = failure; return result; }
#define SIZE(real_size) (nth && !failure && seen >= nth && (real_size) > 1 ? (real_size) / 2 : (real_size))

ssize_t write(int fd, const void *data, size_t size) {
    int ours = inside_fd(fd);
    FAIL_IF(ours, -1)
    return REAL(write)(fd, data, ours ? SIZE(size) : size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    int ours = inside_fd(fd);
    FAIL_IF(ours, -1)
    return REAL(pwrite64)(fd, data, ours ? SIZE(size) : size, at);
}

int ftruncate64(int fd, off64_t size) { FAIL_IF(inside_fd(fd), -1) return REAL(ftruncate64)(fd, size); }
int fsync(int fd) { FAIL_IF(inside_fd(fd), -1) return REAL(fsync)(fd); }
int mkdir(const char *path, mode_t mode) { FAIL_IF(inside(path), -1) return REAL(mkdir)(path, mode); }
int rename(const char *from, const char *to) { FAIL_IF(inside(to), -1) return REAL(rename)(from, to); }

int posix_fallocate64(int fd, off64_t at, off64_t size) {
    if (fails(inside_fd(fd)) && failure) return failure;
    return REAL(posix_fallocate64)(fd, at, size);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    FAIL_IF((flags & O_CREAT) && inside(path), -1)
    return REAL(open64)(path, flags, mode);
}
