# file: core/space.c
# test: fault-kill a_write_that_comes_late_hits_nothing
# What an NBD server may still carry out after a kill is filled anew at once.
s|^        else if (writes\[block / 64\] >> block % 64 & 1) {|        else if (0) {|
