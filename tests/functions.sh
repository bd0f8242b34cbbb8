# functions.sh - what the scripts io-*, bad-* and lock-* share; sourced, not run
#
#   directory    a temporary one, where the script is; removed at its end, with all servers
#   sample       real memory pages
#   socket, uri  of the server that serve started last; pid, its process
# shellcheck shell=bash
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

name=$(basename "$0" .sh)
srcdir=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
# By make check, or by hand after make in the source tree (or with NBDKIT set).
export NBDKIT=${NBDKIT:-$srcdir/tests/run-nbdkit}
# Programs of administrators are not on everybody's PATH.
PATH=$PATH:/usr/sbin:/sbin
# shellcheck disable=SC2034
sample=$srcdir/tests/data/sample.pages.zst

# A socket's path must be short.
directory=$(mktemp -d /tmp/zslot-XXXXXX)
servers=()
stop_all() {
    for one in "${servers[@]}"; do
        kill "$one" 2>/dev/null || true
    done
    rm -rf "$directory"
}
trap stop_all EXIT
cd "$directory"

fail() {
    echo "$name: $*" >&2
    exit 1
}

skip() {
    echo "$name: skipped: $*"
    exit 77
}

# need TOOL...
need() {
    local tool
    for tool; do
        command -v "$tool" >/dev/null || skip "there is no $tool on this machine"
    done
}

# need_filter FILTER...: of nbdkit
need_filter() {
    local filter filters
    filters=$("$NBDKIT" --dump-config | sed -n 's/^filterdir=//p')
    for filter; do
        [ -e "$filters/nbdkit-$filter-filter.so" ] ||
            skip "this nbdkit comes without its filter $filter"
    done
}

# until_true SECONDS COMMAND...: asks again and again
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.02
    done
}

is_served_or_over() {
    [ -s "$1" ] || ! kill -0 "$2" 2>/dev/null
}

# is_over PID: a process that is not our child, and which nobody may have waited for yet
is_over() {
    ! kill -0 "$1" 2>/dev/null || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

# serve ARGUMENT...: as for nbdkit, in the foreground of a process of its own; what it says goes to
# the file "log"
serve() {
    socket=$directory/socket${#servers[@]}
    # shellcheck disable=SC2034
    uri="nbd+unix:///?socket=$socket"
    "$NBDKIT" -f -U "$socket" -P "$socket.pid" "$@" 2>log &
    pid=$!
    servers+=("$pid")
    until_true 60 is_served_or_over "$socket.pid" "$pid" || fail "the server does not start"
    [ -s "$socket.pid" ] || fail "the server has ended: $(cat log)"
}

# stop: the server that serve started last, which must end well
stop() {
    local status=0
    kill "$pid"
    wait "$pid" || status=$?
    [ "$status" = 0 ] || fail "the server ended with status $status: $(tail -n 30 log)"
}

# unused_port: a TCP port of 127.0.0.1, below those that the kernel gives out by itself
unused_port() {
    local port
    while port=$((20000 + RANDOM % 12000)); (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    echo "$port"
}

# field NAME [PID]: a number of /proc/PID/status, most of them in KiB
field() {
    awk -v name="$1:" '$1 == name { print $2; found = 1 } END { exit !found }' \
        "/proc/${2:-$pid}/status"
}

# stat_at_end NAME: from the statistics that "-D zslot.stats=1" prints at the server's end
stat_at_end() {
    sed -n "s/^zslot: $1=//p" log
}

# refused 'ARGUMENTS' WORD...: nbdkit zslot ARGUMENTS ends before it serves, and says one sentence
# in which all of these words are found. The file "sentences" has a line for each that was.
refused() {
    local arguments=$1 status=0 said word
    shift
    # --run is what would be served.  (-U - would leave a directory behind: nbdkit does when it
    # ends before it serves.)
    # shellcheck disable=SC2086
    timeout 60 "$NBDKIT" -U "$PWD/refused.sock" zslot $arguments --run 'echo it is served' >out 2>err || status=$?
    [ ! -s out ] || fail "zslot $arguments: $(cat out)"
    [ "$status" = 1 ] || fail "zslot $arguments: status $status: $(cat err)"
    [ "$(wc -l <err)" = 1 ] || fail "zslot $arguments: not one line: $(cat err)"
    said=$(sed 's/^nbdkit: error: //' err)
    for word; do
        [[ $said == *"$word"* ]] || fail "zslot $arguments: \"$word\" is not in: $said"
    done
    echo "zslot $arguments: $said" >>sentences
}
