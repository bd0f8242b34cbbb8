#!/usr/bin/env bash
# forget.sh - a zslot that comes back without its pages is not taken for the one that was there
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck source=tests/vm/host.sh
. "$(dirname "$0")/host.sh"

programs="zslot-attach"

guest() {
    # shellcheck disable=SC2317 # until_true calls it
    adopts_not() {
        ! zslot-attach --adopt 10.0.2.100 /dev/nbd0 2>said && grep -q 'it is another export' said
    }

    hold 0
    write_files /dev/nbd0 0 4 1
    mark cut
    until_true 60 has_said 'connected again' || fail "it is not connected again"
    check_files /dev/nbd0 0 4 1
    mark forget
    until_true 60 has_said 'it is another export: it says "zslot ' ||
        fail "a server that has forgotten is taken"

    # nor_by_one_that_adopts_the_device
    kill -KILL "$(cat /run/zslot-attach-nbd0.pid)"
    until_true 10 adopts_not || fail "a server that has forgotten is adopted"
    let_go 0
}

# cut_connections: by the end of the processes that relay them to the server; others come and go meanwhile
cut_connections() {
    local file
    grep -lsF "UNIX-CONNECT:$socket" /proc/[0-9]*/cmdline | while read -r file; do
        [[ $(tr '\0' ' ' 2>/dev/null <"$file") != "socat "* ]] || kill "$(basename "$(dirname "$file")")" || true
    done 2>/dev/null || true
}

on_mark() {
    case $1 in
    # The server stays; its connections are lost.
    cut) cut_connections ;;
    forget)
        kill_server 0
        serve_again 0 serve_zslot 256M
        ;;
    esac
}

serve_zslot 256M
boot
must_pass
