# file: core/segment.c
# test: fault-fetch cleaner_does_not_move_a_damaged_object
# S11: a damaged object gets a new checksum, and is believed.
/^ *if (address_has_checksum(old, content.length/ {
N
N
s/.*/        if (1) {/
}
