# file: core/pool.c
# test: unit-pool nothing_is_allocated_from_a_span_that_is_to_be_emptied
/^bool pool_victim_choose/,/^}/ s|^        bin_remove_locked(pool, class, span);||
