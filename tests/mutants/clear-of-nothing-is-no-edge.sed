# file: core/slot.c
# test: race-partial-write trim_of_an_empty_page_during_partial_write_is_seen
# S9: a trim of an EMPTY page is not seen by who merges.
/^void slot_clear/,/^}/ s|^    switch_locked|    if (STATE_OF(meta) == SLOT_EMPTY)\n        entry_unlock(entry_of(table, slot), meta);\n    else\n    &|
