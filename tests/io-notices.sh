#!/usr/bin/env bash
# io-notices.sh - what becomes of the backing store is in the log, and why a write is refused
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdcopy zstd
need_filter error

plugin=$NBDKIT
zslotd=$(dirname "$NBDKIT")/run-zslotd
zstd -qdc "$sample" >one
truncate --size=4M one
for ((i = 0; i < 8; i++)); do
    LC_ALL=C tr "\\$(printf %03o $((i + 1)))e" "e\\$(printf %03o $((i + 1)))" <one
done >pages

says() {
    until_true 60 grep -q -- "$1" log || fail "$face: \"$1\" is not in the log: $(cat log)"
}

start_far() {
    rm -f far far.pid
    "$plugin" -f -U "$directory/far" -P "$directory/far.pid" "$@" 2>far.log &
    far=$!
    servers+=("$far")
    until_true 60 is_served_or_over "$directory/far.pid" "$far" || fail "no server behind it"
}

# One request at a time: nbdkit 1.32 may abort when a client leaves it with several under way.
for face in nbdkit zslotd; do
    NBDKIT=$plugin
    [ $face = nbdkit ] || NBDKIT=$zslotd

    # Too small for what is sent.
    rm -f store
    serve zslot 64M compressor=none memory-limit=12M backing=store backing-size=8M
    ! nbdcopy --connections=1 --synchronous pages "$uri" 2>/dev/null || fail "$face: it all fits"
    says 'the backing store is full: '
    [ $face = zslotd ] || says 'no room: memory-limit is reached, and the backing store is full'
    stop

    # None at all.
    if [ $face = nbdkit ]; then
        serve zslot 64M compressor=none memory-limit=12M
        ! nbdcopy --connections=1 --synchronous pages "$uri" 2>/dev/null || fail "$face: it all fits"
        says 'no room: memory-limit is reached$'
        # Thousands of refusals are some lines.
        [ "$(wc -l <log)" -lt 30 ] || fail "$face: $(wc -l <log) lines"
        stop
    fi

    # One that fails for a while.
    rm -f flag disk
    truncate --size=64M disk
    start_far --filter=error file disk error=EIO error-pwrite-rate=100% error-file=flag
    serve zslot 64M compressor=none memory-limit=12M backing="nbd+unix:///?socket=$directory/far"
    touch flag
    ! nbdcopy --connections=1 --synchronous pages "$uri" 2>/dev/null || fail "$face: it all fits though the store fails"
    says 'writing to the backing store failed (.*: Input/output error'
    says 'the backing store fails again and again'
    rm flag
    says 'the backing store is well again'
    stop
    kill -KILL "$far"
    wait "$far" 2>/dev/null || true

    # One that goes away.
    start_far file disk
    serve zslot 64M compressor=none memory-limit=12M backing-timeout=1 backing-overwrite=true \
        backing="nbd+unix:///?socket=$directory/far"
    kill -KILL "$far"
    wait "$far" 2>/dev/null || true
    says 'the NBD server behind this one does not answer'
    start_far file disk
    says 'the backing store is well again'
    stop
    kill -KILL "$far"
    wait "$far" 2>/dev/null || true
done
