#!/usr/bin/env bash
# io-main-job.sh - what zslot is for: a volume eight times its memory-limit is filled with real pages,
# by a real client, and read back
#
# A thirty-second of the real thing, 256M in 32M; with ZSLOT_TEST_FULL=1 all of it, 8G in 1G, which
# takes minutes and more than run-test's usual time: make check TESTS=tests/io-main-job.sh
# TEST_TIMEOUT=1800 ZSLOT_TEST_FULL=1. The pages are those of the file that ZSLOT_TEST_PAGES names,
# or our own sample, over and over.
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdcopy zstd

mebibytes=256
[ -z "${ZSLOT_TEST_SLOW:-}" ] || mebibytes=128 # everything is
[ -z "${ZSLOT_TEST_FULL:-}" ] || mebibytes=8192
bytes=$((mebibytes << 20))
limit=$((bytes / 8))

# Where there is room, which may not be where sockets are.
room=$(df --output=avail --block-size=1 "${TMPDIR:-/tmp}" | tail -n 1)
[ "$room" -gt "$bytes" ] || skip "${TMPDIR:-/tmp} has no room for $mebibytes MiB"
store=$(mktemp "${TMPDIR:-/tmp}/zslot-store-XXXXXX")
trap 'stop_all; rm -f "$store"' EXIT

pages=${ZSLOT_TEST_PAGES:-}
if [ -z "$pages" ]; then
    zstd -qdc "$sample" >one
    pages=one
fi
pages_bytes=$(($(wc -c <"$pages") / 4096 * 4096))

# generate: as many bytes as the volume has. Each time round two other values change places, so that
# pages differ, but not how well they compress.
generate() {
    local left=$bytes round=0 a b take
    while [ "$left" -gt 0 ]; do
        printf -v a '\\%03o' $((round % 255 + 1))
        printf -v b '\\%03o' $(((round + 100 + round / 255) % 255 + 1))
        take=$((left < pages_bytes ? left : pages_bytes))
        head --bytes="$take" "$pages" | LC_ALL=C tr "$a$b" "$b$a"
        left=$((left - take))
        round=$((round + 1))
    done
}

# sample_ram FILE: until the file "enough" is there, the KiB of RAM that the server has, a line each
# time, in FILE. (Waits with read, which starts no process.)
mkfifo never
exec 9<>never
sample_ram() {
    local name kib _ sum
    while [ ! -e enough ]; do
        sum=0
        while read -r name kib _; do
            case $name in RssAnon: | RssShmem: | RssFile:) sum=$((sum + kib)) ;; esac
        done <"/proc/$pid/status"
        echo $sum
        read -r -t 0.05 -u 9 _ || true
    done >"$1"
}
most() {
    sort --numeric-sort "$1" | tail -n 1
}

serve -D zslot.stats=1 zslot "${mebibytes}M" memory-limit="$limit" backing="$store" \
    backing-size="${mebibytes}M"

# What the process takes by itself: requests as in earnest, of zeroes, which take no RAM of the
# volume. (What its tables take is within the limit, and counted here all the same.)
head --bytes=32M /dev/zero | nbdcopy --sparse=0 - "$uri"
nbdcopy --no-extents "$uri" null:
base=$(field VmHWM)

sample_ram samples &
sampler=$!
start=$SECONDS
generate | nbdcopy - "$uri"
filled=$SECONDS
nbdcopy "$uri" - | cmp - <(generate) || fail "it reads back differently"
echo "filled in $((filled - start)) s, read back in $((SECONDS - filled)) s"
: >enough
wait "$sampler"
peak=$(field VmHWM)
stop

[ "$(stat_at_end mem_limit)" = "$limit" ] || fail "mem_limit is $(stat_at_end mem_limit)"
[ "$(stat_at_end mem_used_max)" -le "$limit" ] ||
    fail "mem_used_max is $(stat_at_end mem_used_max), over the limit"
for none in failed_reads failed_writes failed_writebacks corrupt_objects; do
    [ "$(stat_at_end $none)" = 0 ] || fail "$none is $(stat_at_end $none)"
done
evicted=$(stat_at_end bd_evicted_size) written=$(stat_at_end bd_written_size)
[ "$evicted" -gt 0 ] || fail "nothing was evicted"
awk -v evicted="$evicted" -v written="$written" -v base="$base" -v samples="$(wc -l <samples)" \
    -v most="$(most samples)" -v peak="$peak" -v limit="$limit" -v used="$(stat_at_end mem_used_max)" \
    'BEGIN { printf "%.1f MiB of objects left, %.3f times that written; RAM: mem_used_max %.1f MiB, " \
             "%d samples up to %.1f MiB, VmHWM %.1f MiB, %.1f MiB before; limit %.0f MiB\n",
             evicted / 1048576, written / evicted, used / 1048576, samples, most / 1024,
             peak / 1024, base / 1024, limit / 1048576 }'
[ $((written * 100)) -le $((evicted * 108)) ] ||
    fail "$written bytes were written for $evicted bytes of objects, more than 1.08 times"
# Sanitizers have RAM of their own.
if [ "${ZSLOT_SANITIZER:-none}" = none ]; then
    for kib in "$(most samples)" "$peak"; do
        [ "$kib" -le $((base + limit / 1024)) ] ||
            fail "the process took $kib KiB, more than the limit and the $base KiB of its own"
    done
fi
