# file: core/segment.c
# test: fault-split cleaner_does_not_move_an_earlier_split_object_of_the_same_page
# S11: an earlier object of the slot gets a new checksum, and is believed.
/^int segment_add_stored/,/^}/ s/if (address_has_checksum(.*) &&$/if (/
