/* reason.h - a sentence for a person about what was refused
 *
 * Owns:    the text.
 * Called:  by whoever refuses; printed by the faces.
 * Locks:   none.
 * Never:   is used on the data path, where errno says enough.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_REASON_H
#define ZSLOT_REASON_H

struct reason {
    char text[512]; /* one sentence, without a full stop or a newline at its end */
};

/* Writes the sentence and returns ERR, so that a refusal is one statement. */
int reason_say(struct reason *reason, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
