/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "gate.h"

#include <stddef.h>

#ifdef ZSLOT_GATES
static gate_hook_fn *gate_hook;
static void *gate_opaque;

void gate_set_hook(gate_hook_fn *hook, void *opaque)
{
    gate_hook = hook;
    gate_opaque = opaque;
}

int gate(enum gate point, uint64_t slot)
{
    return gate_hook ? gate_hook(point, slot, gate_opaque) : 0;
}
#else
typedef int gate_is_empty_without_gates;
#endif
