# file: server/input.c
# test: io-zslotd-one a_client_that_waits_for_its_answer_is_woken_by_nothing_else
# What is taken out of a Unix socket wakes who waits at its other end.
/^static bool is_worth_a_look/,/^}/ s|connection->came_alone >= INPUT_ALONE_ENOUGH|false|
