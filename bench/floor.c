// What this machine can do at best: memory, fresh pages and the page cache. Prints one line of JSON.
//
//     cc -O3 -march=native -pthread floor.c -o floor && ./floor FILE THREADS [DOUBLES]
//
// FILE.0 and so on are written, read and removed. Rates are GB/s (1e9 bytes), the best of REPEATS.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { REPEATS = 7, MOST_THREADS = 256, HUGE_PAGE = 1 << 21, PIECE = 1 << 20, REMOVE = -1 };

static size_t doubles, threads;
static double *from, *to;
static volatile double sink;
static const char *file;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static void *fresh(size_t bytes, int huge) {
    char *start = mmap(0, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) { perror("mmap"); exit(1); }
    char *aligned = (char *)(((uintptr_t)start + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    madvise(aligned, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return aligned;
}

typedef struct { size_t index, begin, end; } Span;

static void *read_span(void *argument) {
    Span *span = argument;
    double lanes[32] = {0};
    size_t i = span->begin;
    for (; i + 32 <= span->end; i += 32)
        for (int j = 0; j < 32; j++) lanes[j] += from[i + j];
    for (int j = 0; j < 32; j++) sink = lanes[j];
    return 0;
}

static void *scale_span(void *argument) {
    Span *span = argument;
    for (size_t i = span->begin; i < span->end; i++) to[i] = (from[i] - 0.5) * 3.46;
    return 0;
}

// Runs a function over all doubles, split between the threads.
static void over_all(void *(*function)(void *)) {
    pthread_t running[MOST_THREADS];
    Span spans[MOST_THREADS];
    for (size_t t = 0; t < threads; t++) {
        spans[t] = (Span){t, doubles / PIECE * t / threads * PIECE, doubles / PIECE * (t + 1) / threads * PIECE};
        if (t + 1 == threads) function(&spans[t]);
        else pthread_create(&running[t], 0, function, &spans[t]);
    }
    for (size_t t = 0; t + 1 < threads; t++) pthread_join(running[t], 0);
}

static void read_memory(void) { over_all(read_span); }
static void scale_memory(void) { over_all(scale_span); }

static void touch(int huge) {
    size_t bytes = doubles * 8;
    char *pages = fresh(bytes, huge);
    for (size_t i = 0; i < bytes; i += 4096) pages[i] = 1;
    munmap(pages, bytes);
}
static void touch_small(void) { touch(0); }
static void touch_huge(void) { touch(1); }

// Each thread has a file of its own: writes to one file wait for each other.
static int open_own(const Span *span, int flags) {
    char name[4096];
    snprintf(name, sizeof name, "%s.%zu", file, span->index);
    if (flags == REMOVE) return unlink(name);
    int found = open(name, flags, 0600);
    if (found < 0) { perror(name); exit(1); }
    return found;
}

static void *write_own(void *argument) {
    Span *span = argument;
    open_own(span, REMOVE);
    int out = open_own(span, O_CREAT | O_WRONLY);
    char *end = (char *)(from + span->end);
    for (char *at = (char *)(from + span->begin); at < end; at += PIECE)
        if (write(out, at, PIECE) != PIECE) { perror(file); exit(1); }
    close(out);
    return 0;
}

static void *read_own(void *argument) {
    Span *span = argument;
    int in = open_own(span, O_RDONLY);
    while (read(in, to + span->begin, PIECE) > 0) {}  // into one buffer, which stays in the cache
    close(in);
    return 0;
}

static void *remove_own(void *argument) {
    open_own(argument, REMOVE);
    return 0;
}

static void write_files(void) { over_all(write_own); }
static void read_files(void) { over_all(read_own); }

static double rate(void (*function)(void), double bytes_per_double) {
    double best = 1e300;
    for (int r = 0; r < REPEATS; r++) {
        double begun = now();
        function();
        double took = now() - begun;
        if (took < best) best = took;
    }
    return bytes_per_double * doubles / best / 1e9;
}

int main(int count, char **words) {
    if (count < 3) { fprintf(stderr, "usage: floor FILE THREADS [DOUBLES]\n"); return 2; }
    file = words[1];
    size_t most = strtoul(words[2], 0, 10);
    if (most < 1 || most > MOST_THREADS) most = MOST_THREADS;
    doubles = (count > 3 ? strtoul(words[3], 0, 10) : 1ul << 25) & ~(size_t)(PIECE - 1);
    from = fresh(doubles * 8, 1);
    to = fresh(doubles * 8, 1);
    for (size_t i = 0; i < doubles; i++) { from[i] = (double)(i * 2654435761u % 1000); to[i] = 0; }

    printf("{\"doubles\": %zu, \"threads\": %zu", doubles, most);
    threads = 1;
    printf(", \"read_1\": %.2f, \"scale_write_1\": %.2f", rate(read_memory, 8), rate(scale_memory, 16));
    threads = most;
    printf(", \"read\": %.2f, \"scale_write\": %.2f", rate(read_memory, 8), rate(scale_memory, 16));
    printf(", \"first_touch_small_pages\": %.2f, \"first_touch_huge_pages\": %.2f", rate(touch_small, 8),
           rate(touch_huge, 8));
    printf(", \"cache_write\": %.2f", rate(write_files, 8));
    printf(", \"cache_read\": %.2f}\n", rate(read_files, 8));
    over_all(remove_own);
    return 0;
}
