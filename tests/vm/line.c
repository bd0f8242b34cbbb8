/* line.c - lines from programs in the guest to the host
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "line.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HOST = 3 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void line_send(const char *line, int length)
{
    if (write(HOST, line, length) != length) {
        perror("the line to the host");
        exit(2);
    }
}

void line_say(const char *format, ...)
{
    char line[256];
    va_list arguments;

    va_start(arguments, format);
    int length = snprintf(line, sizeof line, "say ");
    length += vsnprintf(line + length, sizeof line - length - 1, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    pthread_mutex_lock(&lock);
    line_send(line, length);
    pthread_mutex_unlock(&lock);
}

void line_mark(const char *name)
{
    char line[128];
    const int length = snprintf(line, sizeof line, "mark %s\n", name);
    char c;

    pthread_mutex_lock(&lock);
    line_send(line, length);
    do {
        if (read(HOST, &c, 1) != 1) {
            perror("the host's answer");
            exit(2);
        }
    } while (c != '\n');
    pthread_mutex_unlock(&lock);
}
