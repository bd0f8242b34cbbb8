# file: core/segment.c
# test: race-writeback write_while_the_writeback_is_failed
# Space that was reserved is never put back.
/^static void on_written/,/^}/ s/space_put_back(.*/;/
