#!/usr/bin/env bash
# fs-btrfs.sh - btrfs, which has checksums of its own and verifies them all by a scrub
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck source=tests/vm/host.sh
. "$(dirname "$0")/host.sh"

need mkfs.btrfs btrfs
memory_mib=256
modules="crc32c_generic btrfs"
programs="mkfs.btrfs btrfs"

guest() {
    attach 0
    mkfs.btrfs -q /dev/nbd0 || fail "mkfs.btrfs"
    mount -t btrfs -o discard=async /dev/nbd0 /mnt || fail "mount"
    mkdir /mnt/files
    write_files /mnt/files 0 64 1 1
    sync
    for number in $(seq 1 2 63); do
        rm "/mnt/files/$number"
    done
    write_files /mnt/files 1 64 2 2
    umount /mnt
    detach 0

    attach 0
    mount -t btrfs /dev/nbd0 /mnt || fail "mount over a new connection"
    check_files /mnt/files 0 64 2 1
    check_files /mnt/files 1 64 2 2
    btrfs scrub start -B /mnt || fail "corrupt: scrub"
    umount /mnt
    btrfs check --readonly /dev/nbd0 || fail "corrupt: btrfs check"
    detach 0
    no_errors
}

serve_zslot 1G memory-limit=12M \
    backing="$directory/backing" backing-size=256M
boot
must_pass
end_zslot 0
between "failed reads" "$(stat_at_end failed_reads)" 0 0
between "failed writes" "$(stat_at_end failed_writes)" 0 0
