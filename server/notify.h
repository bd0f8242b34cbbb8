/* notify.h - tells who started us that we serve
 *
 * Owns:    nothing.
 * Called:  by one thread.
 * Locks:   none.
 * Never:   fails: nobody may be listening.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_NOTIFY_H
#define ZSLOT_NOTIFY_H

/* Sends STATE to the socket that NOTIFY_SOCKET names, by the protocol of sd_notify(3). */
void notify_send(const char *state);

#endif
