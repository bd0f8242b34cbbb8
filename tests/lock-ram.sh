#!/usr/bin/env bash
# lock-ram.sh - memory-lock=true locks what is used and nothing more
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need nbdcopy nbdinfo qemu-img qemu-io setpriv

[ "${ZSLOT_SANITIZER:-none}" = none ] ||
    skip "a sanitizer ignores mlock() and has terabytes of shadow memory that must not be locked"

# -- Without the right to. -- This needs no root, only somebody who is not all-powerful.

unprivileged=()
if [ "$(id -u)" = 0 ]; then
    # root, but for this capability
    unprivileged=(setpriv --inh-caps=-ipc_lock --bounding-set=-ipc_lock)
    "${unprivileged[@]}" true 2>/dev/null || skip "capabilities cannot be dropped here"
fi
little() {
    (
        ulimit -l 8192 2>/dev/null || exit 126
        exec "${unprivileged[@]}" "$@"
    )
}

# refused_when_the_limit_says_so, whatever the limit: it holds for the whole mapping, and a server
# that starts must not find out at a write
for arguments in "1G memory-limit=100M" "1G memory-limit=6M" 16M; do
    status=0
    # shellcheck disable=SC2086
    little "$NBDKIT" -U "$PWD/refused.sock" zslot $arguments memory-lock=true --run 'echo it is served' >out 2>err ||
        status=$?
    if [ "$status" = 126 ]; then
        echo "$name: ulimit -l cannot be set to 8192 here"
        break
    fi
    { [ "$status" = 1 ] && [ ! -s out ]; } || fail "$arguments: not refused: $(cat out err)"
    for word in memory-lock=true "ulimit -l" LimitMEMLOCK= CAP_IPC_LOCK; do
        grep -qF -- "$word" err || fail "$arguments: \"$word\" is not in: $(cat err)"
    done
    [ "$(wc -l <err)" = 1 ] || fail "$arguments: not one line: $(cat err)"
done
cat err
# without_it there is nothing to refuse
[ "$(little "$NBDKIT" -U - zslot 1G --run 'echo it is served' || true)" = "it is served" ] ||
    fail "refused without memory-lock"

# -- With it. --

capabilities=$((0x$(field CapEff $$)))
limit=$(ulimit -l)
if [ $((capabilities >> 14 & 1)) = 0 ] && [ "$limit" != unlimited ]; then
    skip "the rest needs root, or ulimit -l unlimited; here it is $limit"
fi

# 100 MiB of noise, stored raw, then half of it trimmed.
head -c 100M /dev/urandom >noise
stored=102400 # KiB

