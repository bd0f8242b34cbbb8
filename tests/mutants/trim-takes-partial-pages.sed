# file: core/trim.c
# test: unit-volume trim_leaves_partial_pages_and_zero_does_not
/^void trim_range/,/^}/ s|(offset + PAGE_BYTES - 1) / PAGE_BYTES|offset / PAGE_BYTES|
