# file: core/segment.c
# test: fault-split cleaner_goes_on_when_what_is_written_needs_no_splitting_any_more
# What was split is moved whole, and takes more blocks than come free.
s/leaves_much(set) || space_is_split(set->space)/leaves_much(set)/
