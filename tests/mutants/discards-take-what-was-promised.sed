# file: core/discard.c
# test: unit-discard blocks_that_others_were_promised_are_not_discarded
s/min(most, available - reserve)/most/
