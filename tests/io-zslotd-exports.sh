#!/usr/bin/env bash
# io-zslotd-exports.sh - several exports of one zslotd, each its own volume, from a configuration file
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/zslotd.sh"
need nbdinfo nbdcopy jq curl zstd
zslotctl=$builddir/control/zslotctl

# serve_file ARGUMENT...
serve_file() {
    "$builddir/tests/run-zslotd" -f -P "$PWD/pid" --config=file "$@" 2>log &
    pid=$!
    servers+=("$pid")
    until_true 60 is_served_or_over pid "$pid" || fail "it does not start"
    [ -s pid ] || fail "it has ended: $(cat log)"
}
uri_of() { echo "nbd+unix:///$1?socket=$PWD/socket"; }
number() { curl -sS --unix-socket "$1" http://localhost/v1/stats | jq "$2"; }

cat >file <<END
# The server.
  listen = unix:$PWD/socket
threads=2

[export small]
size = 16M
	memory-limit=4M
control=control-small
[export large]
size=32M
compressor=lz4
memory-limit=24M
control=control-large
control-mode=0660
END
serve_file

# all_are_listed, and each has its size; the empty name is the first
nbdinfo --list --json "$(uri_of '')" >list
[ "$(jq -c '[.exports[] | ."export-name"]' list)" = '["small","large"]' ] || fail "the list: $(cat list)"
for each in small:16777216 large:33554432 :16777216; do
    [ "$(nbdinfo --size "$(uri_of "${each%:*}")")" = "${each#*:}" ] || fail "the size of $each"
done
! nbdinfo --size "$(uri_of other)" >said 2>&1 || fail "there is an export that nobody named"

# what_is_written_to_one_is_not_in_the_other
zstd -dc "$sample" | head -c 8M >pages
truncate -s 32M pages
nbdcopy pages "$(uri_of large)"
nbdcopy "$(uri_of large)" back
cmp pages back
truncate -s 16M zeroes
nbdcopy "$(uri_of small)" back
cmp zeroes back

# each_has_a_memory_limit_of_its_own: the same data does not fit into the small one
head -c 8M /dev/urandom >random
truncate -s 16M random
! nbdcopy random "$(uri_of small)" 2>said || fail "4M hold 8M of random data"
[ "$(number control-small .mem_used_max)" -le $((4 << 20)) ] || fail "more than its limit"
nbdcopy pages "$(uri_of large)" || fail "the other one's limit counts"
nbdcopy "$(uri_of large)" back
cmp pages back

# each_has_a_control_endpoint_of_its_own
[ "$(number control-small .compressor)" = '"zstd:1"' ] || fail "the small one's compressor"
[ "$(number control-small .server.threads)" = 2 ] || fail "what is said of the server"
[ "$(number control-large .compressor)" = '"lz4"' ] || fail "the large one's compressor"
[ "$(stat -c %a control-small control-large | tr '\n' ' ')" = '600 660 ' ] || fail "their modes"
for one in small large; do
    "$zslotctl" "--socket=$PWD/control-$one" stat >said || fail "zslotctl stat: $(cat said)"
    "$zslotctl" "--socket=$PWD/control-$one" compact >said || fail "zslotctl compact: $(cat said)"
done
"$zslotctl" "--socket=$PWD/control-large" set compressor=zstd:2
[ "$(number control-large .compressor)" = '"zstd:2"' ] || fail "set does not reach it"
[ "$(number control-small .compressor)" = '"zstd:1"' ] || fail "set reaches the other one"
stop
for left in socket control-small control-large; do
    [ ! -e $left ] || fail "$left is left"
done

# an_argument_takes_the_place_of_what_the_file_says, listen too; with one export those of the volume
printf 'listen=unix:%s/elsewhere\nsize=1M\ncompressor=lz4\ncontrol=%s/c\nexport=a\n' "$PWD" "$PWD" >file
serve_file --listen="unix:$PWD/socket" --size=2M --export=b
[ ! -e elsewhere ] || fail "it listens where the file says, too"
[ "$(nbdinfo --size "$(uri_of b)")" = 2097152 ] || fail "the size"
[ "$(number c .compressor)" = '"lz4"' ] || fail "the rest of the file does not count"
stop

# in_the_background_relative_paths_are_those_of_the_start
printf 'size=1M\ncontrol=c\n' >file
"$builddir/server/zslotd" --config=file --listen=unix:socket --pid-file=pid || fail "it does not start"
pid=$(cat pid)
servers+=("$pid")
{ [ -S socket ] && [ -S c ]; } || fail "no sockets"
kill "$pid"
until_true 60 is_over "$pid" || fail "it does not end"
for left in socket c pid; do
    [ ! -e $left ] || fail "$left is left"
done

# the_example_is_understood, but for the sockets
sed -e "s|^listen=.*|listen=unix:$PWD/socket|" -e "s|/run/|$PWD/|" "$srcdir/examples/zslot.conf" >file
serve_file
nbdinfo --list --json "$(uri_of '')" >list
[ "$(jq -c '[.exports[] | ."export-name"]' list)" = '["fast","dense"]' ] || fail "the list: $(cat list)"
stop
