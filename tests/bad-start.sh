#!/usr/bin/env bash
# bad-start.sh - a start that is refused, by zslot or by nbdkit after it, leaves nothing and changes nothing
#
# For nbdkit; bad-zslotd.sh does the same for zslotd.
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdcopy

state=$(mktemp -d /dev/shm/zslot-XXXXXX 2>/dev/null || mktemp -d)
trap 'rm -rf "$state"; stop_all' EXIT

# A store of another state, which is not served now, and a file that is nobody's.
head -c 30000000 /dev/urandom >data
truncate --size=30M data
other=(64M state="$state/other" memory-limit=16M backing="$PWD/other.img")
serve zslot "${other[@]}" backing-size=64M
nbdcopy data "$uri"
stop
truncate --size=1M short.img
head -c 1000000 /dev/urandom >mine.img
mkdir "$state/there"
echo mine >"$state/there/mine"
list() {
    # (nbdkit's own sockets are not our business, nor what this test writes)
    find . "$state" ! -path './socket*' ! -name own.sock ! -name log ! -name out ! -name err ! -name before ! -name after |
        sort
    cat -- *.img "$state/there"/* "$state/other/zslot-header" | cksum
}
list >before

# leaves_all WHAT COMMAND...: which ends before it serves
leaves_all() {
    local what=$1 status=0
    shift
    timeout 60 "$@" >out 2>err || status=$?
    [ "$status" = 1 ] || fail "$what: status $status: $(cat out err)"
    list >after
    cmp -s before after || fail "$what: $(diff before after), after $(cat err)"
}

port=$(unused_port)
serve zslot 16M metrics-port="$port"
steer=control=$directory/steer
volume=(zslot 1G memory-limit=64M)
for backing in "$PWD/new.img backing-size=64M" "$PWD/short.img" "$PWD/mine.img backing-overwrite=true" \
    "$PWD/other.img backing-size=70M"; do
    for where in "$state/new" "$state/there"; do
        # shellcheck disable=SC2206
        all=("${volume[@]}" state="$where" backing=${backing})
        own=("$NBDKIT" -f -U "$directory/own.sock")
        # What zslot refuses.
        leaves_all "no directory for the control socket" "${own[@]}" "${all[@]}" control="$directory/no/steer"
        leaves_all "no such group" "${own[@]}" "${all[@]}" "$steer" control-group=no-such-group
        leaves_all "metrics-port in use" "${own[@]}" "${all[@]}" "$steer" metrics-port="$port"
        # What nbdkit does, after zslot was ready.
        leaves_all "a socket in use" "$NBDKIT" -f -U "$socket" "${all[@]}" "$steer"
        leaves_all "a port in use" "$NBDKIT" -f -i 127.0.0.1 -p "$port" "${all[@]}" "$steer"
        leaves_all "an address of another" "$NBDKIT" -f -i 192.0.2.1 -p "$port" "${all[@]}" "$steer"
        leaves_all "no such user" "${own[@]}" -u no-such-user "${all[@]}" "$steer"
        rm -f own.sock
        leaves_all "no such pid file" "${own[@]}" -P no/such/pid "${all[@]}" "$steer"
        rm -f own.sock
    done
done
leaves_all "a directory" "${own[@]}" "${volume[@]}" state="$state/new" backing="$PWD"
rm -f own.sock

# In the background, where nobody is told.  Paths that begin here are still found from there.
cd "$state"
"$NBDKIT" -U "$directory/own.sock" -P no/such/pid "${volume[@]}" state=new backing=new.img backing-size=64M control=steer \
    2>"$directory/err" || true
is_as_before() {
    (cd "$directory" && list >after && cmp -s before after)
}
until_true 60 is_as_before || fail "in the background: $(diff "$directory/before" "$directory/after")"
cd "$directory"
stop

# All of the other's pages are there.
serve zslot "${other[@]}" backing-size=64M
nbdcopy "$uri" back
cmp -n "$(wc -c <data)" data back || fail "pages of another state are lost"
stop
