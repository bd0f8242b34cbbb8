/* terminal.h - the terminal that zslotctl draws on, if it does
 *
 * Owns:    the modes of the terminal, from enter to leave.
 * Called:  by zslotctl only.
 * Locks:   none.
 * Never:   writes a control sequence to what is no terminal.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_TERMINAL_H
#define ZSLOT_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

/* Standard output's; without one it is TERMINAL_COLUMNS wide and has no end. */
#define TERMINAL_COLUMNS 80u
bool terminal_is_there(void);
unsigned terminal_columns(void);
unsigned terminal_rows(void);

/* A screen of our own, on which lines that are too long are cut, until leave.  Signals that
 * would end or stop us meanwhile are noted; terminal_pause() sees to them. */
void terminal_enter(void);
void terminal_leave(void);

/* Whether such a signal wants us to end. */
bool terminal_wants_to_end(void);

/* Waits; stops, on the usual screen, when that was asked for (^Z).  False: "q" was typed, or a
 * signal wants us to end.  A terminal of another size ends the waiting early. */
bool terminal_pause(double seconds);

/* PART (0 to 1) of CELLS cells: to an eighth of one, where the terminal has such
 * characters. */
void terminal_bar(FILE *out, double part, unsigned cells);

/* Levels 0 to 8, one cell each. */
void terminal_level(FILE *out, unsigned level);

/* What follows is in a colour of SGR, as 34; 0: as usual.  Nothing with NO_COLOR, or
 * without a terminal. */
void terminal_color(FILE *out, unsigned color);

#endif
