# file: core/discard.c
# test: unit-discard what_was_too_much_all_the_time_is_discarded
# Blocks that will be written to in a moment are given back before, over and over.
s/discards->surplus = discards->least;/discards->surplus = empty;/
