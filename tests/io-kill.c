/* io-kill.c - nbdkit is killed under several clients, and the next one has every page
 *
 * The moment is a request of one client's, whichever it is; those of the others are anywhere.
 * Between two servers the volume is opened here, with the same state and backing store, and
 * everything is looked at.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "far.h"
#include "harness.h"
#include "journal.h"
#include "server.h"
#include "statedir.h"
#include "writeback.h"

#define PAGES 4096u
#define SIZE "16M"
#define STORE_BYTES (64 * MIB)
#define STORE "64M"
#define MEMORY_BYTES (3 * MIB)
#define CLIENTS 4u

static struct journal journal;
static char directory[64], state[80], backing[160];
static char limit[48];
static struct server server;

static void setup(void)
{
    far_setup();
    journal_open(&journal, PAGES);
    statedir_make(directory, sizeof directory);
    snprintf(state, sizeof state, "state=%s", directory);
    snprintf(limit, sizeof limit, "memory-limit=%" PRIu64,
             harness_fixed_bytes(SIZE, "lz4") + writeback_bytes(STORE_BYTES) +
                 MEMORY_BYTES);
}

static void teardown(void)
{
    statedir_remove(directory);
    journal_close(&journal);
    far_teardown();
}

/* -- By clients. -- */

static int result(struct nbd_handle *nbd, int r)
{
    if (r == 0)
        return 0;
    int err = nbd_get_errno();
    return nbd_aio_is_ready(nbd) && err ? -err : -ECONNRESET;
}

static int client_read(void *opaque, uint64_t offset, uint64_t bytes, void *out)
{
    return result(opaque, nbd_pread(opaque, out, bytes, offset, 0));
}

static int client_write(void *opaque, uint64_t offset, uint64_t bytes, const void *data)
{
    return result(opaque, nbd_pwrite(opaque, data, bytes, offset, 0));
}

static int client_trim(void *opaque, uint64_t offset, uint64_t bytes)
{
    return result(opaque, nbd_trim(opaque, bytes, offset, 0));
}

static _Atomic unsigned requests;
static unsigned kill_after;

struct client {
    pthread_t thread;
    struct nbd_handle *nbd;
    uint64_t random;
    unsigned number;
};

static void *work(void *opaque)
{
    struct client *client = opaque;
    const struct journal_target target = {client->nbd, client_read, client_write,
                                          client_trim};
    int r;

    do {
        uint64_t groups = PAGES / JOURNAL_GROUP / CLIENTS;
        uint64_t group =
            harness_random(&client->random) % groups * CLIENTS + client->number;

        if (++requests == kill_after)
            kill(server.pid, SIGKILL);
        r = journal_step(&journal, &target, group, &client->random);
    } while (r == 0);
    MUST(r == -ECONNRESET, "a client: %s", strerror(-r));
    return NULL;
}

static void load_until_killed(uint64_t *random)
{
    struct client clients[CLIENTS];

    requests = 0;
    kill_after = 1 + (unsigned)(harness_random(random) % 6000);
    SERVER_START(&server, "-t", "6", "zslot", SIZE, "compressor=lz4", limit, state,
                 backing, "backing-size=" STORE, "backing-timeout=20");
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i] = (struct client){.nbd = server_connect(&server),
                                     .random = harness_random(random),
                                     .number = i};
    for (unsigned i = 0; i < CLIENTS; i++)
        ck_assert_int_eq(pthread_create(&clients[i].thread, NULL, work, &clients[i]),
                         0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        nbd_close(clients[i].nbd);
    }
    server_kill(&server);
}

/* -- Here. -- */

static int here_read(void *opaque, uint64_t offset, uint64_t bytes, void *out)
{
    return volume_read(opaque, offset, bytes, out);
}

static uint64_t stored; /* pages that were on the backing store at the last look */

static struct volume *open_here(const char *memory_limit)
{
    return harness_open("size", SIZE, "compressor", "lz4", "state", directory,
                        "backing", backing + strlen("backing="), "backing-size", STORE,
                        "memory-limit", memory_limit, NULL);
}

/* First the tables, with so much room that nothing works on them meanwhile; then the
 * pages, without more room than before, since reading brings some back to RAM. */
static void look(void)
{
    struct volume *volume = open_here("1G");

    harness_check(volume);
    stored = harness_stat(volume, STAT_bd_count);
    volume_close(volume);

    volume = open_here(limit + strlen("memory-limit="));
    const struct journal_target target = {.opaque = volume, .read = here_read};
    ck_assert_int_eq(journal_check(&journal, &target), 0);
    volume_close(volume);
}

static void kill_and_look(void)
{
    unsigned rounds = (unsigned)harness_ops(8);
    uint64_t random = 1;

    if (rounds < 3)
        rounds = 3;
    for (unsigned n = 0; n < rounds; n++) {
        load_until_killed(&random);
        look();
    }
    /* Or it would not be much of a test. */
    ck_assert(stored > 0 || harness_is_slow());
}

START_TEST(clients_lose_nothing_that_was_acknowledged)
{
    far_make_disk(STORE_BYTES);
    snprintf(backing, sizeof backing, "backing=%s", far_disk);
    kill_and_look();
}
END_TEST

START_TEST(nor_with_a_server_as_the_backing_store)
{
    far_make_disk(STORE_BYTES);
    FAR_START("file", far_disk);
    snprintf(backing, sizeof backing, "backing=%s", far_uri);
    kill_and_look();
    far_end(SIGKILL);
}
END_TEST

HARNESS_MAIN_WITH("io-kill", setup, teardown,
                  clients_lose_nothing_that_was_acknowledged,
                  nor_with_a_server_as_the_backing_store)
