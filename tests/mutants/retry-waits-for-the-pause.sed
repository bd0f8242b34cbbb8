# file: core/writeback.c
# test: fault-writeback retry_that_is_asked_for_does_not_wait_for_the_pause
# Who asks for a retry of a failed backing store has it at once.
/^void writeback_retry/,/^}/ s|writeback->retry_at_ms = 0;||
