#!/usr/bin/env bash
# qemu.sh - zslot-attach holds a device to a server of another kind, qemu-nbd
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck source=tests/vm/host.sh
. "$(dirname "$0")/host.sh"

need qemu-nbd
programs="zslot-attach"

guest() {
    hold 0 --export=disk --connections=2 --request-timeout=5
    write_files /dev/nbd0 0 8 1
    mark again
    check_files /dev/nbd0 0 8 1
    until_true 60 has_said 'connected again' || fail "it is not connected again"
    ! zslot-attach --export=other 10.0.2.100 /dev/nbd1 2>/tmp/said || fail "any name will do"
    grep -q 'no such export' /tmp/said || fail "another export: $(cat /tmp/said)"
    let_go 0
    no_errors
}

is_listening() {
    [ -S "$directory/socket0" ]
}

start_qemu() {
    rm -f "$directory/socket0"
    qemu-nbd --format=raw --persistent --shared=4 --export-name=disk \
        --socket="$directory/socket0" "$directory/disk" &
    servers[0]=$!
    until_true 60 is_listening || fail "qemu-nbd does not listen"
}

on_mark() {
    kill_server 0
    start_qemu
}

truncate --size=64M disk
start_qemu
boot
must_pass
