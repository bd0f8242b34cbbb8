#!/usr/bin/env bash
# io-zslotd-poll.sh - what polling takes is bounded, and told
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/zslotd.sh"
need nbdcopy curl jq promtool
number() { curl -sS --unix-socket control http://localhost/v1/stats | jq ".server.$1"; }

# without_it_there_is_none
serve zslot 16M control=control
truncate -s 16M zeroes
nbdcopy zeroes "$uri"
[ "$(number 'poll_time == 0')" = true ] || fail "it has polled for $(number poll_time) s"
stop

# with_it_a_quarter_of_a_thread_s_time_at_most_finds_nothing, but for 20 ms that are saved up, and
# for what it lost its processor for meanwhile
started=$(date +%s.%N)
serve zslot 16M control=control --threads=1 --poll=10000
for _ in $(seq 20); do
    nbdcopy "$uri" null:
done
poll=$(number poll_time) vain=$(number poll_time_in_vain)
jq -en --argjson poll "$poll" --argjson vain "$vain" --argjson started "$started" \
    --argjson now "$(date +%s.%N)" \
    '$poll > 0 and $vain <= $poll and $vain <= ($now - $started) / 4 + 0.02 + 0.2' >/dev/null ||
    fail "polled for $poll s, in vain for $vain s"

# prometheus_is_told_too
curl -sS --unix-socket control http://localhost/metrics >text
promtool check metrics <text >said 2>&1 || fail "promtool: $(cat said)"
[ ! -s said ] || fail "promtool: $(cat said)"
[ "$(sed -n "s/^zslot_server_threads //p" text)" = "$(number threads)" ] || fail "$(grep server text)"
seen=$(sed -n 's/^zslot_server_poll_time_seconds_total //p' text)
jq -en --argjson seen "${seen:-0}" --argjson poll "$poll" '$seen >= $poll' >/dev/null || fail "$(grep server text)"
stop
