# file: core/slot-adopt.c
# test: fault-kill every_acknowledged_write_survives_a_kill_at_any_moment
# K2: what was WRITING when the process was killed is so for ever.
s/^    (LOCKED . WAITERS . MARK_BITS(SLOT_WRITING) . MARK_BITS(SLOT_FETCHING))/    (LOCKED | WAITERS)/
