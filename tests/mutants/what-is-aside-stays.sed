# file: core/writeback-all.c
# test: fault-split overwrites_of_a_store_that_is_nearly_full_find_room_and_lose_nothing
# A writeback of all is done though what it had put aside is still in RAM.
/^ *segment_mark_aside(segments);$/d
