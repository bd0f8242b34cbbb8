# file: core/pool.c
# test: unit-pool what_the_system_refuses_is_told_as_it_is
/^static int alloc_place(/,/^}/ s|^            return r;|            return -ENOSPC;|
