# file: server/gather.c
# test: io-zslotd-gather a_client_that_is_a_long_answer_behind_is_received_from_at_once
# A long answer is taken for many short ones.
s/return gather_room(message->bytes);/return gather_room(16);/
