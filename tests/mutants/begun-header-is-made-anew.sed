# file: core/writeback.c
# test: unit-state a_header_that_was_begun_is_the_next_start_s_too
# A header that may land late is not the one that the next start writes.
s|backing_header_make(header, begun);|backing_header_make(header, NULL);|
