# file: server/connection.c
# test: io-zslotd-polling what_came_before_a_close_is_not_carried_out_by_a_polling_loop
# A loop that polls a connection has no event that says whether the client has closed.
/^bool connection_poll/,/^}/ s|EV_CLOSED, connection|0, connection|
