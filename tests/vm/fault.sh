#!/usr/bin/env bash
# fault.sh - the backing store returns errors for a while: pages in RAM are read and written all the
# same, pages that are out there give errors and are there again afterwards; and swapping goes on
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck source=tests/vm/host.sh
. "$(dirname "$0")/host.sh"

need_filter error
touched_mib=$(long 512 128)
passes=1

guest() {
    # shellcheck disable=SC2317 # until_true calls it
    is_right() {
        files check /dev/nbd1 0 64 1
    }

    attach 1
    # 64 MiB, most of which leave RAM, and 2 MiB that were used last.
    write_files /dev/nbd1 0 64 1
    write_files /dev/nbd1 64 66 1
    check_files /dev/nbd1 64 66 1
    check_files /dev/nbd1 64 66 1
    mark broken
    check_files /dev/nbd1 64 66 1
    write_files /dev/nbd1 64 66 2
    check_files /dev/nbd1 64 66 2
    status=0
    files check /dev/nbd1 0 64 1 || status=$?
    [ $status = 3 ] || fail "the backing store does not fail: status $status"
    mark mended
    until_true 60 is_right || fail "pages on the backing store have not come back"
    check_files /dev/nbd1 64 66 2

    dmesg -c >/dev/null
    swap_on /dev/nbd1
    press_all -m -k 32 "$touched_mib" "$passes" /dev/nbd1
    detach 1
    # A page that cannot be written stays in the guest; one that cannot be read would kill.
    ! dmesg | grep 'Read-error on swap' || fail "the kernel saw errors of reads"
}

# failures: how many writes were made to fail
failures() {
    grep -c 'injecting EIO error into pwrite' "$directory/log0" || true
}

have_failed() {
    [ "$(failures)" -ge "$1" ]
}

on_mark() {
    case $1 in
    broken) touch bad-reads bad-writes ;;
    mended) rm bad-reads bad-writes ;;
    pass-1)
        local before
        before=$(failures)
        touch bad-writes
        until_true 120 have_failed $((before + 3)) || fail "no write has failed"
        rm bad-writes
        ;;
    esac
}

serve --filter=error memory 512M \
    error-pread-rate=100% error-pread-file="$directory/bad-reads" \
    error-pwrite-rate=100% error-pwrite-file="$directory/bad-writes"
mv log log0
serve_zslot 512M memory-limit=16M backing="$uri"
boot
must_pass
end_zslot 1
between "segments that could not be written" "$(stat_at_end failed_writebacks)" 1 1000000
between "reads that failed" "$(stat_at_end failed_reads)" 1 1000000
between "objects that were wrong" "$(stat_at_end corrupt_objects)" 0 0
