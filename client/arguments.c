/* arguments.c - what zslot-attach was told to do
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include "arguments.h"
#include "dial.h"
#include "handshake.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Without options; usage and zslot-attach(8) tell them too. */
enum {
    CONNECTIONS = 2,
    REQUEST_TIMEOUT_S = 30,
    DEAD_TIMEOUT_S = 86400,
    PRIORITY = 100,
};

static const char usage[] =
    "zslot-attach [OPTION...] HOST[:PORT]|SOCKET /dev/nbdN\n"
    "zslot-attach --detach /dev/nbdN\n"
    "\n"
    "Connects a kernel's NBD device to a server, and connects it again whenever that "
    "is lost.\n"
    "\n"
    "  -n, --export=NAME            which of the server's exports (the default one)\n"
    "  -c, --connections=N          1 to 16 (2; 1 with a server that wants no more)\n"
    "  -t, --request-timeout=SECONDS\n"
    "                               a request not answered for so long is sent again "
    "(30)\n"
    "  -T, --dead-timeout=SECONDS   how long requests wait while the server is away "
    "(86400)\n"
    "  -s, --swap                   make a swap area, if there is nothing else, and "
    "use it\n"
    "  -p, --priority=N             of the swap area, 0 to 32767 (100)\n"
    "  -C, --tls-certificates=DIRECTORY\n"
    "                               TLS: whom to trust, and our own certificate if "
    "there "
    "is one\n"
    "  -H, --tls-hostname=NAME      what the server's certificate is for (HOST)\n"
    "  -k, --tls-psk=FILE           TLS: names and keys that both sides know\n"
    "  -u, --tls-username=NAME      which of them (the first)\n"
    "  -w, --wait                   wait for a server that is not there yet\n"
    "  -a, --adopt                  look after a device that is connected, but by "
    "nobody\n"
    "                               who is still there\n"
    "  -d, --detach                 swapoff, disconnect\n"
    "  -h, --help                   this\n"
    "  -V, --version                the version\n";

