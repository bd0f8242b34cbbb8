# file: core/block-format.c
# test: fault-split cleaner_does_not_move_a_split_object_with_a_damaged_rest
# S11: half of an object is damaged, gets a new checksum, and is believed.
/^bool object_holds/,/^}/ s/if (!part_holds(rest_seed,/if (0 \&\& !part_holds(rest_seed,/
