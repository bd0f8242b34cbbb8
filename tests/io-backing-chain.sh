#!/usr/bin/env bash
# io-backing-chain.sh - RAM, a neighbour's RAM, and the neighbour's disk: all pages read back
#
# The backing store of one zslot is another one, which has less RAM than is sent to it, and a file.
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdcopy zstd

mebibytes=${ZSLOT_TEST_SLOW:+32}
mebibytes=${mebibytes:-56}
zstd -qdc "$sample" >one
truncate --size=%4096 one
# Each round has a word of its own in every page, so that none is the same twice.
: >real
for ((round = 0; $(wc -c <real) < mebibytes << 20; round++)); do
    LC_ALL=C tr "\\$(printf %03o $((round % 200 + 1)))e" "e\\$(printf %03o $((round % 200 + 1)))" <one >>real
done
truncate --size="${mebibytes}M" real

serve -D zslot.stats=1 zslot 1G memory-limit=10M compressor=none backing=disk backing-size=1G
neighbour=$pid
mv log far.log
serve -D zslot.stats=1 zslot 1G memory-limit=10M backing="$uri"
for turn in 1 2; do
    nbdcopy --connections=4 --requests=32 real "$uri"
    nbdcopy --connections=4 --requests=32 "$uri" back
    cmp --bytes=$((mebibytes << 20)) real back || fail "turn $turn: it reads back differently"
    # Written over, in part.
    nbdcopy --connections=2 one "$uri"
    nbdcopy --connections=1 --synchronous "$uri" back
    cmp --bytes="$(wc -c <one)" one back || fail "turn $turn: what was written over differs"
    cmp --bytes=$(((mebibytes << 20) - $(wc -c <one))) \
        --ignore-initial="$(wc -c <one)" real back || fail "turn $turn: the rest differs"
done
stop

check_figures() {
    local none some
    for none in failed_reads failed_writes failed_writebacks corrupt_objects; do
        [ "$(stat_at_end $none)" = 0 ] || fail "$1: $none is $(stat_at_end $none)"
    done
    for some in bd_writes bd_reads; do
        [ "$(stat_at_end $some)" -gt 0 ] || fail "$1: $some is 0"
    done
}
check_figures near

pid=$neighbour
mv far.log log
stop
check_figures neighbour
[ "$(stat_at_end bd_used_size)" -gt 0 ] || fail "nothing came to the disk"
