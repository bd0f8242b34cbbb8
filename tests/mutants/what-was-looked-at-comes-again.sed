# file: server/input.c
# test: io-zslotd-one one_request_and_several_in_any_pieces_are_all_carried_out
# What was looked at is taken out of the socket, and no more than that.
/^void input_take_away/,/^}/ s|connection->looked_at_bytes, MSG_DONTWAIT|REACTOR_SCRATCH_BYTES, MSG_DONTWAIT|
