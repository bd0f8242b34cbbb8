/* press.c - touches more memory than the guest has, and verifies every page of it
 *
 *   press [-k KEEP] [-m] [-p PERCENT] [-s SEED] [-t THREADS] MIB PASSES [SWAP...]
 *
 * Fills MIB of memory with pages (content.h); then PASSES times goes over PERCENT of the pages in random
 * order (all), verifies each and gives every second one new content; then verifies all in order. With
 * SWAP... it then keeps KEEP MiB, calls swapoff for each, and verifies what was kept once more:
 * swapoff reads back what is still out there. It ends after a pass that found bad pages.
 *
 *   -m    the host is told of the middle of each random pass ("mark pass-N"), and waited for
 *
 * Exit status: 0 all pages are right, 1 some are not, 3 one could not be read (SIGBUS), 2 others.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "content.h"
#include "line.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <time.h>
#include <unistd.h>

enum {
    PAGES_PER_MIB = 1048576 / CONTENT_PAGE,
    THREADS_MAX = 64,
    STACK_BYTES = 65536,
    DESCRIBED_MAX = 8, /* of a thread's bad pages */
};

enum phase { FILL, RANDOM, CHECK };

/* Set before threads start, and by each in its own part of the pages. */
static unsigned char *memory; /* the pages under test; all else is locked in RAM */
static uint32_t *versions;
static uint32_t *order;
static unsigned char *stacks; /* of the threads */
static uint32_t pages;
static uint32_t percent = 100; /* of them, in a random pass */
static uint64_t seed = 1;
static long threads = 4;
static bool marks;
static enum phase phase;
static int pass;

static _Atomic uint64_t bad;

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static uint64_t *page_at(uint32_t index)
{
    return (uint64_t *)(memory + (uint64_t)index * CONTENT_PAGE);
}

static void on_bus_error(int signal_number, siginfo_t *info, void *context)
{
    static const char said[] = "press: SIGBUS: a page could not be read back\n";

    (void)signal_number;
    (void)info;
    (void)context;
    _exit(write(1, said, sizeof said - 1) < 0 ? 4 : 3);
}

static void shuffle(uint32_t first, uint32_t end, uint64_t random)
{
    for (uint32_t left = end - first; left > 1; left--) {
        random = content_mix(random);
        const uint32_t one = first + left - 1;
        const uint32_t other = first + random % left;
        const uint32_t kept = order[one];
        order[one] = order[other];
        order[other] = kept;
    }
}

/* visit: fills or verifies a page; returns whether it was bad */
static bool visit(uint32_t index, unsigned described)
{
    uint64_t wanted[CONTENT_WORDS];
    uint64_t *page = page_at(index);
    bool is_bad = false;

    if (phase == FILL) {
        content_make(page, seed, index, versions[index]);
        return false;
    }
    content_make(wanted, seed, index, versions[index]);
    if (memcmp(page, wanted, CONTENT_PAGE)) {
        is_bad = true;
        if (described < DESCRIBED_MAX)
            content_describe(page, wanted, index, versions[index]);
        memcpy(page, wanted, CONTENT_PAGE);
    }
    if (phase == RANDOM && content_mix(seed ^ index ^ (uint64_t)pass << 32) % 2)
        content_make(page, seed, index, ++versions[index]);
    return is_bad;
}

/* go_over: one thread's part of the pages, in one phase */
static void *go_over(void *which)
{
    const long thread = (long)which;
    const uint32_t first = (uint64_t)pages * thread / threads;
    uint32_t end = (uint64_t)pages * (thread + 1) / threads;
    unsigned bad_here = 0;
    char name[32];

    if (phase == RANDOM) {
        shuffle(first, end, content_mix(seed + 977 * pass + thread));
        end = first + (uint64_t)(end - first) * percent / 100;
    }
    const uint32_t middle = first + (end - first) / 2;
    for (uint32_t i = first; i < end; i++) {
        bad_here += visit(phase == RANDOM ? order[i] : i, bad_here);
        if (marks && phase == RANDOM && thread == 0 && i == middle) {
            snprintf(name, sizeof name, "pass-%d", pass);
            line_mark(name);
        }
    }
    bad += bad_here;
    return NULL;
}

