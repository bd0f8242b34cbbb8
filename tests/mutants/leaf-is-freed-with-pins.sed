# file: core/leaf.c
# test: race-leaf ticket_of_a_partial_write_keeps_the_leaf
/^void leaf_free/,/^}/ s|uint32_t empty = STATE_PRESENT;|uint32_t empty = STATE_PRESENT \| (atomic_load(word) \& PIN_MASK);|
