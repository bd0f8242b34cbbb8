#!/usr/bin/env bash
# io-fork.sh - in the background, as nbdkit goes by default, it serves, ends on SIGTERM, and leaves nothing
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdcopy nbdinfo

head -c 5000000 /dev/urandom >data
truncate --size=5M data

for options in "" "memory-limit=16M compressor=lz4"; do
    socket=$directory/socket
    uri="nbd+unix:///?socket=$socket"
    # Returns when it listens; the word "zslot" and what follows it:
    # shellcheck disable=SC2086
    "$NBDKIT" -U "$socket" -P "$directory/pid" zslot 64M $options || fail "it does not start"
    until_true 20 test -s pid || fail "no process id"
    pid=$(cat pid)
    servers=("$pid")

    # Its own session, and not our child: it is in the background.
    [ "$(field PPid)" != $$ ] || fail "it is not in the background"

    nbdcopy --connections=4 data "$uri"
    nbdcopy --connections=4 "$uri" back
    cmp -n "$(wc -c <data)" data back || fail "in the background it reads differently"

    # The memory is there, and has no name in any file system.
    [ "$(field RssShmem)" -ge 4800 ] || fail "RssShmem is $(field RssShmem) kB"
    awk '$2 ~ /s$/ && $6 !~ /^\/memfd:/' "/proc/$pid/maps" >named
    [ ! -s named ] || fail "shared memory that has a name: $(cat named)"

    start=$(date +%s%N)
    kill "$pid"
    until_true 60 is_over "$pid" || fail "SIGTERM does not end it"
    took=$((($(date +%s%N) - start) / 1000000))
    echo "ended $took ms after SIGTERM"
    [ "$took" -lt 30000 ] || fail "it took $took ms to end"
    rm -f pid "$socket"
done

# nothing_is_left beside the socket either
rm data back named
[ -z "$(ls "$directory")" ] || fail "left in its directory: $(ls "$directory")"
