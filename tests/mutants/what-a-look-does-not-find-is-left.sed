# file: server/input.c
# test: io-zslotd-one an_urgent_byte_does_not_keep_the_loop_busy
# The event comes again at once, for ever.
s/if (!is_told && there < 0/if (there < 0/
