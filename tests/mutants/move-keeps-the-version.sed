# file: core/slot.c
# test: unit-slot every_edge_advances_the_version
# S2: nor does a move.
s|entry_store_locked(entry, meta + (UINT64_C(1) << VERSION_SHIFT))|entry_store_locked(entry, meta)|
