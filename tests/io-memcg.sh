#!/usr/bin/env bash
# io-memcg.sh - writers at memory-limit, when the system has no memory to give for the writes to the
# file behind it either: all pages get there, and nothing waits for itself
#
# The server is in a control group of its own, which has room for its memory-limit and little more.
# The page cache of the file, if the file system has no direct I/O, and what the kernel needs for
# I/O are counted there too.
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdcopy zstd
[ "${ZSLOT_SANITIZER:-none}" = none ] || skip "a sanitizer's own memory is many times that much"
[ "$(stat --file-system --format=%T /var/tmp)" != tmpfs ] || skip "/var/tmp is RAM itself"

group=/sys/fs/cgroup/memory/zslot-$$
limit=memory.limit_in_bytes used=memory.usage_in_bytes most=memory.max_usage_in_bytes hits=memory.failcnt
if [ ! -d /sys/fs/cgroup/memory ]; then
    group=/sys/fs/cgroup/zslot-$$
    limit=memory.max used=memory.current most=memory.peak hits=memory.events
fi
mkdir "$group" 2>/dev/null || skip "no control group can be made here"
store=$(mktemp /var/tmp/zslot-XXXXXX)
clean_up() {
    stop_all
    rm -f "$store"
    until_true 20 rmdir "$group" 2>/dev/null || true
}
trap clean_up EXIT
[ -w "$group/$limit" ] || skip "memory is not among what is controlled here"

cat >nbdkit-in-group <<END
#!/bin/sh
echo \$\$ >$group/cgroup.procs
exec $NBDKIT "\$@"
END
chmod +x nbdkit-in-group
NBDKIT=$PWD/nbdkit-in-group

mebibytes=192
zstd -qdc "$sample" >one
truncate --size=%4096 one
: >real
for ((round = 0; $(wc -c <real) < mebibytes << 20; round++)); do
    LC_ALL=C tr "\\$(printf %03o $((round % 200 + 1)))e" "e\\$(printf %03o $((round % 200 + 1)))" <one >>real
done
truncate --size="${mebibytes}M" real

for compressor in zstd:1 none; do
    serve --threads=4 -D zslot.stats=1 zslot 1G memory-limit=16M compressor=$compressor backing="$store" \
        backing-size=1G backing-overwrite=true
    # What it takes without a page in it, and 18 MiB, of which zslot may use some 12 more.
    echo $(($(cat "$group/$used") + (18 << 20))) >"$group/$limit"
    for turn in 1 2; do
        timeout 300 nbdcopy --connections=2 --requests=4 real "$uri" ||
            fail "$compressor, turn $turn: it is not all written: $(cat log)"
        timeout 300 nbdcopy --connections=2 --requests=4 "$uri" back || fail "$compressor: it is not read"
        cmp --bytes=$((mebibytes << 20)) real back || fail "$compressor: it reads back differently"
    done
    echo "$compressor: $(cat "$group/$most") of $(cat "$group/$limit") bytes, $(tr '\n' ' ' <"$group/$hits")times at the limit"
    echo $((1 << 40)) >"$group/$limit"
    stop
    [ "$(stat_at_end failed_writes)" = 0 ] || fail "failed_writes is $(stat_at_end failed_writes)"
    [ "$(stat_at_end bd_writes)" -gt 10000 ] || fail "only $(stat_at_end bd_writes) pages left"
done
