# file: core/read.c
# test: unit-volume-warm sequential_scan_evicts_nothing_that_is_warm
# A scan pushes out what is warm.
s/fetch_wants_again(fetch, offset, bytes, warm)/true/
