# file: server/cpu-latency.c
# test: unit-cpu-latency it_is_asked_for_while_there_is_an_answer_each_millisecond
s/count \* CPU_LATENCY_US_EACH \* 1000 >= now_ns - user->begun_ns/count > 0/
