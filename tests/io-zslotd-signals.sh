#!/usr/bin/env bash
# io-zslotd-signals.sh - which signals end zslotd, and what is there afterwards
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/zslotd.sh"
need nbdinfo nohup

is_served() { [ "$(nbdinfo --size "$uri" 2>/dev/null)" = 16777216 ]; }

# in_background: sets pid
in_background() {
    socket=$PWD/background
    uri="nbd+unix:///?socket=$socket"
    "$zslotd" --size=16M --listen=unix:background --pid-file=pid
    pid=$(cat pid)
    servers+=("$pid")
    is_served || fail "it is not served"
}

# ended: within the time that is promised, and takes its files away
ended() {
    until_true 6 is_over "$pid" || fail "SIG$1 does not end it"
    [ ! -e "$socket" ] || fail "SIG$1: its socket stays"
    [ ! -e pid ] || fail "SIG$1: its pid file stays"
}

for which in TERM INT QUIT; do
    in_background
    kill -$which "$pid"
    ended $which
done

# hangup_is_nothing_to_a_server_in_the_background
in_background
kill -HUP "$pid"
kill -HUP "$pid"
is_served || fail "SIGHUP ends it"
kill -TERM "$pid"
ended TERM

# nor_is_it_to_a_service
export NOTIFY_SOCKET=$PWD/nobody
serve zslot 16M
unset NOTIFY_SOCKET
kill -HUP "$pid"
kill -HUP "$pid"
is_served || fail "SIGHUP ends a service"
stop

# hangup_ends_one_in_the_foreground_as_a_terminal_s_end
serve zslot 16M
kill -HUP "$pid"
status=0
wait "$pid" || status=$?
[ $status = 0 ] || fail "SIGHUP: status $status"
[ ! -e "$socket" ] || fail "SIGHUP: its socket stays"

# but_not_if_it_was_told_to_ignore_it
NBDKIT="$PWD/under-nohup"
printf '#!/bin/sh\nexec nohup "%s" "$@"\n' "$builddir/tests/run-zslotd" >under-nohup
chmod +x under-nohup
serve zslot 16M
kill -HUP "$pid"
is_served || fail "SIGHUP ends it under nohup"
stop
