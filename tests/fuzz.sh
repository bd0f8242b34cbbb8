#!/usr/bin/env bash
# fuzz.sh - feeds bytes of libFuzzer's to the handshake and to a connection, each for some seconds
#
#   fuzz.sh [SECONDS [TARGET...]]     60 and all: negotiate, transmit
#
# Begins with tests/corpus/TARGET; with ZSLOT_FUZZ_KEEP=1 what is new and interesting is kept there,
# merged.  An input that crashes is left in the current directory.  Needs clang, and a build, whose
# config.h is used ("make check-fuzz").
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(dirname "$tests")
builddir=$(cd "${builddir:-$top}" && pwd)
seconds=${1:-60}
[ $# -le 1 ] || shift
targets=("${@:-negotiate}")
[ $# -gt 1 ] || targets=(negotiate transmit)
command -v clang >/dev/null || { echo "fuzz: skipped: there is no clang" && exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/zslot-fuzz.XXXXXX")
trap 'rm -rf "$work"' EXIT

read -r -a libs <<<"${LIBS:-$(pkg-config --libs libzstd liblz4 libxxhash libevent libevent_pthreads \
    liburing blkid libnbd gnutls)} -lpthread"
flags=(-std=gnu11 -O1 -g -w -D_GNU_SOURCE -DHAVE_CONFIG_H "-fsanitize=fuzzer,address,undefined"
    -fno-sanitize-recover=undefined
    -iquote "$builddir" -iquote "$top" -iquote "$top/core" -iquote "$top/control" -iquote "$top/server")

for target in "${targets[@]}"; do
    sources=("$top/server/negotiate.c" "$top/server/nbd-protocol.c")
    if [ "$target" = transmit ]; then
        sources=("$top"/core/*.c)
        for source in "$top"/server/*.c; do
            # These have a main() of their own, and control/ below them.
            [[ $source == */server/@(zslotd|volumes).c ]] || sources+=("$source")
        done
    fi
    clang "${flags[@]}" -o "$work/$target" "$tests/fuzz-$target.c" "${sources[@]}" "${libs[@]}"
    mkdir "$work/corpus-$target"
    # Leaks are looked for at the end; the volume and the threads are still there then.
    ASAN_OPTIONS=detect_leaks=0 "$work/$target" -max_total_time="$seconds" -timeout=60 -print_final_stats=1 \
        -max_len=65536 -rss_limit_mb=4096 "$work/corpus-$target" "$tests/corpus/$target" >"$work/log" 2>&1 ||
        { tail -n 60 "$work/log" && exit 1; }
    echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log") inputs," \
        "$(grep -c . < <(ls "$work/corpus-$target")) of them new"
    if [ -n "${ZSLOT_FUZZ_KEEP:-}" ]; then
        ASAN_OPTIONS=detect_leaks=0 "$work/$target" -merge=1 "$tests/corpus/$target" "$work/corpus-$target" \
            >"$work/log" 2>&1
    fi
done
