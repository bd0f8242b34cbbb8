# file: server/input.c
# test: io-zslotd-one what_comes_behind_a_request_that_is_looked_at_is_kept
# What was looked at is taken out of the socket, and no more than that.
/^void input_take_away/,/^}/ s|connection->looked_at_bytes, MSG_DONTWAIT|REACTOR_SCRATCH_BYTES, MSG_DONTWAIT|
