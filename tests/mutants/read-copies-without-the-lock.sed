# file: core/read.c
# test: race-read place_taken_by_others_during_read_is_not_read
/^static int read_resident/,/^}/ {
    s|^        copy_out(parts, context, &content);||
    s|^    (void)gate(GATE_READ_COPIED, slot);|&\n    copy_out(parts, context, \&content);|
}
