/* live.h - the page that shows a volume in a browser
 *
 * Owns:    the page.
 * Called:  by anybody.
 * Locks:   none.
 * Never:   differs from one volume to the next: the page asks for /v1/stats itself.
 *
 * SPDX-License-Identifier: BSD-3-Clause
 */
#ifndef ZSLOT_LIVE_H
#define ZSLOT_LIVE_H

/* live.html, with live.css and live.js in it. */
extern const char live_page[];

/* Its Content-Security-Policy: it loads nothing, asks its own server only, and no page of
 * others may show it within theirs. */
extern const char live_policy[];

#endif
