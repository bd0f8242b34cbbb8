# file: core/write.c
# test: race-memory read_of_a_page_whose_writer_waits_for_memory_does_not_wait
# S10: memory is waited for while others wait for the slot.
/^static int build/,/^}/ s|^    int r = compact_alloc(.*|    struct slot_content held;\n    bool locked = slot_lock(\&parts->slots, slot, SLOT_INSPECT, \&held);\n&\n    if (locked)\n        slot_unlock(\&parts->slots, slot);|
