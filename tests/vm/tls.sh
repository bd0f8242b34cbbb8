#!/usr/bin/env bash
# tls.sh - a guest swaps over TLS, which its kernel does; the server is killed under it, and comes back on its state; servers
# of the other version, with keys, and such as are not what they should be
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck source=tests/vm/host.sh
. "$(dirname "$0")/host.sh"

need certtool psktool
# shellcheck source=tests/certify.sh
. "$srcdir/tests/certify.sh"

programs="zslot-attach"
libraries="libgnutls.so.30"
# As a processor with instructions for AES has them.
modules="tls gcm ctr ghash_generic aesni_intel"
files="pki keys.psk"
# What is there is the initramfs, and this is a guest of 256 MiB.
memory_mib=256
touched_mib=$(long 512 192)
passes=1

guest() {
    # faults: of the process that looks after the device
    faults() {
        awk '{ print $10 + $12 }' "/proc/$(cat /run/zslot-attach-nbd0.pid)/stat"
    }
    # locked NUMBER: what the one of that device keeps in RAM, in KiB
    locked() {
        awk '$1 == "VmLck:" { print $2 }' "/proc/$(cat "/run/zslot-attach-nbd$1.pid")/status"
    }

    # a_kernel_without_tls_is_told
    module=$(find /lib/modules -name tls.ko)
    mv "$module" /tmp/
    rmmod tls || fail "rmmod tls"
    refused 'the kernel has no TLS: modprobe tls' --tls-certificates=/etc/pki
    mv /tmp/tls.ko "$module"
    modprobe tls || fail "modprobe tls"

    # who_is_not_who_he_should_be_is_refused
    refused 'wants TLS'
    refused 'not for elsewhere' --tls-certificates=/etc/pki --tls-hostname=elsewhere
    refused 'goes by certificates' --tls-psk=/etc/keys.psk
    is_not_connected nbd0 || fail "it is connected after a refusal"

    # the_kernel_goes_on_with_what_the_handshake_made
    hold 0 --swap --request-timeout=10 --tls-certificates=/etc/pki
    awk '$1 == "TlsCurrTxSw" && $2 == 2 { found = 1 } END { exit !found }' /proc/net/tls_stat ||
        fail "there are not two connections by the kernel's TLS: $(cat /proc/net/tls_stat)"
    say "AES by $(awk '$1 == "driver" { driver = $3 } $1 == "name" { name = $3 }
        $1 == "refcnt" && name == "gcm(aes)" && $3 > 1 { print driver }' /proc/crypto)"
    figure locked "$(locked 0)"

    # nothing_is_lost_when_the_server_is_killed
    before=$(faults)
    press_all -m -k 32 "$touched_mib" "$passes" /dev/nbd0
    [ "$(dmesg | grep -c 'nbd0: connected again')" -ge 1 ] || fail "it was never connected again"
    # a_handshake_under_pressure_makes_no_page_fault
    after=$(faults)
    [ "$after" = "$before" ] || fail "the handshake made $((after - before)) page faults"
    let_go 0
    no_errors

    # the_other_version_and_keys_do_too
    hold 1 --tls-psk=/etc/keys.psk --connections=4
    write_files /dev/nbd1 0 8 1
    check_files /dev/nbd1 0 8 1
    # a_record_that_is_no_data_ends_a_connection, which is made again
    mark farewell
    until_true 60 has_said 'connected again' 1 || fail "it is not connected after an alert"
    check_files /dev/nbd1 0 8 1
    let_go 1
    no_errors

    # who_needs_no_tls_does_not_pay_for_it
    hold 2
    figure plain "$(locked 2)"
    let_go 2
}

# serve_newer: TLS 1.3 alone, with keys; zslotd, since nbdkit waits for its clients to leave
serve_newer() {
    GNUTLS_SYSTEM_PRIORITY_FILE=$directory/only-1.3 NBDKIT=$builddir/tests/run-zslotd \
        serve --tls=require --tls-psk="$directory/keys.psk" zslot 64M state="$directory/newer"
    mv log log1
}

on_mark() {
    case $1 in
    pass-*)
        kill_server 0
        serve_again 0 serve_zslot "${zslot[@]}"
        ;;
    # By SIGTERM, at which it says goodbye in TLS.
    farewell)
        kill "${servers[1]}"
        wait "${servers[1]}"
        serve_again 1 serve_newer
        ;;
    esac
}

mkdir pki state newer
certify pki/ca 'cn = us' ca cert_signing_key
ca=pki/ca
certify pki/server 'cn = server' 'ip_address = 10.0.2.100' tls_www_server signing_key
psktool --username=alice --pskfile=keys.psk >/dev/null 2>&1
printf '%s\n' '[overrides]' 'disabled-version = tls1.2' 'disabled-version = tls1.1' \
    'disabled-version = tls1.0' >only-1.3
server_options=(--tls=require --tls-certificates="$directory/pki")
zslot=(512M memory-limit=24M state="$directory/state"
    backing="$directory/backing" backing-size=512M)
serve_zslot "${zslot[@]}"
serve_newer
serve memory 16M
boot
must_pass
end_zslot 0
between "pages swapped out" "${figures[pswpout]}" 8192 1000000
echo "locked in RAM: ${figures[locked]} KiB, without TLS ${figures[plain]} KiB"
