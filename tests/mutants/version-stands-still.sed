# file: core/slot.c
# test: race-partial-write partial_write_is_not_fooled_by_a_handle_used_again
# S2: an edge does not advance the version.
s|(VERSION_OF(meta) + 1)|(VERSION_OF(meta))|
