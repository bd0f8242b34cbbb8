# file: server/gather.c
# test: io-zslotd-gather requests_are_received_when_some_of_the_answers_are_read
# The client has nothing left to do when it is received from.
s/ && left < enough/ \&\& false/
