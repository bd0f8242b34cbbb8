# file: core/write.c
# test: race-partial-write partial_write_during_partial_write_is_not_lost
# S9: a partial write puts what it merged without asking.
s|slot_put_if(&parts->slots, ticket, &new, &old)|slot_put(\&parts->slots, ticket->slot, \&new, \&old)|
