# file: server/input.c
# test: io-zslotd-one a_request_that_came_alone_is_taken_when_it_has_been_answered
# What is taken out of a Unix socket wakes who waits at its other end.
/^static bool is_worth_a_look/,/^}/ s|connection->came_alone >= INPUT_ALONE_ENOUGH|false|
