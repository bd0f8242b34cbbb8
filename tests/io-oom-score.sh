#!/usr/bin/env bash
# io-oom-score.sh - zslotd asks the kernel to end something else when memory runs out, and says so
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/zslotd.sh"
need choom curl jq promtool setpriv
lowest=0
! choom -n -1 -- true >/dev/null 2>&1 || lowest=-900 # tests/vm/rights.sh sees this one everywhere
choom -n 0 -p $$ >/dev/null 2>&1 || skip "what runs the tests has a score already"

# scores SCORE: of the process, of stats and of the metrics
scores() {
    local kernel stats
    kernel=$(cat "/proc/$pid/oom_score_adj")
    [ "$kernel" = "$1" ] || fail "the kernel has $kernel, not $1"
    stats=$(curl -sS --unix-socket control http://localhost/v1/stats | jq .oom_score_adj)
    [ "$stats" = "$1" ] || fail "stats say $stats, not $1"
    curl -sS --unix-socket control http://localhost/metrics >text
    promtool check metrics <text >said 2>&1 || fail "promtool: $(cat said)"
    grep -qx -- "zslot_oom_score_adj $1" text || fail "$(grep oom text)"
}

# an_ordinary_process_becomes_one_that_is_spared
serve zslot 16M control=control
scores $lowest
stop

# so_does_one_in_the_background
"$zslotd" --size=16M --control=control --listen=unix:background --pid-file=pid
pid=$(cat pid)
scores $lowest
kill "$pid"
until_true 20 is_over "$pid" || fail "it does not end"

# what_it_was_started_with_stays: a unit's OOMScoreAdjust, or choom's
for score in 250 $((lowest / 3)); do
    choom -n $score -p $$ >/dev/null
    serve zslot 16M control=control
    scores $score
    stop
done
choom -n 0 -p $$ >/dev/null

# without_the_right_it_serves_all_the_same
cat >without <<END
#!/bin/sh
exec setpriv --inh-caps=-sys_resource --bounding-set=-sys_resource '$NBDKIT' "\$@"
END
chmod +x without
NBDKIT=$PWD/without serve zslot 16M control=control
scores 0
stop

# of_nbdkit_it_is_told_and_left_alone
export NBDKIT=$builddir/tests/run-nbdkit
unset ZSLOT_FACE
serve zslot 16M control=control
scores 0
stop
