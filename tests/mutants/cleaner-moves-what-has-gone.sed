# file: core/segment.c
# test: race-writeback-clean second_eviction_while_the_cleaner_reads
# S2: an old copy of a page takes the place of the one that is stored elsewhere.
/^int segment_add_stored/,/^}/ s/ \&\& content.ref == old.value//
