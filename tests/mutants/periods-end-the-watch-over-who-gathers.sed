# file: server/reactor.c
# test: io-zslotd-gather a_client_that_does_not_read_is_waited_for_no_more_with_cpu_latency_either
s/goes_on |= cpu_latency_go_on/goes_on = cpu_latency_go_on/
