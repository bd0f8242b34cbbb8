/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "ram.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

uint64_t ram_resident_bytes(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    unsigned long long kib, sum = 0;

    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "RssAnon: %llu", &kib) == 1 ||
            sscanf(line, "RssShmem: %llu", &kib) == 1)
            sum += kib;
    fclose(file);
    return sum * 1024;
}

uint64_t ram_mapping_bytes(const char *name)
{
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512];
    unsigned long long kib, sum = 0;
    bool wanted = false;

    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        /* A mapping's own line begins with its address in small letters, the others do not. */
        if (isdigit((unsigned char)line[0]) || islower((unsigned char)line[0]))
            wanted = strstr(line, name) != NULL;
        else if (wanted && sscanf(line, "Rss: %llu", &kib) == 1)
            sum += kib;
    fclose(file);
    return sum * 1024;
}
