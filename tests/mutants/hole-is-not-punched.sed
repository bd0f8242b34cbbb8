# file: core/region.c
# test: unit-region release_gives_the_ram_back_to_the_system
s/FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE/FALLOC_FL_KEEP_SIZE/
