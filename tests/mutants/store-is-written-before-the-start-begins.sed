# file: core/writeback.c
# test: unit-volume-begin a_start_that_does_not_begin_leaves_the_backing_store_as_it_was
# A start that is refused later has overwritten the backing store.
s|if (!writeback->begun)|if (0)|
