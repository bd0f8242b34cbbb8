#!/usr/bin/env bash
# bench-nbd.sh - the plugin against nbdkit's own, over NBD on a Unix socket, by fio
#
# usage: bench-nbd.sh [CORPUS]
#        with ZSLOT_PLUGIN and ZSLOTD set to what was built; with BENCH_LOAD and a corpus zslotd is measured
#        by bench-load, too: by one that takes less of the processor than fio, and with pages of the corpus
#
# All servers run from start to end; each round gives each of them one short run, those that are
# compared next to each other, and every figure is the median over the rounds of a ratio within one.  README.md
# says what is compared and how to read it.  Prints Markdown.
#
# SPDX-License-Identifier: BSD-3-Clause
set -u -o pipefail

plugin=${ZSLOT_PLUGIN:-}
zslotd=${ZSLOTD:-}
nbdkit=${NBDKIT:-nbdkit}
rounds=${ZSLOT_BENCH_ROUNDS:-7}
seconds=${ZSLOT_BENCH_SECONDS:-2}
only=${ZSLOT_BENCH_ONLY:-all}
size=256M
load=${BENCH_LOAD:-} corpus=${1:-}

skip() { echo "No figures over NBD: $*."; exit 0; }

[ -n "$plugin" ] || { echo "bench-nbd.sh: set ZSLOT_PLUGIN to the plugin's .so" >&2; exit 2; }
[ -r "$plugin" ] || { echo "bench-nbd.sh: no plugin at $plugin" >&2; exit 2; }
[ -z "$zslotd" ] || [ -x "$zslotd" ] || { echo "bench-nbd.sh: no program at ZSLOTD=$zslotd" >&2; exit 2; }
[ -z "$load" ] || [ -x "$load" ] || { echo "bench-nbd.sh: no program at BENCH_LOAD=$load" >&2; exit 2; }
command -v "$nbdkit" >/dev/null || skip "nbdkit is not installed"
fio --enghelp 2>/dev/null | grep -qw nbd || skip "fio with its nbd engine is not installed"

