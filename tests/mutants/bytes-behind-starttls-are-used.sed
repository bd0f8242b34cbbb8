# file: server/connection.c
# test: fault-zslotd-tls bytes_behind_starttls_end_the_connection_unanswered
# What came in the clear is not taken for encrypted.
/^static void begin_handshake/,/^}/ s|connection->in_start < connection->in_end|false|
