# file: server/gather.c
# test: io-zslotd-gather a_client_that_is_behind_by_a_large_batch_is_waited_for_after_a_small_one
# Whoever has the answers of a batch to read is taken for one that has read nearly all.
s/\*answers += message->answers;/*answers += 1;/
