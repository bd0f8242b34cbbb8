# file: server/gather.c
# test: io-zslotd-gather a_client_that_is_few_answers_behind_is_received_from_at_once
# A client that will have to wait in a moment is left alone until it does.
s/#define BEHIND_MIN 12u/#define BEHIND_MIN 1u/
