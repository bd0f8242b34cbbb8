# file: core/evict.c
# test: fault-reuse blocks_that_could_not_be_written_are_not_the_first_to_be_tried_again
# Either would do, but for a store whose blocks are short.
s/^    discards_hurry(&writeback->discards);//
s/!writeback->backing->outlives_us && now >= writeback->reuse_at_ms/!writeback->backing->outlives_us/
