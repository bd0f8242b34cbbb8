# file: core/block-format.c
# test: fault-split rest_of_an_earlier_object_of_the_same_page_does_not_hold
# S11: of two blocks one is an earlier one, and they are taken for one object.
s/head_seed ^= rest->checksum/(void)0/
