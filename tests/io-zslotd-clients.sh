#!/usr/bin/env bash
# io-zslotd-clients.sh - clients that nobody here wrote, against zslotd: those of the plugin's tests, nbdkit
# as a client, and nbd-client's list
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/zslotd.sh"

for test in io-nbdinfo io-qemu io-fio io-ext4; do
    status=0
    bash "$srcdir/tests/$test.sh" >said 2>&1 || status=$?
    [ "$status" = 0 ] || [ "$status" = 77 ] || fail "$test: $(cat said)"
    # What it says when it is skipped.
    cat said
done

nbdkit=$(sed -n "s/^nbdkit='\(.*\)'$/\1/p" "$builddir/tests/run-nbdkit")
serve zslot 16M export=disk

# it_is_listed, under its name
if command -v nbdinfo >/dev/null; then
    nbdinfo --list "$uri" >list
    grep -q 'export="disk"' list || fail "it is not listed: $(cat list)"
fi
# nbd-client's own negotiation
if command -v nbd-client >/dev/null && [ "$(nbd-client --version 2>&1 | grep -c .)" -gt 0 ]; then
    nbd-client -l -unix "$socket" >list 2>&1 || fail "nbd-client -l: $(cat list)"
    grep -qx disk list || fail "nbd-client does not list it: $(cat list)"
fi
# an_export_of_another_name_is_refused
if command -v nbdinfo >/dev/null; then
    nbdinfo --size "$uri" >/dev/null
    nbdinfo --size "nbd+unix:///disk?socket=$socket" >/dev/null
    ! nbdinfo --size "nbd+unix:///other?socket=$socket" >said 2>&1 || fail "another name is served"
fi

# through_qemu_nbd, which is qemu's client
if command -v qemu-nbd >/dev/null && command -v nbdcopy >/dev/null; then
    qemu-nbd --format=raw --shared=2 --socket="$PWD/qemu.sock" "nbd:unix:$socket:exportname=disk" >said 2>&1 &
    qemu=$!
    servers+=("$qemu")
    until_true 60 [ -S qemu.sock ] || fail "qemu-nbd: $(cat said)"
    head -c 16M /dev/urandom >random
    nbdcopy random "nbd+unix:///?socket=$PWD/qemu.sock" || fail "qemu-nbd in front of it: $(cat said)"
    nbdcopy "$uri" back
    cmp random back
    kill "$qemu" 2>/dev/null || true # it goes with its last client
    wait "$qemu" || true
fi

# through_nbdkit_s_nbd_plugin
if command -v nbdcopy >/dev/null && "$nbdkit" nbd --version >/dev/null 2>&1; then
    head -c 3000001 /dev/urandom >random
    truncate --size=16M random
    "$nbdkit" -U - nbd socket="$socket" --run "nbdcopy random \"\$uri\" && nbdcopy \"\$uri\" back" ||
        fail "nbdkit's nbd plugin in front of it"
    cmp random back
fi
stop
