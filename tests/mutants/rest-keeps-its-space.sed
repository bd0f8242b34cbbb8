# file: core/space.c
# test: unit-space split_object_takes_and_pins_two_blocks
# The block with the rest of an object is never empty again.
/^void space_release/,/^}/ s/if (place.rest_bytes > 0)/if (0)/
