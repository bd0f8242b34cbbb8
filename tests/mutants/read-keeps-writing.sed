# file: core/slot.c
# test: unit-slot-backing a_read_takes_writing_off_and_the_commit_is_stale
# S4: a page that is read while it is written back leaves RAM all the same.
/^#define COLD_BITS/ s/MARK_BITS(SLOT_WRITING) |//
