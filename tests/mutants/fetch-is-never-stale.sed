# file: core/fetch.c
# test: race-writeback-fetch write_while_a_fetch_is_in_flight
# S5: who waited for a fetch gets what was there before a write.
s/result = -ESTALE;/;/