static const struct option options[] = {
    {"export", required_argument, NULL, 'n'},
    {"connections", required_argument, NULL, 'c'},
    {"request-timeout", required_argument, NULL, 't'},
    {"dead-timeout", required_argument, NULL, 'T'},
    {"swap", no_argument, NULL, 's'},
    {"priority", required_argument, NULL, 'p'},
    {"tls-certificates", required_argument, NULL, 'C'},
    {"tls-hostname", required_argument, NULL, 'H'},
    {"tls-psk", required_argument, NULL, 'k'},
    {"tls-username", required_argument, NULL, 'u'},
    {"wait", no_argument, NULL, 'w'},
    {"adopt", no_argument, NULL, 'a'},
    {"detach", no_argument, NULL, 'd'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

__attribute__((format(printf, 1, 2), noreturn)) static void wrong(const char *format,
                                                                  ...)
{
    va_list list;

    fputs("zslot-attach: ", stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputs("\nzslot-attach --help tells more\n", stderr);
    exit(2);
}

/* number: "usual" is what it would be without the option */
static uint64_t number(const char *name, const char *text, uint64_t least,
                       uint64_t most, uint64_t usual)
{
    char *end;

    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno || value < least ||
        value > most)
        wrong("--%s=%s: it is a number from %llu to %llu; write for example --%s=%llu",
              name, text, (unsigned long long)least, (unsigned long long)most, name,
              (unsigned long long)usual);
    return value;
}

/* word: "what" is what it should name */
static const char *word(const char *name, const char *what, const char *text)
{
    if (*text == '\0')
        wrong("--%s=: it names no %s", name, what);
    return text;
}

/* device_index: of /dev/nbdN or nbdN */
static uint32_t device_index(const char *device)
{
    const char *name = strncmp(device, "/dev/", 5) == 0 ? device + 5 : device;
    char *end;

    errno = 0;
    if (strncmp(name, "nbd", 3) == 0 && isdigit((unsigned char)name[3])) {
        const unsigned long index = strtoul(name + 3, &end, 10);
        if (*end == '\0' && errno == 0 && index < 4096)
            return index;
    }
    wrong("%s: not an NBD device of the kernel; write for example /dev/nbd0", device);
}

static void take_option(struct arguments *arguments, int option)
{
    switch (option) {
    case 'n':
        if (strlen(optarg) > HANDSHAKE_NAME_MAX)
            wrong("--export: a name has at most %d bytes", HANDSHAKE_NAME_MAX);
        arguments->export_name = optarg;
        break;
    case 'c':
        arguments->connections =
            number("connections", optarg, 1, CONNECTIONS_MAX, CONNECTIONS);
        break;
    case 't':
        arguments->request_timeout_s =
            number("request-timeout", optarg, 1, 3600, REQUEST_TIMEOUT_S);
        break;
    case 'T':
        arguments->dead_timeout_s =
            number("dead-timeout", optarg, 0, 31536000, DEAD_TIMEOUT_S);
        break;
    case 's':
        arguments->swap = true;
        break;
    case 'p':
        arguments->priority = number("priority", optarg, 0, 32767, PRIORITY);
        break;
    case 'C':
        arguments->tls.certificates = word("tls-certificates", "directory", optarg);
        break;
    case 'H':
        arguments->tls.hostname = word("tls-hostname", "server", optarg);
        break;
    case 'k':
        arguments->tls.psk = word("tls-psk", "file", optarg);
        break;
    case 'u':
        arguments->tls.username = word("tls-username", "key", optarg);
        break;
    case 'w':
        arguments->wait = true;
        break;
    case 'a':
        arguments->adopt = true;
        break;
    case 'd':
        arguments->detach = true;
        break;
    case 'h':
        fputs(usage, stdout);
        exit(0);
    case 'V':
        puts("zslot-attach " PACKAGE_VERSION);
        exit(0);
    default:
        fputs("zslot-attach --help tells more\n", stderr);
        exit(2);
    }
}

/* check_together: "given" has a true for each option's letter */
static void check_together(const struct arguments *arguments, const bool *given)
{
    for (const struct option *option = options; option->name; option++)
        if (arguments->detach && option->val != 'd' && given[option->val])
            wrong("--detach: it goes with no other option; leave --%s out",
                  option->name);
    if (given['p'] && !arguments->swap)
        wrong("--priority: it is about the swap area; write --swap too");
    if (given['C'] && given['k'])
        wrong("--tls-psk: a key stands in the place of certificates; leave "
              "--tls-certificates out");
    if (given['H'] && !given['C'])
        wrong("--tls-hostname: it is about certificates; write "
              "--tls-certificates=DIRECTORY too");
    if (given['u'] && !given['k'])
        wrong("--tls-username: it is about keys; write --tls-psk=FILE too");
}

static void check_server(const struct arguments *arguments)
{
    struct why why;

    if (dial_check(arguments->server, &why))
        wrong("%s", why.sentence);
    if (dial_is_path(arguments->server) &&
        (arguments->tls.certificates || arguments->tls.psk))
        wrong(
            "%s: the kernel does TLS over TCP only; write HOST:PORT, or leave --tls-%s "
            "out",
            arguments->server, arguments->tls.psk ? "psk" : "certificates");
}

void arguments_read(struct arguments *arguments, int argc, char **argv)
{
    bool given[UCHAR_MAX + 1] = {false};
    int option;

    *arguments = (struct arguments){
        .export_name = "",
        .connections = CONNECTIONS,
        .request_timeout_s = REQUEST_TIMEOUT_S,
        .dead_timeout_s = DEAD_TIMEOUT_S,
        .priority = PRIORITY,
    };
    while ((option = getopt_long(argc, argv, "n:c:t:T:sp:C:H:k:u:wadhV", options,
                                 NULL)) != -1) {
        given[option & UCHAR_MAX] = true;
        take_option(arguments, option);
    }
    check_together(arguments, given);
    argc -= optind;
    argv += optind;
    if (arguments->detach) {
        if (argc != 1)
            wrong("--detach: it takes one argument, the device");
    } else {
        if (argc != 2)
            wrong("it takes two arguments, the server and the device");
        arguments->server = *argv++;
        check_server(arguments);
    }
    arguments->index = device_index(*argv);
}