dir=$(mktemp -d) || exit 2
declare -A pid
stop() {
    for p in "${pid[@]}"; do kill "$p" 2>/dev/null; done
    wait 2>/dev/null
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT TERM

# wait_for NAME: until the server, which is $!, has written its process's number
wait_for() {
    pid[$1]=$!
    for _ in {1..100}; do
        [ -s "$dir/$1.pid" ] && return
        kill -0 "${pid[$1]}" 2>/dev/null || break
        sleep 0.05
    done
    echo "bench-nbd.sh: $1 does not start: $(cat "$dir/$1.log")" >&2
    exit 2
}

start() {
    local name=$1; shift
    "$nbdkit" -f -U "$dir/$name.sock" -P "$dir/$name.pid" "$@" 2>"$dir/$name.log" &
    wait_for "$name"
}

# The same for zslotd, with its own options.
start_zslotd() {
    local name=$1; shift
    "$zslotd" --foreground --listen="unix:$dir/$name.sock" --pid-file="$dir/$name.pid" \
        --size="$size" "$@" 2>"$dir/$name.log" &
    wait_for "$name"
}

start null         null "$size"
start zslot-lz4    "$plugin" "$size" compressor=lz4
servers=(null zslot-lz4)
plugins=()
# With ZSLOT_BENCH_ONLY=zslotd only what zslotd is compared with.
if [ "$only" != zslotd ]; then
    start memory       memory "$size"
    start memory-zstd  memory "$size" allocator=zstd
    start zslot        "$plugin" "$size"
    start zslot-zstd-1 "$plugin" "$size" compressor=zstd:-1
    plugins=(zslot memory-zstd zslot-zstd-1 memory)
    servers+=("${plugins[@]}")
fi
ours=() awake=()
if [ -n "$zslotd" ]; then
    start_zslotd zslotd
    start_zslotd zslotd-lz4  --compressor=lz4
    start_zslotd zslotd-poll --compressor=lz4 --poll=50
    ours=(zslotd-lz4 zslotd)
    servers+=(zslotd zslotd-lz4 zslotd-poll)
    # The same two while the kernel keeps processors awake for them, where it may be asked.
    if [ -c /dev/cpu_dma_latency ] && { : >>/dev/cpu_dma_latency; } 2>/dev/null; then
        start_zslotd zslotd-awake      --compressor=lz4 --cpu-latency=0
        start_zslotd zslotd-poll-awake --compressor=lz4 --cpu-latency=0 --poll=50
        awake=(zslotd-awake zslotd-poll-awake)
        servers+=("${awake[@]}")
    fi
fi
# With pages of a corpus, which fio's are not written over.
of_pages=() by_load=() by_load_at_one=()
if [ -n "$zslotd" ] && [ -n "$load" ] && [ -n "$corpus" ]; then
    by_load=(null zslot-lz4 zslotd-lz4 zslotd)
    by_load_at_one=(null zslot-lz4 zslotd-lz4 zslotd-poll "${awake[@]}")
    of_pages=(zslot-lz4-pages zslotd-lz4-pages)
    start        zslot-lz4-pages "$plugin" "$size" compressor=lz4
    start_zslotd zslotd-lz4-pages --compressor=lz4
fi

ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/${pid[$1]}/stat"; }

# Of the data, 67 % is compressible: fio mixes random and fixed bytes.
run_fio() { # server rw block-size depth more...
    local server=$1 rw=$2 bs=$3 depth=$4; shift 4
    fio --name=bench --ioengine=nbd --uri="nbd+unix:///?socket=$dir/$server.sock" \
        --rw="$rw" --bs="$bs" --iodepth="$depth" --size="$size" \
        --buffer_compress_percentage=67 --randrepeat=0 \
        --norandommap --lat_percentiles=1 --clat_percentiles=0 --output-format=terse --terse-version=3 "$@" 2>>"$dir/fio.log"
}

# One line per run: round, server, what, depth, IOPS, median and p99 latency, server's CPU us each
measure() { # round server rw depth
    local before after line
    before=$(ticks "$2")
    line=$(run_fio "$2" "$3" 4k "$4" --time_based --runtime="$seconds") || {
        echo "bench-nbd.sh: fio failed on $2: $(tail -3 "$dir/fio.log")" >&2
        exit 2
    }
    after=$(ticks "$2")
    awk -F';' -v round="$1" -v server="$2" -v rw="$3" -v depth="$4" -v used=$((after - before)) \
        -v hz="$(getconf CLK_TCK)" '
        # terse version 3: reads from field 6, writes from field 47; percentiles 13 fields on
        function percentile(p,   i) {
            for (i = base + 11; i < base + 31; i++)
                if (index($i, p "%=") == 1 || index($i, p "0000%=") == 1) {
                    sub(/.*=/, "", $i)
                    return $i
                }
            return 0
        }
        NF > 100 {
            base = rw == "randread" ? 6 : 47
            iops = $(base + 2); count = $(base) * 1024 / 4096
            print round, server, rw, depth, iops, percentile("50.00"), percentile("99.00"),
                (count > 0 ? used / hz * 1e6 / count : 0)
        }' <<<"$line" >>"$dir/runs"
}

run_load() { # server options...
    local server=$1; shift
    "$load" --span=256 "$@" "$corpus" "$dir/$server.sock" || {
        echo "bench-nbd.sh: bench-load failed on $server" >&2
        exit 2
    }
}

# The same lines by bench-load, whose runs are of the server with WHAT behind its name.
measure_by_load() { # round server what rw depth options...
    local round=$1 server=$2 what=$3 rw=$4 depth=$5 before after line reads=0; shift 5
    [ "$rw" = randwrite ] || reads=100
    before=$(ticks "$server")
    line=$(run_load "$server" --reads=$reads --depth="$depth" "$@") || exit 2
    after=$(ticks "$server")
    awk -v round="$round" -v server="$server$what" -v rw="$rw" -v depth="$depth" -v used=$((after - before)) \
        -v hz="$(getconf CLK_TCK)" '
        function number(name) {
            return match($0, "\"" name "\": [0-9.]+") ? substr($0, RSTART + length(name) + 4, RLENGTH) + 0 : 0
        }
        {
            iops = number("iops"); requests = number("requests")
            if (rw == "randwrite")
                sub(/.*"writes"/, "")
            print round, server, rw, depth, iops, number("p50"), number("p99"), used / hz * 1e6 / requests
        }' <<<"$line" >>"$dir/runs"
}

for server in "${servers[@]}"; do
    run_fio "$server" write 256k 4 >/dev/null || exit 2
done
for server in "${of_pages[@]}"; do
    run_load "$server" --once --block=65536 >/dev/null
done

# Those that are compared run next to each other; which of them comes first changes.
in_turn() { # round servers...
    local round=$1; shift
    if ((round % 2)); then printf '%s\n' "$@" | tac; else printf '%s\n' "$@"; fi
}
for ((round = 0; round < rounds; round++)); do
    for server in $(in_turn $round "${plugins[@]}" null zslot-lz4 "${ours[@]}"); do
        measure "$round" "$server" randwrite 16
    done
    for server in $(in_turn $round "${plugins[@]}" null zslot-lz4 "${ours[@]}"); do
        measure "$round" "$server" randread 16
    done
    for rw in randwrite randread; do
        for server in $(in_turn $round "${of_pages[@]}"); do
            measure_by_load "$round" "$server" "" $rw 16 --seconds="$seconds"
        done
        for server in $(in_turn $round "${by_load[@]}"); do
            measure_by_load "$round" "$server" -load $rw 16 --seconds=1 --compressible=67
        done
        for server in $(in_turn $round "${by_load_at_one[@]}"); do
            measure_by_load "$round" "$server" -load $rw 1 --seconds=1 --compressible=67
        done
    done
    # For information only, but of zslotd.
    at_one=("${servers[@]}")
    ((round < 3)) || at_one=(null zslotd-poll "${awake[@]}")
    [ -n "$zslotd" ] || ((round < 3)) || continue
    for rw in randwrite randread; do
        for server in $(in_turn $round "${at_one[@]}"); do
            measure "$round" "$server" $rw 1
        done
    done
done

awk -v rounds="$rounds" -v seconds="$seconds" -v servers_text="${servers[*]}" -v with_pages="${#of_pages[@]}" '
function sort(a, n,   i, j, t) {
    for (i = 2; i <= n; i++)
        for (j = i; j > 1 && a[j - 1] > a[j]; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
}
function quantile(a, n, q,   at, low) {
    if (n == 0) return 0
    at = 1 + q * (n - 1); low = int(at)
    return low == n ? a[n] : a[low] + (at - low) * (a[low + 1] - a[low])
}
function median_of(server, rw, depth, field,   k, n, a) {
    n = 0
    for (k = 0; k < rounds; k++)
        if ((k, server, rw, depth, field) in value) a[++n] = value[k, server, rw, depth, field]
    sort(a, n)
    return quantile(a, n, 0.5)
}
# Of a row; nothing for what was not measured.
function cell(form, server, rw, depth, field,   x) {
    x = median_of(server, rw, depth, field)
    return x > 0 ? sprintf(form " |", x) : " |"
}
# MOST: less is better, and BOUND the most; otherwise it is the least
function compare(ours, theirs, rw, depth, field, bound, most,   k, n, a, q) {
    n = 0
    for (k = 0; k < rounds; k++)
        if ((k, theirs, rw, depth, field) in value && value[k, theirs, rw, depth, field] > 0)
            a[++n] = value[k, ours, rw, depth, field] / value[k, theirs, rw, depth, field]
    sort(a, n)
    q = quantile(a, n, 0.5)
    printf "| %s %s d%d | %s | %s | **%.2f** (%.2f, %.2f) | %s %.2f | %s |\n", substr(rw, 5), field,
        depth, ours, theirs, q, quantile(a, n, 0.25), quantile(a, n, 0.75), (most ? "≤" : "≥"),
        bound, ((most ? q <= bound : q >= bound) ? "reached" : "MISSED")
}
function ratio(ours, theirs, rw, least) { compare(ours, theirs, rw, 16, "iops", least, 0) }
function zslotd_by(client) {
    ratio("zslotd-lz4" client, "null" client, "randread", 1.4)
    ratio("zslotd-lz4" client, "null" client, "randwrite", 0.95)
    ratio("zslotd" client, "null" client, "randread", 1.1)
    compare("zslotd-lz4" client, "zslot-lz4" client, "randread", 16, "cpu", 0.65, 1)
    compare("zslotd-lz4" client, "zslot-lz4" client, "randwrite", 16, "cpu", 0.65, 1)
    compare("zslotd-poll" client, "null" client, "randread", 1, "p50", 0.6, 1)
    compare("zslotd-poll" client, "null" client, "randwrite", 1, "p50", 0.6, 1)
    if (servers_text ~ /awake/) {
        compare("zslotd-poll-awake" client, "null" client, "randread", 1, "p50", 0.6, 1)
        compare("zslotd-poll-awake" client, "null" client, "randwrite", 1, "p50", 0.6, 1)
    }
}
{
    value[$1, $2, $3, $4, "iops"] = $5; value[$1, $2, $3, $4, "p50"] = $6
    value[$1, $2, $3, $4, "p99"] = $7;  value[$1, $2, $3, $4, "cpu"] = $8
}
END {
    n = split(servers_text, servers, " ")
    printf "%d rounds of %s s a run, 4 KiB random, one connection.\n\n", rounds, seconds
    print "| | | against | ratio: median (quartiles) | bound | |"
    print "|---|---|---|---|---|---|"
    if (servers_text ~ /memory/) {
        ratio("zslot", "memory-zstd", "randwrite", 3.5)
        ratio("zslot-zstd-1", "memory-zstd", "randwrite", 4.5)
        ratio("zslot-lz4", "null", "randwrite", 0.7)
        ratio("zslot", "null", "randread", 0.85)
    }
    if (servers_text ~ /zslotd/)
        zslotd_by("")
    if (with_pages) {
        zslotd_by("-load")
        compare("zslotd-lz4-pages", "zslot-lz4-pages", "randread", 16, "cpu", 0.65, 1)
        compare("zslotd-lz4-pages", "zslot-lz4-pages", "randwrite", 16, "cpu", 0.65, 1)
    }
    print "\n| server | writes/s d16 | p99 µs | CPU µs each | reads/s d16 | p99 µs | CPU µs each |" \
        " writes/s d1 | median µs | reads/s d1 | median µs |"
    print "|---|---|---|---|---|---|---|---|---|---|---|"
    for (i = 1; i <= n; i++) {
        s = servers[i]
        printf "| %s |%s%s%s%s%s%s%s%s%s%s\n", s,
            cell(" %.0f", s, "randwrite", 16, "iops"), cell(" %.0f", s, "randwrite", 16, "p99"),
            cell(" %.1f", s, "randwrite", 16, "cpu"), cell(" %.0f", s, "randread", 16, "iops"),
            cell(" %.0f", s, "randread", 16, "p99"), cell(" %.1f", s, "randread", 16, "cpu"),
            cell(" %.0f", s, "randwrite", 1, "iops"), cell(" %.0f", s, "randwrite", 1, "p50"),
            cell(" %.0f", s, "randread", 1, "iops"), cell(" %.0f", s, "randread", 1, "p50")
    }
    if (with_pages) {
        print "\n| server, by bench-load | writes/s d16 | CPU µs each | reads/s d16 | CPU µs each |" \
            " a write d1: median µs | CPU µs | a read d1: median µs | CPU µs |"
        print "|---|---|---|---|---|---|---|---|---|"
        n = split("null-load zslot-lz4-load zslotd-lz4-load zslotd-load zslotd-poll-load" \
            (servers_text ~ /awake/ ? " zslotd-awake-load zslotd-poll-awake-load" : "") \
            " zslot-lz4-pages zslotd-lz4-pages", servers, " ")
        for (i = 1; i <= n; i++) {
            s = servers[i]
            printf "| %s |%s%s%s%s%s%s%s%s\n", s,
                cell(" %.0f", s, "randwrite", 16, "iops"), cell(" %.1f", s, "randwrite", 16, "cpu"),
                cell(" %.0f", s, "randread", 16, "iops"), cell(" %.1f", s, "randread", 16, "cpu"),
                cell(" %.0f", s, "randwrite", 1, "p50"), cell(" %.1f", s, "randwrite", 1, "cpu"),
                cell(" %.0f", s, "randread", 1, "p50"), cell(" %.1f", s, "randread", 1, "cpu")
        }
    }
    print ""
}' "$dir/runs"
[ -z "${ZSLOT_BENCH_KEEP:-}" ] || cp "$dir/runs" "$ZSLOT_BENCH_KEEP"
