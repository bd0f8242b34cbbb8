/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "lock.h"

#ifdef ZSLOT_DEBUG
__thread unsigned lock_held;
#else
typedef int lock_is_header_only_without_debug;
#endif
