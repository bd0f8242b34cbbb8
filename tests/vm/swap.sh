#!/usr/bin/env bash
# swap.sh - the guest touches several times its RAM; most of what it swaps goes on to the backing
# store; every page is verified, and both sides count the same
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck source=tests/vm/host.sh
. "$(dirname "$0")/host.sh"

memory_mib=$(long 256 128)
touched_mib=$(long 768 192)
passes=$(long 2 1)
percent=$(long 100 20)

guest() {
    attach 0
    swap_on /dev/nbd0
    press_all -k 32 "$touched_mib" "$passes" /dev/nbd0
    detach 0
    no_errors
}

serve_zslot 1G memory-limit=16M \
    backing="$directory/backing" backing-size=512M
boot
must_pass
end_zslot 0

# The guest also writes its swap header, and reads the device when it looks what is on it.
between "pages written" "$(stat_at_end pages_written)" \
    "${figures[pswpout]}" $((figures[pswpout] + 64))
between "pages read" "$(stat_at_end pages_read)" "${figures[pswpin]}" $((figures[pswpin] + 512))
between "pages swapped out" "${figures[pswpout]}" $(((touched_mib - memory_mib) * 256)) 10000000
# They are a half to a third of that when compressed, and there is room for a part of them.
between "pages that left for the backing store" "$(stat_at_end bd_writes)" 10000 10000000
between "pages that were fetched" "$(stat_at_end bd_reads)" 1000 10000000
between "failed reads" "$(stat_at_end failed_reads)" 0 0
between "failed writes" "$(stat_at_end failed_writes)" 0 0
