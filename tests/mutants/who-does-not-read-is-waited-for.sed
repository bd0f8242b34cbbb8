# file: server/gather.c
# test: io-zslotd-gather a_client_that_does_not_read_is_soon_waited_for_no_more
s/#define ASK_AFTER 65536u/#define ASK_AFTER 16u/
