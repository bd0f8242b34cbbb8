#!/usr/bin/env bash
# io-state-kept.sh - states of earlier releases open, and have every page, for ever
#
# Each tests/data/state-FORMAT*.tar.zst holds the directory of a state whose server was killed, its
# backing store, and the checksum of the disk of 2 MiB; two of them have split objects, in stores of either format.  One is
# added with every new format, and none is ever taken away.  They are unpacked on a tmpfs: elsewhere a state ends with the system it was made under.
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdcopy zstd sha256sum
[ "$(stat --file-system --format=%T /dev/shm 2>/dev/null)" = tmpfs ] || skip "there is no tmpfs at /dev/shm"
on_tmpfs=$(mktemp -d /dev/shm/zslot-XXXXXX)
trap 'stop_all; rm -rf "$on_tmpfs"' EXIT
cd "$on_tmpfs"

kept=0
for archive in "$srcdir"/tests/data/state-*.tar.zst; do
    rm -rf kept back
    mkdir kept
    zstd -qdc "$archive" | tar --extract --sparse --directory=kept
    # Twice: the second start finds what the first one made of it.
    for turn in 1 2; do
        serve -D zslot.stats=1 -D zslot.check=1 zslot 2M state="$on_tmpfs/kept/state" \
            memory-limit=64M backing="$on_tmpfs/kept/backing" backing-size=4M
        nbdcopy "$uri" back
        [ "$(sha256sum <back)" = "$(cat kept/disk.sha256)  -" ] ||
            fail "$(basename "$archive"), start $turn: the disk is another"
        stop
        grep -q '^zslot: check: ok' log || fail "$(basename "$archive"): $(grep check log)"
        [ "$(stat_at_end bd_reads)" -ge 10 ] || [ "$turn" = 2 ] ||
            fail "$(basename "$archive"): nothing was on the backing store"
    done
    kept=$((kept + 1))
done
[ "$kept" -ge 1 ] || fail "there is no tests/data/state-*.tar.zst"
echo "$kept kept"
