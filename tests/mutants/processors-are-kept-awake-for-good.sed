# file: server/cpu-latency.c
# test: unit-cpu-latency without_answers_it_is_taken_back_and_there_need_be_no_more_periods
s/        tell(latency, NO_REQUEST);//
