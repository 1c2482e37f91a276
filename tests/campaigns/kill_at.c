/* Kill the calling process at the N-th system call of one kind, counted over all its processes, and
 * another, or the same that was started again, at the M-th call of a kind after that death.
 *
 * Loaded with LD_PRELOAD into the process that the kill sweep forks gateways from. Each function
 * below is asked for by name by Python, SQLite, libuv and libpq; it counts the call in memory that
 * all processes of a run share, and hands it on. The death is before the call: a death after it is
 * the death before the next one.
 *
 * strace can do this too, and was used before. It counts the calls of each thread by itself, so
 * that the first calls of a thread are met only if no other thread has made as many before; and it
 * stops the process twice at each system call of any kind.
 *
 * Not counted: the log (standard error), and counters that wake an event loop (eventfd).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* The order of KINDS in kill_at.py. */
enum kind {
    WRITE, PWRITE, SEND, FSYNC, FDATASYNC, TRUNCATE, RENAME, LINK, UNLINK, MKDIR, RMDIR, COPY, KINDS
};

enum { DEATHS = 2 };
/* The index of "worker" in kill_at.py. */
enum { WORKER = 2 };

/* Shared by all processes of a run: a file of so many bytes. A row of calls for each death that is
 * to come: those after the first are counted from one again. The last row goes on to the end. */
struct tally {
    _Atomic uint64_t calls[DEATHS][KINDS];
    _Atomic uint64_t struck[DEATHS];
};

static struct tally *tally;
static int deadly_kind[DEATHS];
static uint64_t deadly_call[DEATHS];
static uint64_t own_role;
static pid_t own_process;
/* Other threads may go on for a moment, which is no part of what comes after the death. */
static atomic_bool dying;

/* Say where the death of this index is, before kill_at_arm; without it there is none. */
void kill_at_death(int death, int kind, uint64_t call)
{
    deadly_kind[death] = kind;
    deadly_call[death] = call;
}

/* Begin to count. `role` is what is written when this process is killed. */
int kill_at_arm(const char *path, uint64_t role)
{
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return -1;
    void *memory = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED)
        return -1;
    own_role = role;
    own_process = getpid();
    tally = memory;
    return 0;
}

static void count(enum kind kind)
{
    if (tally == NULL || atomic_load(&dying))
        return;
    int death = 0;
    while (death < DEATHS - 1 && atomic_load(&tally->struck[death]) != 0)
        death++;
    uint64_t number = atomic_fetch_add(&tally->calls[death][kind], 1) + 1;
    if ((int)kind != deadly_kind[death] || number != deadly_call[death])
        return;
    atomic_store(&dying, true);
    /* A child that is forked and not yet another program writes too: a worker, from now on. */
    atomic_store(&tally->struck[death], getpid() == own_process ? own_role : WORKER);
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static void count_written(int file)
{
    struct stat found;
    if (tally == NULL || file == STDERR_FILENO || fstat(file, &found) != 0)
        return;
    if (S_ISSOCK(found.st_mode))
        count(SEND);
    else if (S_ISREG(found.st_mode) || S_ISFIFO(found.st_mode))
        count(WRITE);
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (real == NULL) \
        real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define INTERPOSED(type, name, counted, declared, given, ...) \
    type name declared \
    { \
        REAL(type, #name, __VA_ARGS__); \
        counted; \
        return real given; \
    }

typedef const void *bytes;
typedef const char *text;
typedef const struct iovec *parts;
typedef const struct msghdr *message;
typedef const struct sockaddr *address;

INTERPOSED(ssize_t, write, count_written(f), (int f, bytes b, size_t n), (f, b, n), int, bytes, size_t)
INTERPOSED(ssize_t, writev, count_written(f), (int f, parts p, int n), (f, p, n), int, parts, int)
INTERPOSED(ssize_t, pwrite, count(PWRITE), (int f, bytes b, size_t n, off_t o), (f, b, n, o), int, bytes, size_t, off_t)
INTERPOSED(ssize_t, pwrite64, count(PWRITE), (int f, bytes b, size_t n, off64_t o), (f, b, n, o), int, bytes, size_t, off64_t)
INTERPOSED(ssize_t, pwritev, count(PWRITE), (int f, parts p, int n, off_t o), (f, p, n, o), int, parts, int, off_t)
INTERPOSED(ssize_t, pwritev64, count(PWRITE), (int f, parts p, int n, off64_t o), (f, p, n, o), int, parts, int, off64_t)
INTERPOSED(ssize_t, send, count(SEND), (int f, bytes b, size_t n, int s), (f, b, n, s), int, bytes, size_t, int)
INTERPOSED(ssize_t, sendto, count(SEND), (int f, bytes b, size_t n, int s, address a, socklen_t l), (f, b, n, s, a, l), int, bytes, size_t, int, address, socklen_t)
INTERPOSED(ssize_t, sendmsg, count(SEND), (int f, message m, int s), (f, m, s), int, message, int)
INTERPOSED(int, fsync, count(FSYNC), (int f), (f), int)
INTERPOSED(int, fdatasync, count(FDATASYNC), (int f), (f), int)
INTERPOSED(int, ftruncate, count(TRUNCATE), (int f, off_t n), (f, n), int, off_t)
INTERPOSED(int, ftruncate64, count(TRUNCATE), (int f, off64_t n), (f, n), int, off64_t)
INTERPOSED(int, truncate, count(TRUNCATE), (text p, off_t n), (p, n), text, off_t)
INTERPOSED(int, rename, count(RENAME), (text a, text b), (a, b), text, text)
INTERPOSED(int, renameat, count(RENAME), (int f, text a, int g, text b), (f, a, g, b), int, text, int, text)
INTERPOSED(int, link, count(LINK), (text a, text b), (a, b), text, text)
INTERPOSED(int, linkat, count(LINK), (int f, text a, int g, text b, int s), (f, a, g, b, s), int, text, int, text, int)
INTERPOSED(int, unlink, count(UNLINK), (text p), (p), text)
INTERPOSED(int, unlinkat, count(UNLINK), (int f, text p, int s), (f, p, s), int, text, int)
INTERPOSED(int, mkdir, count(MKDIR), (text p, mode_t m), (p, m), text, mode_t)
INTERPOSED(int, mkdirat, count(MKDIR), (int f, text p, mode_t m), (f, p, m), int, text, mode_t)
INTERPOSED(int, rmdir, count(RMDIR), (text p), (p), text)
INTERPOSED(ssize_t, sendfile, count(COPY), (int a, int b, off_t *o, size_t n), (a, b, o, n), int, int, off_t *, size_t)
INTERPOSED(ssize_t, sendfile64, count(COPY), (int a, int b, off64_t *o, size_t n), (a, b, o, n), int, int, off64_t *, size_t)
INTERPOSED(ssize_t, copy_file_range, count(COPY), (int a, off64_t *i, int b, off64_t *o, size_t n, unsigned s), (a, i, b, o, n, s), int, off64_t *, int, off64_t *, size_t, unsigned)
