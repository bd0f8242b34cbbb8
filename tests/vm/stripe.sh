#!/usr/bin/env bash
# stripe.sh - two servers at the same swap priority: the kernel uses both alike
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck source=tests/vm/host.sh
face=zslotd
. "$(dirname "$0")/host.sh"

touched_mib=$(long 512 136)
passes=$(long 2 0)

guest() {
    attach 0
    attach 1
    swap_on /dev/nbd0 5
    swap_on /dev/nbd1 5
    press_all -k 16 "$touched_mib" "$passes" /dev/nbd0 /dev/nbd1
    detach 0
    detach 1
    no_errors
}

serve_zslot 256M
serve_zslot 256M compressor=lz4
boot
must_pass
end_zslot 1
second=$(stat_at_end pages_written)
end_zslot 0
first=$(stat_at_end pages_written)
between "pages written to both" $((first + second)) "${figures[pswpout]}" \
    $((figures[pswpout] + 128))
between "pages written to the first" "$first" $((figures[pswpout] / 3)) 10000000
between "pages written to the second" "$second" $((figures[pswpout] / 3)) 10000000
