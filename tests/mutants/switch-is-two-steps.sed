# file: core/slot-entry.h
# in: core/slot.c
# test: fault-kill every_acknowledged_write_survives_a_kill_at_any_moment
# K1: an edge stores its ref first, and may be killed before it stores the rest.
s|^#include "lock.h"|#include "gate.h"\n&|
/^static inline void entry_unlock_with/,/^}/ s|^    do$|    atomic_store(\&entry->ref, ref);\n    was = ref;\n    (void)gate(GATE_EDGE_DONE, 0);\n    do|
