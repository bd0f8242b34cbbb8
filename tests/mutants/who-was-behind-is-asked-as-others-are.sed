# file: server/gather.c
# test: io-zslotd-gather a_client_that_was_behind_is_soon_seen_to_be_behind_again
s/    gather->ask_again = GATHER_ASK_EACH;//
