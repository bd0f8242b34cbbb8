# file: core/segment.c
# test: fault-split cleaner_splits_what_was_split_while_evictions_do_not_split
# What was split is moved whole, and takes more blocks than come free.
s/leaves_much(set) || space_is_split(set->space)/leaves_much(set)/
