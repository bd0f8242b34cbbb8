# file: core/slot-entry.h
# in: core/slot.c
# test: unit-slot-backing all_who_sleep_for_the_lock_are_woken_whatever_was_done_under_it
# L3: who sleeps for the lock of a STORED slot is not woken.
/^static inline void entry_note_unlocked/,/^}/ s|if (before & WAITERS)|if (before \& WAITERS \&\& STATE_OF(atomic_load(\&entry->meta)) != SLOT_STORED)|
