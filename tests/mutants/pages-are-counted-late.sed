# file: core/slot.c
# test: race-leaf clears_that_pass_the_end_of_puts_do_not_hide_a_page
# A leaf's pages are counted after the slot is unlocked.
s|^#include "slot-entry.h"|&\nstatic __thread int late;|
s|^        leaf_count(&table->leaves, leaf_of(slot), change);|        late = change;|
s|^    (void)gate(GATE_EDGE_DONE, \(.*\));|&\n    if (late)\n        leaf_count(\&table->leaves, leaf_of(\1), late);\n    late = 0;|
