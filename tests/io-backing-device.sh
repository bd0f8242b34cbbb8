#!/usr/bin/env bash
# io-backing-device.sh - a block device as the backing store: a zram device and a loop device,
# whichever this machine lets us make
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdcopy zstd mke2fs
[ "$(id -u)" = 0 ] || skip "only root can make block devices"

device='' zram='' loop='' mounted=''

unmount() {
    [ -z "$mounted" ] || umount "$mounted"
    mounted=''
}
let_go() {
    [ -z "$loop" ] || losetup -d "$loop"
    loop=''
    if [ -n "$zram" ]; then
        # A server may just be closing it.
        until_true 20 eval "echo 1 2>/dev/null >/sys/block/zram$zram/reset"
        echo "$zram" >/sys/class/zram-control/hot_remove
    fi
    zram=''
}
trap 'unmount; stop_all; wait; let_go' EXIT

# make_zram, make_loop: sets device, of 96 MiB
make_zram() {
    { zram=$(cat /sys/class/zram-control/hot_add); } 2>/dev/null || return 1
    echo 96M >"/sys/block/zram$zram/disksize"
    device=/dev/zram$zram
    if [ ! -b "$device" ]; then
        # shellcheck disable=SC2046 # two numbers
        mknod "$directory/zram" b $(tr : ' ' <"/sys/block/zram$zram/dev") || { let_go && return 1; }
        device=$directory/zram
    fi
}
make_loop() {
    truncate --size=96M "$directory/behind"
    loop=$(losetup --find --show "$directory/behind" 2>/dev/null) || { loop='' && return 1; }
    device=$loop
}

# in_use: bytes that the device keeps
in_use() {
    if [ -n "$zram" ]; then
        awk '{ print $1 }' "/sys/block/zram$zram/mm_stat"
    else
        echo $(($(stat --format=%b "$directory/behind") * 512))
    fi
}
is_in_use_below() {
    [ "$(in_use)" -lt "$1" ]
}

# 64 MiB of pages, none of them twice.
zstd -qdc "$sample" >one
truncate --size=%4096 one
: >real
for ((round = 1; $(wc -c <real) < 64 << 20; round++)); do
    LC_ALL=C tr "\\$(printf %03o $round)e" "e\\$(printf %03o $round)" <one >>real
done
truncate --size=64M real
truncate --size=256M nothing
memory="memory-limit=12M"

check_device() {
    local before after

    # More than RAM may hold, twice: the second time the device has our header.
    for turn in 1 2; do
        serve -D zslot.stats=1 zslot 256M "$memory" backing="$device"
        nbdcopy --connections=4 real "$uri"
        before=$(in_use)
        [ "$before" -gt $((4 << 20)) ] || fail "$device: $before bytes in use, pages did not go there"
        nbdcopy --connections=4 "$uri" back
        cmp --bytes=$((64 << 20)) real back || fail "$device, turn $turn: it reads back differently"

        refused "256M $memory backing=$device" "$device" "in use" "name another"

        # What is empty goes from the device too.
        nbdcopy nothing "$uri"
        until_true 30 is_in_use_below $((2 << 20)) ||
            fail "$device: $(in_use) of $before bytes still in use after everything was trimmed"
        after=$(in_use)
        stop
        [ "$(stat_at_end bd_count)" = 0 ] || fail "$device: bd_count is $(stat_at_end bd_count)"
        [ "$(stat_at_end bd_writes)" -gt 0 ] || fail "$device: bd_writes is 0"
        for none in failed_reads failed_writes failed_writebacks corrupt_objects; do
            [ "$(stat_at_end $none)" = 0 ] || fail "$device: $none is $(stat_at_end $none)"
        done
        echo "$device: $(stat_at_end bd_writes) pages left, $before bytes in use, $after after a trim"
    done

    refused "256M $memory backing=$device backing-size=97M" "backing-size=" "$device" \
        "has only 96M" "write less"
    refused "256M $memory backing=$device backing-size=1M" "backing-size=" "too small" "at least"

    # Something that somebody may want to keep.
    mke2fs -q -F -t ext4 "$device"
    refused "256M $memory backing=$device" "$device" "holds ext4" "backing-overwrite=true"
    if mkdir -p mounted && mount -t ext4 "$device" mounted 2>/dev/null; then
        mounted=$directory/mounted
        refused "256M $memory backing=$device" "$device" "mounted" "name another"
        refused "256M $memory backing=$device backing-overwrite=true" "$device" "mounted"
        unmount
    else
        echo "$device: nothing can be mounted here"
    fi
    refused "256M $memory backing=$device" "$device" "holds ext4" "backing-overwrite=true"
    serve zslot 256M "$memory" backing="$device" backing-overwrite=true
    nbdcopy real "$uri"
    nbdcopy "$uri" back
    cmp --bytes=$((64 << 20)) real back || fail "$device, overwritten: it reads back differently"
    stop
    # It is ours now.
    serve zslot 256M "$memory" backing="$device"
    stop
}

checked=0
for kind in zram loop; do
    if "make_$kind"; then
        check_device
        checked=$((checked + 1))
    else
        echo "no $kind device can be had here"
    fi
    let_go
done
[ $checked -gt 0 ] || skip "neither a zram nor a loop device can be had here"
