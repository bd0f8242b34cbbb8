# file: core/segment.c
# test: race-writeback-clean write_while_the_cleaner_has_landed
# S2: the space of what nobody refers to stays in use.
/^static void settle/,/^}/ s/content_release(parts, &new);/;/
