# file: server/reactor.c
# test: io-zslotd-one a_client_that_never_pauses_does_not_keep_a_polling_loop_from_others
# While one client is received from again and again, the events of others have their turn.
/^static void poll_once/,/^}/ s/turn % POLL_TURNS == 0 ||//
