/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include "gate.h"

#include <stdatomic.h>
#include <stddef.h>

#ifdef ZSLOT_GATES
static gate_hook_fn *_Atomic gate_hook;
static void *_Atomic gate_opaque;

void gate_set_hook(gate_hook_fn *hook, void *opaque)
{
    gate_opaque = opaque;
    gate_hook = hook;
}

int gate(enum gate point, uint64_t slot)
{
    gate_hook_fn *hook = gate_hook;

    return hook ? hook(point, slot, gate_opaque) : 0;
}
#else
typedef int gate_is_empty_without_gates;
#endif
