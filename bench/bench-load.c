/* bench-load.c - one load on one server, and how long each request took
 *
 * usage: bench-load [OPTION...] CORPUS TARGET        see load-arguments.c
 *
 * TARGET is an NBD server's socket (or HOST:PORT), or a block device, which is used by direct I/O. The
 * same requests go to either. Prints one line of JSON; times are in microseconds.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "args.h"
#include "load.h"
#include "load-arguments.h"

static double us(struct timeval time)
{
    return (double)time.tv_sec * 1e6 + (double)time.tv_usec;
}

static void print_latencies(const char *name, const struct histogram *histogram)
{
    printf("\"%s\": {\"count\": %llu, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, "
           "\"p999\": %.1f, \"longest\": %.1f}, ",
           name, (unsigned long long)histogram->count,
           (double)histogram_quantile(histogram, 0.5) / 1e3,
           (double)histogram_quantile(histogram, 0.9) / 1e3,
           (double)histogram_quantile(histogram, 0.99) / 1e3,
           (double)histogram_quantile(histogram, 0.999) / 1e3,
           (double)histogram->longest_ns / 1e3);
}

int main(int argc, char **argv)
{
    static struct load load;
    struct load_wish wish;
    struct rusage before, after;
    struct corpus corpus;
    struct stat status;

    args_load_corpus(load_arguments(argc, argv, &wish), &corpus);
    load_begin(&load, &wish, &corpus);
    getrusage(RUSAGE_SELF, &before);
    if (stat(wish.target, &status) == 0 && S_ISBLK(status.st_mode)) {
        if (wish.connections > 1)
            args_die("a block device has no connections");
        load_block(&load);
    } else {
        load_nbd(&load);
    }
    getrusage(RUSAGE_SELF, &after);

    double seconds = (double)(load.last_ns - load.begin_ns) / 1e9;
    uint64_t requests = load.reads.count + load.writes.count;
    printf("{");
    print_latencies("reads", &load.reads);
    print_latencies("writes", &load.writes);
    printf("\"requests\": %llu, \"seconds\": %.4f, \"iops\": %.0f, "
           "\"client_user_us\": %.0f, \"client_system_us\": %.0f}\n",
           (unsigned long long)requests, seconds,
           seconds > 0 ? (double)requests / seconds : 0,
           us(after.ru_utime) - us(before.ru_utime),
           us(after.ru_stime) - us(before.ru_stime));
    load_end(&load);
    corpus_unload(&corpus);
    return 0;
}
