/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "starttls.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "nbd-protocol.h"
#include "served.h"

void starttls_make_keys(char path[STARTTLS_PATH_BYTES])
{
    static const char keys[] = STARTTLS_USER ":" STARTTLS_KEY "\n";

    strcpy(path, "/tmp/zslot-psk-XXXXXX");
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, keys, strlen(keys)), (ssize_t)strlen(keys));
    close(fd);
}

size_t starttls_put_option(uint8_t *to, uint32_t option)
{
    size_t at = nbd_put64(to, NBD_OPTION_MAGIC);

    at += nbd_put32(to + at, option);
    return at + nbd_put32(to + at, 0);
}

size_t starttls_make_hello(uint8_t *to)
{
    size_t at = nbd_put32(to, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);

    return at + starttls_put_option(to + at, NBD_OPT_STARTTLS);
}

void starttls_take_greeting(int fd)
{
    uint8_t greeting[18];

    served_receive(fd, greeting, sizeof greeting);
}

int starttls_begin(unsigned loop)
{
    uint8_t hello[64], answer[NBD_OPTION_REPLY_HEADER_BYTES];
    int fd = served_connect(loop);

    starttls_take_greeting(fd);
    served_send(fd, hello, starttls_make_hello(hello));
    served_receive(fd, answer, sizeof answer);
    ck_assert_uint_eq(nbd_get32(answer + 12), NBD_REP_ACK);
    return fd;
}
