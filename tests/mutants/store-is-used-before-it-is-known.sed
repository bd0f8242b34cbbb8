# file: core/writeback.c
# test: fault-kill every_acknowledged_write_survives_a_kill_at_any_moment
# Pages go to a backing store whose identity the state does not know yet.
s|result = state_set_backing(state, header->identity);|result = 0;|
s|return state && !begun ? state_begin_backing(state, header->identity) : 0;|return 0;|
