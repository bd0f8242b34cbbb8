# file: core/room.c
# test: fault-space writer_gets_room_though_what_is_free_lies_between_objects
s|        writeback->starving = true;|        writeback->starving = false;|
