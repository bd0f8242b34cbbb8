/* io-backing-nbd.c - core/backing-nbd.c conforms, with servers of several kinds
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conformance-backing.h"
#include "far.h"
#include "harness.h"

static const struct backing_terms plain = {.timeout_ms = 30000};

/* -- Conformance. -- */

START_TEST(memory_conforms)
{
    FAR_START("memory", "16M");
    conform(far_open(false));
    server_stop(&far_server);
}
END_TEST

START_TEST(file_conforms)
{
    far_make_disk(STORE_BYTES + 512);
    FAR_START("file", far_disk);
    conform(far_open(false));
    /* What the file holds now is somebody's. */
    struct backing *backing;
    struct reason reason;
    ck_assert_int_eq(backing_nbd_open(far_uri, &plain, &backing, &reason), -EEXIST);
    ck_assert_ptr_nonnull(strstr(reason.text, "not empty"));
    conform(far_open(true));
    server_stop(&far_server);
}
END_TEST

START_TEST(file_behind_a_delay_conforms)
{
    far_make_disk(STORE_BYTES);
    FAR_START("--filter=delay", "file", far_disk, "rdelay=2ms", "wdelay=3ms");
    conform(far_open(false));
    server_stop(&far_server);
}
END_TEST

START_TEST(one_connection_conforms)
{
    FAR_START("--filter=multi-conn", "memory", "16M", "multi-conn-mode=disable");
    conform(far_open(false));
    server_stop(&far_server);
}
END_TEST

/* Each I/O of more than two blocks goes in several requests. */
START_TEST(small_requests_conform)
{
    FAR_START("--filter=blocksize-policy", "memory", "16M", "blocksize-maximum=8192",
              "blocksize-preferred=4096", "blocksize-error-policy=error");
    conform(far_open(false));
    server_stop(&far_server);
}
END_TEST

START_TEST(tls_with_a_shared_key_conforms)
{
    char psk[160];
    FILE *keys = fopen(far_flag, "w");

    ck_assert_ptr_nonnull(keys);
    fprintf(keys, "alice:"
                  "9a1bb7b3a4f5a0d2c3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a\n");
    fclose(keys);
    snprintf(psk, sizeof psk, "--tls-psk=%s", far_flag);
    FAR_START("--tls=require", psk, "memory", "16M");

    struct backing *backing;
    struct reason reason;
    ck_assert_int_lt(backing_nbd_open(far_uri, &plain, &backing, &reason), 0);
    ck_assert_ptr_nonnull(strstr(reason.text, "cannot connect"));
    ck_assert_ptr_nonnull(strstr(reason.text, "TLS"));

    char tls_uri[300];
    snprintf(tls_uri, sizeof tls_uri, "nbds+unix://mallory@/?socket=%s&tls-psk-file=%s",
             far_socket, far_flag);
    ck_assert_int_lt(backing_nbd_open(tls_uri, &plain, &backing, &reason), 0);
    ck_assert_ptr_nonnull(strstr(reason.text, "cannot connect"));

    snprintf(tls_uri, sizeof tls_uri, "nbds+unix://alice@/?socket=%s&tls-psk-file=%s",
             far_socket, far_flag);
    ck_assert_msg(backing_nbd_open(tls_uri, &plain, &backing, &reason) == 0, "%s",
                  reason.text);
    conform(backing);
    server_stop(&far_server);
}
END_TEST

/* -- Servers that cannot trim. -- */

static void start_without_trim(void)
{
    char get_size[64], pread[256], pwrite[256];

    snprintf(get_size, sizeof get_size, "get_size=echo %llu",
             (unsigned long long)STORE_BYTES);
    snprintf(pread, sizeof pread,
             "pread=dd if=%s skip=$4 count=$3 iflag=skip_bytes,count_bytes 2>/dev/null",
             far_disk);
    snprintf(pwrite, sizeof pwrite,
             "pwrite=dd of=%s seek=$4 conv=notrunc oflag=seek_bytes 2>/dev/null",
             far_disk);
    FAR_START("eval", get_size, pread, pwrite, "can_write=exit 0",
              "can_multi_conn=exit 0");
}

START_TEST(discard_where_there_is_no_trim_succeeds)
{
    static struct crowd crowd;
    unsigned char should[BACKING_ALIGN];
    struct host host;

    far_make_disk(STORE_BYTES);
    start_without_trim();
    /* It does not tell what is in it. */
    struct backing *backing = far_open(true);
    host_start(&host, backing);
    crowd_open(&crowd, backing, 1);
    struct request *request = &crowd.requests[0];
    conformance_fill(request->buffer, BACKING_ALIGN, 5);
    crowd_submit(request, BACKING_WRITE, 8 * BACKING_ALIGN, BACKING_ALIGN);
    crowd_wait(&crowd);
    ck_assert_int_eq(request->result, 0);
    crowd_submit(request, BACKING_DISCARD, 8 * BACKING_ALIGN, BACKING_ALIGN);
    crowd_wait(&crowd);
    ck_assert_int_eq(request->result, 0);
    ck_assert_uint_eq(request->answers, 1);
    memset(request->buffer, 0, BACKING_ALIGN);
    crowd_submit(request, BACKING_READ, 8 * BACKING_ALIGN, BACKING_ALIGN);
    crowd_wait(&crowd);
    ck_assert_int_eq(request->result, 0);
    conformance_fill(should, BACKING_ALIGN, 5);
    ck_assert_mem_eq(request->buffer, should, BACKING_ALIGN);
    host_stop(&host);
    crowd_close(&crowd);
    server_stop(&far_server);
}
END_TEST

/* The discard is at the server, which takes its time for it and dies. */
START_TEST(discard_is_done_with_when_the_server_comes_back_without_trim)
{
    static struct crowd crowd;
    struct host host;

    far_make_disk(STORE_BYTES);
    FAR_START("--filter=delay", "file", far_disk, "delay-trim=100");
    struct backing *backing = far_open(true);
    host_start(&host, backing);
    crowd_open(&crowd, backing, 2);
    struct request *discard = &crowd.requests[0], *read = &crowd.requests[1];
    crowd_submit(discard, BACKING_DISCARD, 8 * BACKING_ALIGN, BACKING_ALIGN);
    usleep(200000);
    ck_assert_uint_eq(discard->answers, 0);
    far_end(SIGKILL);
    start_without_trim();
    crowd_submit(read, BACKING_READ, 9 * BACKING_ALIGN, BACKING_ALIGN);
    crowd_wait(&crowd);
    ck_assert_int_eq(discard->result, 0);
    ck_assert_int_eq(read->result, 0);
    host_stop(&host);
    crowd_close(&crowd);
    server_stop(&far_server);
}
END_TEST

HARNESS_MAIN_WITH("io-backing-nbd", far_setup, far_teardown, memory_conforms,
                  file_conforms, file_behind_a_delay_conforms, one_connection_conforms,
                  small_requests_conform, tls_with_a_shared_key_conforms,
                  discard_where_there_is_no_trim_succeeds,
                  discard_is_done_with_when_the_server_comes_back_without_trim)
