#!/usr/bin/env bash
# rights.sh - servers with all rights, of the guest's own: what they ask the kernel for is in force
#
# Where the tests run, CAP_SYS_RESOURCE is often not to be had, so io-flusher and io-oom-score see only
# how servers do without it.
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck source=tests/vm/host.sh
. "$(dirname "$0")/host.sh"

plugin=$builddir/plugin/.libs/nbdkit-zslot-plugin.so
programs="$builddir/server/zslotd nbdkit $plugin"
# Their libraries are tens of MiB.
memory_mib=384

guest() {
    # shellcheck disable=SC2317 # until_true calls it
    is_there() {
        [ -s "$1" ]
    }
    started() {
        until_true 60 is_there /tmp/pid || fail "it does not start: $(cat /tmp/log)"
        server=$(cat /tmp/pid)
    }
    stopped() {
        kill "$server"
        wait "$server"
        rm -f /tmp/pid
    }
    # scored SCORE: by the kernel, and by what the server says
    scored() {
        score=$(cat "/proc/$server/oom_score_adj")
        [ "$score" = "$1" ] || fail "the kernel has $score, not $1"
        wget -q -O /tmp/stats http://127.0.0.1:9810/v1/stats || fail "no statistics"
        grep -Eq "\"oom_score_adj\": *$1([,}]|\$)" /tmp/stats || fail "stats: $(grep -o '"oom_s[^,]*' /tmp/stats)"
        grep -q '"io_flusher": *true' /tmp/stats || fail "stats: $(grep -o '"io_f[^,]*' /tmp/stats)"
    }
    # threads LEAST: all of them have PF_MEMALLOC_NOIO, 0x80000 (include/linux/sched.h), and there are so many
    threads() {
        cat /proc/"$server"/task/*/stat >/tmp/threads
        awk '{ sub(/.*\) /, ""); if (int($7 / 524288) % 2 == 0) exit 1 }' /tmp/threads ||
            fail "a thread is no I/O flusher"
        [ "$(wc -l </tmp/threads)" -ge "$1" ] || fail "it has $(wc -l </tmp/threads) threads"
    }

    # an_ordinary_zslotd_becomes_one_that_is_spared
    zslotd --foreground --size=64M --metrics-port=9810 --listen=unix:/tmp/a --pid-file=/tmp/pid 2>/tmp/log &
    started
    scored -900
    threads 4
    stopped

    # what_it_was_started_with_stays
    for score in -300 250; do
        sh -c "echo $score >/proc/self/oom_score_adj && exec zslotd --foreground --size=64M \
            --metrics-port=9810 --listen=unix:/tmp/b --pid-file=/tmp/pid" 2>/tmp/log &
        started
        scored $score
        stopped
    done

    # nbdkit_keeps_its_score_and_its_threads_serve_io
    nbdkit -f -t 4 -U /tmp/c -P /tmp/pid /usr/sbin/nbdkit-zslot-plugin.so 64M metrics-port=9810 2>/tmp/log &
    started
    nbd-client -b 4096 -unix /tmp/c /dev/nbd0 >/dev/null || fail "nbd-client"
    write_files /dev/nbd0 0 8 1
    check_files /dev/nbd0 0 8 1
    scored 0
    threads 6
    detach 0
    stopped
}

boot
must_pass
