#!/usr/bin/env bash
# io-state-disk.sh - a state that is not on a tmpfs gets a warning, and one that is gets none
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdinfo

[ "$(stat --file-system --format=%T /var/tmp)" != tmpfs ] || skip "/var/tmp is a tmpfs"
[ "$(stat --file-system --format=%T /dev/shm)" = tmpfs ] || skip "/dev/shm is none"
disk=$(mktemp -d /var/tmp/zslot-XXXXXX)
shm=$(mktemp -d /dev/shm/zslot-XXXXXX)
trap 'stop_all; rm -rf "$disk" "$shm"' EXIT

plugin=$NBDKIT
for face in "$plugin" "$(dirname "$plugin")/run-zslotd"; do
    NBDKIT=$face
    serve zslot 16M state="$shm/state"
    ! grep -q warning log || fail "$(basename "$face"): $(cat log)"
    stop
    # It is served all the same, also when it is kept.
    for turn in 1 2; do
        serve zslot 16M state="$disk/state"
        nbdinfo --size "$uri" >/dev/null
        grep -q "warning: state=$disk/state: not on a tmpfs" log ||
            fail "$(basename "$face"), start $turn: no warning: $(cat log)"
        [ "$(grep -c warning log)" = 1 ] || fail "$(basename "$face"): more than once: $(cat log)"
        stop
    done
    rm -rf "$disk/state"
done
