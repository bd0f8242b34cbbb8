/* reserve.h - memory for what allocates, taken before there is none
 *
 * Owns:    nothing: what it takes stays in the heap, free, for everybody's malloc().
 * Called:  once, by a process with one thread, before it is locked in RAM.
 * Locks:   nothing.
 * Never:   gives anything back to the kernel.
 *
 * A TLS handshake allocates in GnuTLS. When a connection is made anew while the kernel has no memory, that must be there:
 * after reserve_memory() and mlockall() a handshake makes no page fault and no system call for memory.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef CLIENT_RESERVE_H
#define CLIENT_RESERVE_H

enum {
    RESERVE_HEAP = 2 << 20,    /* a handshake takes some 120 KiB of it at a time */
    RESERVE_STACK = 256 << 10, /* more than what is there without being asked for */
};

void reserve_memory(void);

#endif
