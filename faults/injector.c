/* Counts the calls by which a process changes files under one folder, and fails or dies at the n-th of them.

   Preloaded (LD_PRELOAD), so that the calls of C and C++ libraries (DuckDB, Arrow, SQLite) are counted like Python's.
   Inert until faults_arm is called; a forked child inherits what its parent armed, a program that it starts does not. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, RENAME = 2, SYNC = 4, CREATE = 8, DELETE = 16 };
enum { COUNT = 0, KILL = 1, TEAR = 2, ERROR_ONCE = 3, ERROR_ON = 4 };

static char root[PATH_MAX];
static size_t root_length;
static atomic_int kinds, action, number;
static atomic_long at, seen, of_kind[5];

void faults_arm(const char *folder, int which, long n, int what, int error) {
    strncpy(root, folder, sizeof root - 1);
    root_length = strlen(root);
    action = what;
    number = error;
    at = n;
    seen = 0;
    for (int i = 0; i < 5; i++) of_kind[i] = 0;
    kinds = which;
}
void faults_disarm(void) { kinds = 0; }
long faults_seen(void) { return seen; }
long faults_seen_of(int kind) { return of_kind[__builtin_ctz(kind)]; }

static int under(const char *path) {
    return !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}
static int fd_inside(int fd, int kind) {
    char link[64], path[PATH_MAX];
    if (!(kinds & kind)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return under(path);
}
static int path_inside(int folder, const char *path, int kind) {
    char here[PATH_MAX];
    if (!(kinds & kind)) return 0;
    if (path[0] == '/') return under(path);
    if (folder != AT_FDCWD) return fd_inside(folder, kind);
    return getcwd(here, sizeof here) && under(here);
}

/* Whether this call, one of those counted, is to fail; dies where it is to die. Half of what is written may go first. */
enum { GO = 0, FAIL = 1, HALF = 2 };
static int step(int kind, size_t bytes) {
    long n = ++seen;
    of_kind[__builtin_ctz(kind)]++;
    if (action == COUNT || n < at || (n > at && action != ERROR_ON)) return GO;
    if (action == KILL || (action == TEAR && bytes < 2)) {
        syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
        pause();
    }
    if (action == TEAR) return HALF;
    /* A disk that fills up takes a part first. */
    if (action == ERROR_ON && n == at && bytes > 1) return HALF;
    errno = number;
    return FAIL;
}
static ssize_t torn(ssize_t written) {
    if (action == TEAR) {
        syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
        pause();
    }
    return written;
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define GUARD(kind, inside) do { if ((inside) && step(kind, 0)) return -1; } while (0)

ssize_t write(int fd, const void *data, size_t n) {
    REAL(write);
    if (fd_inside(fd, WRITE)) switch (step(WRITE, n)) { case FAIL: return -1; case HALF: return torn(real(fd, data, n / 2)); }
    return real(fd, data, n);
}
#define PWRITE(name, offset_type) \
    ssize_t name(int fd, const void *data, size_t n, offset_type offset) { \
        REAL(name); \
        if (fd_inside(fd, WRITE)) \
            switch (step(WRITE, n)) { case FAIL: return -1; case HALF: return torn(real(fd, data, n / 2, offset)); } \
        return real(fd, data, n, offset); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev); GUARD(WRITE, fd_inside(fd, WRITE)); return real(fd, parts, count);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    REAL(pwritev); GUARD(WRITE, fd_inside(fd, WRITE)); return real(fd, parts, count, offset);
}
ssize_t sendfile(int out, int in, off_t *offset, size_t n) {
    REAL(sendfile); GUARD(WRITE, fd_inside(out, WRITE)); return real(out, in, offset, n);
}
ssize_t sendfile64(int out, int in, off64_t *offset, size_t n) {
    REAL(sendfile64); GUARD(WRITE, fd_inside(out, WRITE)); return real(out, in, offset, n);
}
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t n, unsigned flags) {
    REAL(copy_file_range); GUARD(WRITE, fd_inside(out, WRITE)); return real(in, from, out, to, n, flags);
}
int fsync(int fd) { REAL(fsync); GUARD(SYNC, fd_inside(fd, SYNC)); return real(fd); }
int fdatasync(int fd) { REAL(fdatasync); GUARD(SYNC, fd_inside(fd, SYNC)); return real(fd); }
int rename(const char *from, const char *to) {
    REAL(rename); GUARD(RENAME, path_inside(AT_FDCWD, to, RENAME)); return real(from, to);
}
int renameat(int a, const char *from, int b, const char *to) {
    REAL(renameat); GUARD(RENAME, path_inside(b, to, RENAME)); return real(a, from, b, to);
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    REAL(renameat2); GUARD(RENAME, path_inside(b, to, RENAME)); return real(a, from, b, to, flags);
}
int ftruncate(int fd, off_t n) { REAL(ftruncate); GUARD(DELETE, fd_inside(fd, DELETE)); return real(fd, n); }
int ftruncate64(int fd, off64_t n) { REAL(ftruncate64); GUARD(DELETE, fd_inside(fd, DELETE)); return real(fd, n); }
int unlink(const char *path) { REAL(unlink); GUARD(DELETE, path_inside(AT_FDCWD, path, DELETE)); return real(path); }
int unlinkat(int d, const char *path, int flags) {
    REAL(unlinkat); GUARD(DELETE, path_inside(d, path, DELETE)); return real(d, path, flags);
}
int rmdir(const char *path) { REAL(rmdir); GUARD(DELETE, path_inside(AT_FDCWD, path, DELETE)); return real(path); }
int mkdir(const char *path, mode_t mode) {
    REAL(mkdir); GUARD(CREATE, path_inside(AT_FDCWD, path, CREATE)); return real(path, mode);
}
int mkdirat(int d, const char *path, mode_t mode) {
    REAL(mkdirat); GUARD(CREATE, path_inside(d, path, CREATE)); return real(d, path, mode);
}
int symlink(const char *target, const char *path) {
    REAL(symlink); GUARD(CREATE, path_inside(AT_FDCWD, path, CREATE)); return real(target, path);
}
int symlinkat(const char *target, int d, const char *path) {
    REAL(symlinkat); GUARD(CREATE, path_inside(d, path, CREATE)); return real(target, d, path);
}
int link(const char *from, const char *to) {
    REAL(link); GUARD(CREATE, path_inside(AT_FDCWD, to, CREATE)); return real(from, to);
}
int linkat(int a, const char *from, int b, const char *to, int flags) {
    REAL(linkat); GUARD(CREATE, path_inside(b, to, CREATE)); return real(a, from, b, to, flags);
}
/* Opening to create counts only where the file is not there yet: that is what takes room. */
static int creates(int folder, const char *path, int flags) {
    int error = errno, inside;
    inside = (flags & O_CREAT) && path_inside(folder, path, CREATE) && syscall(SYS_faccessat, folder, path, F_OK);
    errno = error;
    return inside;
}
#define MODE(flags) mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
#define OPEN(name) int name(const char *path, int flags, ...) { \
        REAL(name); MODE(flags); GUARD(CREATE, creates(AT_FDCWD, path, flags)); return real(path, flags, mode); }
#define OPENAT(name) int name(int d, const char *path, int flags, ...) { \
        REAL(name); MODE(flags); GUARD(CREATE, creates(d, path, flags)); return real(d, path, flags, mode); }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
