# file: core/room.c
# test: fault-space writer_that_waits_for_a_slow_store_does_not_make_more_pages_leave
s|^    writeback->starving = false;.*||
