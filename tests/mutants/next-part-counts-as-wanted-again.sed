# file: core/touch.c
# test: unit-volume-warm scan_in_small_or_crooked_steps_evicts_nothing_that_is_warm
# A page that is read in parts is wanted as often as it has parts.
s|    return !goes_on;|    return true;|
