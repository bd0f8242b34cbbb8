# file: server/tick.c
# test: unit-tick it_goes_until_it_is_not_wanted_any_more_and_may_go_again
s/    set(tick, 0);//
