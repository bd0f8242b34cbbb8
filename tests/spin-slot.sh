#!/usr/bin/env bash
# spin-slot.sh - the model of the slot holds, and would notice if it did not
#
#   spin-slot.sh              every scenario, searched exhaustively
#   spin-slot.sh wide         larger ones too: some minutes
#   spin-slot.sh mutations    models with a mistake in them: spin must find each
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

model=$(cd "$(dirname "$0")" && pwd)/slot.pml
for tool in spin "${CC:-gcc}"; do
    if ! command -v "$tool" >/dev/null; then
        echo "spin-slot.sh: no $tool here"
        exit 77
    fi
done
dir=$(mktemp -d "${TMPDIR:-/tmp}/zslot-spin.XXXXXX")
trap 'rm -rf "$dir"' EXIT

# Two at a time, within 4 GB in all.
jobs=2
memory_mb=1900

# name, what there is of each (w: writes, t: trims, r: readers, a: objects evicted, c: segments
# cleaned, m: objects moved by compaction, s: where the pages are in the beginning), and more
scenarios='
evict-compact-read    w1 t0 r1 a2 c0 m1 s0  -DABANDON=0 -DFAULTS=0 -DPARTIAL=0
evict-compact-trim    w1 t1 r0 a2 c0 m1 s0  -DABANDON=0 -DFAULTS=0 -DPARTIAL=0
compact-trim-merge    w1 t1 r0 a1 c0 m1 s0  -DABANDON=0 -DFAULTS=0
evict-write-trim-read w1 t1 r1 a2 c0 m0 s0  -DABANDON=0 -DFAULTS=0
evict-write-write     w2 t0 r0 a3 c0 m0 s0
evict-read-read       w0 t0 r2 a2 c0 m0 s0
evict-compact-fault   w0 t0 r1 a2 c0 m1 s0
evict-read-write-2    w2 t0 r1 a2 c0 m0 s0  -DABANDON=0 -DFAULTS=0
fetch-fetch-write     w1 t0 r2 a1 c0 m0 s2  -DABANDON=0 -DFAULTS=0 -DPARTIAL=0
fetch-fetch-merge     w1 t0 r2 a1 c0 m0 s1  -DABANDON=0 -DFAULTS=0
fetch-fetch-fault     w1 t0 r2 a0 c0 m0 s2
fetch-fetch-trim      w0 t1 r2 a2 c0 m0 s2  -DABANDON=0 -DFAULTS=0
fetch-write-trim      w1 t1 r2 a0 c0 m0 s1  -DABANDON=0 -DFAULTS=0
fetch-wait-for-buffer w1 t0 r2 a0 c0 m0 s1  -DFETCHES=1
fetch-three-segments  w1 t0 r1 a2 c0 m0 s2  -DSEGMENTS=3
clean-write-read      w1 t0 r1 a2 c1 m0 s2  -DABANDON=0 -DFAULTS=0
clean-read-fault      w1 t0 r1 a1 c1 m0 s2
clean-fetch-fetch     w0 t0 r2 a2 c1 m0 s2  -DABANDON=0
clean-trim-write      w1 t1 r0 a2 c1 m0 s2
clean-trim-write-read w1 t1 r1 a1 c1 m0 s1  -DABANDON=0 -DFAULTS=0
clean-write-fetches   w1 t0 r2 a0 c1 m0 s1  -DABANDON=0 -DFAULTS=0 -DPARTIAL=0
clean-twice           w1 t0 r1 a1 c2 m0 s1  -DABANDON=0 -DFAULTS=0
circles               w1 t0 r2 a1 c0 m0 s1  -DABANDON=0 -DFAULTS=0 -DFETCHES=1
circles-clean         w1 t0 r1 a1 c1 m0 s1  -DABANDON=0 -DFAULTS=0
'

wide='
wide-compact-read     w1 t0 r1 a2 c0 m1 s0  -DABANDON=0 -DFAULTS=0
wide-compact-trim     w1 t1 r0 a2 c0 m1 s0  -DABANDON=0 -DFAULTS=0
wide-fetch-write      w1 t0 r2 a1 c0 m0 s2
wide-clean-write      w1 t0 r1 a2 c1 m0 s2
wide-clean-fetch      w0 t0 r2 a2 c1 m0 s2
'

