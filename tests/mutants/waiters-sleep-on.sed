# file: core/slot.c
# test: unit-slot-backing all_who_wait_for_a_fetch_are_woken_however_it_ends
# S5: who waits for a fetch is not told of its end.
/^static void note_unlocked/,/^}/ s|if (before & WAITERS)|if (before \& WAITERS \&\& STATE_OF(before) != SLOT_STORED)|