# background ARGUMENT...: as serve, but nbdkit goes into the background
background() {
    socket=$directory/socket${#servers[@]}
    uri="nbd+unix:///?socket=$socket"
    "$NBDKIT" -U "$socket" -P "$socket.pid" "$@" 2>log || fail "it does not start: $(cat log)"
    until_true 20 test -s "$socket.pid" || fail "no process id"
    pid=$(cat "$socket.pid")
    servers+=("$pid")
}

# The process itself: nbdkit 1.32 has 192 MiB of variables it never touches, of which its own --swap
# makes RAM (before it goes into the background, too), and which VmLck counts even where only what
# is touched is locked.
# process ARGUMENT...: sets resident
process() {
    serve "$@" zslot 4096
    nbdinfo --size "$uri" >/dev/null
    resident=$(field VmRSS)
    end
}

end() {
    kill "$pid"
    until_true 60 is_over "$pid" || fail "it does not end"
}

slack=$((32 * 1024))
process
process_kib=$resident
process --swap
process_swap_kib=$resident
echo "VmRSS of nbdkit with a disk of one page: $process_kib KiB, with --swap $process_swap_kib KiB"

# measure PROCESS_KIB HOW ARGUMENT...: prints, and sets locked_empty, locked_stored, locked_trimmed,
# resident, with what may be resident in "most"
printf '%-52s %8s %8s %8s %8s\n' "VmLck and VmRSS in KiB" empty stored trimmed resident
measure() {
    most=$(($1 + slack + stored * 5 / 4))
    shift
    "$@"
    # nbdkit writes the process id before the plugin's memory is ready, but serves after it.
    nbdinfo --size "$uri" >/dev/null
    locked_empty=$(field VmLck)
    nbdcopy --connections=2 noise "$uri"
    locked_stored=$(field VmLck)
    resident=$(field VmRSS)
    qemu-io -f raw "$uri" -c 'discard 50M 1G' >/dev/null
    locked_trimmed=$(field VmLck)
    printf '%-52s %8d %8d %8d %8d\n' "$*" "$locked_empty" "$locked_stored" "$locked_trimmed" "$resident"
    [ "$resident" -le $most ] || problem "$*: $resident KiB are resident, of $most at most"
    qemu-img dd -f raw -O raw bs=1M count=50 if="$uri" of=back
    cmp -n 52428800 noise back || problem "$*: what was stored is not read"
    end
}

# All of them are measured, then it fails.
problems=0
problem() {
    echo "$name: $*" >&2
    problems=$((problems + 1))
}

locks_what_is_used() {
    # The 64G and their tables would be 134 million.
    [ "$locked_empty" -le 400000 ] || problem "$locked_empty KiB are locked while it is empty"
    [ "$((locked_stored - locked_empty))" -ge $stored ] || problem "not all that is stored is locked"
    [ "$((locked_stored - locked_empty))" -le $((stored * 5 / 4)) ] ||
        problem "much more is locked than what is stored"
    [ "$((locked_stored - locked_trimmed))" -ge $((stored * 2 / 5)) ] ||
        problem "what was trimmed is still locked"
}

measure "$process_kib" serve zslot 64G memory-lock=true
locks_what_is_used
measure "$process_kib" background zslot 64G memory-lock=true
locks_what_is_used
measure "$process_swap_kib" serve --swap zslot 64G memory-lock=true
locks_what_is_used
measure "$process_swap_kib" background --swap zslot 64G memory-lock=true
locks_what_is_used

# with_a_state the same holds, for the files there; and for what the next start finds
if [ "$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 300000 ]; then
    state=$(mktemp -d /dev/shm/zslot-XXXXXX)
    trap 'stop_all; rm -rf "$state"' EXIT
    measure "$process_kib" serve zslot 64G memory-lock=true state="$state"
    locks_what_is_used
    serve zslot 64G memory-lock=true state="$state"
    nbdinfo --size "$uri" >/dev/null
    locked=$(field VmLck)
    echo "VmLck of the next start, which finds 50 MiB there: $locked KiB"
    [ $((locked - locked_empty)) -ge 51200 ] || problem "what was found is not locked"
    [ $((locked - locked_empty)) -le $((51200 * 5 / 4)) ] || problem "much more is locked than was found"
    qemu-img dd -f raw -O raw bs=1M count=50 if="$uri" of=back
    cmp -n 52428800 noise back || problem "what was found is not read"
    end
else
    echo "$name: /dev/shm is too small for a state"
fi

# nbdkits_own_option: in the foreground it locks all there is and will be, which must not bring
# the whole mapping into RAM
measure "$process_swap_kib" serve --swap zslot 64G
[ "$locked_empty" -le 1048576 ] || problem "--swap locks the mapping: $locked_empty KiB"
# in the background it locks nothing, for a lock is not inherited (the manual says so)
measure "$process_swap_kib" background --swap zslot 64G
[ "$locked_stored" = 0 ] ||
    echo "$name: this nbdkit's --swap locks in the background too: say so in the manual"
# and_without_either nothing is locked
measure "$process_kib" serve zslot 64G
[ "$locked_stored" = 0 ] || problem "without memory-lock $locked_stored KiB are locked"

[ "$problems" = 0 ]
