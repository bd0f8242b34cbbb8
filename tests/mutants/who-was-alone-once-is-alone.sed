# file: server/connection-presence.c
# test: io-zslotd-gone what_came_before_a_close_is_not_carried_out_by_a_polling_loop
# A client may have come, written, and gone since.
s|alone_since = is_alone ? ever : 0;|alone_since = is_alone ? UINT64_MAX : 0;|
s|return connection->alone_since !=|return connection->alone_since != UINT64_MAX \&\& connection->alone_since !=|
