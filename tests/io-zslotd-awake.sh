#!/usr/bin/env bash
# io-zslotd-awake.sh - the kernel keeps processors awake while a client is busy, and not after that
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/zslotd.sh"
need nbdcopy curl jq
device=/dev/cpu_dma_latency
[ -w $device ] || skip "$device cannot be written to"

# What holds for the machine, by whoever asks for the least.
now() { od -An -td4 -N4 $device | tr -d ' '; }
usual=$(now)
[ "$usual" -gt 20 ] || skip "something else keeps the processors awake"
held() { curl -sS --unix-socket control http://localhost/v1/stats | jq .server.cpu_latency_time; }

busy() {
    while nbdcopy --request-size=4096 "$uri" null:; do :; done
}

is_now() { [ "$(now)" = "$1" ]; }
until_it_is() { until_true 60 is_now "$1" || fail "it is $(now) and not $1"; }

serve zslot 16M control=control --cpu-latency=20
truncate -s 16M zeroes
nbdcopy zeroes "$uri"
until_it_is "$usual"
busy &
client=$!
until_it_is 20
kill $client
wait $client 2>/dev/null || true
until_it_is "$usual"
jq -en --argjson held "$(held)" '$held > 0' >/dev/null || fail "it held for $(held) s"

# also_when_the_server_is_killed
busy 2>/dev/null &
client=$!
until_it_is 20
kill -KILL "$pid"
until_it_is "$usual"
kill $client 2>/dev/null || true
wait $client 2>/dev/null || true
