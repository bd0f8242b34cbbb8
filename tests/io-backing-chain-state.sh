#!/usr/bin/env bash
# io-backing-chain-state.sh - RAM, a neighbour's RAM, and the neighbour's disk, while either is killed
#
# Both zslots have a state, and the second a file behind it.  The second is killed and started again
# under the first one's load; then the first is.
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdcopy zstd

mebibytes=${ZSLOT_TEST_SLOW:+16}
mebibytes=${mebibytes:-48}
near=$(mktemp -d /dev/shm/zslot-XXXXXX 2>/dev/null || mktemp -d)
far=$(mktemp -d /dev/shm/zslot-XXXXXX 2>/dev/null || mktemp -d)
trap 'stop_all; rm -rf "$near" "$far"' EXIT

zstd -qdc "$sample" >one
truncate --size=%4096 one
: >real
for ((round = 0; $(wc -c <real) < mebibytes << 20; round++)); do
    LC_ALL=C tr "\\$(printf %03o $((round % 200 + 1)))e" "e\\$(printf %03o $((round % 200 + 1)))" <one >>real
done
truncate --size="${mebibytes}M" real

begin_far() {
    rm -f far.sock far.pid
    "$NBDKIT" -f -U "$directory/far.sock" -P "$directory/far.pid" -D zslot.check=1 zslot 1G \
        memory-limit=10M compressor=none state="$far/state" backing=disk backing-size=1G 2>far.log &
    far_pid=$!
    servers+=("$far_pid")
    until_true 60 is_served_or_over "$directory/far.pid" "$far_pid" || fail "the second does not start"
    [ -s far.pid ] || fail "the second has ended: $(cat far.log)"
}
kill_far() {
    kill -KILL "$far_pid"
    wait "$far_pid" 2>/dev/null || true
}
begin_near() {
    serve -D zslot.stats=1 -D zslot.check=1 zslot 1G memory-limit=10M state="$near/state" \
        backing="nbd+unix:///?socket=$directory/far.sock" backing-timeout=60
}

check() {
    nbdcopy --connections=4 "$uri" back || fail "$1: it cannot be read: $(cat log)"
    cmp --bytes=$((mebibytes << 20)) real back || fail "$1: it reads back differently"
}

begin_far
begin_near
nbdcopy --connections=4 --requests=32 real "$uri"
check "before"

# The second goes and comes back, and the first has its clients wait.
for turn in 1 2 3; do
    nbdcopy --connections=4 --requests=32 real "$uri" &
    writer=$!
    until_true 60 test -S far.sock
    sleep 0.$turn # anywhere in the middle
    kill_far
    begin_far
    wait "$writer" || fail "turn $turn: a write failed: $(cat log)"
    check "after the second was killed ($turn)"
done

# The first goes.
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
begin_near
check "after the first was killed"

# Both, and the second is back first, as the manual has it.
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
kill_far
begin_far
begin_near
check "after both were killed"
stop
grep -q '^zslot: check: ok' log || fail "$(grep check log)"
for none in failed_reads failed_writes corrupt_objects; do
    [ "$(stat_at_end $none)" = 0 ] || fail "$none is $(stat_at_end $none)"
done
kill "$far_pid"
wait "$far_pid" || true # nbdkit 1.32 may abort when clients leave it
! grep '^zslot: check:' far.log | grep -v ok || fail "the second: $(grep check far.log)"
