#!/usr/bin/env bash
# fs.sh - ext4 with discard, for which RAM and backing store are too small without what files
# deleted give back
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck source=tests/vm/host.sh
face=zslotd
. "$(dirname "$0")/host.sh"

need mke2fs e2fsck
memory_mib=192
modules="crc32c_generic ext4"
programs="mke2fs e2fsck"

guest() {
    mount_it() {
        mount -t ext4 -o discard /dev/nbd0 /mnt || fail "mount $1"
    }
    unmount_and_check() {
        umount /mnt || fail "umount $1"
        /usr/sbin/e2fsck -fn /dev/nbd0 || fail "corrupt: fsck $1"
    }
    check_all() {
        check_files /mnt/files 1 64 2 2
        check_files /mnt/files 0 64 4 2
        check_files /mnt/files 2 64 4 1
    }

    attach 0
    /usr/sbin/mke2fs -qF -t ext4 -E lazy_itable_init=0,lazy_journal_init=0 /dev/nbd0 ||
        fail "mke2fs"
    mount_it "a new file system"
    mkdir /mnt/files

    write_files /mnt/files 0 64 1 1
    sync
    check_files /mnt/files 0 64 1 1
    for number in $(seq 1 2 63); do
        rm "/mnt/files/$number"
    done
    fstrim /mnt || fail "fstrim"
    check_files /mnt/files 0 64 2 1

    write_files /mnt/files 1 64 2 2
    write_files /mnt/files 0 64 4 2
    unmount_and_check "after writing over files"
    mount_it "again"
    check_all
    umount /mnt
    detach 0

    attach 0
    mount_it "over a new connection"
    check_all
    mark full
    rm -r /mnt/files
    sync
    fstrim /mnt || fail "fstrim of all"
    mark trimmed
    unmount_and_check "at the end"
    detach 0
    no_errors
}

backing_kib() {
    du -k "$directory/backing" | cut -f 1
}

came_back() {
    [ "$(field RssShmem)" -lt $((ram_when_full / 2)) ] &&
        [ "$(backing_kib)" -lt $((backing_when_full / 4)) ]
}

on_mark() {
    local ram backing
    ram=$(field RssShmem)
    backing=$(backing_kib)
    case $1 in
    full)
        ram_when_full=$ram
        backing_when_full=$backing
        ;;
    trimmed)
        until_true 60 came_back || true
        echo "RAM $ram_when_full KiB, then $(field RssShmem);" \
            "backing store $backing_when_full KiB, then $(backing_kib)"
        came_back || fail "what files gave back did not come back"
        ;;
    esac
}

serve_zslot 1G memory-limit=12M \
    backing="$directory/backing" backing-size=256M
boot
must_pass
end_zslot 0
between "failed reads" "$(stat_at_end failed_reads)" 0 0
between "failed writes" "$(stat_at_end failed_writes)" 0 0
between "pages that left for the backing store" "$(stat_at_end bd_writes)" 2000 10000000
