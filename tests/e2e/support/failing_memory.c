/*
 * Memory that fails: a library to be loaded before a program. A file named by FAILING_MEMORY holds
 * three numbers, which the test sets while the program runs: at which allocation from now on it
 * fails (0: never), at how many of them in a row, and how many there were.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct plan {
    _Atomic long at, length, count;
};

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

static struct plan *plan;

__attribute__((constructor)) static void load(void) {
    const char *path = getenv("FAILING_MEMORY");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    void *memory =
        fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory != MAP_FAILED)
        plan = memory;
}

static int fails(void) {
    if (plan == NULL || plan->at == 0)
        return 0;
    long now = ++plan->count;
    return now >= plan->at && now < plan->at + plan->length;
}

static void *none(void) {
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t size) {
    return fails() ? none() : __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
    return fails() ? none() : __libc_calloc(n, size);
}

void *realloc(void *memory, size_t size) {
    return fails() ? none() : __libc_realloc(memory, size);
}
