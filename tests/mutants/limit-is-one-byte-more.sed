# file: core/memory.c
# test: unit-memory the_limit_can_be_reached_and_not_passed
s|used > memory->limit_bytes - bytes|used > memory->limit_bytes - bytes + 1|
