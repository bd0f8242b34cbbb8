#!/usr/bin/env bash
# swap.sh - swap space for a virtual machine, from the RAM of its host
#
#   on the host:            swap.sh serve [NBDKIT-ARGUMENT...]
#   in the guest, as root:  swap.sh [--dry-run] on HOST [PORT]
#                           swap.sh [--dry-run] off
#
# --dry-run prints the commands and runs none.  Environment: SIZE (4G) and LIMIT (1G) for serve,
# LOCK=false to do without memory-lock, DEVICE (/dev/nbd0) for on and off, NBDKIT (nbdkit).
#
# 1G holds some 3G of usual pages; what is beyond stays in the guest's RAM. zslot(7) has the sums.
#
# The guest's pages are lost when the server ends: run "swap.sh off" in the guest first.
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

device=${DEVICE:-/dev/nbd0}
run=

fail() {
    echo "swap.sh: $*" >&2
    exit 1
}

# -b 4096: each request is whole pages.  -C 2: one connection for each of two CPUs.
# --discard=pages: the guest trims what it no longer needs, and the host has its RAM back.
on() {
    local host=$1 port=${2:-10809}

    if [ -z "$run" ] && [ ! -b "$device" ]; then
        modprobe nbd || fail "no $device: this kernel has no nbd client"
    fi
    $run nbd-client -b 4096 -C 2 "$host" "$port" "$device"
    $run mkswap "$device"
    # Before other swap space, which is a disk.
    $run swapon --discard=pages --priority 100 "$device"
}

off() {
    $run swapoff "$device"
    $run nbd-client -d "$device"
}

if [ "${1:-}" = --dry-run ]; then
    run='echo'
    shift
fi
verb=${1:-}
[ $# = 0 ] || shift
case $verb in
serve)
    exec "${NBDKIT:-nbdkit}" "$@" zslot "${SIZE:-4G}" memory-limit="${LIMIT:-1G}" \
        memory-lock="${LOCK:-true}"
    ;;
on)
    [ $# = 1 ] || [ $# = 2 ] || fail "on: which host? swap.sh on HOST [PORT]"
    on "$@"
    ;;
off) off ;;
*) sed -n '4,9s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
