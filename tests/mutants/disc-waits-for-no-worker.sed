# file: server/connection.c
# test: fault-zslotd what_was_sent_before_a_disc_waits_for_a_slow_store
# What was sent before a DISC is carried out, however long it takes.
s|if (may_take_longer(connection))|if (false)|
