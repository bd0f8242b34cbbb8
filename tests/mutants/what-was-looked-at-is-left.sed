# file: server/connection.c
# test: io-zslotd-one what_comes_behind_a_request_that_is_looked_at_is_kept
# What was looked at and executed is taken out of the socket.
/^static bool receive(/,/^}/ s|input_take_away(connection)|connection->looked_at_bytes = 0|
