# file: server/gather.c
# test: io-zslotd-gather answers_are_sent_through_a_buffer_of_the_usual_size_again
s/    set_sndbuf(connection, gather->sndbuf_bytes);//
