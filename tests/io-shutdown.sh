#!/usr/bin/env bash
# io-shutdown.sh - a server that is told to end does so within 5 s, whatever waits
#
# For nbdkit with the plugin and for zslotd: with nothing to do, in the middle of writeback, and with
# clients that read from, and write to, an NBD server behind it that has stopped answering.  The
# state that is left has every page each time.
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdcopy zstd qemu-io

# On a machine that is busy with other tests, or in a build that is slow, all takes longer.
bound=${ZSLOT_TEST_SLOW:+20}
bound=${bound:-5}
plugin=$NBDKIT
zslotd=$(dirname "$NBDKIT")/run-zslotd
state=$(mktemp -d /dev/shm/zslot-XXXXXX 2>/dev/null || mktemp -d)
trap 'rm -rf "$state"; stop_all' EXIT

zstd -qdc "$sample" >one
truncate --size=4M one
for ((i = 0; i < 6; i++)); do
    LC_ALL=C tr "\\$(printf %03o $((i + 1)))e" "e\\$(printf %03o $((i + 1)))" <one
done >pages

start_far() {
    "$plugin" -f -U "$directory/far" -P "$directory/far.pid" --filter=nozero file disk 2>far.log &
    far=$!
    servers+=("$far")
    until_true 60 is_served_or_over "$directory/far.pid" "$far" || fail "no server behind it"
}

# ends WHAT: the last server, within the bound
ends() {
    local start=$EPOCHREALTIME status=0
    kill "$pid"
    wait "$pid" || status=$?
    awk -v a="$start" -v b="$EPOCHREALTIME" -v bound="$bound" 'BEGIN { exit !(b - a <= bound) }' ||
        fail "$1: it took from $start to $EPOCHREALTIME"
    # nbdkit 1.32 may abort when clients leave it at that moment, which is its own mistake.
    [ "$status" = 0 ] || grep -q 'raw_send_socket: Assertion' log ||
        fail "$1: status $status: $(cat log)"
    awk -v a="$start" -v b="$EPOCHREALTIME" -v what="$1" 'BEGIN { printf "%s: %.2f s\n", what, b - a }'
}

comes_back() {
    begin
    nbdcopy "$uri" back
    cmp --bytes="$(wc -c <pages)" pages back || fail "$1: the pages are others"
}

begin() {
    serve zslot 64M state="$state/$face" memory-limit=12M backing="nbd+unix:///?socket=$directory/far"
}

for face in nbdkit zslotd; do
    NBDKIT=$plugin
    [ $face = nbdkit ] || NBDKIT=$zslotd
    rm -f disk far far.pid
    truncate --size=128M disk
    start_far
    begin
    # With requests and writeback under way; what is not acknowledged need not be there.
    nbdcopy --connections=4 pages "$uri"
    qemu-io -f raw -c 'aio_write -P 7 40M 4M' -c 'aio_write -P 7 48M 4M' "$uri" >/dev/null 2>&1 &
    writer=$!
    ends "$face, busy"
    wait $writer || true
    comes_back "$face, busy"
    ends "$face, at rest"

    begin
    kill -STOP "$far"
    for at in 0 4M 8M; do
        qemu-io -r -f raw -c "read $at 1M" "$uri" >"reader.$at" 2>&1 &
    done
    timeout 60 nbdcopy --connections=1 --synchronous one "$uri" >writer 2>&1 &
    writer=$!
    sleep 1 # so that they wait; if they do not yet, that is a lesser test and no failure
    ends "$face, the store hangs"
    wait $writer || true
    # nbdkit 1.32 may abort when clients leave it.
    kill -KILL "$far"
    wait "$far" 2>/dev/null || true
    rm -f far far.pid
    start_far
    # What the last writer has written in part is as in "one", or as before.
    begin
    nbdcopy "$uri" back
    cmp --ignore-initial="$(wc -c <one)" --bytes=$(($(wc -c <pages) - $(wc -c <one))) pages back ||
        fail "$face: after the hang the pages are others"
    ends "$face, after the hang"
    kill -KILL "$far"
    wait "$far" 2>/dev/null || true
done
