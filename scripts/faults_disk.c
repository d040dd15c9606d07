/* Preloaded by scripts/check-faults: lets one of a program's calls that change a disk fail.
 *
 * FAIL_COUNT=FILE writes how many such calls there were. FAIL_AT=N fails the call number N, counted from 0, as FAIL_HOW says: "ENOSPC"
 * or "EIO" from there on for ever, "ENOSPC once", "EIO once", or "exit", which ends the process there with code 77. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long calls;

/* The error with which this call is to fail, or 0. */
static int fault(void) {
    long number = __atomic_fetch_add(&calls, 1, __ATOMIC_SEQ_CST);
    const char *at = getenv("FAIL_AT"), *how = getenv("FAIL_HOW");
    if (!at || !how || number < atol(at) || (number > atol(at) && strstr(how, "once"))) return 0;
    if (!strcmp(how, "exit")) _exit(77);
    return strstr(how, "ENOSPC") ? ENOSPC : EIO;
}

__attribute__((destructor)) static void count(void) {
    const char *path = getenv("FAIL_COUNT");
    if (!path) return;
    FILE *file = fopen(path, "w");
    if (file) fprintf(file, "%ld", calls), fclose(file);
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define FAIL() do { int code = fault(); if (code) { errno = code; return -1; } } while (0)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    if (fd > 2) FAIL();
    return real(fd, data, size);
}
int fsync(int fd) { REAL(fsync); FAIL(); return real(fd); }
int fdatasync(int fd) { REAL(fdatasync); FAIL(); return real(fd); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); FAIL(); return real(fd, size); }
int rename(const char *from, const char *to) { REAL(rename); FAIL(); return real(from, to); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); FAIL(); return real(path, mode); }
int unlink(const char *path) { REAL(unlink); FAIL(); return real(path); }
int unlinkat(int fd, const char *path, int flags) { REAL(unlinkat); FAIL(); return real(fd, path, flags); }
int rmdir(const char *path) { REAL(rmdir); FAIL(); return real(path); }

int open64(const char *path, int flags, ...) {
    REAL(open64);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    if ((flags & O_ACCMODE) != O_RDONLY && strncmp(path, "/dev/", 5)) FAIL();
    return real(path, flags, mode);
}
