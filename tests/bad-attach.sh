#!/usr/bin/env bash
# bad-attach.sh - zslot-attach says what is wrong with its arguments, and its manual has each option;
# what it does with a kernel's device is in tests/vm
#
# SPDX-License-Identifier: BSD-3-Clause

# shellcheck source=tests/functions.sh
. "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"

attach=${builddir:-$srcdir}/client/zslot-attach
manual=$srcdir/man/zslot-attach.pod

# says STATUS 'ARGUMENTS' WORD...: it ends with that status, and says all of these words
says() {
    local wanted=$1 arguments=$2 status=0 word
    shift 2
    # shellcheck disable=SC2086
    timeout 60 "$attach" $arguments >out 2>&1 </dev/null || status=$?
    [ "$status" = "$wanted" ] || fail "$arguments: status $status: $(cat out)"
    for word; do
        grep -qF -- "$word" out || fail "$arguments: \"$word\" is not in: $(cat out)"
    done
}

# bad_arguments_are_refused
says 2 '' 'two arguments'
says 2 'localhost' 'two arguments'
says 2 'a b c' 'two arguments'
says 2 '--detach' 'one argument'
says 2 '--detach host /dev/nbd0' 'one argument'
says 2 'host /dev/sda' /dev/sda /dev/nbd0
says 2 'host /dev/nbd' /dev/nbd
says 2 'host /dev/nbd0p1' /dev/nbd0p1
says 2 'host nbd4096' nbd4096
says 2 '--connections=0 host /dev/nbd0' --connections=0 'from 1 to 16'
says 2 '--connections=0 host /dev/nbd0' 'write for example --connections=2'
says 2 '--connections=17 host /dev/nbd0' --connections=17 'from 1 to 16'
says 2 '--connections=2x host /dev/nbd0' --connections=2x
says 2 '--request-timeout=-1 host /dev/nbd0' --request-timeout=-1 'from 1 to 3600'
says 2 '--dead-timeout=99999999999999999999 host /dev/nbd0' --dead-timeout
says 2 '--priority=32768 host /dev/nbd0' --priority=32768 'from 0 to 32767'
says 2 "--export=$(printf '%4097s' '' | tr ' ' x) host /dev/nbd0" 'at most 4096'
says 2 '--nonsense host /dev/nbd0' nonsense --help

# options_that_do_not_go_together_are_refused
says 2 '--detach --swap /dev/nbd0' 'leave --swap out'
says 2 '--detach --adopt /dev/nbd0' 'leave --adopt out'
says 2 '-d -n foo -c 3 /dev/nbd0' 'leave --export out'
says 2 '-p 5 host /dev/nbd0' 'write --swap too'
says 2 '-k keys -C pki host /dev/nbd0' 'leave --tls-certificates out'
says 2 '-H name host /dev/nbd0' 'write --tls-certificates=DIRECTORY too'
says 2 '-H name -k keys host /dev/nbd0' 'write --tls-certificates=DIRECTORY too'
says 2 '-u name -C pki host /dev/nbd0' 'write --tls-psk=FILE too'
says 2 '--tls-psk= host /dev/nbd0' '--tls-psk=: it names no file'
says 2 '--tls-certificates= host /dev/nbd0' 'it names no directory'
says 2 '-k keys /run/x /dev/nbd0' '/run/x: the kernel does TLS over TCP only' 'leave --tls-psk out'
says 2 '-C pki /run/x /dev/nbd0' 'leave --tls-certificates out'

# what_tls_needs_is_looked_for_before_the_device; io-attach-tls.sh has more of it
says 1 '-k nowhere host /dev/nbd4095' '--tls-psk=nowhere: No such file'
says 1 '-C nowhere host /dev/nbd4095' 'ca-cert.pem: No such file'
mkdir library
: >library/libgnutls.so.30
LD_LIBRARY_PATH=$PWD/library says 1 '-k keys host /dev/nbd4095' 'done by GnuTLS, which is not there' libgnutls.so.30

# a_server_that_can_be_none_is_refused before the device is looked for
says 2 'localhost:abc /dev/nbd4095' 'localhost:abc: abc is no port' 'from 1 to 65535' 10809
says 2 'localhost:99999 /dev/nbd4095' '99999 is no port'
says 2 'localhost:0 /dev/nbd4095' '0 is no port'
says 2 '[::1]:-1 /dev/nbd4095' '-1 is no port'
says 2 '[::1 /dev/nbd4095' '[::1: there is no ]' '[ADDRESS]:PORT'
says 2 'localhost: /dev/nbd4095' 'not HOST, HOST:PORT'
says 2 'nbd://localhost /dev/nbd4095' 'nbd://localhost: a URI is not taken' 'HOST:PORT'
says 2 'nbd+unix:///?socket=/run/x /dev/nbd4095' 'a URI is not taken'
says 2 'unix:/run/x /dev/nbd4095' 'unix:/run/x: write the path alone: /run/x'

# a_kernel_without_the_device_is_told
[ -e /sys/block/nbd4095 ] || says 1 'host /dev/nbd4095' /dev/nbd4095 'modprobe nbd'

# help_and_manual_have_each_option
says 0 --version zslot-attach
says 0 --help 'zslot-attach --detach'
count=0
while read -r option; do
    grep -qE -- "^  -., --$option( |=|\$)" out || fail "--$option is not in --help"
    grep -qF "B<--$option>" "$manual" || fail "--$option is not in the manual"
    count=$((count + 1))
done < <(sed -nE 's/^    \{"([a-z-]+)", .*/\1/p' "$srcdir/client/arguments.c")
[ "$count" -ge 10 ] || fail "found only $count options"
