# file: core/write.c
# test: race-scribble buffer_scribbled_on_during_write_by_lz4_makes_a_page
# S8: the codec reads what the caller changes meanwhile.
/^static int put_whole/,/^}/ {
    s|^    memcpy(context->page, data, PAGE_BYTES);|    unsigned char *own = context->page;\n    context->page = (unsigned char *)(uintptr_t)data;|
    s|^    int r = put_page(.*|&\n    context->page = own;|
}
