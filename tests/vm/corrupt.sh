#!/usr/bin/env bash
# corrupt.sh - the cases can fail: somebody overwrites pages that the guest has swapped, and the
# guest notices
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck source=tests/vm/host.sh
. "$(dirname "$0")/host.sh"

need qemu-io

guest() {
    attach 0
    swap_on /dev/nbd0
    press_all -m 120 1
}

# One page in every 64 KiB, some of which hold pages of the guest. Not the first, which has the
# header of the swap area.
on_mark() {
    for ((at = 65536; at < 256 * 1048576; at += 65536)); do
        echo "write -q -P 0xa5 $at 4096"
    done | qemu-io -f raw "nbd+unix:///?socket=$socket" >/dev/null || fail "qemu-io cannot write"
}

serve_zslot 256M
boot
case $verdict in
'fail corrupt: '*) ;;
*) fail "the guest did not notice that pages were overwritten: $verdict" ;;
esac
