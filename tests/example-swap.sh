#!/usr/bin/env bash
# example-swap.sh - the example of swap space, up to where it needs a kernel's NBD device
#
# SPDX-License-Identifier: BSD-3-Clause

set -euo pipefail

export NBDKIT=${NBDKIT:-nbdkit}
srcdir=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
for tool in nbdcopy nbdinfo mkswap; do
    PATH=$PATH:/sbin:/usr/sbin command -v $tool >/dev/null || { echo "no $tool" && exit 77; }
done
PATH=$PATH:/sbin:/usr/sbin

directory=$(mktemp -d)
stop() {
    [ ! -s "$directory/pid" ] || kill "$(cat "$directory/pid")" || true
    rm -rf "$directory"
}
trap stop EXIT
cd "$directory"

fail() {
    echo "example-swap: $*" >&2
    exit 1
}

# serve_makes_an_export_that_the_guest_can_use
serve() {
    SIZE=64M LIMIT=32M LOCK=$1 "$srcdir/examples/swap.sh" serve -U "$directory/sock" -P "$directory/pid"
}
# Not everybody may lock 32 MiB.
serve true 2>lock.err || { grep -q memory-lock lock.err && serve false; } || fail "$(cat lock.err)"
# The parent that we waited for ends when the socket is there; the file follows.
for _ in {1..1200}; do
    [ ! -s pid ] || break
    sleep 0.05
done
uri="nbd+unix:///?socket=$directory/sock"
[ "$(nbdinfo --size "$uri")" = 67108864 ] || fail "the size is not SIZE"
nbdinfo --can multi-conn "$uri" || fail "-C 2 needs multi-conn"
nbdinfo --can trim "$uri" || fail "--discard needs trim"

# a_swap_area_made_there_is_read_back
truncate --size=64M area
mkswap area >/dev/null 2>&1 # which does not like files
nbdcopy area "$uri"
nbdcopy "$uri" back
cmp area back || fail "the swap area is not what was written"

# dry_run_prints_what_the_guest_runs
"$srcdir/examples/swap.sh" --dry-run on 192.0.2.1 >commands
"$srcdir/examples/swap.sh" --dry-run off >>commands
diff - commands <<'END' || fail "the commands have changed"
nbd-client -b 4096 -C 2 192.0.2.1 10809 /dev/nbd0
mkswap /dev/nbd0
swapon --discard=pages --priority 100 /dev/nbd0
swapoff /dev/nbd0
nbd-client -d /dev/nbd0
END

# bad_arguments_get_the_usage
if "$srcdir/examples/swap.sh" 2>usage; then
    fail "no verb, and no error"
fi
grep -q 'swap.sh serve' usage || fail "no usage"
