# file: server/connection.c
# test: fault-zslotd stopping_closes_the_socket_of_who_waits_for_a_store_that_hangs
# ESHUTDOWN is not sent: a client that swaps would take it for the page.
s|request->result == -ESHUTDOWN|false|
