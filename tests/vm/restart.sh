#!/usr/bin/env bash
# restart.sh - the server is killed twice under a guest that swaps, and started again on its state:
# nothing is lost
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck source=tests/vm/host.sh
. "$(dirname "$0")/host.sh"

programs="zslot-attach"
touched_mib=$(long 512 120)
passes=2

guest() {
    hold 0 --swap --request-timeout=10
    press_all -m -k 32 "$touched_mib" "$passes" /dev/nbd0
    [ "$(dmesg | grep -c 'nbd0: connected again')" -ge 2 ] || fail "it was never connected again"
    let_go 0
    no_errors
}

zslot=(512M memory-limit=24M state="$directory/state"
    backing="$directory/backing" backing-size=512M)

on_mark() {
    kill_server 0
    serve_again 0 serve_zslot "${zslot[@]}"
}

mkdir state
serve_zslot "${zslot[@]}"
boot
must_pass
end_zslot 0
