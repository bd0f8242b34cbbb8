#!/usr/bin/env bash
# mirror.sh - swap on a mirror of two servers (md RAID1): one is killed for good, and nothing is lost
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck source=tests/vm/host.sh
# By nbdkit the guest's network stands still for some 25 ms at each page that goes to both halves: minutes.
face=zslotd
. "$(dirname "$0")/host.sh"

need mdadm
modules="md-mod raid1"
programs="mdadm zslot-attach"
memory_mib=$(long 256 192)
touched_mib=$(long 640 208)
passes=$(long 2 1)

guest() {
    # Not nbd-client, which without a timeout leaves requests under way waiting for ever when their
    # server dies. The half that stays has ten seconds to answer and ten to be connected again.
    hold 0 --request-timeout=10 --dead-timeout=10
    hold 1 --request-timeout=10 --dead-timeout=10
    MDADM_NO_UDEV=1 mdadm --create /dev/md0 --run --level=1 --raid-devices=2 --assume-clean \
        --metadata=1.2 --bitmap=none /dev/nbd0 /dev/nbd1 || fail "mdadm"
    swap_on /dev/md0
    press_all -m -k 32 "$touched_mib" "$passes" /dev/md0
    cat /proc/mdstat
    [ "$(cat /sys/block/md0/md/degraded)" = 1 ] || fail "the mirror did not lose a half"
}

on_mark() {
    [ "$1" = pass-1 ] || return 0
    kill_server 1
}

# With room for what is in RAM and on the swap space at the same time.
serve_zslot "$(long 768M 512M)"
serve_zslot "$(long 768M 512M)"
boot
must_pass
end_zslot 0
between "pages written to the half that stayed" "$(stat_at_end pages_written)" \
    "${figures[pswpout]}" $((figures[pswpout] + 1000))
between "failed reads" "$(stat_at_end failed_reads)" 0 0
