/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "live.h"

const char live_page[] =
#include "control/live.inc"
    ;

const char live_policy[] =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'";
