/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "load-arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static void __attribute__((noreturn)) usage(void)
{
    fprintf(
        stderr,
        "usage: bench-load [--export=NAME] [--span=MIB] [--block=BYTES] [--depth=N]\n"
        "    [--connections=N] [--reads=PERCENT] [--seconds=S] [--sequential]\n"
        "    [--compressible=PERCENT] [--once [--shuffled] [--version=N]] CORPUS "
        "TARGET\n");
    exit(2);
}

static double number(const char *text, double least, double most)
{
    char *end;
    double value = strtod(text, &end);

    if (*text == 0 || *end != 0 || !(value >= least && value <= most))
        usage();
    return value;
}

const char *load_arguments(int argc, char **argv, struct load_wish *wish)
{
    static const struct option options[] = {
        {"export", required_argument, NULL, 'e'},
        {"span", required_argument, NULL, 's'},
        {"block", required_argument, NULL, 'b'},
        {"depth", required_argument, NULL, 'd'},
        {"connections", required_argument, NULL, 'c'},
        {"reads", required_argument, NULL, 'r'},
        {"compressible", required_argument, NULL, 'p'},
        {"seconds", required_argument, NULL, 't'},
        {"version", required_argument, NULL, 'v'},
        {"sequential", no_argument, NULL, 'q'},
        {"once", no_argument, NULL, 'o'},
        {"shuffled", no_argument, NULL, 'h'},
        {0},
    };
    int option;

    *wish = (struct load_wish){.export = "",
                               .span_bytes = UINT64_C(256) << 20,
                               .block_bytes = PAGE_BYTES,
                               .depth = 1,
                               .connections = 1,
                               .read_percent = 100,
                               .seconds = 1};
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 'e':
            wish->export = optarg;
            break;
        case 's':
            wish->span_bytes =
                (uint64_t)(number(optarg, 1.0 / 256, 1 << 24) * (1 << 20));
            break;
        case 'b':
            wish->block_bytes = (uint32_t)number(optarg, PAGE_BYTES, LOAD_BLOCK_MAX);
            break;
        case 'd':
            wish->depth = (unsigned)number(optarg, 1, 256);
            break;
        case 'c':
            wish->connections = (unsigned)number(optarg, 1, 16);
            break;
        case 'r':
            wish->read_percent = (unsigned)number(optarg, 0, 100);
            break;
        case 'p':
            wish->compressible_percent = (unsigned)number(optarg, 1, 99);
            break;
        case 't':
            wish->seconds = number(optarg, 0.01, 3600);
            break;
        case 'v':
            wish->version = (uint32_t)number(optarg, 0, 255);
            break;
        case 'q':
            wish->sequential = true;
            break;
        case 'o':
            wish->once = true;
            break;
        case 'h':
            wish->shuffled = true;
            break;
        default:
            usage();
        }
    if (argc - optind != 2 || wish->block_bytes % PAGE_BYTES ||
        wish->span_bytes < wish->block_bytes || wish->span_bytes % PAGE_BYTES ||
        wish->depth * wish->connections > LOAD_PLACES_MAX)
        usage();
    if (wish->once)
        wish->read_percent = 0;
    wish->target = argv[optind + 1];
    return argv[optind];
}