static void run(enum phase which, int number, const char *name)
{
    pthread_t running[THREADS_MAX];
    pthread_attr_t attributes;
    const double start = now_s();
    const uint64_t bad_before = bad;

    phase = which;
    pass = number;
    pthread_attr_init(&attributes);
    for (long i = 0; i < threads; i++) {
        pthread_attr_setstack(&attributes, stacks + i * STACK_BYTES, STACK_BYTES);
        if (pthread_create(&running[i], &attributes, go_over, (void *)i)) {
            perror("press: pthread_create");
            exit(2);
        }
    }
    for (long i = 0; i < threads; i++)
        pthread_join(running[i], NULL);
    line_say("%s: %u pages in %.1f s, %llu bad", name,
             which == RANDOM ? (uint32_t)((uint64_t)pages * percent / 100) : pages,
             now_s() - start, (unsigned long long)(bad - bad_before));
}

/* The pages that were checked longest ago are kept. */
static void swap_off(uint32_t keep, char **devices)
{
    if (keep < pages)
        munmap(page_at(keep), (uint64_t)(pages - keep) * CONTENT_PAGE);
    pages = keep;
    threads = 1;
    const double start = now_s();
    for (; *devices; devices++)
        if (swapoff(*devices)) {
            printf("press: swapoff %s: %s\n", *devices, strerror(errno));
            exit(2);
        }
    line_say("swapoff: %.1f s", now_s() - start);
    run(CHECK, 0, "what was kept");
}

static void usage(void)
{
    fputs("press [-k KEEP] [-m] [-p PERCENT] [-s SEED] [-t THREADS] MIB PASSES "
          "[SWAP...]\n",
          stderr);
    exit(2);
}

/* prepare: only the pages under test may be swapped, and they go first when memory ends */
static void prepare(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
    FILE *score = fopen("/proc/self/oom_score_adj", "w");

    if (score) {
        fputs("1000", score);
        fclose(score);
    }
    sigaction(SIGBUS, &action, NULL);
    versions = calloc(pages, sizeof *versions);
    order = calloc(pages, sizeof *order);
    stacks = aligned_alloc(STACK_BYTES, threads * STACK_BYTES);
    if (versions == NULL || order == NULL || stacks == NULL || mlockall(MCL_CURRENT)) {
        perror("press");
        exit(2);
    }
    for (uint32_t i = 0; i < pages; i++) {
        versions[i] = 1;
        order[i] = i;
    }
    memory = mmap(NULL, (uint64_t)pages * CONTENT_PAGE, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("press");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    uint32_t keep = 0;
    char name[32];
    int option;

    while ((option = getopt(argc, argv, "k:mp:s:t:")) != -1)
        switch (option) {
        case 'k':
            keep = strtoul(optarg, NULL, 10) * PAGES_PER_MIB;
            break;
        case 'm':
            marks = true;
            break;
        case 'p':
            percent = strtoul(optarg, NULL, 10);
            break;
        case 's':
            seed = strtoull(optarg, NULL, 10);
            break;
        case 't':
            threads = strtol(optarg, NULL, 10);
            break;
        default:
            usage();
        }
    argv += optind;
    if (argc - optind < 2 || threads < 1 || threads > THREADS_MAX || percent < 1 ||
        percent > 100)
        usage();
    pages = strtoul(argv[0], NULL, 10) * PAGES_PER_MIB;
    const int passes = atoi(argv[1]);
    if (pages == 0 || keep > pages)
        usage();

    prepare();
    run(FILL, 0, "fill");
    for (int i = 1; i <= passes && bad == 0; i++) {
        snprintf(name, sizeof name, "random pass %d", i);
        run(RANDOM, i, name);
    }
    if (bad == 0)
        run(CHECK, passes + 1, "check in order");
    if (argv[2] && bad == 0)
        swap_off(keep, argv + 2);
    return bad > 0;
}
