# file: core/space.c
# test: fault-kill every_acknowledged_write_survives_a_kill_at_any_moment
# After a restart blocks that pages are on count as empty.
/^static int adopt_part_locked/,/^}/ s|^        block_map_clear(map_of(space, block), block, 1);||
