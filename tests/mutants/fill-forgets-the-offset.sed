# file: core/page.c
# test: unit-page fill_gives_any_part_of_the_page_and_no_more
s|unsigned skip = offset % sizeof word;|unsigned skip = 0 * offset;|
