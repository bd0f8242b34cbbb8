# file: core/compact.c
# test: race-compact write_is_kept_during_the_choice_of_compaction
s/ && content.ref == from.value//