# the mistake, and a scenario that shows it
mutations='
NO_PIN                w1 t0 r1 a1 c1 m0 s1
RETIRE_PINNED         w1 t0 r1 a1 c1 m0 s1
UNPIN_NO_RETIRE       w1 t0 r1 a1 c1 m0 s1
CLEANER_NO_PIN        w1 t0 r1 a2 c1 m0 s1
CLEANER_NO_CHECK      w1 t0 r0 a1 c1 m0 s1  -DSEGMENTS=3
NO_VERSION            w2 t0 r0 a2 c0 m0 s0
NO_LEAF_PIN           w1 t1 r0 a2 c0 m0 s0
NO_WRITING_CHECK      w0 t0 r1 a1 c0 m0 s0
NO_MARK_OFF           w0 t0 r1 a1 c0 m0 s0
FREE_BEFORE_COMMIT    w0 t0 r1 a1 c0 m0 s0
STALE_NOT_RELEASED    w0 t0 r1 a1 c0 m0 s0
PUBLISH_STALE         w1 t0 r1 a0 c0 m0 s1
PROMOTE_FREES_FIRST   w0 t0 r2 a0 c0 m0 s1
MERGE_NO_TICKET       w1 t1 r0 a0 c0 m0 s0
STALE_NOT_TOLD        w1 t0 r1 a0 c0 m0 s1
COMPACT_MOVES_WRITING w1 t0 r1 a1 c0 m1 s0
COMPACT_COPIES_FIRST  w2 t0 r0 a0 c0 m1 s0
'

# amounts w1 t0 ... - as options of spin
amounts() {
    local amount
    for amount; do
        case $amount in
        w*) echo "-DWRITES=${amount#w}" ;;
        t*) echo "-DTRIMS=${amount#t}" ;;
        r*) echo "-DREADERS=${amount#r}" ;;
        a*) echo "-DADDS=${amount#a}" ;;
        c*) echo "-DCLEANS=${amount#c}" ;;
        m*) echo "-DMOVES=${amount#m}" ;;
        s*) echo "-DSTART=${amount#s}" ;;
        *) echo "$amount" ;;
        esac
    done
}

# search NAME OPTION... - leaves what spin says in log
search() {
    local name=$1 check=-DSAFETY run=(-w25)
    shift
    case $name in
    circles*) check=-DNP run=(-w25 -l) ;;
    [A-Z]*) run=(-w22) ;;
    esac
    mkdir "$dir/$name"
    cd "$dir/$name"
    spin -a "$@" "$model" >log 2>&1
    "${CC:-gcc}" -O2 -w "$check" -DCOLLAPSE -DMEMLIM="$memory_mb" -o pan pan.c >>log 2>&1
    ./pan "${run[@]}" -m100000 >>log 2>&1 || :
}

# hold NAME AMOUNT... - demands a complete search without an error
hold() {
    local name=$1 options
    shift
    mapfile -t options < <(amounts "$@")
    search "$name" "${options[@]}"
    if grep -q 'errors: 0$' log && ! grep -q 'Search not completed\|search depth too small' log; then
        echo "ok       $name: $(awk '/states, stored/ {print $1}' log) states"
    else
        echo "FAILED   $name: ${options[*]}"
        cat log
        [ ! -e slot.pml.trail ] || spin -t -p -g "${options[@]}" "$model" | tail -200
        return 1
    fi
}

# notice MISTAKE AMOUNT... - demands an error
notice() {
    local name=$1 options
    shift
    mapfile -t options < <(amounts "$@")
    search "$name" "-D$name" "${options[@]}" -DABANDON=0 -DFAULTS=0
    if grep -q 'errors: 1$' log && grep -q '^pan:1: \(assertion violated\|invalid end state\)' log; then
        echo "noticed  $name: $(sed -n 's/^pan:1: //p' log)"
    else
        echo "FAILED   $name: nothing was noticed: ${options[*]}"
        cat log
        return 1
    fi
}

# each FUNCTION < lines - several at a time
each() {
    local function=$1 failed=0 line running=0
    while read -r line; do
        [ -n "$line" ] || continue
        if [ "$running" -ge "$jobs" ]; then
            wait -n || failed=1
            running=$((running - 1))
        fi
        # shellcheck disable=SC2086
        ("$function" $line) &
        running=$((running + 1))
    done
    while [ "$running" -gt 0 ]; do
        wait -n || failed=1
        running=$((running - 1))
    done
    return "$failed"
}

case ${1:-} in
'') each hold <<<"$scenarios" ;;
wide) each hold <<<"$scenarios$wide" ;;
mutations) each notice <<<"$mutations" ;;
*)
    echo "usage: spin-slot.sh [wide | mutations]" >&2
    exit 2
    ;;
esac
