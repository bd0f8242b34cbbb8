#!/usr/bin/env bash
# io-zslotd-awake.sh - the kernel keeps processors awake while a client is busy, and not after that
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/zslotd.sh"
need nbdcopy curl jq flock
device=/dev/cpu_dma_latency
{ [ -c "$device" ] && : >>"$device" && : <"$device"; } 2>/dev/null || skip "$device cannot be opened"
exec 9<"$device"
# One such test at a time: what can be read is of the whole machine, from whoever asks for the least.
flock -w 120 9 || skip "something else tests the same"

us=20
now() { od -An -td4 -N4 "$device" | tr -d ' '; }
is_held() { [ "$(now)" -le $us ]; }
is_free() { ! is_held; }
held_s() { curl -sS --unix-socket control http://localhost/v1/stats | jq .server.cpu_latency_time; }
is_free || skip "something else keeps the processors awake"

# Until the server is gone, or this is killed: one page after the other.
busy() {
    while nbdcopy --connections=1 --requests=1 --request-size=4096 "$uri" null: 9<&-; do :; done
}

serve zslot 16M control=control "cpu-latency=$us" 9<&-
head -c 16M /dev/urandom >pages
nbdcopy pages "$uri"
until_true 60 is_free || fail "it is $(now) after a client has gone"
before=$(held_s)
busy &
client=$!
until_true 60 is_held || fail "it is $(now) while a client is busy"
kill $client || fail "the client has ended by itself"
wait $client 2>/dev/null || true
until_true 60 is_free || fail "it is $(now) after a client was busy"
jq -en --argjson before "$before" --argjson held "$(held_s)" '$held > $before' >/dev/null ||
    fail "it held for $before s, and then for $(held_s) s"

# also_when_the_server_is_killed
busy 2>/dev/null &
client=$!
until_true 60 is_held || fail "it is $(now) while a client is busy again"
kill -KILL "$pid"
until_true 60 is_free || fail "it is $(now) after the server was killed"
kill $client 2>/dev/null || true
wait $client 2>/dev/null || true
