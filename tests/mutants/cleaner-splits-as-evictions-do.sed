# file: core/segment.c
# test: fault-split cleaner_goes_on_when_what_is_written_needs_no_splitting_any_more
# What was split is moved whole, and takes more blocks than come free.
s/set->splits || space_is_split(set->space)/set->splits/
