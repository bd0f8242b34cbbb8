# file: core/fetch.c
# test: fault-fetch an_earlier_object_of_the_same_page_in_its_place_is_eio
# S11: an object that was in this place before, of the same page, is believed.
s/!address_has_checksum(.*, header->checksum)/false/
