# file: core/space.c
# test: unit-space split_object_takes_and_pins_two_blocks
# S6: the block with the rest of an object is used again while it is read.
/^void space_pin(/,/^}/ s/if (place.rest_bytes > 0)/if (0)/
/^void space_unpin(/,/^}/ s/if (place.rest_bytes > 0)/if (0)/
