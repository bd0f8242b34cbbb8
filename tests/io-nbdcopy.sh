#!/usr/bin/env bash
# io-nbdcopy.sh - real memory pages by nbdcopy, both ways, over several connections
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdcopy zstd

zstd -qdc "$sample" >one
pages=$(($(wc -c <one) / 4096))
# Again and again, each time with a small change, so that no two pages are the same by this.
for i in 1 2 3 4; do
    cat one
    printf '%4096s' "round $i"
done >real
truncate --size=%4096 real
size=$(wc -c <real)

for compressor in zstd:1 lz4 zstd:-1 none; do
    serve -D zslot.stats=1 zslot "$size" compressor=$compressor

    nbdcopy --connections=4 --requests=32 real "$uri"
    nbdcopy --connections=4 --requests=32 "$uri" back
    cmp real back || fail "$compressor: read by four connections it differs"
    nbdcopy --connections=1 --synchronous "$uri" back
    cmp real back || fail "$compressor: read by one connection it differs"
    nbdcopy "$uri" - | cmp - real || fail "$compressor: read into a pipe it differs"

    # over_itself: to another server and then back onto the first
    first=$uri first_pid=$pid
    mv log log.first
    serve zslot "$size" compressor=lz4
    nbdcopy --connections=4 "$first" "$uri"
    nbdcopy --connections=4 "$uri" back
    cmp real back || fail "$compressor: from server to server it differs"
    nbdcopy --connections=4 --allocated "$uri" "$first"
    stop
    nbdcopy "$first" back
    cmp real back || fail "$compressor: written over itself it differs"
    pid=$first_pid
    mv log.first log
    stop

    awk -v c="$compressor" -v orig="$(stat_at_end orig_data_size)" -v used="$(stat_at_end mem_used_max)" \
        'BEGIN { printf "%s: %d MiB of pages in %.1f MiB at most\n", c, orig / 1048576, used / 1048576 }'
done
echo "$pages pages in the sample, $((size / 4096)) on the disk"
