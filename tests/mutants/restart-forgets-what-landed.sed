# file: core/space.c
# test: unit-space nothing_counts_as_released_after_a_restart
# What a former process has written counts as never having landed.
/^static int adopt_part_locked(/,/^}/ s|^    space->landed_bytes += bytes;||
