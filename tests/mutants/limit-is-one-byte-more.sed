# file: core/memory.c
# test: unit-memory the_limit_can_be_reached_and_not_passed
s/used > limit - bytes/used > limit - bytes + 1/
