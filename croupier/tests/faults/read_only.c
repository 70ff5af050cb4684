/* Loaded ahead of the C library: while the first byte of $READ_ONLY_SWITCH is 1, files in $READ_ONLY_DIR cannot be written, not even
 * those that are open, as on a file system that the kernel has made read-only because its disk failed. What statvfs says is left
 * alone: of some file systems it says nothing of that. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static volatile char *on;
static char off;
static const char *dir;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("READ_ONLY_SWITCH");
    int (*open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = file < 0 ? MAP_FAILED : mmap(0, 1, PROT_READ, MAP_SHARED, file, 0);
    dir = getenv("READ_ONLY_DIR");
    on = map == MAP_FAILED ? &off : map;
}

static int within(const char *path) { return on && *on && dir && path && !strncmp(path, dir, strlen(dir)); }

static int refused(int file) {
    char link[64], path[4096];
    if (!on || !*on) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return within(path);
}

#define REFUSE return errno = EROFS, -1

#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) && within(path)) REFUSE; \
        return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name))(path, flags, mode); \
    }
OPENS(open)
OPENS(open64)

#define WRITES(result, name, given, passed) \
    result name given { \
        if (refused(file)) REFUSE; \
        return ((result(*) given)dlsym(RTLD_NEXT, #name))passed; \
    }
WRITES(ssize_t, write, (int file, const void *bytes, size_t n), (file, bytes, n))
WRITES(ssize_t, pwrite, (int file, const void *bytes, size_t n, off_t at), (file, bytes, n, at))
WRITES(ssize_t, pwrite64, (int file, const void *bytes, size_t n, off64_t at), (file, bytes, n, at))
WRITES(ssize_t, writev, (int file, const struct iovec *parts, int n), (file, parts, n))
WRITES(int, ftruncate, (int file, off_t length), (file, length))
WRITES(int, ftruncate64, (int file, off64_t length), (file, length))

#define CHANGES(name, given, passed) \
    int name given { \
        if (within(path)) REFUSE; \
        return ((int (*) given)dlsym(RTLD_NEXT, #name))passed; \
    }
CHANGES(unlink, (const char *path), (path))
CHANGES(rename, (const char *path, const char *to), (path, to))
CHANGES(mkdir, (const char *path, mode_t mode), (path, mode))
