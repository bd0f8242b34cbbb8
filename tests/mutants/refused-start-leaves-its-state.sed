# file: core/volume.c
# test: unit-volume-begin a_start_that_does_not_begin_leaves_no_state
# What a start has made stays when it is refused.
s|if (!volume->begun)|if (0)|
