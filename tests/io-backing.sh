#!/usr/bin/env bash
# io-backing.sh - more real pages than RAM may hold: the rest is in a file, and all reads back
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdcopy zstd

# 400 MiB of pages, each round with a word of its own in every page, so that none is the same twice.
mebibytes=${ZSLOT_TEST_SLOW:+64}
mebibytes=${mebibytes:-400}
zstd -qdc "$sample" >one
truncate --size=%4096 one
: >real
for ((round = 0; $(wc -c <real) < mebibytes << 20; round++)); do
    LC_ALL=C tr "\\$(printf %03o $((round % 200 + 1)))e" "e\\$(printf %03o $((round % 200 + 1)))" <one >>real
done
truncate --size="${mebibytes}M" real
truncate --size="${mebibytes}M" nothing
limit=$((mebibytes * 64 / 400))

# The state is the same however often it is done: the file is ours from the second time on.
for turn in 1 2; do
    serve -D zslot.stats=1 zslot 1G memory-limit="${limit}M" backing=store backing-size=1G
    nbdcopy --connections=4 --requests=32 real "$uri"
    rss=$(field VmHWM)
    nbdcopy --connections=4 --requests=32 "$uri" back
    cmp --bytes=$((mebibytes << 20)) real back || fail "turn $turn: it reads back differently"
    # Written over, in part, and read again, in order.
    nbdcopy --connections=2 one "$uri"
    nbdcopy --connections=1 --synchronous "$uri" back
    cmp --bytes="$(wc -c <one)" one back || fail "turn $turn: what was written over differs"
    cmp --bytes=$(((mebibytes << 20) - $(wc -c <one))) \
        --ignore-initial="$(wc -c <one)" real back || fail "turn $turn: the rest differs"
    stop

    [ "$(stat_at_end mem_used_max)" -le $((limit << 20)) ] ||
        fail "mem_used_max is $(stat_at_end mem_used_max), over the limit"
    for none in failed_reads failed_writes failed_writebacks corrupt_objects; do
        [ "$(stat_at_end $none)" = 0 ] || fail "$none is $(stat_at_end $none)"
    done
    for some in bd_writes bd_reads bd_count; do
        [ "$(stat_at_end $some)" -gt 0 ] || fail "$some is 0"
    done
    # RAM besides the volume's: nbdkit, its threads and requests. Sanitizers have their own.
    if [ "${ZSLOT_SANITIZER:-none}" = none ]; then
        [ "$rss" -le $(((limit + 64) * 1024)) ] || fail "the process took $rss KiB"
    fi
    awk -v evicted="$(stat_at_end bd_evicted_size)" -v written="$(stat_at_end bd_written_size)" \
        -v rss="$rss" -v pages="$(stat_at_end bd_writes)" \
        'BEGIN { printf "%d pages left, %.1f MiB of objects, %.3f times that written, RSS %.0f MiB\n",
                 pages, evicted / 1048576, written / evicted, rss / 1024 }'
done

# What a server leaves in the file is given back by the next one; with a state, all but what is in use.
allocated_is() { # OPERATOR BYTES
    test $(($(stat --format=%b store) * $(stat --format=%B store))) "$@"
}
allocated_is -gt $((8 << 20)) || fail "there is too little in the file for this"
serve zslot 1G memory-limit="${limit}M" backing=store backing-size=1G
until_true 60 allocated_is -lt $((1 << 20)) ||
    fail "$(stat --format=%b store) blocks stay allocated after a start without a state"
stop
for turn in 1 2; do
    serve -D zslot.stats=1 -D zslot.check=1 zslot 1G memory-limit="${limit}M" state=state compressor=none \
        backing=store backing-size=1G
    if [ $turn = 1 ]; then
        nbdcopy real "$uri"
        before=$(stat --format=%b store)
        # Freed, and killed before it is given back.
        nbdcopy --connections=1 nothing "$uri"
        kill -KILL "$pid"
        wait "$pid" || true
    else
        until_true 60 allocated_is -lt $((before * 512 / 4)) ||
            fail "$(stat --format=%b store) of $before blocks stay allocated after a kill"
        stop
        grep -q '^zslot: check: ok' log || fail "$(grep check log)"
        allocated_is -lt $(($(stat_at_end bd_used_size) + (1 << 20))) ||
            fail "bd_used_size is $(stat_at_end bd_used_size), and $(stat --format=%b store) blocks are allocated"
    fi
done
rm -rf state

memory="memory-limit=64M"
mkdir below
mkfifo fifo
echo thesis >thesis
refused "1G $memory backing=$PWD/below" "below" "directory" "name a file"
refused "1G $memory backing=$PWD/missing" "missing" "no such file" "backing-size="
refused "1G $memory backing=$PWD/no/such backing-size=1G" "no/such" "directory does not exist" "make it first"
refused "1G $memory backing=$PWD/fifo backing-size=1G" "fifo" "neither" "name one"
refused "1G $memory backing=$PWD/thesis" "thesis" "not empty" "backing-overwrite=true"
[ "$(cat thesis)" = thesis ] || fail "the thesis is gone"
refused "1G $memory backing=$PWD/new backing-size=1M" "new" "too small" "at least"
[ ! -e new ] || fail "a file was made that is of no use"
# a_file_that_does_not_exist_is_made_as_large_as_backing_size_says
serve zslot 1G "$memory" backing=new backing-size=512M
stop
[ "$(stat --format=%s new)" = $((1 << 29)) ] || fail "the file was made $(stat --format=%s new) bytes long"
rm new
refused "1G backing=$PWD/new backing-size=1G" "backing=" "memory-limit="
for age in -1 0 soon 1.5 "" 99999999999; do
    refused "1G $memory backing=$PWD/new backing-size=1G idle-age=$age" "idle-age=$age:" "idle-age=600"
done
for writes in 5 5/day 20G 20G/week /day -1/day 8E/day; do
    refused "1G $memory backing=$PWD/new backing-size=1G writeback-limit=$writes" \
        "writeback-limit=$writes:" "from 16M on, and less than 8E" "writeback-limit=20G/day"
done
for key in idle-age=600 idle-age=auto writeback-limit=20G/day backing-size=1G backing-overwrite=true; do
    refused "1G $memory $key" "${key%%=*}" "backing=PATH"
done

# In use by another.
serve zslot 1G "$memory" backing=store
refused "1G $memory backing=$PWD/store" "store" "in use" "name another"
stop

# Somebody truncates the file: who reads what was in it gets an error, and the server goes on.
serve -D zslot.stats=1 zslot 1G memory-limit="${limit}M" backing=store backing-size=1G
nbdcopy real "$uri"
truncate --size=0 store
# (One request at a time: nbdkit 1.32 may abort when a client leaves while several are being answered.)
! nbdcopy --connections=1 --synchronous "$uri" back 2>errors || fail "pages that are gone were read without an error"
nbdcopy one "$uri"
! nbdcopy --connections=1 --synchronous "$uri" back 2>errors || fail "they came back"
cmp --bytes="$(($(wc -c <one) >> 18 << 18))" one back || fail "what was written after it differs"
stop
[ "$(stat_at_end failed_reads)" -gt 0 ] || fail "failed_reads is 0"
[ "$(stat_at_end failed_writes)" = 0 ] || fail "failed_writes is $(stat_at_end failed_writes)"
