# file: core/write.c
# test: fault-alloc a_write_that_fails_leaves_any_kind_of_page
# S1: the old page goes before the new one is there.
/^static int put_whole/,/^}/ s|^    memcpy(context->page, data, PAGE_BYTES);|    write_empty(parts, context, slot);\n&|
