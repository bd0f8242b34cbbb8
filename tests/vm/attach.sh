#!/usr/bin/env bash
# attach.sh - zslot-attach: waits for a server, makes swap space, survives servers that are killed,
# takes no other server in its place, and leaves nothing behind; with a server that is not ours
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck source=tests/vm/host.sh
. "$(dirname "$0")/host.sh"

programs="zslot-attach"
modules="crc32c_generic ext4"
touched_mib=$(long 512 120)
passes=2

guest() {
    # shellcheck disable=SC2317 # until_true calls it
    is_waiting() {
        grep -q 'waiting' /tmp/said
    }
    # shellcheck disable=SC2317
    is_gone() {
        [ ! -e "/proc/$1" ]
    }
    # shellcheck disable=SC2317
    can_swap() {
        grep -q '^/dev/nbd0 ' /proc/swaps
    }

    # what_is_not_swap_space_is_left_alone
    hold 0
    refused 'another zslot-attach looks after'
    busybox mke2fs /dev/nbd0 >/dev/null || fail "mke2fs"
    let_go 0
    refused 'holds something (ext2)' --swap
    is_not_connected nbd0 || fail "it is connected after a refusal"
    hold 0
    # a_mounted_device_is_not_detached
    mount -t ext2 /dev/nbd0 /mnt || fail "mount"
    ! zslot-attach --detach /dev/nbd0 2>/tmp/refused || fail "--detach under a file system"
    grep -q 'mounted at /mnt' /tmp/refused || fail "--detach: $(cat /tmp/refused)"
    echo still >/mnt/there || fail "it cannot be written any more"
    umount /mnt || fail "umount"
    dd if=/dev/zero of=/dev/nbd0 bs=4096 count=4 conv=fsync 2>/dev/null
    let_go 0

    # it_waits_for_a_server
    mark absent
    refused 'closed the connection'
    zslot-attach --wait --swap --connections 2 --request-timeout 10 10.0.2.100 /dev/nbd0 \
        2>/tmp/said &
    until_true 30 is_waiting || fail "it does not wait: $(cat /tmp/said)"
    mark present
    wait $! || fail "zslot-attach --wait: $(cat /tmp/said)"
    can_swap || fail "the device is not in use for swap"

    # it_is_out_of_harm_s_way
    resident=$(cat /run/zslot-attach-nbd0.pid)
    [ "$(cat "/proc/$resident/oom_score_adj")" = -1000 ] || fail "it may be killed"
    [ "$(awk '$1 == "VmLck:" { print $2 }' "/proc/$resident/status")" -gt 1000 ] ||
        fail "it is not locked in RAM"

    # nothing_is_lost_when_the_server_is_killed
    press_all -m "$touched_mib" "$passes"
    [ "$(dmesg | grep -c 'nbd0: connected again')" -ge 2 ] || fail "it was never connected again"
    swapoff /dev/nbd0 || fail "swapoff"

    # another_export_is_not_taken
    dmesg -c >/dev/null
    write_files /dev/nbd0 1 5 1
    mark other
    until_true 60 has_said 'the export has another size' || fail "another size is not refused"
    mark same
    until_true 60 has_said 'connected again' || fail "it is not connected to the old one"
    check_files /dev/nbd0 1 5 1

    # a_device_without_one_is_adopted, by what it was
    kill -KILL "$resident"
    refused 'in use'
    mark read-only
    refused 'the export is read-only now' --adopt --connections 2
    mark killed
    hold 0 --adopt --connections 2
    until_true 60 has_said 'connected again' || fail "what died before was not connected"
    check_files /dev/nbd0 1 5 1
    let_go 0
    no_errors

    # who_has_connected_the_device_to_something_else_is_left_alone
    hold 0
    resident=$(cat /run/zslot-attach-nbd0.pid)
    detach 0
    attach 0
    dmesg -c >/dev/null
    mark killed
    until_true 30 is_gone "$resident" || fail "it still looks after what is not its own"
    ! has_said 'connected again' || fail "it has given its connection to another's device"
    detach 0
}

# A server that keeps its disk when it is killed.
disk() {
    serve_again 0 serve file "$directory/disk"
}

on_mark() {
    case $1 in
    absent) kill_server 0 ;;
    present) disk ;;
    pass-* | same | killed)
        kill_server 0
        disk
        ;;
    read-only)
        kill_server 0
        serve_again 0 serve -r file "$directory/disk"
        ;;
    other)
        kill_server 0
        serve_again 0 serve memory 1G
        ;;
    esac
}

truncate --size=512M disk
serve file "$directory/disk"
boot
must_pass
